use proptest::prelude::*;
use weather::admission::check_value;

use super::*;

const BODY: &str = include_str!("../../fixtures/nws/kjfk_latest.json");

fn values(body: &str) -> Values {
    read(body.as_bytes()).unwrap().items.remove(0).unwrap().values
}

#[track_caller]
fn near(found: Option<f32>, expected: f32) {
    let found = found.unwrap_or(f32::NAN);
    assert!((found - expected).abs() < 0.006, "{found} is not {expected}");
}

#[test]
fn quantities_are_converted_by_their_own_units() {
    let reading = read(BODY.as_bytes()).unwrap();
    let observation = reading.items[0].clone().unwrap();
    assert_eq!((observation.station.as_str(), observation.time.to_string().as_str()), ("KJFK", "2026-11-23T11:51:00Z"));
    let found = &observation.values;
    near(found.get(Variable::Temperature), 22.8);
    near(found.get(Variable::DewPoint), 18.3);
    near(found.get(Variable::RelativeHumidity), 75.8);
    near(found.get(Variable::WindSpeed), 2.1);
    near(found.get(Variable::WindDirection), 20.0);
    near(found.get(Variable::PressureMsl), 1018.7);
    near(found.get(Variable::Visibility), 16_090.0);
    near(found.get(Variable::Precipitation), 0.25);
    near(found.get(Variable::PrecipitationPeriod), 3600.0);
    near(found.get(Variable::CloudCover), 87.5);
    near(found.get(Variable::PresentWeather), 61.0);
    // The altimeter setting under another name.
    assert_eq!((found.get(Variable::PressureStation), found.get(Variable::WindGust)), (None, None));
    let station = &reading.stations[0];
    assert_eq!((station.latitude, station.longitude, station.elevation), (Some(40.63), Some(-73.78), Some(3.0)));
    let other = BODY
        .replace(r#""wmoUnit:degC", "value": 22.8"#, r#""unit:degF", "value": 73.04"#)
        .replace(r#""wmoUnit:km_h-1", "value": 7.56"#, r#""unit:m_s-1", "value": 2.1"#)
        .replace(r#""wmoUnit:m", "value": 0.00025"#, r#""wmoUnit:mm", "value": 0.25"#);
    for variable in [Variable::Temperature, Variable::WindSpeed, Variable::Precipitation] {
        near(values(&other).get(variable), found.get(variable).unwrap());
    }
}

#[test]
fn failed_null_and_foreign_values_are_missing() {
    let failed = BODY.replacen(r#""qualityControl": "V""#, r#""qualityControl": "X""#, 1);
    assert_eq!(values(&failed).get(Variable::Temperature), None);
    let foreign = BODY.replacen("wmoUnit:degC", "wmoUnit:Pa", 1);
    assert_eq!(values(&foreign).get(Variable::Temperature), None);
    let error_code = BODY.replace("\"value\": 22.8", "\"value\": -9999");
    assert_eq!(values(&error_code).get(Variable::Temperature), None);
}

#[test]
fn the_barometer_is_believed_when_the_report_bears_it_out() {
    let station = values(&BODY.replace("101860", "95000"));
    near(station.get(Variable::PressureStation), 950.0);
    let unproven = values(&BODY.replace("101860", "95000").replace("rawMessage", "other"));
    assert_eq!(unproven.get(Variable::PressureStation), None);
    let setting = values(&BODY.replace("\"value\": 101870", "\"value\": null"));
    near(setting.get(Variable::PressureMsl), 1018.6);
    assert_eq!(setting.get(Variable::PressureStation), None);
}

#[test]
fn a_calm_and_a_variable_wind_have_no_direction_and_a_special_no_rain() {
    let calm = values(&BODY.replace("\"value\": 7.56", "\"value\": 0").replace("\"value\": 20,", "\"value\": 0,"));
    assert_eq!((calm.get(Variable::WindSpeed), calm.get(Variable::WindDirection)), (Some(0.0), None));
    let variable = values(&BODY.replace("02004KT", "VRB04KT"));
    assert_eq!(variable.get(Variable::WindDirection), None);
    let special = values(&BODY.replace("KJFK 231151Z", "SPECI KJFK 231151Z"));
    assert_eq!(special.get(Variable::Precipitation), None);
}

#[test]
fn problems_say_why() {
    let problem = r#"{"type":"https://api.weather.gov/problems/NotFound","title":"Not Found","detail":"Station \"KXXX\" does not exist"}"#;
    assert_eq!(read(problem.as_bytes()).unwrap_err(), "Station \"KXXX\" does not exist");
    for bad in ["7", "<html>", "[]", "{\"properties\":7}"] {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
    let empty = r#"{"properties":{"stationId":"KJFK","timestamp":"2026-11-23T11:51:00+00:00"}}"#;
    assert_eq!(read(empty.as_bytes()).unwrap().items[0].clone().unwrap_err().reason, Reason::MissingField);
}

#[test]
fn settings_are_checked() {
    assert_eq!(stations("kjfk,0579W").unwrap().0.len(), 2);
    for bad in ["KJ", "K/JFK", "ABCDEFGHIJKLM"] {
        assert!(stations(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// Whatever arrives, nothing breaks and no value is impossible.
    #[test]
    fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..BODY.len(), byte in any::<u8>(),
            number in any::<f64>()) {
        let mut mutated = BODY.as_bytes().to_vec();
        mutated[at] = byte;
        let numbers = BODY.replace("22.8", &number.to_string()).replace("101870", &number.to_string());
        for body in [&bytes, &mutated, numbers.as_bytes()] {
            let Ok(reading) = read(body) else { continue };
            for observation in reading.items.into_iter().flatten() {
                prop_assert!(!observation.values.is_empty());
                for (variable, value) in observation.values.iter() {
                    prop_assert!(check_value(variable, value).is_ok(), "{variable} {value}");
                }
            }
        }
    }
}
