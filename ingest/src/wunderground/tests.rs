use super::*;
use weather::{Observation, Variable};

const FIXTURE: &str = include_str!("../../fixtures/wunderground/lines.txt");

fn now() -> Time {
    Time::parse("2026-11-23T08:00:00Z").unwrap()
}

fn decode(line: &str) -> Result<Observation, Rejection> {
    read_line(line, now()).map(|report| report.observation)
}

fn value(observation: &Observation, variable: Variable) -> f32 {
    observation.values.get(variable).unwrap_or_else(|| panic!("no {variable}"))
}

fn close(observation: &Observation, expected: &[(Variable, f32)]) {
    for (variable, wanted) in expected {
        let found = value(observation, *variable);
        assert!((found - wanted).abs() < 0.005, "{variable}: {found}, not {wanted}");
    }
}

fn fixture() -> Vec<Report> {
    let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| read_line(line, now()).unwrap()).collect()
}

#[test]
fn the_example_of_the_documentation() {
    let report = &fixture()[0];
    let observation = &report.observation;
    assert_eq!(
        (observation.station.as_str(), observation.time.to_string().as_str()),
        ("KCASANFR5", "2026-11-23T07:32:35Z")
    );
    assert_eq!(observation.source.as_deref(), Some("wunderground vws versionxx"));
    close(
        observation,
        &[
            (Variable::WindDirection, 230.0),
            (Variable::WindSpeed, 5.364),
            (Variable::Temperature, 21.111),
            (Variable::DewPoint, 20.111),
            (Variable::RelativeHumidity, 90.0),
            (Variable::PressureMsl, 985.439),
            (Variable::Visibility, 18_520.0),
            (Variable::CloudCover, 87.5),
            // No counter: the trailing hour.
            (Variable::Precipitation, 3.048),
            (Variable::PrecipitationPeriod, 3600.0),
        ],
    );
    assert_eq!(report.keys, [Secret::new("SECRETSECRETSECRET")]);
    assert!(!format!("{report:?}").contains("SECRET"), "a key is never shown");
}

#[test]
fn what_weewx_sends() {
    let report = &fixture()[1];
    close(
        &report.observation,
        &[
            (Variable::Temperature, 20.0),
            (Variable::DewPoint, 9.278),
            (Variable::RelativeHumidity, 50.0),
            (Variable::WindDirection, 5.0),
            (Variable::WindGust, 3.621),
            (Variable::SolarRadiation, 123.45),
        ],
    );
    // With a counter the sum of the hour is left alone: it overlaps the differences.
    assert_eq!(report.observation.values.get(Variable::Precipitation), None);
    assert!((report.counters.totals[0].1 - 6.35).abs() < 1e-9);
}

#[test]
fn lost_sensors_are_missing_and_counted() {
    let report = &fixture()[2];
    assert_eq!((report.observation.values.len(), report.dropped), (2, 3));
    assert_eq!(report.observation.time, now());
    close(&report.observation, &[(Variable::WindSpeed, 1.1176), (Variable::PressureMsl, 1016.323)]);
}

#[test]
fn metric_consoles() {
    let report = &fixture()[3];
    assert_eq!(report.observation.time.to_string(), "2026-11-23T04:02:35Z");
    close(
        &report.observation,
        &[
            (Variable::Temperature, 1.4),
            (Variable::DewPoint, 1.1),
            (Variable::RelativeHumidity, 98.0),
            (Variable::WindSpeed, 2.0),
            (Variable::WindGust, 3.0),
            (Variable::PressureStation, 1009.5),
            (Variable::PressureMsl, 1033.4),
            (Variable::SolarRadiation, 100.0),
        ],
    );
    assert!(report.counters.totals.contains(&(1, 10.5)), "{:?}", report.counters);
}

#[test]
fn sensors_behind_a_bridge() {
    let five = decode("dateutc=now&action=updateraw&id=24C86E000001&mt=5N1x31&sensor=00003301&windspeedmph=5&winddir=113&rainin=0.00&dailyrainin=0.00&humidity=45&tempf=95.6&baromin=30.11").unwrap();
    assert_eq!(five.station.as_str(), "24C86E000001");
    close(&five, &[(Variable::PressureStation, 1019.642), (Variable::Temperature, 35.333)]);
    let tower = decode("id=24C86E000001&mt=tower&sensor=00002719&humidity=15&tempf=83.8&baromin=29.92").unwrap();
    assert_eq!((tower.station.as_str(), tower.time), ("24C86E000001-00002719", now()));
    let old = decode("id=24C86E000001&sensor=02004&mt=5N1x38&windspeed=A001890000&humidity=A0280&temperature=A014722222&battery=normal&rssi=3").unwrap();
    close(&old, &[(Variable::WindSpeed, 1.89), (Variable::RelativeHumidity, 28.0), (Variable::Temperature, 14.722)]);
    let old =
        decode("id=24C86E000001&sensor=02004&mt=5N1x31&windspeed=A001660000&winddir=8&rainfall=A0000000").unwrap();
    close(&old, &[(Variable::WindSpeed, 1.66), (Variable::WindDirection, 247.5)]);
    let wind = decode("mac=0004A3000001&id=90&rid=9d&pwr=0&gw=0&av=0&wd=315&wg=1.9&ws=1.1&ch=1&p=1").unwrap();
    close(&wind, &[(Variable::WindSpeed, 1.1), (Variable::WindGust, 1.9), (Variable::WindDirection, 315.0)]);
    let hut = decode("mac=0004A3000001&id=84&rid=20&pwr=0&htr=0&cz=3&oh=90&ttr=0&ot=18.9&ch=3&p=1").unwrap();
    assert!(hut.station.as_str().starts_with("oregon-ch3-"), "{}", hut.station);
    assert!(wind.station.as_str().starts_with("oregon-") && !wind.station.as_str().contains("0004A3"));
}

#[test]
fn what_is_no_report_says_why_without_repeating_it() {
    for (line, field, reason) in [
        ("PASSWORD=SECRET&tempf=50", "ID", Reason::MissingField),
        ("ID=a/SECRET&tempf=50", "station", Reason::BadStation),
        ("ID=A&tempf=50&dateutc=SECRET", "dateutc", Reason::BadTime),
        ("ID=A&tempf=50&action=SECRET", "action", Reason::WrongType),
        ("ID=A&tempf=SECRET&PASSWORD=SECRET", "tempf", Reason::MissingField),
        ("SECRET", "ID", Reason::MissingField),
    ] {
        let rejection = decode(line).unwrap_err();
        assert_eq!((rejection.field.as_ref(), rejection.reason), (field, reason), "{line}");
        assert!(!rejection.to_string().contains("SECRET"), "{rejection}");
    }
}

#[test]
fn paths_in_every_shape() {
    for path in [
        "/weatherstation/updateweatherstation.php",
        "//weatherstation/updateweatherstation.php",
        "/weatherstation//updateweatherstation.asp",
        "/weatherstation/updateweatherstation",
        "/WeatherStation/UpdateWeatherStation.php",
        "/weatherstation/updateweatherstation.php/",
        "/pwsupdate/pwsupdate.php",
    ] {
        assert!(is_path(path), "{path}");
    }
    for path in ["/", "/weatherstation", "/weatherstation/updateweatherstation.exe", "/v1/observations"] {
        assert!(!is_path(path), "{path}");
    }
}

/// As `check_response` of WeeWX 5's restx.py.
fn weewx(answer: &str) -> &'static str {
    for line in answer.lines() {
        if line.starts_with("ERROR") {
            return "bad login";
        }
        if line.contains("invalid") {
            return "failed post";
        }
    }
    "good"
}

#[test]
fn answers_are_what_weewx_understands() {
    let refused = |reason: Reason| Refusal {
        index: 0,
        field: "dateutc".to_owned(),
        reason: reason.label(),
        detail: "too late".to_owned(),
    };
    assert_eq!(weewx(SUCCESS), "good");
    for reason in Reason::ALL {
        let answer = refusal(&refused(reason));
        let expected = if reason == Reason::NotAllowed { "bad login" } else { "failed post" };
        assert_eq!(weewx(&answer), expected, "{answer}");
        assert!(!answer.to_lowercase().contains("success"), "{answer}");
    }
    assert_eq!(
        hub_answer("Hub/224", now()).as_deref(),
        Some(r#"{"success":1,"localtime":"08:00:00","checkversion":"224"}"#)
    );
    assert_eq!(hub_answer("curl/8", now()), None);
}
