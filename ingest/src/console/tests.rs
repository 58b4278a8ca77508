//! What holds for every console: captured reports decode, and nothing ever leaves the limits.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use weather::{Admission, Observation, Rejection, Time, Variable};

use crate::decode::reader;
use crate::files::{Hints, LineReader};

const DIALECTS: [&str; 3] = ["wunderground", "ecowitt", "ambient"];
const FIXTURES: [&str; 3] = [
    include_str!("../../fixtures/wunderground/lines.txt"),
    include_str!("../../fixtures/ecowitt/lines.txt"),
    include_str!("../../fixtures/ambient/lines.txt"),
];

fn now() -> Time {
    Time::parse("2026-11-23T12:00:00Z").unwrap()
}

/// A file of captured requests, if this machine has it.
fn captured(name: &str) -> Option<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = std::env::var_os("WEATHERGLASS_DATA")
        .map_or_else(|| repository.parent().unwrap().join("shared/data"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("raw").join(name)).ok();
    if text.is_none() {
        eprintln!("SKIPPED: {name} is not there; WEATHERGLASS_DATA names the folder of recordings");
    }
    text
}

/// A reader of each dialect, which remembers what rain counters showed.
#[derive(Default)]
struct Decoder(std::collections::HashMap<String, Box<dyn LineReader>>);

fn decode(decoder: &mut Decoder, dialect: &str, line: &str) -> Result<Observation, Rejection> {
    let fresh = || reader(dialect, Hints::default()).unwrap();
    decoder.0.entry(dialect.to_owned()).or_insert_with(fresh).read(line, now()).remove(0)
}

/// Whether every value is within the limits of its variable, at any age.
fn is_possible(observation: &Observation) -> bool {
    let admission = Admission { retention: i64::MAX / 4, future: i64::MAX / 4 };
    let measured = observation.values.iter().any(|(v, _)| v != Variable::PrecipitationPeriod);
    // Nothing but a counter that has just been seen for the first time is a report too.
    !measured || admission.check(observation, now()).is_ok()
}

#[test]
fn every_captured_post_of_ecowitt_and_ambient_decodes() {
    let Some(text) = captured("ecowitt_ambient_posts.jsonl") else { return };
    let mut decoder = Decoder::default();
    let mut count = 0;
    for line in text.lines() {
        let observation = decode(&mut decoder, "ecowitt", line).unwrap();
        let capture: serde_json::Value = serde_json::from_str(line).unwrap();
        let form = capture["form_encoded"].as_str().unwrap();
        // The first of this console for both: its rain is not known to either.
        let of_form = decode(&mut Decoder::default(), "ecowitt", form).unwrap();
        let of_json = decode(&mut Decoder::default(), "ecowitt", line).unwrap();
        assert_eq!(of_form, of_json);
        let fahrenheit: f64 = capture["fields"]["tempf"].as_str().unwrap().parse().unwrap();
        let celsius = f64::from(observation.values.get(Variable::Temperature).unwrap());
        assert!((celsius * 1.8 + 32.0 - fahrenheit).abs() < 1e-4, "{line}");
        assert!(observation.values.len() >= 4 && is_possible(&observation), "{line}");
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn captured_requests_of_consoles_decode_or_say_why_not() {
    let Some(text) = captured("console_http_requests.txt") else { return };
    let mut decoder = Decoder::default();
    let (mut good, mut refused) = (0, Vec::new());
    for line in text.lines() {
        let dialect = if line.contains("PASSKEY") { "ambient" } else { "wunderground" };
        match decode(&mut decoder, dialect, line) {
            Ok(observation) => {
                assert!(is_possible(&observation), "{line}");
                good += 1;
            }
            Err(rejection) => refused.push((rejection.field.into_owned(), line)),
        }
    }
    // The old hub's barometer constants, a capture whose ID was cut off, and two of an ultraviolet sensor.
    let why: Vec<&str> = refused.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!((good, why), (text.lines().count() - 4, vec!["tempf", "ID", "tempf", "tempf"]), "{refused:#?}");
}

#[test]
fn fixtures_decode_and_their_secrets_stay_inside() {
    for (dialect, text) in DIALECTS.iter().zip(FIXTURES) {
        let mut decoder = Decoder::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let observation = decode(&mut decoder, dialect, line).unwrap();
            let shown = serde_json::to_string(&observation).unwrap();
            assert!(is_possible(&observation), "{shown}");
            assert!(!shown.contains("SECRET") && !shown.contains("00:11:22"), "{shown}");
        }
    }
}

/// A real line with some of its characters changed.
fn mutated() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = FIXTURES.iter().flat_map(|text| text.lines()).collect();
    let change = (any::<proptest::sample::Index>(), any::<char>(), 0..3_u8);
    (proptest::sample::select(lines), proptest::collection::vec(change, 0..12)).prop_map(|(line, changes)| {
        let mut text: Vec<char> = line.chars().collect();
        for (at, character, how) in changes {
            let at = at.index(text.len());
            match how {
                0 => text[at] = character,
                1 => text.insert(at, character),
                _ => text.truncate(at.max(1)),
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn anything_at_all_is_possible_or_refused(line in proptest::collection::vec(any::<char>(), 0..200)) {
        let line = String::from_iter(line);
        for dialect in DIALECTS {
            if let Ok(observation) = decode(&mut Decoder::default(), dialect, &line) {
                prop_assert!(is_possible(&observation));
            }
        }
    }

    #[test]
    fn damaged_reports_are_possible_or_refused(lines in proptest::collection::vec(mutated(), 1..4)) {
        for dialect in DIALECTS {
            let mut decoder = Decoder::default();
            for line in &lines {
                if let Ok(observation) = decode(&mut decoder, dialect, line) {
                    prop_assert!(is_possible(&observation), "{:?}", observation);
                }
            }
        }
    }

    #[test]
    fn any_number_in_any_field_is_possible_or_missing(
        number in prop_oneof![any::<f64>(), Just(-9999.0), Just(32767.0), Just(65535.0), -1e4..1e4_f64],
        name in proptest::sample::select(vec![
            "tempf", "humidity", "winddir", "windspeedmph", "windgustmph", "baromin", "dewptf", "rainin",
            "dailyrainin", "solarradiation", "visibility", "outtemp", "light", "yrain_piezo", "clouds",
        ]),
    ) {
        let line = format!("ID=A&tempf=50&{name}={number}");
        if let Ok(observation) = decode(&mut Decoder::default(), "wunderground", &line) {
            prop_assert!(is_possible(&observation), "{}", line);
        }
    }
}
