//! Training from files to a version that loads: small, made-up and reproducible.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on has failed

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use models::{
    BackendKind, Budget, EvaluateOptions, Forecaster, TrainDevice, TrainOptions, Trained, evaluate, train, versions,
};
use weather::Time;

/// Twenty stations of forty days with a diurnal cycle.
fn write_network(folder: &Path) {
    let mut stations = "station,name,latitude,longitude\n".to_owned();
    let mut rows =
        "station,time,temperature,dew_point,pressure_msl,wind_speed,wind_direction,precipitation\n".to_owned();
    for station in 0..20 {
        writeln!(stations, "S{station},Station {station},{},{}", 40 + station, station).unwrap();
        for hour in 0..40 * 24 {
            let phase = f64::from(hour) / 24.0 * std::f64::consts::TAU;
            let (day, clock) = (1 + hour / 24, hour % 24);
            let date = if day <= 31 { format!("2024-01-{day:02}") } else { format!("2024-02-{:02}", day - 31) };
            let temperature = 10.0 + 6.0 * phase.sin() + f64::from(station % 5);
            let rain = if hour % 11 == 0 { 0.4 } else { 0.0 };
            writeln!(rows, "S{station},{date} {clock:02}:00,{temperature:.1},4,1013,3,90,{rain}").unwrap();
        }
    }
    fs::write(folder.join("made_up.csv"), rows).unwrap();
    fs::write(folder.join("made_up_stations.csv"), stations).unwrap();
}

fn options(data: &Path, out: &Path, version: &str) -> TrainOptions {
    TrainOptions {
        data: data.to_owned(),
        out: out.to_owned(),
        name: "weatherglass".into(),
        version: version.into(),
        description: "a test".into(),
        cut: Some(Time::parse("2024-02-01T00:00:00Z").unwrap()),
        judged_as: None,
        seed: 7,
        budget: Budget::Steps(6),
        batch: 16,
        hidden: 16,
        latent: 16,
        members: 2,
        only: None,
        learning_rate: 1e-3,
        dropped: 0.2,
        validated: 0.2,
        patience: 99,
        device: TrainDevice::Cpu,
        resume: false,
    }
}

fn version(trained: anyhow::Result<Trained>) -> PathBuf {
    match trained.unwrap() {
        Trained::Version(folder) => folder,
        Trained::Member(folder) => panic!("{} is no version", folder.display()),
    }
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    write_network(folder.path());
    let out = folder.path().join("weights");
    let stop = AtomicBool::new(false);
    let first = version(train(&options(folder.path(), &out, "0.9"), &stop));
    // The other way: each member by itself, in any order, then all put together.
    for member in [1, 0] {
        let one = TrainOptions { only: Some(member), ..options(folder.path(), &out, "0.10") };
        assert!(matches!(train(&one, &stop).unwrap(), Trained::Member(_)));
    }
    let refused = train(&options(folder.path(), &out, "0.10"), &stop).unwrap_err();
    assert!(refused.to_string().contains("--resume"), "{refused}");
    let resumed = TrainOptions { resume: true, ..options(folder.path(), &out, "0.10") };
    let second = version(train(&resumed, &stop));
    assert!(!out.join("weatherglass/0.10.checkpoint").exists(), "nothing is left to go on with");
    let curve = fs::read_to_string(second.join("curve.csv")).unwrap();
    assert_eq!(curve.lines().count(), 3, "a header, and the last step of two members: {curve}");
    let file = |folder: &Path, name: &str| fs::read(folder.join(name)).unwrap();
    assert!(file(&first, "golden.bin") == file(&second, "golden.bin"), "the numbers differ");

    let forecaster = Forecaster::load_newest(&out, BackendKind::Flex).unwrap();
    assert_eq!(forecaster.id().version, "0.10");
    let listed = versions(&out);
    assert_eq!(listed.len(), 2);
    assert!(listed[1].scores.iter().any(|s| s.quantity.starts_with("temperature") && s.lead == 24 && s.n > 0));
    let mut judged = EvaluateOptions { cases: 5, training_cases: 0, ..EvaluateOptions::new(folder.path(), &second) };
    let held_out = evaluate(&judged).unwrap();
    judged.everything = true;
    let all = evaluate(&judged).unwrap();
    assert!(held_out.groups[0].stations < 20 && all.groups[0].stations == 20);
    assert!(all.markdown("weatherglass evaluate", "plots").contains("made_up"));

    let again = train(&options(folder.path(), &out, "0.9"), &stop).unwrap_err();
    assert!(again.to_string().contains("exists"), "{again}");
}

#[test]
fn a_checkpoint_that_is_not_there_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { resume: true, ..options(folder.path(), folder.path(), "2") };
    let nothing = train(&options, &AtomicBool::new(false)).unwrap_err();
    assert!(nothing.to_string().contains("no checkpoint"), "{nothing}");
}

#[test]
fn data_without_tables_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = train(&options(folder.path(), folder.path(), "1"), &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("_stations.csv"), "{error}");
}
