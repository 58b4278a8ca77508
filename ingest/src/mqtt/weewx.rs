//! What the `weewx-mqtt` uploader publishes: `<topic>/loop`, one JSON object of a packet whose
//! values are strings, or `<topic>/<name>`, one value each.
//!
//! A name ends with its unit (`outTemp_C`, `windSpeed_kph`) unless that was switched off; then
//! `usUnits` in the packet (1 US, 16 METRIC with rain in cm, 17 METRICWX) or the entry says them.

use weather::admission::Reason;
use weather::{Rejection, StationId, Time, Values, Variable};

use super::part::{self, Fields, Part, Parts};
use super::template::Topic;
use crate::units::{self, CELSIUS, CM, FAHRENHEIT, HPA, INCH, INHG, KMH, MM, MPH, MPS, Unit};

/// The last level of the topic of whole packets.
const LOOP: &str = "loop";

/// WeeWX's name and ours.
const FIELDS: [(&str, Variable); 11] = [
    ("outTemp", Variable::Temperature),
    ("dewpoint", Variable::DewPoint),
    ("outHumidity", Variable::RelativeHumidity),
    ("barometer", Variable::PressureMsl),
    ("pressure", Variable::PressureStation),
    ("windSpeed", Variable::WindSpeed),
    ("windDir", Variable::WindDirection),
    ("windGust", Variable::WindGust),
    ("radiation", Variable::SolarRadiation),
    ("cloudcover", Variable::CloudCover),
    // Of the last 60 minutes.
    ("hourRain", Variable::Precipitation),
];

/// A counter that begins anew at each local midnight.
const DAY_RAIN: &str = "dayRain";

const KNOWN: &str =
    "outTemp, dewpoint, outHumidity, barometer, pressure, windSpeed, windDir, windGust, radiation, hourRain, dayRain";

/// A system of units of WeeWX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// °F, inHg, mph, in.
    Us,
    /// °C, mbar, km/h, cm.
    Metric,
    /// °C, mbar, m/s, mm.
    MetricWx,
}

impl System {
    /// Its names in a configuration.
    pub(crate) const NAMES: [(&str, Self); 3] =
        [("us", Self::Us), ("metric", Self::Metric), ("metricwx", Self::MetricWx)];

    fn of(us_units: f64) -> Option<Self> {
        match us_units as i64 {
            1 => Some(Self::Us),
            16 => Some(Self::Metric),
            17 => Some(Self::MetricWx),
            _ => None,
        }
    }

    fn unit(self, variable: Variable) -> Option<Unit> {
        let [temperature, pressure, speed, rain] = match self {
            Self::Us => [FAHRENHEIT, INHG, MPH, INCH],
            Self::Metric => [CELSIUS, HPA, KMH, CM],
            Self::MetricWx => [CELSIUS, HPA, MPS, MM],
        };
        match variable {
            Variable::Temperature | Variable::DewPoint => Some(temperature),
            Variable::PressureMsl | Variable::PressureStation => Some(pressure),
            Variable::WindSpeed | Variable::WindGust => Some(speed),
            Variable::Precipitation => Some(rain),
            _ => None,
        }
    }
}

/// What an entry says of this dialect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Of names without a unit, where the packet does not say it.
    pub(crate) system: Option<System>,
    /// Whether the topics of single values are read, and not the packets.
    pub(crate) single: bool,
}

/// Reads a message that arrived at `now`; nothing for a topic that is not asked for.
pub(crate) fn read(payload: &[u8], now: Time, topic: &Topic<'_>, station: StationId, options: Options) -> Parts {
    match (topic.leaf() == LOOP, options.single) {
        (true, false) => vec![packet(payload, now, station, options)],
        (false, true) => single(payload, now, topic.leaf(), station, options).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// One packet, as `<topic>/loop` has it.
pub(crate) fn packet(payload: &[u8], now: Time, station: StationId, options: Options) -> Result<Part, Rejection> {
    let fields = Fields::of_json(payload)?;
    let system = fields.number("usUnits").and_then(System::of).or(options.system);
    let time = match fields.number("dateTime") {
        Some(seconds) => part::epoch(seconds).ok_or_else(|| part::bad_time("dateTime", "seconds since 1970"))?,
        None if fields.text("dateTime").is_some() => return Err(part::bad_time("dateTime", "seconds since 1970")),
        None => now,
    };
    let (mut values, mut day_rain, mut rain, mut unitless) = (Values::default(), None, None, None);
    for (name, value) in fields.numbers() {
        let (base, unit) = split(name);
        let Some(variable) = variable(base) else { continue };
        let Some(unit) = unit.or_else(|| bare(variable, system)).filter(|u| u.measures(variable)) else {
            unitless.get_or_insert(base);
            continue;
        };
        match base {
            DAY_RAIN => day_rain = Some(unit.convert(variable, value)),
            "rain" => rain = Some((unit, value)),
            _ => units::set(&mut values, variable, unit, value),
        }
    }
    let minutes = fields.number("interval_minute").or_else(|| fields.number("interval"));
    if values.get(Variable::Precipitation).is_some() {
        values.set(Variable::PrecipitationPeriod, 3600.0);
    } else if let (Some((unit, value)), Some(minutes)) = (rain, minutes.filter(|m| (1.0..=1440.0).contains(m))) {
        // Of an archive record; that of a loop packet is since the packet before.
        units::set(&mut values, Variable::Precipitation, unit, value);
        if values.get(Variable::Precipitation).is_some() {
            values.set(Variable::PrecipitationPeriod, (minutes * 60.0) as f32);
        }
    }
    let counter = day_rain.filter(|_| values.get(Variable::Precipitation).is_none());
    match (Part::measured(station, time, values, counter, ("weewx", KNOWN)), unitless) {
        (Err(_), Some(base)) => Err(without_unit(base)),
        (part, _) => part,
    }
}

/// One value, as `<topic>/<name>` has it; none for what we don't know.
fn single(
    payload: &[u8],
    now: Time,
    name: &str,
    station: StationId,
    options: Options,
) -> Option<Result<Part, Rejection>> {
    let (base, unit) = split(name);
    let variable = variable(base).filter(|_| base != "rain")?;
    let Some(unit) = unit.or_else(|| bare(variable, options.system)).filter(|u| u.measures(variable)) else {
        return Some(Err(without_unit(base)));
    };
    // `None`: there is such a sensor, and it said nothing.
    let value = part::number(&String::from_utf8_lossy(payload))?;
    let (mut values, mut counter) = (Values::default(), None);
    match base {
        DAY_RAIN => counter = Some(unit.convert(variable, value)),
        _ => units::set(&mut values, variable, unit, value),
    }
    if variable == Variable::Precipitation && counter.is_none() {
        values.set(Variable::PrecipitationPeriod, 3600.0);
    }
    Some(Part::measured(station, now, values, counter, ("weewx", KNOWN)))
}

/// A name without its unit, and the unit.
fn split(name: &str) -> (&str, Option<Unit>) {
    let split = name.split_once('_').and_then(|(base, unit)| Some((base, Unit::named(unit)?)));
    split.map_or((name, None), |(base, unit)| (base, Some(unit)))
}

/// The unit of a name that tells none: percent and degrees never do.
fn bare(variable: Variable, system: Option<System>) -> Option<Unit> {
    units::only_unit(variable).or_else(|| system?.unit(variable))
}

fn variable(base: &str) -> Option<Variable> {
    match base {
        DAY_RAIN | "rain" => Some(Variable::Precipitation),
        _ => FIELDS.iter().find(|(name, _)| *name == base).map(|(_, variable)| *variable),
    }
}

fn without_unit(base: &str) -> Rejection {
    let detail = "the name tells no unit, as outTemp_C does, nor does usUnits: say units = \"us\", \"metric\" or \"metricwx\" in the entry";
    Rejection::new(base.to_owned(), Reason::MissingField, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::part::tests::{is_possible, mutated};

    const PACKETS: &str = include_str!("../../fixtures/mqtt/weewx.jsonl");

    fn now() -> Time {
        Time::parse("2026-11-23T08:10:00Z").unwrap()
    }

    fn parse(topic: &str, payload: &[u8], options: Options) -> Parts {
        read(payload, now(), &Topic::new(topic, &[]), StationId::new("roof").unwrap(), options)
    }

    fn packets() -> Vec<Part> {
        let read = |line: &str| parse("weather/loop", line.as_bytes(), Options::default()).remove(0).unwrap();
        PACKETS.lines().map(read).collect()
    }

    #[test]
    fn the_same_weather_in_three_systems() {
        let all = packets();
        for part in &all[..3] {
            assert_eq!(part.time, Time::parse("2026-11-23T08:00:00Z").unwrap());
            for (variable, expected) in [
                (Variable::Temperature, 10.0),
                (Variable::DewPoint, 5.0),
                (Variable::RelativeHumidity, 71.0),
                (Variable::PressureMsl, 1015.9),
                (Variable::WindSpeed, 4.4704),
                (Variable::WindDirection, 225.0),
                (Variable::Precipitation, 2.54),
                (Variable::PrecipitationPeriod, 3600.0),
            ] {
                let value = part.values.get(variable).unwrap_or(f32::NAN);
                assert!((value - expected).abs() < 0.06, "{variable}: {value}, not {expected}");
            }
            assert_eq!(part.rain, None, "the hour's sum is enough");
        }
    }

    #[test]
    fn rain_of_the_day_is_a_counter_and_of_a_record_a_sum() {
        let all = packets();
        assert!((all[3].rain.unwrap() - 12.0).abs() < 1e-9, "METRIC rain is in cm");
        assert_eq!(all[3].values.get(Variable::WindDirection), None, "None in a calm");
        assert_eq!(all[4].values.get(Variable::Precipitation), Some(0.4));
        assert_eq!(all[4].values.get(Variable::PrecipitationPeriod), Some(300.0));
    }

    #[test]
    fn units_are_never_guessed() {
        let bare = br#"{"dateTime": "1795420800", "outTemp": "50"}"#;
        let refused = parse("w/loop", bare, Options::default()).remove(0).unwrap_err();
        assert_eq!((refused.field.as_ref(), refused.reason), ("outTemp", Reason::MissingField));
        let told = Options { system: Some(System::Us), single: false };
        let part = parse("w/loop", bare, told).remove(0).unwrap();
        assert!((part.values.get(Variable::Temperature).unwrap() - 10.0).abs() < 1e-4);
        let late = parse("w/loop", br#"{"dateTime": "soon", "outTemp_C": "5"}"#, told).remove(0).unwrap_err();
        assert_eq!(late.reason, Reason::BadTime);
    }

    #[test]
    fn single_values_where_they_are_asked_for() {
        let single = Options { system: None, single: true };
        assert!(parse("weather/outTemp_C", b"12.5", Options::default()).is_empty());
        assert!(parse("weather/loop", b"{}", single).is_empty());
        let part = parse("weather/outTemp_C", b"12.5", single).remove(0).unwrap();
        assert_eq!((part.values.get(Variable::Temperature), part.time), (Some(12.5), now()));
        assert!((parse("weather/dayRain_cm", b"1.2", single).remove(0).unwrap().rain.unwrap() - 12.0).abs() < 1e-9);
        assert!(parse("weather/inTemp_C", b"20", single).is_empty());
        assert!(parse("weather/windDir", b"None", single).is_empty());
        assert!(parse("weather/outTemp", b"20", single)[0].is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), single: bool) {
            for topic in ["w/loop", "w/outTemp_F", "w/dayRain_in"] {
                is_possible(&parse(topic, &bytes, Options { system: Some(System::Us), single }));
            }
        }

        #[test]
        fn damaged_packets_are_taken_or_refused(
            line in 0usize..5,
            changes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 0..6),
        ) {
            let packet = mutated(PACKETS.lines().nth(line).unwrap().as_bytes(), &changes);
            is_possible(&parse("w/loop", &packet, Options::default()));
        }

        #[test]
        fn any_number_is_possible_or_missing(value in any::<f64>(), field in 0usize..11) {
            let packet = format!(r#"{{"usUnits": "1", "{}": "{value:e}"}}"#, FIELDS[field].0);
            is_possible(&parse("w/loop", packet.as_bytes(), Options::default()));
        }
    }
}
