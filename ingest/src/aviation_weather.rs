//! aviationweather.gov: the METARs of airports, by the data API of NOAA's Aviation Weather Center.
//!
//! `GET /api/data/metar?ids=KJFK,KEWR&format=json`: an array of objects, each with the report itself
//! (`rawOb`), NOAA's decode of it and the station's place. The report is the truth; the decode fills what
//! can't be read of it. The altimeter setting and the station's height give the pressure at the station.
//! A body that is no JSON is read as raw reports; when that fails too, the next request asks for them.

use clap::Args;
use reqwest::Url;
use serde_json::Value;
use weather::admission::{Reason, check_value};
use weather::{Observation, Rejection, Station, StationId, Time, Values, Variable, derived};

use crate::metar::phenomena::{self, Weather};
use crate::metar::{self, Kind, Report};
use crate::poll::{Reading, Source, name, station_list, web_address};
use crate::units::factor;

/// The most stations: the API answers with at most 400 reports.
const MOST: usize = 400;
/// Above this height the altimeter setting does not stand for the sea-level pressure, m: the station's own
/// reports with `SLP` would differ from those without by more than 1 hPa.
const HIGH: f32 = 100.0;

/// Settings of the METAR door.
#[derive(Clone, Debug, Args)]
pub struct MetarSettings {
    /// Airports whose METARs are polled: ICAO codes, with commas between.
    #[arg(long = "metar", env = "WEATHERGLASS_METAR", default_value = "", hide_default_value = true, value_name = "STATIONS", value_parser = airports)]
    pub metar: Stations,
    /// Where they are polled: the data API of the Aviation Weather Center.
    #[arg(long = "metar-url", env = "WEATHERGLASS_METAR_URL", default_value = "https://aviationweather.gov", value_name = "URL", value_parser = web_address)]
    pub metar_url: Url,
}

/// A list of stations from the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stations(pub Vec<StationId>);

fn airports(text: &str) -> Result<Stations, String> {
    let is_airport = |id: &str| {
        id.len() == 4
            && id.starts_with(|c: char| c.is_ascii_uppercase())
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    station_list(text, MOST, is_airport)
        .map_err(|id| {
            format!("{id}: an airport is named by its four-character ICAO code, such as KJFK,LOWW; at most {MOST}")
        })
        .map(Stations)
}

/// The source.
pub(crate) struct AviationWeather {
    address: Url,
    /// Whether the next request asks for raw reports.
    raw: bool,
}

impl AviationWeather {
    /// The source, when airports are configured.
    pub(crate) fn of(settings: &MetarSettings) -> Option<Self> {
        if settings.metar.0.is_empty() {
            return None;
        }
        let mut address = settings.metar_url.clone();
        address.path_segments_mut().ok()?.pop_if_empty().extend(["api", "data", "metar"]);
        let ids: Vec<&str> = settings.metar.0.iter().map(StationId::as_str).collect();
        address.set_query(Some(&format!("ids={}", ids.join(","))));
        Some(Self { address, raw: false })
    }
}

impl Source for AviationWeather {
    fn name(&self) -> &'static str {
        "metar"
    }

    fn accepts(&self) -> &'static str {
        "application/json, text/plain;q=0.5"
    }

    fn addresses(&self) -> Vec<Url> {
        let mut address = self.address.clone();
        address.query_pairs_mut().append_pair("format", if self.raw { "raw" } else { "json" });
        // Commas may stand in a query, and are what the API's documentation shows.
        let query = address.query().unwrap_or_default().replace("%2C", ",");
        address.set_query(Some(&query));
        vec![address]
    }

    fn read(&mut self, _: &Url, body: &[u8], now: Time) -> Result<Reading, String> {
        let reading = read(body, now);
        self.raw = reading.is_err() && !self.raw;
        reading
    }
}

/// The items and stations of a body.
///
/// # Errors
/// Why it is neither JSON with reports nor raw reports.
pub(crate) fn read(body: &[u8], now: Time) -> Result<Reading, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Reading::default());
    }
    let objects = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(objects)) => objects,
        Ok(object) if object.get("rawOb").is_some() || object.get("icaoId").is_some() => vec![object],
        Ok(other) => return Err(format!("no list of reports: {}", shown(&other.to_string()))),
        Err(error) => return raw_reports(body, now).ok_or_else(|| error.to_string()),
    };
    let mut reading = Reading::default();
    let mut items = Vec::with_capacity(objects.len());
    for object in &objects {
        let (corrected, item) = item(object, now);
        items.push((corrected, item));
        reading.stations.extend(station(object));
    }
    // Older before newer, a correction behind what it corrects.
    let time = |item: &Result<Observation, Rejection>| item.as_ref().map_or(Time::default(), |o| o.time);
    items.sort_by_key(|(corrected, item)| (time(item), *corrected));
    reading.items = items.into_iter().map(|(_, item)| item).collect();
    Ok(reading)
}

/// A line of somebody's words.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

fn raw_reports(body: &[u8], now: Time) -> Option<Reading> {
    let text = String::from_utf8_lossy(body);
    let items = if metar::bulletin::split(&text).is_empty() { Vec::new() } else { metar::read(&text, now) };
    (!items.is_empty()).then(|| Reading { items, stations: Vec::new() })
}

/// A number, or one in quotation marks; `10+` is 10.
fn number(object: &Value, field: &str) -> Option<f32> {
    let value = match &object[field] {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().trim_end_matches('+').parse().ok()?,
        _ => return None,
    };
    value.is_finite().then_some(value as f32)
}

/// One report: whether it is a correction, and what it says.
fn item(object: &Value, now: Time) -> (bool, Result<Observation, Rejection>) {
    let observed = object["obsTime"].as_i64().filter(|seconds| *seconds > 0).map(Time::from_unix);
    let report = object["rawOb"].as_str().map(Report::parse);
    let kind = match object["metarType"].as_str() {
        Some("SPECI") => Some(Kind::Speci),
        Some("METAR") => Some(Kind::Metar),
        _ => None,
    };
    match report {
        Some(Ok(mut report)) if !report.nil => {
            report.kind = report.kind.or(kind);
            // The report has no month; the decode beside it has.
            let arrival = observed.map_or(now, |time| time + weather::time::HOUR);
            let mut values = report.values();
            complete(&mut values, object, &report);
            let item = finish(report.station, metar::resolve_time(report.time, arrival), values);
            (report.corrected, item)
        }
        Some(Err(rejection)) if object["icaoId"].as_str().is_none() || observed.is_none() => (false, Err(rejection)),
        _ => {
            let missing =
                |field| Rejection::new(field, Reason::MissingField, "neither the report nor its decode has it");
            let Some(station) = object["icaoId"].as_str() else { return (false, Err(missing("station"))) };
            let report = Report::empty(kind);
            let mut values = Values::default();
            complete(&mut values, object, &report);
            (false, finish(station, observed.ok_or_else(|| missing("time")), values))
        }
    }
}

fn finish(station: &str, time: Result<Time, Rejection>, values: Values) -> Result<Observation, Rejection> {
    let (station, time) = (StationId::new(station)?, time?);
    if values.is_empty() {
        return Err(Rejection::new("temperature", Reason::MissingField, "the report holds no value"));
    }
    Ok(Observation { station, time, values, source: Some("metar".to_owned()) })
}

/// Adds what the decode has and the report has not.
fn complete(values: &mut Values, object: &Value, report: &Report<'_>) {
    let mut fill = |variable: Variable, value: Option<f32>| {
        if let Some(value) = value.filter(|v| values.get(variable).is_none() && check_value(variable, *v).is_ok()) {
            values.set(variable, value);
        }
    };
    fill(Variable::Temperature, number(object, "temp"));
    fill(Variable::DewPoint, number(object, "dewp"));
    if report.wind.is_none() {
        let knots = |field| number(object, field).map(|knots| knots * factor::KNOT as f32);
        let speed = knots("wspd");
        fill(Variable::WindSpeed, speed);
        let moves = speed.is_some_and(|speed| speed > 0.0);
        fill(Variable::WindDirection, number(object, "wdir").filter(|degrees| moves && *degrees > 0.0));
        fill(Variable::WindGust, knots("wgst"));
    }
    fill(Variable::Visibility, number(object, "visib").map(|miles| miles * factor::STATUTE_MILE as f32));
    let groups: Vec<Weather<'_>> =
        object["wxString"].as_str().unwrap_or_default().split(' ').filter_map(Weather::parse).collect();
    fill(Variable::PresentWeather, phenomena::present(&groups).map(f32::from));
    if !report.cavok {
        fill(Variable::CloudCover, cloud_cover(object));
    }
    if report.kind != Some(Kind::Speci) && values.get(Variable::Precipitation).is_none() {
        rain(values, object);
    }
    pressure(values, object, report);
}

/// The hour's precipitation, inches.
fn rain(values: &mut Values, object: &Value) {
    let millimetres = number(object, "precip").map(|inches| inches * factor::INCH as f32);
    if let Some(millimetres) = millimetres.filter(|mm| check_value(Variable::Precipitation, *mm).is_ok()) {
        values.set(Variable::Precipitation, millimetres);
        values.set(Variable::PrecipitationPeriod, 3600.0);
    }
}

fn pressure(values: &mut Values, object: &Value, report: &Report<'_>) {
    let reduced = report.remarks.sea_level_pressure(report.altimeter_setting()).or_else(|| number(object, "slp"));
    let setting = report.altimeter_setting().or_else(|| number(object, "altim"));
    let elevation = number(object, "elev");
    let possible = |variable, value: Option<f32>| value.filter(|v| check_value(variable, *v).is_ok());
    let station = setting.zip(elevation).map(|(setting, elevation)| derived::station_pressure(setting, elevation));
    if let Some(station) = possible(Variable::PressureStation, station)
        && values.get(Variable::PressureStation).is_none()
    {
        values.set(Variable::PressureStation, station);
    }
    // Where a setting in inches is the custom, so is `SLP`, in the reports of the full hour.
    let misleads = report.qnh.is_none() && elevation.is_some_and(|elevation| elevation > HIGH);
    let sea = possible(Variable::PressureMsl, reduced.or(if misleads { None } else { setting }));
    values.set(Variable::PressureMsl, sea.unwrap_or(f32::NAN));
}

/// The largest layer of the decode, %.
fn cloud_cover(object: &Value) -> Option<f32> {
    let covers = object["clouds"].as_array()?.iter().filter_map(|layer| layer["cover"].as_str());
    covers
        .filter_map(|cover| match cover {
            "CLR" | "SKC" | "NSC" | "NCD" => Some(0.0_f32),
            "FEW" => Some(25.0),
            "SCT" => Some(50.0),
            "BKN" => Some(87.5),
            "OVC" | "OVX" | "VV" => Some(100.0),
            _ => None,
        })
        .reduce(f32::max)
}

/// What the object says of its station.
fn station(object: &Value) -> Option<Station> {
    let id = StationId::new(object["icaoId"].as_str()?).ok()?;
    let place = |field| object[field].as_f64().filter(|v| v.is_finite());
    Some(Station {
        name: name(object["name"].as_str(), &id),
        latitude: place("lat"),
        longitude: place("lon"),
        elevation: number(object, "elev"),
        ..Station::unregistered(id)
    })
}

#[cfg(test)]
mod tests;
