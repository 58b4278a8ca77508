//! What a backtest reads beside observations, and what it writes.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has failed

use std::fs;

use archive::{
    ArchiveError, Filter, Predicted, PredictionRow, PredictionWriter, count_rows, read_observations, read_predictions,
    read_reference_times,
};
use weather::{Distribution, LEADS, ModelId, Prediction, Quantity, StationId, Time};

fn predicted(station: &str) -> Predicted {
    let mut prediction = Prediction::default();
    let levels = Box::new(std::array::from_fn(|level| std::array::from_fn(|lead| level as f32 + lead as f32 / 4.0)));
    prediction.distributions[Quantity::DewPoint as usize] = Distribution::new(Quantity::DewPoint, levels);
    prediction.wind_direction = Some(Box::new([217.0; LEADS]));
    Predicted {
        station: StationId::new(station).unwrap(),
        requested_time: Time::from_unix(1_700_006_400),
        reference_time: Time::from_unix(1_700_004_000),
        prediction,
    }
}

fn model() -> ModelId {
    ModelId { name: "weatherglass".into(), version: "0.2.0".into() }
}

#[test]
fn predictions_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.parquet");
    let mut writer = PredictionWriter::create(&path, &model()).unwrap();
    // More than a row group holds: 4200 predictions of 96 rows.
    for index in 0..4200 {
        writer.write(&predicted(if index == 0 { "A" } else { "B" })).unwrap();
    }
    assert!(!path.exists(), "the name comes last");
    writer.finish().unwrap();
    let mut rows: Vec<PredictionRow> = Vec::new();
    read_predictions(&path, |row| rows.push(row)).unwrap();
    assert_eq!(rows.len(), 4200 * 2 * LEADS);
    let expected = PredictionRow {
        station: "A".into(),
        requested_time: Time::from_unix(1_700_006_400),
        reference_time: Time::from_unix(1_700_004_000),
        lead: 5,
        variable: "dew_point".into(),
        quantiles: std::array::from_fn(|level| Some(level as f32 + 1.0)),
    };
    assert_eq!(rows[4], expected);
    let direction = rows.last().unwrap();
    assert_eq!((direction.variable.as_str(), direction.lead, direction.station.as_str()), ("wind_direction", 48, "B"));
    assert_eq!(direction.quantiles, [None, None, None, Some(217.0), None, None, None]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_finished_leaves_nothing_and_keeps_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.parquet");
    fs::write(&path, "an earlier result").unwrap();
    let mut writer = PredictionWriter::create(&path, &model()).unwrap();
    writer.write(&predicted("A")).unwrap();
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "an earlier result");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(read_predictions(&path, |_| ()), Err(ArchiveError::Parquet { .. })));
    assert!(matches!(PredictionWriter::create(folder.path(), &model()), Err(ArchiveError::Write { .. })));
}

#[test]
fn arrivals_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let rows = "A,2024-01-01 00:00,2024-01-01T00:03:30Z,1\nB,2024-01-01 00:00,,2\nA,2024-01-01 01:00,soon,3\n";
    fs::write(&path, format!("station,time,received,temperature\n{rows}")).unwrap();
    let counts: Vec<(String, u64)> =
        count_rows(&path).unwrap().into_iter().map(|(id, count)| (id.to_string(), count)).collect();
    assert_eq!(counts, [("A".to_owned(), 2), ("B".to_owned(), 1)]);
    let mut file = read_observations(&path, Filter::default()).unwrap();
    let first = file.next_arrival().unwrap().unwrap();
    assert_eq!(first.received, Some(first.observation.time + 210));
    assert_eq!(file.next_arrival().unwrap().unwrap().received, None);
    assert!(file.next_arrival().is_none(), "nobody knows when the third arrived");
    assert_eq!(file.report().bad, 1);
    assert!(file.report().examples[0].message.contains("received"), "{}", file.report());
}

#[test]
fn reference_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    fs::write(&path, "reference_time,station\n2024-01-01 06:00,A\n2024-01-01T07:00:00+01:00,B\n").unwrap();
    let moments = read_reference_times(&path).unwrap();
    assert_eq!((moments[0].time, moments[1].time), (Time::from_unix(1_704_088_800), Time::from_unix(1_704_088_800)));
    assert_eq!((moments[1].station.as_str(), moments[1].line), ("B", 3));
    fs::write(&path, "reference_time,station\n2024-01-01 06:00,A\n6 o'clock,A\n").unwrap();
    let refused = read_reference_times(&path).unwrap_err().to_string();
    assert!(refused.contains("m.csv: line 3: reference_time") && refused.contains("6 o'clock"), "{refused}");
}
