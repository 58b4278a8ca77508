use weather::Variable;

use super::*;

const FIXTURE: &str = include_str!("../../fixtures/ambient/lines.txt");

#[test]
fn one_console_however_it_puts_its_fields() {
    let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
    let reports: Vec<Report> = lines.map(|line| read_line(line, Time::from_unix(0)).unwrap()).collect();
    assert_eq!(reports.len(), 4);
    for (minute, report) in reports.iter().enumerate() {
        let observation = &report.observation;
        assert_eq!(observation.station, reports[0].observation.station);
        assert!(observation.station.as_str().starts_with("ambient-"));
        assert_eq!(observation.time.to_string(), format!("2026-11-23T20:3{}:06Z", minute + 4));
        assert!(observation.values.get(Variable::Temperature).is_some_and(|t| (20.0..20.3).contains(&t)));
    }
    let first = &reports[0].observation;
    let pressure = first.values.get(Variable::PressureStation).unwrap();
    assert!((pressure - 999.425).abs() < 0.01, "{pressure}");
    assert!((reports[1].counters.totals[0].1 - reports[0].counters.totals[0].1 - 0.254).abs() < 1e-9);
    assert_eq!(first.source.as_deref(), Some("ambient AMBWeatherV4.2.9"));
}

#[test]
fn it_is_known_by_what_it_calls_itself() {
    let is = |text: &str| is_report(&Fields::of_form(text.as_bytes()));
    assert!(is("stationtype=AMBWeatherV4.2.9") && is("stationtype=ambWeatherPro_V5"));
    assert!(!is("stationtype=GW1000B_V1.7.3") && !is("stationtype=A") && !is(""));
}
