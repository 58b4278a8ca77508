//! A console's fields as bridges publish them: a JSON object, or the posted form itself.
//!
//! Raw fields name their unit (`tempf`, `baromrelin`, `windspeedmph`). `ecowitt2mqtt` leaves the
//! ending away and converts (`temp`, `windspeed`): the entry's `units` says to what.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weather::{Rejection, StationId, Time, Values, Variable};

use super::part::{self, Fields, Part, Parts};
use crate::units::{self, CELSIUS, DEGREE, FAHRENHEIT, HPA, INCH, INHG, KMH, MM, MPH, MPS, PERCENT, Unit, WATT};

const KNOWN: &str = "tempf, humidity, baromrelin, baromabsin, winddir, windspeedmph, windgustmph, solarradiation, hourlyrainin, dailyrainin and the like";

/// Name without a unit, and what it is.
const FIELDS: [(&str, Variable); 10] = [
    ("temp", Variable::Temperature),
    ("dewpoint", Variable::DewPoint),
    ("humidity", Variable::RelativeHumidity),
    ("baromrel", Variable::PressureMsl),
    ("baromabs", Variable::PressureStation),
    ("windspeed", Variable::WindSpeed),
    ("windgust", Variable::WindGust),
    ("winddir", Variable::WindDirection),
    ("solarradiation", Variable::SolarRadiation),
    ("cloudcover", Variable::CloudCover),
];

/// Endings and their units.
const ENDINGS: [(&str, Unit); 9] = [
    ("f", FAHRENHEIT),
    ("c", CELSIUS),
    ("hpa", HPA),
    ("mph", MPH),
    ("kmh", KMH),
    ("ms", MPS),
    ("mm", MM),
    // Of pressure, mercury.
    ("in", INHG),
    ("in", INCH),
];

/// The sum of the last hour, then counters, those that rarely begin anew first: of a tipping spoon
/// and of a piezoelectric plate.
const SPOON: [&str; 4] = ["hourlyrain", "totalrain", "yearlyrain", "dailyrain"];
const PLATE: [&str; 3] = ["hrain_piezo", "yrain_piezo", "drain_piezo"];

/// What an entry says of this dialect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Whether names without an ending are °F, inHg, mph and in, and not °C, hPa, km/h and mm.
    pub(crate) imperial: bool,
    /// Which gauge counts on a station that has both.
    pub(crate) prefer_piezo: bool,
}

/// Reads one push that arrived at `now`.
pub(crate) fn read(payload: &[u8], now: Time, station: StationId, options: Options) -> Parts {
    vec![push(payload, now, station, options)]
}

fn push(payload: &[u8], now: Time, station: StationId, options: Options) -> Result<Part, Rejection> {
    let is_json = payload.trim_ascii_start().first() == Some(&b'{');
    let fields = if is_json { Fields::of_json(payload)? } else { Fields::of_form(payload) };
    let time = match fields.text("dateutc") {
        Some(text) if text != "now" => time(&text)?,
        _ => now,
    };
    let mut values = Values::default();
    for (base, variable) in FIELDS {
        if let Some((value, unit)) = find(&fields, base, variable, options) {
            units::set(&mut values, variable, unit, value);
        }
    }
    let gauges: [&[&str]; 2] = if options.prefer_piezo { [&PLATE, &SPOON] } else { [&SPOON, &PLATE] };
    let (mut counter, mut hourly) = (None, None);
    if let Some(gauge) = gauges.iter().find(|names| names.iter().any(|n| rain(&fields, n, options).is_some())) {
        hourly = gauge.first().and_then(|name| rain(&fields, name, options));
        counter = gauge.iter().skip(1).find_map(|name| rain(&fields, name, options));
    }
    if let Some(mm) = hourly {
        units::set(&mut values, Variable::Precipitation, MM, mm);
    }
    if values.get(Variable::Precipitation).is_some() {
        values.set(Variable::PrecipitationPeriod, 3600.0);
        counter = None;
    }
    Part::measured(station, time, values, counter, ("ecowitt", KNOWN))
}

/// An amount of rain, mm. The raw fields of the plate are in inches and don't say so.
fn rain(fields: &Fields, name: &str, options: Options) -> Option<f64> {
    let (value, unit) = find(fields, name, Variable::Precipitation, options)?;
    Some(unit.convert(Variable::Precipitation, value))
}

/// The value of a field under any ending of its name.
fn find(fields: &Fields, base: &str, variable: Variable, options: Options) -> Option<(f64, Unit)> {
    for (ending, unit) in ENDINGS.iter().filter(|(_, unit)| unit.measures(variable)) {
        if let Some(value) = fields.number(&format!("{base}{ending}")) {
            return Some((value, *unit));
        }
    }
    // Raw fields stand beside raw fields.
    let imperial = options.imperial || fields.number("tempf").is_some() || fields.number("baromrelin").is_some();
    let [temperature, pressure, speed, length] =
        if imperial { [FAHRENHEIT, INHG, MPH, INCH] } else { [CELSIUS, HPA, KMH, MM] };
    let unit = match variable {
        Variable::Temperature | Variable::DewPoint => temperature,
        Variable::PressureMsl | Variable::PressureStation => pressure,
        Variable::WindSpeed | Variable::WindGust => speed,
        Variable::Precipitation => length,
        Variable::WindDirection => DEGREE,
        Variable::SolarRadiation => WATT,
        _ => PERCENT,
    };
    Some((fields.number(base)?, unit))
}

/// `2026-11-23 08:00:00`, UTC, also with a `+` for the space, a `T`, or an offset.
fn time(text: &str) -> Result<Time, Rejection> {
    let text = text.trim().replacen('+', " ", usize::from(text.find('+') == Some(10)));
    if let Some(time) = part::number(&text).and_then(part::epoch).or_else(|| Time::parse(&text).ok()) {
        return Ok(time);
    }
    let refused = |_| part::bad_time("dateutc", "UTC such as 2026-11-23 08:00:00");
    let civil: DateTime = text.parse().map_err(refused)?;
    let zoned = TimeZone::UTC.to_zoned(civil).map_err(refused)?;
    Ok(Time::from_unix(zoned.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::part::tests::{is_possible, mutated};

    const PUSHES: &str = include_str!("../../fixtures/mqtt/ecowitt.txt");

    fn parse(payload: &[u8], options: Options) -> Parts {
        let now = Time::parse("2026-11-23T08:10:00Z").unwrap();
        read(payload, now, StationId::new("garden").unwrap(), options)
    }

    fn push_of(line: usize, options: Options) -> Part {
        parse(PUSHES.lines().nth(line).unwrap().as_bytes(), options).remove(0).unwrap()
    }

    #[test]
    fn raw_json_form_and_converted_say_the_same() {
        let pushes = [0, 1, 2].map(|line| push_of(line, Options::default()));
        for part in &pushes {
            assert_eq!(part.time, Time::parse("2026-11-23T08:00:00Z").unwrap());
            for (variable, expected) in [
                (Variable::Temperature, 30.6),
                (Variable::RelativeHumidity, 34.0),
                (Variable::PressureMsl, 1013.2),
                (Variable::PressureStation, 944.3),
                (Variable::WindSpeed, 1.39),
                (Variable::WindDirection, 5.0),
                (Variable::Precipitation, 2.54),
                (Variable::PrecipitationPeriod, 3600.0),
            ] {
                let value = part.values.get(variable).unwrap_or(f32::NAN);
                assert!((value - expected).abs() < 0.06, "{variable}: {value}, not {expected}");
            }
        }
    }

    #[test]
    fn of_two_gauges_one_counts() {
        let spoon = push_of(3, Options::default());
        assert!((spoon.rain.unwrap() - 254.0).abs() < 1e-6, "the year's before the day's");
        let plate = push_of(3, Options { prefer_piezo: true, ..Options::default() });
        assert_eq!((plate.values.get(Variable::Precipitation), plate.rain), (Some(5.08), None));
    }

    #[test]
    fn a_console_without_a_clock_and_one_without_sensors() {
        let part = parse(br#"{"tempf": "50", "dateutc": "now"}"#, Options::default()).remove(0).unwrap();
        assert_eq!(part.time, Time::parse("2026-11-23T08:10:00Z").unwrap());
        let imperial = Options { imperial: true, ..Options::default() };
        let part = parse(br#"{"temp": 50}"#, imperial).remove(0).unwrap();
        assert!((part.values.get(Variable::Temperature).unwrap() - 10.0).abs() < 1e-4);
        let rejected = |json: &[u8]| parse(json, Options::default()).remove(0).unwrap_err().field.into_owned();
        assert_eq!(rejected(br#"{"tempinf": "70", "PASSKEY": "x"}"#), "values");
        assert_eq!(rejected(br#"{"tempf": "50", "dateutc": "yesterday"}"#), "dateutc");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_possible(&parse(&bytes, Options::default()));
        }

        #[test]
        fn damaged_pushes_are_taken_or_refused(
            line in 0usize..4,
            changes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 0..6),
        ) {
            is_possible(&parse(&mutated(PUSHES.lines().nth(line).unwrap().as_bytes(), &changes), Options::default()));
        }

        #[test]
        fn any_number_is_possible_or_missing(value in any::<f64>(), field in 0usize..10, ending in 0usize..9) {
            let push = format!(r#"{{"{}{}": "{value:e}"}}"#, FIELDS[field].0, ENDINGS[ending].0);
            is_possible(&parse(push.as_bytes(), Options::default()));
        }
    }
}
