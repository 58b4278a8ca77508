//! The JSON objects that REST and live frames share, made from the domain's types.

mod forecast;

pub(crate) use forecast::{Forecast, Model};

use serde::Serialize;
use utoipa::ToSchema;
use weather::freshness::{self, Contact};
use weather::quality::Marks;
use weather::{Flags, StationId, Time, Values, Variable};

/// How recently a station has been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Its newest observation has not expired.
    Up,
    /// Its newest observation has expired.
    Stale,
    /// Nothing for three expiries or more.
    Down,
    /// Registered, never heard.
    Silent,
}

impl State {
    /// Every state, for gauges that start at zero.
    pub(crate) const ALL: [Self; 4] = [Self::Up, Self::Stale, Self::Down, Self::Silent];

    /// The JSON value and metric label.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Silent => "silent",
        }
    }
}

impl From<Contact> for State {
    fn from(contact: Contact) -> Self {
        match contact {
            Contact::Up => Self::Up,
            Contact::Stale => Self::Stale,
            Contact::Down => Self::Down,
            Contact::Silent => Self::Silent,
        }
    }
}

/// What is known of a station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Station {
    /// Its identifier: 1 to 64 of `A-Z a-z 0-9 _ . : -`.
    #[schema(value_type = String, example = "X1")]
    pub(crate) id: StationId,
    /// What people call it; the identifier until someone registers it.
    pub(crate) name: String,
    /// Degrees north; absent until someone registers the station.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) longitude: Option<f64>,
    /// Metres above sea level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) elevation: Option<f32>,
    /// IANA name, as `Europe/Budapest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) timezone: Option<String>,
    /// Whether people without rights may see it.
    pub(crate) public: bool,
    /// Whether its observations are made up. To be shown wherever the station is.
    pub(crate) simulated: bool,
    /// How recently it has been heard.
    pub(crate) state: State,
}

impl Station {
    /// The station as people see it, in `state`.
    #[must_use]
    pub(crate) fn new(station: &weather::Station, state: State) -> Self {
        Self {
            id: station.id.clone(),
            name: station.name.clone(),
            latitude: station.latitude,
            longitude: station.longitude,
            elevation: station.elevation,
            timezone: station.timezone.clone(),
            public: station.public,
            simulated: station.simulated,
            state,
        }
    }
}

/// A station as a GeoJSON feature (RFC 7946).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Feature {
    /// Always `Feature`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "Feature")]
    pub(crate) kind: &'static str,
    /// The station's identifier.
    #[schema(value_type = String)]
    pub(crate) id: StationId,
    /// Where it stands; null when nobody has told.
    #[schema(required)]
    pub(crate) geometry: Option<Point>,
    /// What is known of it.
    pub(crate) properties: Station,
}

impl From<Station> for Feature {
    fn from(station: Station) -> Self {
        let geometry = station.longitude.zip(station.latitude).map(|(longitude, latitude)| {
            let mut coordinates = vec![longitude, latitude];
            coordinates.extend(station.elevation.map(f64::from));
            Point { kind: "Point", coordinates }
        });
        Self { kind: "Feature", id: station.id.clone(), geometry, properties: station }
    }
}

/// A GeoJSON point.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Point {
    /// Always `Point`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "Point")]
    pub(crate) kind: &'static str,
    /// Degrees east, degrees north, and metres above sea level when known.
    #[schema(min_items = 2, max_items = 3)]
    pub(crate) coordinates: Vec<f64>,
}

/// Stations as a GeoJSON feature collection.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FeatureCollection {
    /// Always `FeatureCollection`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "FeatureCollection")]
    pub(crate) kind: &'static str,
    /// The stations, by identifier.
    pub(crate) features: Vec<Feature>,
}

/// What quality control says of a value that is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quality {
    /// Dubious: shown, and masked from the model.
    Suspect,
    /// Wrong: shown as bad, and masked from the model.
    Fail,
}

/// One station's measurements at one time; what was not measured is left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Observation {
    /// Who measured.
    #[schema(value_type = String)]
    pub(crate) station: StationId,
    /// When, RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) time: Time,
    /// °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) temperature: Option<f32>,
    /// °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) dew_point: Option<f32>,
    /// %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) relative_humidity: Option<f32>,
    /// Reduced to mean sea level, hPa.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) pressure_msl: Option<f32>,
    /// At the station, hPa.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) pressure_station: Option<f32>,
    /// m/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_speed: Option<f32>,
    /// Degrees that the wind comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_direction: Option<f32>,
    /// m/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) wind_gust: Option<f32>,
    /// mm over `precipitation_period`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) precipitation: Option<f32>,
    /// Seconds that `precipitation` was gathered over; an hour when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) precipitation_period: Option<f32>,
    /// W/m².
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) solar_radiation: Option<f32>,
    /// %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) cloud_cover: Option<f32>,
    /// m.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) visibility: Option<f32>,
    /// WMO 4677 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) present_weather: Option<f32>,
    /// Where the report came from. Live, and of a station's newest observation in REST; older ones
    /// don't carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) source: Option<String>,
    /// The variables whose values are not good.
    #[serde(skip_serializing_if = "QualityOf::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, Quality>, required = false)]
    pub(crate) quality: QualityOf,
    /// Of those, the tests that they did not pass: range, consistency, step, spike, persistence, spatial.
    #[serde(skip_serializing_if = "QualityTests::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, std::collections::BTreeMap<String, Quality>>, required = false)]
    pub(crate) quality_tests: QualityTests,
    /// When it must no longer look live.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires: Time,
}

impl Observation {
    /// The observation of a station that reports every `cadence` seconds.
    #[must_use]
    pub(crate) fn new(
        station: StationId,
        time: Time,
        values: &Values,
        flags: Flags,
        source: Option<String>,
        cadence: i64,
    ) -> Self {
        let value = |variable| values.get(variable).filter(|v| v.is_finite());
        Self {
            station,
            time,
            temperature: value(Variable::Temperature),
            dew_point: value(Variable::DewPoint),
            relative_humidity: value(Variable::RelativeHumidity),
            pressure_msl: value(Variable::PressureMsl),
            pressure_station: value(Variable::PressureStation),
            wind_speed: value(Variable::WindSpeed),
            wind_direction: value(Variable::WindDirection),
            wind_gust: value(Variable::WindGust),
            precipitation: value(Variable::Precipitation),
            precipitation_period: value(Variable::PrecipitationPeriod),
            solar_radiation: value(Variable::SolarRadiation),
            cloud_cover: value(Variable::CloudCover),
            visibility: value(Variable::Visibility),
            present_weather: value(Variable::PresentWeather),
            source,
            quality: QualityOf(flags),
            quality_tests: QualityTests(flags),
            expires: freshness::observation_expires(time, cadence),
        }
    }

    /// The observation as it came out of a stream.
    #[must_use]
    pub(crate) fn received(received: &streams::Received, cadence: i64) -> Self {
        let observation = &received.observation;
        Self::new(
            observation.station.clone(),
            observation.time,
            &observation.values,
            received.flags,
            observation.source.clone(),
            cadence,
        )
    }
}

/// Flags as a map from the names of the variables that did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QualityOf(Flags);

impl QualityOf {
    fn is_empty(&self) -> bool {
        self.0 == Flags::default()
    }
}

impl Serialize for QualityOf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quality = |variable| {
            if self.0.failed.contains(variable) {
                Some(Quality::Fail)
            } else {
                self.0.suspect.contains(variable).then_some(Quality::Suspect)
            }
        };
        serializer.collect_map(Variable::ALL.into_iter().filter_map(|v| Some((v.name(), quality(v)?))))
    }
}

/// The tests that values did not pass, by variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QualityTests(Flags);

impl QualityTests {
    /// Flags from before tests were told apart have none.
    fn is_empty(&self) -> bool {
        self.0.all().iter().all(|marks| *marks == Marks::default())
    }
}

impl Serialize for QualityTests {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A station's recent observations.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Observations {
    /// Whose.
    #[schema(value_type = String)]
    pub(crate) station: StationId,
    /// Oldest first.
    pub(crate) observations: Vec<Observation>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(text: &str) -> StationId {
        StationId::new(text).unwrap()
    }

    #[test]
    fn an_observation_prints_short_and_names_what_is_not_good() {
        let values: Values = [(Variable::Temperature, 12.3), (Variable::WindGust, 8.0)].into_iter().collect();
        let mut flags = Flags::default();
        flags.mark(weather::quality::Test::Step, Variable::WindGust, weather::quality::Flag::Suspect);
        let time = Time::parse("2026-11-23T08:00:00Z").unwrap();
        let shape = Observation::new(id("X1"), time, &values, flags, Some("test".into()), 300);
        assert_eq!(
            serde_json::to_string(&shape).unwrap(),
            r#"{"station":"X1","time":"2026-11-23T08:00:00Z","temperature":12.3,"wind_gust":8.0,"source":"test","quality":{"wind_gust":"suspect"},"quality_tests":{"wind_gust":{"step":"suspect"}},"expires":"2026-11-23T08:12:30Z"}"#
        );
        let good = Observation::new(id("X1"), time, &values, Flags::default(), None, 300);
        assert!(!serde_json::to_string(&good).unwrap().contains("quality"));
    }

    #[test]
    fn every_variable_has_its_field() {
        let values: Values = Variable::ALL.into_iter().map(|v| (v, 1.0)).collect();
        let shape = Observation::new(id("X1"), Time::from_unix(0), &values, Flags::default(), None, 60);
        let json = serde_json::to_value(&shape).unwrap();
        for variable in Variable::ALL {
            assert_eq!(json[variable.name()], json!(1.0), "{variable}");
        }
    }

    #[test]
    fn a_feature_has_a_position_only_when_the_station_has() {
        let mut station = weather::Station::unregistered(id("A"));
        let feature = |s: &weather::Station| serde_json::to_value(Feature::from(Station::new(s, State::Up))).unwrap();
        assert_eq!(feature(&station)["geometry"], json!(null));
        station.latitude = Some(47.5);
        station.longitude = Some(19.0);
        assert_eq!(feature(&station)["geometry"]["coordinates"], json!([19.0, 47.5]));
        station.elevation = Some(120.0);
        assert_eq!(feature(&station)["geometry"]["coordinates"], json!([19.0, 47.5, 120.0]));
        assert_eq!(feature(&station)["properties"]["state"], "up");
    }
}
