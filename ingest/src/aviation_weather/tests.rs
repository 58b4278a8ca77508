use proptest::prelude::*;

use super::*;

const BODY: &str = include_str!("../../fixtures/aviation_weather/two_airports.json");

fn now() -> Time {
    Time::parse("2026-11-23T12:05:00Z").unwrap()
}

fn values(object: &str) -> Values {
    let reading = read(format!("[{object}]").as_bytes(), now()).unwrap();
    reading.items.into_iter().next().unwrap().unwrap().values
}

#[track_caller]
fn near(found: Option<f32>, expected: f32) {
    let found = found.unwrap_or(f32::NAN);
    assert!((found - expected).abs() < 0.006, "{found} is not {expected}");
}

#[test]
fn reports_are_the_truth_and_the_decode_fills_the_rest() {
    let reading = read(BODY.as_bytes(), now()).unwrap();
    let items: Vec<Observation> = reading.items.into_iter().map(Result::unwrap).collect();
    assert_eq!(items.iter().map(|o| o.station.as_str()).collect::<Vec<_>>(), ["KJFK", "KEWR"]);
    assert!(items.iter().all(|o| o.time == Time::parse("2026-11-23T11:51:00Z").unwrap()));
    let jfk = &items[0].values;
    near(jfk.get(Variable::Temperature), 11.1);
    near(jfk.get(Variable::WindSpeed), 3.601);
    near(jfk.get(Variable::PressureMsl), 1008.6);
    near(jfk.get(Variable::PressureStation), 1008.445);
    // Not in the report, and in inches beside it.
    near(jfk.get(Variable::Precipitation), 1.27);
    let newark = &items[1].values;
    near(newark.get(Variable::Precipitation), 3.302);
    assert_eq!(newark.get(Variable::WindDirection), None);
    assert_eq!(reading.stations[1].elevation, Some(6.0));
}

#[test]
fn rain_of_a_special_is_not_counted() {
    let special = r#"{"icaoId":"KJFK","obsTime":1795434660,"metarType":"SPECI","precip":0.2,"rawOb":"KJFK 231151Z 36007KT 2SM RA 11/07 A2979 RMK AO2 P0020"}"#;
    assert_eq!(values(special).get(Variable::Precipitation), None);
    let routine = special.replace("SPECI", "METAR");
    near(values(&routine).get(Variable::Precipitation), 5.08);
}

#[test]
fn the_setting_stands_for_the_sea_level_only_where_it_is_near() {
    let report = |raw: &str, elevation: f32| {
        let object = serde_json::json!({"icaoId": "KDEN", "obsTime": 1_795_434_660, "elev": elevation, "rawOb": raw});
        let values = values(&object.to_string());
        (values.get(Variable::PressureMsl), values.get(Variable::PressureStation))
    };
    // Without SLP at 1656 m: what the setting says of the sea level would jump against the hour's SLP.
    let (sea, station) = report("KDEN 231120Z 19009KT 10SM 05/M05 A3010", 1656.0);
    assert_eq!(sea, None);
    near(station, 834.647);
    let (sea, _) = report("KDEN 231153Z 19009KT 10SM 05/M05 A3010 RMK AO2 SLP133", 1656.0);
    near(sea, 1013.3);
    // Where hectopascals are the custom there is no SLP to jump against.
    let (sea, station) = report("LSZS 231120Z 19003KT CAVOK M05/M08 Q1025", 1707.0);
    near(sea, 1025.0);
    assert!(station.is_some());
}

#[test]
fn a_report_that_is_missing_or_broken_leaves_its_decode() {
    let object = r#"{"icaoId":"KJFK","obsTime":1795434660,"temp":11.1,"dewp":"7.2","wdir":"VRB","wspd":4,"wgst":null,"visib":"10+","altim":1008.8,
        "wxString":"-RA BR","clouds":[{"cover":"SCT","base":100},{"cover":"BKN","base":200}],"rawOb":"garbled","elev":3}"#;
    let found = values(object);
    near(found.get(Variable::DewPoint), 7.2);
    near(found.get(Variable::WindSpeed), 2.058);
    near(found.get(Variable::Visibility), 16_093.44);
    near(found.get(Variable::PressureMsl), 1008.8);
    assert_eq!(found.get(Variable::WindDirection), None);
    assert_eq!(found.get(Variable::CloudCover), Some(87.5));
    assert_eq!(found.get(Variable::PresentWeather), Some(61.0));
    let neighbours = format!(r#"[{{"icaoId":"KEWR"}},7,null,{object},{{"rawOb":"METAR KLGA 231151Z NIL"}}]"#);
    let reading = read(neighbours.as_bytes(), now()).unwrap();
    assert_eq!(reading.items.iter().filter(|item| item.is_ok()).count(), 1);
    assert_eq!(reading.items.len(), 5);
}

#[test]
fn a_correction_comes_behind_what_it_corrects() {
    let object = |raw: &str| format!(r#"{{"icaoId":"KJFK","obsTime":1795434660,"rawOb":"{raw}"}}"#);
    let (right, wrong) =
        (object("METAR KJFK 231151Z COR 36007KT 11/07"), object("METAR KJFK 231151Z 36007KT 99/07 A2990"));
    let items = read(format!("[{right},{wrong}]").as_bytes(), now()).unwrap().items;
    assert_eq!(items[1].as_ref().unwrap().values.get(Variable::Temperature), Some(11.0));
}

#[test]
fn bodies_without_reports_say_why() {
    assert!(read(b"", now()).unwrap().items.is_empty());
    assert!(read(b"[]", now()).unwrap().items.is_empty());
    for bad in ["{}", "{\"status\":\"error\"}", "7", "<html>", "[{\"icaoId\":"] {
        assert!(read(bad.as_bytes(), now()).is_err(), "{bad}");
    }
    assert_eq!(read(b"METAR KJFK 231151Z 36007KT 11/07 A2990\n", now()).unwrap().items.len(), 1);
}

#[test]
fn settings_are_checked() {
    assert_eq!(airports("kjfk,LOWW").unwrap().0.len(), 2);
    assert_eq!(airports("").unwrap().0.len(), 0);
    for bad in ["JFK", "KJFKX", "1234", "K JF", "KJFK;KEWR"] {
        let error = airports(bad).unwrap_err();
        assert!(error.contains("ICAO") && !error.contains('\n'), "{error}");
    }
}

proptest! {
    /// Whatever arrives, nothing breaks and no value is impossible.
    #[test]
    fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..BODY.len(), byte in any::<u8>(),
            number in any::<f64>()) {
        let mut mutated = BODY.as_bytes().to_vec();
        mutated[at] = byte;
        let numbers = BODY.replace("22.7", &number.to_string()).replace("1011.4", &number.to_string()).replace("\"elev\": 6", &format!("\"elev\": {number}"));
        for body in [&bytes, &mutated, numbers.as_bytes()] {
            let Ok(reading) = read(body, now()) else { continue };
            for observation in reading.items.into_iter().flatten() {
                prop_assert!(!observation.values.is_empty());
                for (variable, value) in observation.values.iter() {
                    prop_assert!(check_value(variable, value).is_ok(), "{variable} {value}");
                }
            }
        }
    }
}
