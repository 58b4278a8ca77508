//! rtl_433's JSON events, one radio transmission each.
//!
//! Field names are those of its `docs/DATA_FORMAT.md`; a sensor is known by model, id and channel.
//! Its `time` is the host's local time unless it was started with `-M time:utc` or similar.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weather::{Rejection, Time, Values, Variable};

use super::part::{self, Fields, Part, Parts};
use super::template::{Template, Topic};
use crate::units::{self, CELSIUS, DEGREE, FAHRENHEIT, HPA, INCH, INHG, KMH, KPA, MM, MPH, MPS, PERCENT, Unit, WATT};

/// Name, variable, unit; of several names for a variable the first that is there counts.
const FIELDS: [(&str, Variable, Unit); 22] = [
    ("temperature_C", Variable::Temperature, CELSIUS),
    ("temperature_F", Variable::Temperature, FAHRENHEIT),
    ("dewpoint_C", Variable::DewPoint, CELSIUS),
    ("dewpoint_F", Variable::DewPoint, FAHRENHEIT),
    ("humidity", Variable::RelativeHumidity, PERCENT),
    ("pressure_hPa", Variable::PressureStation, HPA),
    ("pressure_kPa", Variable::PressureStation, KPA),
    ("pressure_inHg", Variable::PressureStation, INHG),
    ("wind_avg_m_s", Variable::WindSpeed, MPS),
    ("wind_avg_km_h", Variable::WindSpeed, KMH),
    ("wind_avg_mi_h", Variable::WindSpeed, MPH),
    ("wind_max_m_s", Variable::WindGust, MPS),
    ("wind_max_km_h", Variable::WindGust, KMH),
    ("wind_max_mi_h", Variable::WindGust, MPH),
    // The names of before 2019.
    ("wind_speed_m_s", Variable::WindSpeed, MPS),
    ("wind_speed_km_h", Variable::WindSpeed, KMH),
    ("gust_speed_m_s", Variable::WindGust, MPS),
    ("gust_speed_km_h", Variable::WindGust, KMH),
    ("wind_dir_deg", Variable::WindDirection, DEGREE),
    ("direction_deg", Variable::WindDirection, DEGREE),
    ("solar_W_m2", Variable::SolarRadiation, WATT),
    ("radiation_W_m2", Variable::SolarRadiation, WATT),
];

/// Counters of rain since an unknown time.
const RAIN: [(&str, Unit); 4] = [("rain_mm", MM), ("rain_in", INCH), ("rainfall_mm", MM), ("rain_inch", INCH)];

const KNOWN: &str =
    "temperature_C/_F, humidity, pressure_hPa/_kPa, wind_avg_m_s/_km_h/_mi_h, wind_max_*, wind_dir_deg, rain_mm/_in";

/// The members that may name a station in a template.
pub(crate) const IDENTITY: [&str; 4] = ["model", "id", "channel", "subtype"];

/// Reads one event that arrived at `now`; `zone` is that of times without an offset.
pub(crate) fn read(payload: &[u8], now: Time, topic: &Topic<'_>, station: &Template, zone: &TimeZone) -> Parts {
    vec![event(payload, now, topic, station, zone)]
}

fn event(payload: &[u8], now: Time, topic: &Topic<'_>, station: &Template, zone: &TimeZone) -> Result<Part, Rejection> {
    let fields = Fields::of_json(payload)?;
    let mut values = Values::default();
    // A tyre has a temperature and a pressure too.
    let is_tyre = fields.text("type").is_some_and(|t| t == "TPMS");
    for (name, variable, unit) in FIELDS.iter().filter(|_| !is_tyre) {
        if let Some(value) = fields.number(name)
            && values.get(*variable).is_none()
        {
            units::set(&mut values, *variable, *unit, value);
        }
    }
    let rain = RAIN.iter().find_map(|(name, unit)| {
        Some(unit.convert(Variable::Precipitation, fields.number(name).filter(|_| !is_tyre)?))
    });
    let station = station.fill(topic, |name| fields.text(name))?;
    let time = match fields.text("time") {
        Some(text) => time(&text, zone, now)?,
        None => now,
    };
    Part::measured(station, time, values, rain, ("rtl_433", KNOWN))
}

/// A time in any of rtl_433's ways: `2026-11-23 08:00:00`, with a `T`, a fraction or an offset, or
/// seconds since 1970.
fn time(text: &str, zone: &TimeZone, now: Time) -> Result<Time, Rejection> {
    let refused =
        || part::bad_time("time", "local time such as 2026-11-23 08:00:00, one with an offset, or seconds since 1970");
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit())
        && let Some(seconds) = part::number(text)
    {
        return part::epoch(seconds).ok_or_else(refused);
    }
    if let Ok(time) = Time::parse(text) {
        return Ok(time);
    }
    // Two digits of an offset stand without a colon: +0100.
    if let Some((head, offset)) = text.len().checked_sub(5).and_then(|at| text.split_at_checked(at))
        && offset.starts_with(['+', '-'])
        && let Some((hours, minutes)) = offset.split_at_checked(3)
        && let Ok(time) = Time::parse(&format!("{head}{hours}:{minutes}"))
    {
        return Ok(time);
    }
    let local: DateTime = text.parse().map_err(|_| refused())?;
    nearest(local, zone, now).ok_or_else(refused)
}

/// The instant of a local time. Of an hour that comes twice, when clocks are set back, the one that
/// is nearer to the arrival.
fn nearest(local: DateTime, zone: &TimeZone, now: Time) -> Option<Time> {
    let ambiguous = || zone.to_ambiguous_zoned(local);
    let instants = [ambiguous().earlier().ok()?, ambiguous().later().ok()?];
    let times = instants.map(|zoned| Time::from_unix(zoned.timestamp().as_second()));
    times.into_iter().min_by_key(|time| (*time - now).saturating_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::part::tests::{is_possible, mutated, text};

    const EVENTS: &str = include_str!("../../fixtures/mqtt/rtl_433.jsonl");

    fn now() -> Time {
        Time::parse("2026-11-23T08:10:00Z").unwrap()
    }

    fn template() -> Template {
        Template::parse("{model}-{id}-{channel}", 0, &IDENTITY).unwrap()
    }

    fn parse(payload: &[u8]) -> Parts {
        read(payload, now(), &Topic::new("rtl_433/attic/events", &[]), &template(), &TimeZone::UTC)
    }

    fn fixtures() -> Vec<Result<Part, Rejection>> {
        EVENTS.lines().flat_map(|line| parse(line.as_bytes())).collect()
    }

    #[test]
    fn the_two_messages_of_a_five_in_one() {
        let parts = fixtures();
        let wind_rain = parts[0].as_ref().unwrap();
        assert_eq!(wind_rain.station.as_str(), "Acurite-5n1-1201-B");
        assert_eq!(wind_rain.time, Time::parse("2026-11-23T08:00:31Z").unwrap());
        assert_eq!(wind_rain.values.get(Variable::WindSpeed), Some(2.0));
        assert_eq!(wind_rain.values.get(Variable::WindDirection), Some(247.5));
        assert!((wind_rain.rain.unwrap() - 254.0).abs() < 1e-9);
        let warm = parts[1].as_ref().unwrap();
        assert!((warm.values.get(Variable::Temperature).unwrap() - 5.0).abs() < 1e-5);
        assert_eq!(warm.values.get(Variable::RelativeHumidity), Some(80.0));
        assert_eq!(warm.rain, None);
    }

    #[test]
    fn what_is_no_weather_and_what_is_impossible() {
        let parts = fixtures();
        let full = parts[2].as_ref().unwrap();
        assert_eq!(full.station.as_str(), "Fineoffset-WH24-17", "no channel, no trailing hyphen");
        assert_eq!(full.values.get(Variable::WindGust), Some(3.1));
        assert_eq!(full.rain, Some(12.6));
        assert_eq!(parts[3].as_ref().unwrap_err().field, "values", "a tyre");
        assert_eq!(parts[4].as_ref().unwrap_err().field, "values", "a sensor that only lives");
        let dead = parts[5].as_ref().unwrap();
        assert_eq!(dead.values.get(Variable::Temperature), None, "-100 °C is an error code");
        assert_eq!(dead.values.get(Variable::RelativeHumidity), Some(40.0));
        assert_eq!(parts[6].as_ref().unwrap().values.get(Variable::PressureStation), Some(1001.2));
        assert_eq!(parts.len(), 7);
    }

    #[test]
    fn every_way_to_write_a_time() {
        let budapest = TimeZone::get("Europe/Budapest").unwrap();
        let at = |text, zone| time(text, zone, now()).map(|t| t.to_string()).map_err(|r| r.reason.label());
        assert_eq!(at("2026-11-23 09:00:00", &budapest), Ok("2026-11-23T08:00:00Z".into()));
        assert_eq!(at("2026-11-23T09:00:00.123456", &budapest), Ok("2026-11-23T08:00:00Z".into()));
        for other in ["2026-11-23 08:00:00Z", "2026-11-23 09:00:00+0100", "2026-11-23T09:00:00+01:00", "1795420800.25"]
        {
            assert_eq!(at(other, &budapest), Ok("2026-11-23T08:00:00Z".into()), "{other}");
        }
        for bad in ["@0.123s", "yesterday", "", "2026-13-01 00:00:00", "+0100", "-1", "é0100"] {
            assert_eq!(at(bad, &budapest), Err("bad_time"), "{bad}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_nearer_one() {
        let budapest = TimeZone::get("Europe/Budapest").unwrap();
        // 25 October 2026: 03:00 summer time becomes 02:00.
        for (arrival, expected) in
            [("2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z"), ("2026-10-25T01:31:00Z", "2026-10-25T01:30:00Z")]
        {
            let arrival = Time::parse(arrival).unwrap();
            assert_eq!(time("2026-10-25 02:30:00", &budapest, arrival).unwrap().to_string(), expected);
        }
    }

    /// Events that were really heard, where the recordings are at hand.
    #[test]
    fn recorded_events_are_read() {
        let folder = std::env::var_os("WEATHERGLASS_DATA").map_or_else(
            || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
            std::path::PathBuf::from,
        );
        let Ok(text) = std::fs::read_to_string(folder.join("raw/rtl_433_events.jsonl")) else {
            eprintln!("SKIPPED: no rtl_433_events.jsonl in {}: set WEATHERGLASS_DATA", folder.display());
            return;
        };
        let (mut good, mut idle) = (0, 0);
        for line in text.lines() {
            let parts = parse(line.as_bytes());
            is_possible(&parts);
            match &parts[0] {
                Ok(part) => {
                    good += 1;
                    // What the event says in these units, we say.
                    let event: serde_json::Value = serde_json::from_str(line).unwrap();
                    let humidity = event["humidity"].as_f64().map(|v| v as f32);
                    assert_eq!(part.values.get(Variable::RelativeHumidity), humidity);
                    let wind = event["wind_avg_km_h"].as_f64().map(|v| (v / 3.6) as f32);
                    assert_eq!(part.values.get(Variable::WindSpeed).is_some(), wind.is_some());
                    assert!(part.rain.is_some() == event.get("rain_in").is_some());
                }
                Err(rejection) => {
                    assert_eq!(rejection.field, "values", "{line}: {rejection}");
                    assert!(line.contains("Acurite-01185M"), "{line}");
                    idle += 1;
                }
            }
        }
        // The sixteen of a meat thermometer have no reading at all.
        assert_eq!((good, idle), (1983, 16));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_possible(&parse(&bytes));
        }

        #[test]
        fn damaged_events_are_taken_or_refused(
            line in 0usize..7,
            changes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 0..6),
        ) {
            is_possible(&parse(&mutated(EVENTS.lines().nth(line).unwrap().as_bytes(), &changes)));
        }

        #[test]
        fn any_number_is_possible_or_missing(value in any::<f64>(), field in 0usize..22) {
            is_possible(&parse(format!(r#"{{"model":"m","id":1,"{}":{value:e}}}"#, FIELDS[field].0).as_bytes()));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in text("0123456789-+:TZ.@ é", 30)) {
            let _ = time(&text, &TimeZone::UTC, now());
        }
    }
}
