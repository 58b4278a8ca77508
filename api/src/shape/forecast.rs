//! A forecast as people see it, and the models behind the forecasts.

use serde::Serialize;
use utoipa::ToSchema;
use weather::{Distribution, LEADS, Prediction, Quantity, StationId, Time};

/// Quantiles of one quantity, each by lead.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[allow(missing_docs)] // the level is the name
pub(crate) struct Quantiles {
    pub(crate) q05: Vec<f32>,
    pub(crate) q10: Vec<f32>,
    pub(crate) q25: Vec<f32>,
    pub(crate) q50: Vec<f32>,
    pub(crate) q75: Vec<f32>,
    pub(crate) q90: Vec<f32>,
    pub(crate) q95: Vec<f32>,
}

impl From<&Distribution> for Quantiles {
    fn from(distribution: &Distribution) -> Self {
        let level = |index| distribution.level(index).to_vec();
        Self { q05: level(0), q10: level(1), q25: level(2), q50: level(3), q75: level(4), q90: level(5), q95: level(6) }
    }
}

/// The median alone, by lead: a direction has no other quantile.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Median {
    /// The median by lead.
    pub(crate) q50: Vec<f32>,
}

/// What is forecast; what the station gives nothing to anchor on is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Variables {
    /// °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) temperature: Option<Quantiles>,
    /// °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) dew_point: Option<Quantiles>,
    /// hPa.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) pressure_msl: Option<Quantiles>,
    /// m/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_speed: Option<Quantiles>,
    /// m/s, the highest of the hour that ends at the valid time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_gust: Option<Quantiles>,
    /// Degrees that the wind comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_direction: Option<Median>,
    /// mm in the hour that ends at the valid time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) precipitation: Option<Quantiles>,
}

impl From<&Prediction> for Variables {
    fn from(prediction: &Prediction) -> Self {
        let quantiles = |quantity| prediction.get(quantity).map(Quantiles::from);
        Self {
            temperature: quantiles(Quantity::Temperature),
            dew_point: quantiles(Quantity::DewPoint),
            pressure_msl: quantiles(Quantity::PressureMsl),
            wind_speed: quantiles(Quantity::WindSpeed),
            wind_gust: quantiles(Quantity::WindGust),
            wind_direction: prediction.wind_direction.as_ref().map(|row| Median { q50: row.to_vec() }),
            precipitation: quantiles(Quantity::Precipitation),
        }
    }
}

/// A model and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs)]
pub(crate) struct ModelId {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// How good the input of a forecast was.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Inputs {
    /// Age of the newest observation when the forecast was issued, seconds.
    pub(crate) age_seconds: i64,
    /// Share of the model's window that was missing or masked, 0 to 1.
    pub(crate) missing_share: f32,
    /// Share of the values that were measured and that quality control masked, 0 to 1.
    pub(crate) masked_share: f32,
}

/// A forecast of the coming 48 hours for one station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Forecast {
    /// For whom.
    #[schema(value_type = String)]
    pub(crate) station: StationId,
    /// The newest observation used; lead `n` is valid `n` hours later.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) reference_time: Time,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) issue_time: Time,
    /// When it must no longer look live.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires: Time,
    /// Who made it.
    pub(crate) model: ModelId,
    /// Hours after `reference_time`: 1 to 48. Every list of numbers has one for each.
    #[schema(value_type = Vec<i32>)]
    pub(crate) leads: Vec<u8>,
    /// The numbers.
    pub(crate) variables: Variables,
    /// Of at least 0.1 mm in the hour that ends at the valid time, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) precipitation_probability: Option<Vec<f32>>,
    /// A condition for every lead, of WMO 4677.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<i32>>, nullable = false)]
    pub(crate) weather_code: Option<Vec<u8>>,
    /// From how good an input.
    pub(crate) inputs: Inputs,
    /// The stream ID of the observation that caused it.
    pub(crate) cause: String,
    /// How many corrections of the newest observation it has taken in.
    pub(crate) revision: u32,
}

impl From<&weather::Forecast> for Forecast {
    fn from(forecast: &weather::Forecast) -> Self {
        let prediction = &forecast.prediction;
        Self {
            station: forecast.station.clone(),
            reference_time: forecast.reference_time,
            issue_time: forecast.issue_time,
            expires: forecast.expires,
            model: ModelId { name: forecast.model.name.clone(), version: forecast.model.version.clone() },
            leads: (1..=LEADS as u8).collect(),
            variables: Variables::from(prediction),
            precipitation_probability: prediction.precipitation_probability.as_ref().map(|row| row.to_vec()),
            weather_code: prediction.weather_code().map(|codes| codes.to_vec()),
            inputs: Inputs {
                age_seconds: forecast.inputs.age_seconds,
                missing_share: thousandths(forecast.inputs.missing_share),
                masked_share: thousandths(forecast.inputs.masked_share),
            },
            cause: forecast.cause.clone(),
            revision: forecast.revision,
        }
    }
}

/// As much as anybody needs to know of a share.
fn thousandths(share: f32) -> f32 {
    (share * 1000.0).round() / 1000.0
}

/// A model that current forecasts come from.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Model {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// How many stations' latest forecasts are its work.
    pub(crate) stations: usize,
    /// When it made the newest of them.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) newest_issue_time: Time,
}
