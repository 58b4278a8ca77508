use proptest::prelude::*;

use super::*;

const BODY: &str = include_str!("../../fixtures/open_meteo/two_places.json");

fn source() -> OpenMeteo {
    OpenMeteo::of(&OpenMeteoSettings {
        open_meteo: places("hut=46.95,7.44; harbour=-33.86,151.21").unwrap(),
        open_meteo_url: web_address("https://api.open-meteo.com").unwrap(),
    })
    .unwrap()
}

fn reading(body: &str) -> Result<Reading, String> {
    let mut source = source();
    let address = source.addresses().remove(0);
    source.read(&address, body.as_bytes(), Time::default())
}

#[track_caller]
fn near(found: Option<f32>, expected: f32) {
    let found = found.unwrap_or(f32::NAN);
    assert!((found - expected).abs() < 0.006, "{found} is not {expected}");
}

#[test]
fn all_places_are_asked_for_in_one_request() {
    let address = source().addresses().remove(0);
    assert_eq!(address.path(), "/v1/forecast");
    let query: std::collections::HashMap<_, _> = address.query_pairs().into_owned().collect();
    assert_eq!((query["latitude"].as_str(), query["longitude"].as_str()), ("46.95,-33.86", "7.44,151.21"));
    assert_eq!((query["wind_speed_unit"].as_str(), query["timeformat"].as_str()), ("ms", "unixtime"));
    assert!(query["current"].split(',').count() == NAMES.len() && query["current"].contains("temperature_2m"));
}

#[test]
fn values_are_converted_by_the_units_beside_them() {
    let reading = reading(BODY).unwrap();
    let items: Vec<Observation> = reading.items.into_iter().map(Result::unwrap).collect();
    let hut = &items[0];
    assert_eq!((hut.station.as_str(), hut.time.to_string().as_str()), ("hut", "2026-11-23T11:45:00Z"));
    assert_eq!(hut.source.as_deref(), Some("open-meteo"));
    assert_eq!(hut.values.len(), 14);
    near(hut.values.get(Variable::Temperature), 4.2);
    near(hut.values.get(Variable::PressureStation), 953.9);
    near(hut.values.get(Variable::Precipitation), 0.1);
    near(hut.values.get(Variable::PrecipitationPeriod), 900.0);
    near(hut.values.get(Variable::PresentWeather), 61.0);
    let harbour = &items[1].values;
    near(harbour.get(Variable::Temperature), 20.0);
    near(harbour.get(Variable::WindSpeed), 5.0);
    assert_eq!((harbour.get(Variable::PressureMsl), harbour.len()), (None, 2));
    assert_eq!((reading.stations[0].latitude, reading.stations[0].elevation), (Some(46.95), Some(553.0)));
}

#[test]
fn a_place_by_itself_is_called_by_its_position() {
    let items = read(BODY.as_bytes()).unwrap();
    assert_eq!(items[1].as_ref().unwrap().station.as_str(), "-33.87:151.2");
    let iso = BODY
        .replace("\"unixtime\"", "\"iso8601\"")
        .replace("1795434300", "\"2026-11-23T12:45\"")
        .replace("\"utc_offset_seconds\": 0", "\"utc_offset_seconds\": 3600");
    assert_eq!(read(iso.as_bytes()).unwrap()[0].as_ref().unwrap().time.to_string(), "2026-11-23T11:45:00Z");
}

#[test]
fn a_sum_over_an_unknown_time_is_missing() {
    let items = reading(&BODY.replace("\"interval\": 900", "\"interval\": null")).unwrap().items;
    assert_eq!(items[0].as_ref().unwrap().values.get(Variable::Precipitation), None);
}

#[test]
fn errors_say_why() {
    let error = r#"{"error":true,"reason":"Latitude must be in range of -90 to 90°. Given: 95.0."}"#;
    assert!(reading(error).unwrap_err().starts_with("Latitude must be"));
    for bad in ["", "{}", "7", "[]", "<html>", "[{}]"] {
        assert!(reading(bad).is_err(), "{bad}");
    }
    let broken =
        BODY.replace("\"time\": 1795434300, \"interval\": 900, \"temperature_2m\": 68.0", "\"temperature_2m\": 68.0");
    let items = reading(&broken).unwrap().items;
    assert!(items[0].is_ok());
    assert_eq!(items[1].as_ref().unwrap_err().reason, Reason::BadTime);
}

#[test]
fn settings_are_checked() {
    assert_eq!(places("").unwrap().0.len(), 0);
    assert_eq!(places("a=1,2;").unwrap().0.len(), 1);
    for bad in ["a", "a=1", "a=1,x", "a=91,0", "a=0,181", "a=NaN,0", "=1,2", "a b=1,2", "a=1,2;a=3,4"] {
        let error = places(bad).unwrap_err();
        assert!(error.contains("ID=LATITUDE,LONGITUDE"), "{error}");
    }
}

proptest! {
    /// Whatever arrives, nothing breaks and no value is impossible.
    #[test]
    fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..BODY.len(), byte in any::<u8>(),
            number in any::<f64>()) {
        let mut mutated = BODY.as_bytes().to_vec();
        mutated[at] = byte;
        let numbers = BODY.replace("4.2", &number.to_string()).replace("900", &number.to_string());
        for body in [&bytes, &mutated, numbers.as_bytes()] {
            let Ok(items) = read(body) else { continue };
            for observation in items.into_iter().flatten() {
                prop_assert!(!observation.values.is_empty());
                for (variable, value) in observation.values.iter() {
                    prop_assert!(check_value(variable, value).is_ok(), "{variable} {value}");
                }
            }
        }
    }
}
