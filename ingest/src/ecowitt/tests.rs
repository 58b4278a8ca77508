use weather::{Observation, Variable};

use super::*;
use crate::console::Settings;
use crate::console::names::Gauge;
use crate::rain::{Memory, settle};

const FIXTURE: &str = include_str!("../../fixtures/ecowitt/lines.txt");

fn reports(consoles: &Consoles) -> Vec<Report> {
    let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| read(&Fields::of_line(line).1, None, Time::from_unix(0), consoles).unwrap()).collect()
}

/// With the rain that the lines tell one after the other.
fn rained(consoles: &Consoles) -> Vec<Observation> {
    let mut memory = Memory::default();
    let settled = |report: Report| {
        let Report { mut observation, counters, .. } = report;
        settle(&mut observation.values, &memory.keep(&observation.station, &counters), &counters);
        observation
    };
    reports(consoles).into_iter().map(settled).collect()
}

fn preferring(rain_gauge: Gauge) -> Consoles {
    Consoles::open(&Settings { rain_gauge, ..Settings::default() }).unwrap()
}

#[test]
fn the_check_values_of_its_test_data() {
    let report = &reports(&Consoles::unnamed())[0];
    let observation = &report.observation;
    let value = |variable| observation.values.get(variable).unwrap();
    let close =
        |variable, wanted: f32| assert!((value(variable) - wanted).abs() < 0.05, "{variable}: {}", value(variable));
    close(Variable::Temperature, 30.6);
    close(Variable::RelativeHumidity, 34.0);
    close(Variable::PressureStation, 944.3);
    close(Variable::WindGust, 5.0 / 3.6);
    close(Variable::WindDirection, 289.0);
    close(Variable::SolarRadiation, 530.62);
    assert_eq!(observation.values.get(Variable::DewPoint), None, "derived later, from what was measured");
    assert_eq!(observation.time.to_string(), "2026-11-23T10:36:28Z");
    assert_eq!(observation.source.as_deref(), Some("ecowitt GW2000A_V3.1.0"));
    assert!(observation.station.as_str().starts_with("ecowitt-"), "{}", observation.station);
    assert!(!format!("{report:?}").contains("SECRET"), "{report:?}");
}

#[test]
fn the_gauge_that_is_preferred_counts() {
    let amounts = |gauge| -> Vec<Option<f32>> {
        rained(&preferring(gauge)).iter().map(|o| o.values.get(Variable::Precipitation)).collect()
    };
    assert_eq!(amounts(Gauge::Tipping), [None, Some(0.254), Some(0.0)]);
    assert_eq!(amounts(Gauge::Piezo), [None, Some(0.508), None], "0.508 mm, then the counter went back");
    let second = &rained(&preferring(Gauge::Piezo))[1];
    assert_eq!(second.values.get(Variable::PrecipitationPeriod), Some(60.0));
    assert_eq!(second.values.get(Variable::RelativeHumidity), None, "255 % is no humidity");
}

#[test]
fn a_key_in_the_path_is_as_good_as_a_passkey() {
    let fields = Fields::of_form(b"tempf=50&dateutc=now");
    let unknown = read(&fields, None, Time::from_unix(0), &Consoles::unnamed()).unwrap_err();
    assert_eq!((unknown.field.as_ref(), unknown.reason), ("PASSKEY", Reason::MissingField));
    let report = read(&fields, Some("SECRETSECRET"), Time::from_unix(0), &Consoles::unnamed()).unwrap();
    assert_eq!(report.keys, [Secret::new("SECRETSECRET")]);
    assert!(!report.observation.station.as_str().contains("SECRET"));
}
