//! An evaluation whose answers can be worked out by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on has failed

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use models::{
    Budget, Contender, EvaluateOptions, Evaluation, Score, TrainDevice, TrainOptions, Trained, evaluate, train,
};
use weather::Time;

const CUT: &str = "2024-02-05T00:00:00Z";
/// How much warmer each hour is than the one before, °C.
const SLOPE: f64 = 0.01;
/// Every so many hours the dew point is one that the temperature forbids.
const BAD: usize = 5;

/// Temperature and dew point climb without end, pressure has its day, the wind hardly turns, rain falls in
/// the first six hours of a day. Nothing stays the same for days: that would be a sensor that hangs.
fn write_network(folder: &Path) {
    let mut stations = "station,name,latitude,longitude\n".to_owned();
    let mut rows =
        "station,time,temperature,dew_point,pressure_msl,wind_speed,wind_direction,precipitation\n".to_owned();
    for station in 0..16 {
        writeln!(stations, "S{station},Station {station},{},{station}", 40 + station).unwrap();
        for hour in 0..55 * 24 {
            let day = 1 + hour / 24;
            let date = if day <= 31 { format!("2024-01-{day:02}") } else { format!("2024-02-{:02}", day - 31) };
            let temperature = 5.0 + SLOPE * f64::from(u16::try_from(hour).unwrap());
            let dew_point = if hour % BAD == 0 { 31.0 } else { temperature - 3.0 };
            let clock = hour % 24;
            let pressure = 1013.0 + f64::from(u16::try_from(clock).unwrap()) / 10.0;
            let (speed, direction) = (5 + hour % 3, if hour % 100 == 0 { 95 } else { 90 });
            let rain = if clock < 6 { 0.5 } else { 0.0 };
            let values = format!("{temperature:.2},{dew_point:.2},{pressure:.1},{speed},{direction},{rain}");
            writeln!(rows, "S{station},{date} {clock:02}:00,{values}").unwrap();
        }
    }
    fs::write(folder.join("made_up.csv"), rows).unwrap();
    fs::write(folder.join("made_up_stations.csv"), stations).unwrap();
}

fn version(data: &Path) -> PathBuf {
    let options = TrainOptions {
        data: data.to_owned(),
        out: data.join("weights"),
        name: "weatherglass".into(),
        version: "1".into(),
        description: "a test".into(),
        judged_as: None,
        cut: Some(Time::parse(CUT).unwrap()),
        seed: 7,
        budget: Budget::Steps(3),
        batch: 8,
        hidden: 8,
        latent: 8,
        members: 1,
        only: None,
        learning_rate: 1e-3,
        dropped: 0.0,
        validated: 0.0,
        patience: 9,
        device: TrainDevice::Cpu,
        resume: false,
    };
    match train(&options, &AtomicBool::new(false)).unwrap() {
        Trained::Version(folder) => folder,
        Trained::Member(folder) => panic!("{} is no version", folder.display()),
    }
}

fn of<'a>(evaluation: &'a Evaluation, quantity: &str, lead: usize, contender: Contender) -> &'a Score {
    let wanted = |s: &&Score| s.quantity.starts_with(quantity) && s.lead == lead && s.contender == contender;
    let found = evaluation.groups[0].scores.iter().find(wanted);
    found.unwrap_or_else(|| panic!("no {quantity} at {lead} h of {}", contender.name()))
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-3, "{found}, not {expected}");
}

/// Every element that is opened is closed, in order.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && !svg.contains("NaN"), "{open:?}");
}

#[test]
fn what_can_be_worked_out_by_hand_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    write_network(folder.path());
    let version = version(folder.path());
    let options = EvaluateOptions { cases: 40, training_cases: 600, ..EvaluateOptions::new(folder.path(), &version) };
    let evaluation = evaluate(&options).unwrap();
    baselines_err_by_what_they_must(&evaluation);
    everyone_is_judged_by_the_same_cases(&evaluation);
    the_report_says_it(&evaluation);
}

fn baselines_err_by_what_they_must(evaluation: &Evaluation) {
    for lead in [1, 3, 6, 12, 24, 48] {
        let hours = f64::from(u16::try_from(lead).unwrap());
        let climbed = SLOPE * hours;
        // The flag of a forbidden dew point makes the temperature beside it suspect: it is neither
        // scored nor carried on, so the newest may be an hour old.
        let persistence = of(evaluation, "temperature", lead, Contender::Persistence).score;
        assert!((climbed - 1e-3..climbed + 0.6 * SLOPE).contains(&persistence), "{lead} h: {persistence}");
        let persistence = of(evaluation, "dew point", lead, Contender::Persistence).score;
        assert!((climbed - 1e-3..climbed + 0.6 * SLOPE).contains(&persistence), "{lead} h: {persistence}");
        // Five degrees in one hour of a hundred.
        assert!(of(evaluation, "wind direction", lead, Contender::Persistence).score < 0.5);
        near(of(evaluation, "rain", lead, Contender::Diurnal).score, 0.0);
        near(of(evaluation, "pressure", lead, Contender::Blend).score, 0.0);
    }
    let all = &evaluation.groups[0];
    let line = all.rain.iter().find(|line| line.lead == 24).unwrap();
    assert!((0.15..0.35).contains(&line.frequency), "six hours of a day: {}", line.frequency);
    // A window of whole days always says a quarter: 0.75 squared when it rains, 0.25 squared else.
    let chance = of(evaluation, "rain", 24, Contender::Damped).score;
    near(chance, 0.5625 * line.frequency + 0.0625 * (1.0 - line.frequency));
    let model = of(evaluation, "rain", 24, Contender::Model).score;
    near(line.over_window.unwrap(), 1.0 - model / chance);
}

fn everyone_is_judged_by_the_same_cases(evaluation: &Evaluation) {
    let all = &evaluation.groups[0];
    assert!(all.stations > 0 && all.stations < 16);
    for score in &all.scores {
        assert_eq!(score.n, of(evaluation, score.quantity, score.lead, Contender::Model).n, "{score:?}");
    }
    for quantity in ["temperature", "dew point", "pressure", "rain"] {
        let parts = [Contender::Persistence, Contender::Diurnal, Contender::Climatology, Contender::Damped];
        for lead in [1, 3, 6, 12, 24, 48] {
            let best = parts.map(|part| of(evaluation, quantity, lead, part).score).into_iter().fold(9.0, f64::min);
            let blend = of(evaluation, quantity, lead, Contender::Blend).score;
            assert!(blend <= best * 1.05 + 0.01, "{quantity}, {lead} h: the blend {blend}, one of its parts {best}");
        }
    }
    // One dew point of five fails; the pressure beside it does not.
    let n = |quantity| {
        let of = all.by_lead.iter().filter(|s: &&Score| s.quantity.starts_with(quantity));
        f64::from(u32::try_from(of.map(|s| s.n).sum::<u64>()).unwrap())
    };
    let share = n("dew point") / n("pressure");
    assert!((0.77..0.83).contains(&share), "{share} of the dew points were scored");
}

fn the_report_says_it(evaluation: &Evaluation) {
    let json: serde_json::Value = serde_json::from_str(&evaluation.json()).unwrap();
    assert_eq!(json["model_by_lead"][0]["score"].as_array().unwrap().len(), 48);
    let stations = json["stations"].as_array().unwrap();
    assert_eq!(stations.len(), evaluation.groups[0].stations);
    assert_eq!(json["facts"]["model"]["version"], "1");
    let plots = evaluation.plots();
    let report = evaluation.markdown("weatherglass evaluate --data DIR", "evaluation");
    for (name, plot) in &plots {
        well_formed(plot);
        assert!(report.contains(&format!("(evaluation/{name})")), "{name} is not shown");
    }
    assert!(report.contains("error saved over the best blend") && report.contains(CUT), "{report}");
    let verdicts = evaluation.verdicts();
    assert!(verdicts.iter().any(|v| v.reached.is_some()));
    let unmeasured = verdicts.iter().filter(|v| v.what.contains("LightGBM"));
    assert!(unmeasured.clone().count() > 0 && unmeasured.clone().all(|v| v.reached.is_none()));
}
