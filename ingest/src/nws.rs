//! api.weather.gov: the latest observation of stations that the United States' National Weather Service
//! knows, airports and others.
//!
//! `GET /stations/KJFK/observations/latest`, GeoJSON, one request a station: there is none for several.
//! Every quantity is `{unitCode, value, qualityControl}`. Units have changed over the years: each value is
//! converted by its own. The letters of quality control are those of MADIS; what failed (`X`) or was judged
//! bad (`B`) is missing.
//!
//! `barometricPressure` of airports has been the altimeter setting under another name. It counts as the
//! pressure of the station only if the raw report beside it shows that it is not that; where it is, it
//! stands for the pressure at sea level when that is missing, as a METAR's does.

use clap::Args;
use reqwest::Url;
use serde_json::Value;
use weather::admission::Reason;
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable};

use crate::aviation_weather::Stations;
use crate::metar::phenomena::{self, Weather};
use crate::metar::{Kind, Report};
use crate::poll::{Reading, Source, name, station_list, web_address};
use crate::units::{convert, metres};

/// The most stations: each is a request of its own.
const MOST: usize = 50;
/// How near two pressures are the same one, hPa: the NWS rounds to 10 Pa, the report to 0.01 inHg.
const SAME: f32 = 0.35;

/// Settings of the NWS door.
#[derive(Clone, Debug, Args)]
pub struct NwsSettings {
    /// Stations of the US National Weather Service that are polled, with commas between.
    #[arg(long = "nws", env = "WEATHERGLASS_NWS", default_value = "", hide_default_value = true, value_name = "STATIONS", value_parser = stations)]
    pub nws: Stations,
    /// Where they are polled.
    #[arg(long = "nws-url", env = "WEATHERGLASS_NWS_URL", default_value = "https://api.weather.gov", value_name = "URL", value_parser = web_address)]
    pub nws_url: Url,
}

fn stations(text: &str) -> Result<Stations, String> {
    let is_station = |id: &str| (3..=12).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    station_list(text, MOST, is_station)
        .map_err(|id| format!("{id}: a station has 3 to 12 letters and figures, such as KJFK,0579W; at most {MOST}"))
        .map(Stations)
}

/// The source.
pub(crate) struct Nws(Vec<Url>);

impl Nws {
    /// The source, when stations are configured.
    pub(crate) fn of(settings: &NwsSettings) -> Option<Self> {
        let address = |station: &StationId| {
            let mut address = settings.nws_url.clone();
            let path = ["stations", station.as_str(), "observations", "latest"];
            address.path_segments_mut().ok()?.pop_if_empty().extend(path);
            Some(address)
        };
        let addresses: Vec<Url> = settings.nws.0.iter().filter_map(address).collect();
        (!addresses.is_empty()).then_some(Self(addresses))
    }
}

impl Source for Nws {
    fn name(&self) -> &'static str {
        "nws"
    }

    fn accepts(&self) -> &'static str {
        "application/geo+json"
    }

    fn addresses(&self) -> Vec<Url> {
        self.0.clone()
    }

    fn read(&mut self, _: &Url, body: &[u8], _: Time) -> Result<Reading, String> {
        read(body)
    }
}

/// The item and station of a body: a feature, or a collection of them.
///
/// # Errors
/// Why it is neither.
pub(crate) fn read(body: &[u8]) -> Result<Reading, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Reading::default());
    }
    let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let features = match &json["features"] {
        Value::Array(features) => features.as_slice(),
        _ if json["properties"].is_object() => std::slice::from_ref(&json),
        _ => {
            let detail = json["detail"].as_str().or_else(|| json["title"].as_str()).unwrap_or("no GeoJSON feature");
            return Err(detail.chars().filter(|c| !c.is_control()).take(120).collect());
        }
    };
    let mut items: Vec<_> = features.iter().map(item).collect();
    items.sort_by_key(|item| item.as_ref().map_or(Time::default(), |o| o.time));
    Ok(Reading { items, stations: features.iter().filter_map(station).collect() })
}

/// The identifier: newer answers have it, older ones only the station's address.
fn identifier(properties: &Value) -> Option<StationId> {
    let address = || properties["station"].as_str()?.trim_end_matches('/').rsplit('/').next();
    StationId::new(properties["stationId"].as_str().or_else(address)?).ok()
}

fn item(feature: &Value) -> Result<Observation, Rejection> {
    let properties = &feature["properties"];
    let missing = |field, detail| Rejection::new(field, Reason::MissingField, detail);
    let station = identifier(properties).ok_or_else(|| missing("station", "properties.station names no station"))?;
    let time = properties["timestamp"].as_str().ok_or_else(|| missing("time", "properties.timestamp is missing"))?;
    let time = Time::parse(time)
        .map_err(|_| Rejection::new("time", Reason::BadTime, "properties.timestamp is RFC 3339 with an offset"))?;
    let values = values(properties);
    if values.is_empty() {
        return Err(missing("temperature", "every value is null, failed or in an unknown unit"));
    }
    Ok(Observation { station, time, values, source: Some("nws".to_owned()) })
}

/// A quantity's value in our unit, unless it is null, failed, impossible or of another kind.
fn quantity(value: &Value, variable: Variable) -> Option<f32> {
    if matches!(value["qualityControl"].as_str(), Some("X" | "B")) {
        return None;
    }
    convert(value["value"].as_f64()?, value["unitCode"].as_str()?, variable)
}

fn values(properties: &Value) -> Values {
    const FIELDS: [(&str, Variable); 8] = [
        ("temperature", Variable::Temperature),
        ("dewpoint", Variable::DewPoint),
        ("relativeHumidity", Variable::RelativeHumidity),
        ("windSpeed", Variable::WindSpeed),
        ("windGust", Variable::WindGust),
        ("visibility", Variable::Visibility),
        ("seaLevelPressure", Variable::PressureMsl),
        ("windDirection", Variable::WindDirection),
    ];
    let mut values: Values = FIELDS
        .into_iter()
        .filter_map(|(field, variable)| Some((variable, quantity(&properties[field], variable)?)))
        .collect();
    let report = properties["rawMessage"].as_str().and_then(|raw| Report::parse(raw).ok());
    let is_calm = values.get(Variable::WindSpeed).is_none_or(|speed| speed == 0.0);
    let is_north = values.get(Variable::WindDirection) == Some(0.0);
    // 0 is said of a variable wind, too.
    let is_variable = report.as_ref().and_then(|report| report.wind).is_some_and(|wind| wind.variable);
    if is_calm || is_north || is_variable {
        values.set(Variable::WindDirection, f32::NAN);
    }
    pressure(&mut values, properties, report.as_ref());
    // The sum of a special report is in the next routine one too.
    if report.as_ref().and_then(|report| report.kind) != Some(Kind::Speci)
        && let Some(rain) = quantity(&properties["precipitationLastHour"], Variable::Precipitation)
    {
        values.set(Variable::Precipitation, rain);
        values.set(Variable::PrecipitationPeriod, 3600.0);
    }
    if let Some(code) = present_weather(properties) {
        values.set(Variable::PresentWeather, f32::from(code));
    }
    if let Some(cover) = cloud_cover(properties) {
        values.set(Variable::CloudCover, cover);
    }
    values
}

fn pressure(values: &mut Values, properties: &Value, report: Option<&Report<'_>>) {
    let Some(barometer) = quantity(&properties["barometricPressure"], Variable::PressureStation) else { return };
    let Some(setting) = report.and_then(Report::altimeter_setting) else { return };
    if (barometer - setting).abs() > SAME {
        values.set(Variable::PressureStation, barometer);
    } else if values.get(Variable::PressureMsl).is_none() {
        values.set(Variable::PressureMsl, barometer);
    }
}

/// The WMO 4677 code of the groups that were decoded.
fn present_weather(properties: &Value) -> Option<u8> {
    let groups = properties["presentWeather"].as_array()?;
    let groups: Vec<Weather<'_>> =
        groups.iter().filter_map(|group| Weather::parse(group["rawString"].as_str()?.trim())).collect();
    phenomena::present(&groups)
}

/// The largest layer, %.
fn cloud_cover(properties: &Value) -> Option<f32> {
    let layers = properties["cloudLayers"].as_array()?;
    let share = |layer: &Value| match layer["amount"].as_str()? {
        "CLR" | "SKC" => Some(0.0_f32),
        "FEW" => Some(25.0),
        "SCT" => Some(50.0),
        "BKN" => Some(87.5),
        "OVC" | "VV" => Some(100.0),
        _ => None,
    };
    layers.iter().filter_map(share).reduce(f32::max)
}

fn station(feature: &Value) -> Option<Station> {
    let properties = &feature["properties"];
    let id = identifier(properties)?;
    let place = |at: usize| feature["geometry"]["coordinates"][at].as_f64();
    let elevation = &properties["elevation"];
    let elevation = elevation["value"].as_f64().zip(elevation["unitCode"].as_str());
    Some(Station {
        name: name(properties["stationName"].as_str(), &id),
        latitude: place(1),
        longitude: place(0),
        elevation: elevation.and_then(|(value, unit)| metres(value, unit)).map(|height| height as f32),
        ..Station::unregistered(id)
    })
}

#[cfg(test)]
mod tests;
