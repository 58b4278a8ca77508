//! Open-Meteo: the current conditions at places that have no station.
//!
//! They are the analysis of a weather model, not a measurement, and carry the source `open-meteo`.
//! `GET /v1/forecast?latitude=..&longitude=..&current=..` takes lists of places and answers in their order:
//! one object, or an array of them. Units stand beside the values and are converted, not assumed. What is
//! summed or is a maximum (precipitation, gust) is over the `interval` that the answer names.

use clap::Args;
use reqwest::Url;
use serde_json::Value;
use weather::admission::{Reason, check_value};
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::poll::{Reading, Source, web_address};
use crate::units::convert;

/// The most places: the free service counts each as a call.
const MOST: usize = 100;

/// Open-Meteo's names of our variables.
const NAMES: [(&str, Variable); 13] = [
    ("temperature_2m", Variable::Temperature),
    ("dew_point_2m", Variable::DewPoint),
    ("relative_humidity_2m", Variable::RelativeHumidity),
    ("pressure_msl", Variable::PressureMsl),
    ("surface_pressure", Variable::PressureStation),
    ("wind_speed_10m", Variable::WindSpeed),
    ("wind_direction_10m", Variable::WindDirection),
    ("wind_gusts_10m", Variable::WindGust),
    ("precipitation", Variable::Precipitation),
    ("shortwave_radiation", Variable::SolarRadiation),
    ("cloud_cover", Variable::CloudCover),
    ("visibility", Variable::Visibility),
    ("weather_code", Variable::PresentWeather),
];

/// Settings of the Open-Meteo door.
#[derive(Clone, Debug, Args)]
pub struct OpenMeteoSettings {
    /// Places without a station: ID=LATITUDE,LONGITUDE with semicolons between.
    #[arg(long = "open-meteo", env = "WEATHERGLASS_OPEN_METEO", default_value = "", hide_default_value = true, value_name = "PLACES", value_parser = places, allow_hyphen_values = true)]
    pub open_meteo: Places,
    /// Where their conditions are polled.
    #[arg(long = "open-meteo-url", env = "WEATHERGLASS_OPEN_METEO_URL", default_value = "https://api.open-meteo.com", value_name = "URL", value_parser = web_address)]
    pub open_meteo_url: Url,
}

/// Places and what they are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places(pub Vec<(StationId, f64, f64)>);

fn places(text: &str) -> Result<Places, String> {
    let mut places: Vec<(StationId, f64, f64)> = Vec::new();
    for place in text.split(';').map(str::trim).filter(|place| !place.is_empty()) {
        let read = || {
            let (id, position) = place.split_once('=')?;
            let (latitude, longitude) = position.split_once(',')?;
            let (latitude, longitude): (f64, f64) = (latitude.trim().parse().ok()?, longitude.trim().parse().ok()?);
            let id = StationId::new(id.trim()).ok()?;
            let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
            (on_earth && places.iter().all(|(known, _, _)| *known != id)).then_some((id, latitude, longitude))
        };
        let place = read().filter(|_| places.len() < MOST).ok_or_else(|| {
            format!("{place:?}: a place is ID=LATITUDE,LONGITUDE in degrees, such as hut=46.95,7.44; each ID once; at most {MOST}")
        })?;
        places.push(place);
    }
    Ok(Places(places))
}

/// The source.
pub(crate) struct OpenMeteo {
    address: Url,
    places: Vec<(StationId, f64, f64)>,
}

impl OpenMeteo {
    /// The source, when places are configured.
    pub(crate) fn of(settings: &OpenMeteoSettings) -> Option<Self> {
        let places = settings.open_meteo.0.clone();
        if places.is_empty() {
            return None;
        }
        let mut address = settings.open_meteo_url.clone();
        address.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "forecast"]);
        let list = |of: fn(&(StationId, f64, f64)) -> f64| {
            places.iter().map(|place| of(place).to_string()).collect::<Vec<_>>().join(",")
        };
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        address.set_query(Some(&format!(
            "latitude={}&longitude={}&current={}&wind_speed_unit=ms&timeformat=unixtime&timezone=GMT",
            list(|place| place.1),
            list(|place| place.2),
            names.join(",")
        )));
        Some(Self { address, places })
    }
}

impl Source for OpenMeteo {
    fn name(&self) -> &'static str {
        "open-meteo"
    }

    fn addresses(&self) -> Vec<Url> {
        vec![self.address.clone()]
    }

    fn read(&mut self, _: &Url, body: &[u8], _: Time) -> Result<Reading, String> {
        let objects = objects(body)?;
        if objects.len() != self.places.len() {
            return Err(format!("{} places were asked for, {} answered", self.places.len(), objects.len()));
        }
        let mut reading = Reading::default();
        for (object, (id, latitude, longitude)) in objects.iter().zip(&self.places) {
            reading.items.push(item(object, id.clone()));
            reading.stations.push(Station {
                latitude: Some(*latitude),
                longitude: Some(*longitude),
                elevation: object["elevation"].as_f64().map(|metres| metres as f32),
                ..Station::unregistered(id.clone())
            });
        }
        Ok(reading)
    }
}

/// The items of a body by itself: a place is called by its position.
///
/// # Errors
/// Why the body as a whole can't be read.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Result<Observation, Rejection>>, String> {
    let place = |object: &Value| {
        let degrees = |field| object[field].as_f64().unwrap_or(f64::NAN);
        StationId::new(&format!("{}:{}", degrees("latitude"), degrees("longitude")))
    };
    Ok(objects(body)?.iter().map(|object| item(object, place(object)?)).collect())
}

fn objects(body: &[u8]) -> Result<Vec<Value>, String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match json {
        Value::Array(objects) => Ok(objects),
        error if error["error"] == Value::Bool(true) => {
            let reason = error["reason"].as_str().unwrap_or("no reason is given");
            Err(reason.chars().filter(|c| !c.is_control()).take(200).collect())
        }
        object if object["current"].is_object() => Ok(vec![object]),
        _ => Err("neither a place nor a list of places".to_owned()),
    }
}

fn item(object: &Value, station: StationId) -> Result<Observation, Rejection> {
    let (current, units) = (&object["current"], &object["current_units"]);
    let time = time(&current["time"], units["time"].as_str(), object["utc_offset_seconds"].as_i64())
        .ok_or_else(|| Rejection::new("time", Reason::BadTime, "current.time is unixtime, or iso8601 in GMT"))?;
    let mut values: Values = NAMES
        .into_iter()
        .filter_map(|(name, variable)| {
            let value = convert(current[name].as_f64()?, units[name].as_str()?, variable)?;
            Some((variable, value))
        })
        .collect();
    if values.get(Variable::WindSpeed) == Some(0.0) {
        values.set(Variable::WindDirection, f32::NAN);
    }
    if values.get(Variable::Precipitation).is_some() {
        let seconds = match units["interval"].as_str() {
            Some("seconds") => current["interval"].as_f64().map(|seconds| seconds as f32),
            _ => None,
        };
        let period = seconds.filter(|s| check_value(Variable::PrecipitationPeriod, *s).is_ok());
        match period {
            Some(period) => values.set(Variable::PrecipitationPeriod, period),
            // A sum over nobody knows what says nothing.
            None => values.set(Variable::Precipitation, f32::NAN),
        }
    }
    if values.is_empty() {
        let detail = "no value of `current` is there in a unit that is known";
        return Err(Rejection::new("temperature", Reason::MissingField, detail));
    }
    Ok(Observation { station, time, values, source: Some("open-meteo".to_owned()) })
}

/// Seconds since 1970, which are UTC whatever the offset; or ISO 8601 without one, in GMT.
fn time(value: &Value, unit: Option<&str>, offset: Option<i64>) -> Option<Time> {
    match unit? {
        "unixtime" => value.as_i64().filter(|seconds| *seconds > 0).map(Time::from_unix),
        "iso8601" => {
            let local: jiff::civil::DateTime = value.as_str()?.parse().ok()?;
            let utc = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
            Some(Time::from_unix(utc.as_second() - offset.unwrap_or_default()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
