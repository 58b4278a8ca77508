//! What `weatherglass predict` says of a recording is what the live services said of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use stack::{Service, Stack, observation, recordings, repository, subscribe_all};
use weather::{LEADS, Observation, StationId, Time, Variable};

const LEVELS: [&str; 7] = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"];
const STATIONS: &str = "station,name,latitude,longitude,elevation,timezone\n\
                        HILL,Hill,47.5,19.0,320,Europe/Budapest\nBAY,Bay,-23.0,-43.2,5,America/Sao_Paulo\n";

/// Variable and lead -> quantiles; by station and a time.
type Numbers = BTreeMap<(String, usize), [Option<f32>; 7]>;
type Forecasts = HashMap<(String, Time), Numbers>;

fn predict(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .current_dir(folder)
        .arg("predict")
        .args(arguments)
        .arg("--models")
        .arg(repository().join("models/weights"))
        .env("WEATHERGLASS_LOG", "warn")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The predictions of a file by station and requested time, with their reference times.
fn read(path: &Path) -> (Forecasts, HashMap<(String, Time), Time>) {
    let (mut forecasts, mut references) = (Forecasts::new(), HashMap::new());
    archive::read_predictions(path, |row| {
        let key = (row.station, row.requested_time);
        references.insert(key.clone(), row.reference_time);
        let at = (row.variable, usize::try_from(row.lead).unwrap());
        assert!(forecasts.entry(key).or_default().insert(at, row.quantiles).is_none(), "a row twice");
    })
    .unwrap();
    (forecasts, references)
}

/// The numbers of a forecast as the API gives it.
#[allow(clippy::cast_possible_truncation)] // they were f32
fn numbers(forecast: &Value) -> Numbers {
    let single = |v: &Value| v.as_f64().map(|v| v as f32);
    let mut numbers = Numbers::new();
    let mut variables = forecast["variables"].as_object().unwrap().clone();
    variables.insert("precipitation_probability".into(), json!({"q50": forecast["precipitation_probability"]}));
    for (name, quantiles) in &variables {
        for lead in 0..LEADS {
            let row = LEVELS.map(|level| single(&quantiles[level][lead]));
            assert!(row[3].is_some(), "{name} has no median");
            numbers.insert((name.clone(), lead + 1), row);
        }
    }
    numbers
}

fn write_history(path: &Path, arrivals: &[(Observation, Option<Time>)]) {
    let columns: Vec<Variable> = Variable::ALL.into_iter().filter(|v| *v != Variable::PresentWeather).collect();
    let names: Vec<&str> = columns.iter().map(|v| v.name()).collect();
    let mut text = format!("station,time,received,{}\n", names.join(","));
    for (observation, received) in arrivals {
        let received = received.map_or_else(String::new, |time| time.to_string());
        write!(text, "{},{},{received}", observation.station, observation.time).unwrap();
        for variable in &columns {
            let value = observation.values.get(*variable).map_or_else(String::new, |v| v.to_string());
            write!(text, ",{value}").unwrap();
        }
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}

fn write_moments(path: &Path, moments: impl Iterator<Item = (String, Time)>) {
    let lines: String = moments.map(|(station, time)| format!("{station},{time}\n")).collect();
    std::fs::write(path, format!("station,reference_time\n{lines}")).unwrap();
}

async fn register(stack: &Stack, list: &Path) {
    for station in archive::read_stations(list).unwrap() {
        let url = format!("{}/v1/stations/{}", stack.url(Service::Ingest), station.id);
        let body = json!({"name": station.name, "latitude": station.latitude, "longitude": station.longitude,
            "elevation": station.elevation, "timezone": station.timezone});
        assert_eq!(stack.client.put(&url).json(&body).send().await.unwrap().status(), 200);
    }
}

/// A made-up history and when it arrived: three days at once, then one by one what stations do
/// wrong. Times are whole seconds, each arrival a minute after the last.
fn made_up() -> [Vec<(Observation, Time)>; 2] {
    let start = Time::from_unix(Time::now().unix() - 5 * 3600);
    let at = |station, minutes: i64, temperature: f32| observation(station, start + minutes * 60, temperature);
    let mut past = Vec::new();
    for hour in -72..0 {
        for (station, base) in [("HILL", 4.0), ("BAY", 24.0)] {
            let mut o = at(station, hour * 60 + 7, base + (hour.rem_euclid(24)) as f32 / 3.1);
            o.values.set(Variable::Precipitation, if hour % 9 == 0 { 1.4 } else { 0.0 });
            o.values.set(Variable::PrecipitationPeriod, 3600.0);
            past.push((o.clone(), o.time + 60));
        }
    }
    let impossible_pair = {
        let mut o = at("HILL", 60, 3.0);
        o.values.set(Variable::DewPoint, 9.0);
        o
    };
    let late = at("HILL", -60, -1.5);
    let corrected = at("HILL", 60, 5.5);
    let news = [
        at("HILL", 7, 6.5),
        at("BAY", 10, 27.25),
        impossible_pair,
        late,
        corrected,
        at("BAY", 70, 29.125),
        at("HILL", 100, 4.75),
    ];
    let received = |index: usize| start + 100 * 60 + 60 * index as i64;
    [past, news.into_iter().enumerate().map(|(i, o)| (o, received(i))).collect()]
}

#[tokio::test]
async fn a_backtest_gives_the_numbers_that_the_live_pipeline_gave() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("stations.csv");
    std::fs::write(&list, STATIONS).unwrap();
    let [past, news] = made_up();
    let stack = Stack::start().await;
    register(&stack, &list).await;
    let bulk: Vec<&Observation> = past.iter().map(|(o, _)| o).collect();
    let (status, receipt) = stack.post(serde_json::to_vec(&bulk).unwrap(), "application/json").await;
    assert_eq!((status, receipt["accepted"].as_u64()), (202, Some(bulk.len() as u64)), "{receipt}");
    stack.settled().await;
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;
    let mut issued = Forecasts::new();
    let mut references = HashMap::new();
    for (observation, received) in &news {
        assert_eq!(stack.post_one(observation).await["accepted"], 1);
        let frame = live.frame("forecast").await;
        let key = (observation.station.to_string(), *received);
        assert_eq!(frame["station"], key.0);
        references.insert(key.clone(), Time::parse(frame["reference_time"].as_str().unwrap()).unwrap());
        issued.insert(key, numbers(&frame));
    }
    stack.settled().await;

    // The file is not in the order of arrival, and in two parts.
    let mut arrivals: Vec<_> = past.iter().chain(&news).map(|(o, received)| (o.clone(), Some(*received))).collect();
    arrivals.reverse();
    let (early, rest) = arrivals.split_at(60);
    write_history(&folder.path().join("a.csv"), rest);
    write_history(&folder.path().join("b.csv"), early);
    write_moments(&folder.path().join("moments.csv"), issued.keys().cloned());
    let arguments = ["--history", "a.csv,b.csv", "--stations", "stations.csv", "--reference-times", "moments.csv"];
    let (ok, said) = predict(folder.path(), &[&arguments[..], &["--out", "p.parquet"]].concat());
    assert!(ok && said.contains(&format!("{} forecasts for 2 stations", news.len())), "{said}");
    let (predicted, found) = read(&folder.path().join("p.parquet"));
    assert_eq!(found, references);
    assert_eq!(predicted, issued);
    let distinct: std::collections::BTreeSet<String> = issued.values().map(|n| format!("{n:?}")).collect();
    assert_eq!(distinct.len(), news.len(), "the forecasts must differ for their equality to mean anything");
}

/// The last four days of some stations of a network, moved by whole days to end before now.
fn recorded(network: &Path, stations: &[&str]) -> Vec<Observation> {
    let wanted = stations.iter().map(|s| (*s).to_owned()).collect();
    let filter = archive::Filter { stations: Some(wanted), ..archive::Filter::default() };
    let mut all: Vec<Observation> =
        archive::read_observations(network, filter).unwrap().collect::<Result<_, _>>().unwrap();
    let last = all.iter().map(|o| o.time).max().unwrap();
    let days = (Time::now() - last).div_euclid(86_400) * 86_400;
    all.iter_mut().for_each(|o| o.time = o.time + days);
    all.retain(|o| Time::now() - o.time < 95 * 3600);
    all.sort_by_key(|o| o.time);
    all
}

#[tokio::test]
async fn a_recording_replayed_live_and_predicted_gives_the_same_numbers() {
    let Some(data) = recordings() else {
        eprintln!("SKIPPED: no recordings: set WEATHERGLASS_DATA to a folder with tables/*.parquet");
        return;
    };
    let stations = ["LHBP", "EPWA", "LOWW"];
    let folder = tempfile::tempdir().unwrap();
    let observations = recorded(&data.join("tables/europe_metar.parquet"), &stations);
    let history: Vec<_> = observations.into_iter().map(|o| (o, None)).collect();
    let list = data.join("tables/europe_metar_stations.csv");
    write_history(&folder.path().join("h.csv"), &history);
    let stack = Stack::start().await;
    register(&stack, &list).await;
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;
    // Ten hours a second, so that the worker does not make one forecast of a whole recording.
    let mut replay = Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .arg("replay")
        .arg(folder.path().join("h.csv"))
        .args(["--speed", "36000", "--url", &stack.url(Service::Ingest)])
        .spawn()
        .unwrap();
    let newest: HashMap<StationId, Time> = history.iter().map(|(o, _)| (o.station.clone(), o.time)).collect();
    let mut issued = Forecasts::new();
    let last: Vec<(String, Time)> = newest.iter().map(|(id, time)| (id.to_string(), *time)).collect();
    while !last.iter().all(|key| issued.contains_key(key)) {
        let frame = live.frame("forecast").await;
        let reference = Time::parse(frame["reference_time"].as_str().unwrap()).unwrap();
        issued.insert((frame["station"].as_str().unwrap().to_owned(), reference), numbers(&frame));
    }
    assert!(replay.wait().unwrap().success());
    stack.settled().await;
    assert!(issued.len() > 30, "only {} forecasts to compare", issued.len());

    write_moments(&folder.path().join("moments.csv"), issued.keys().cloned());
    let list = list.to_str().unwrap();
    let arguments =
        ["--history", "h.csv", "--stations", list, "--reference-times", "moments.csv", "--out", "p.parquet"];
    let (ok, said) = predict(folder.path(), &arguments);
    assert!(ok, "{said}");
    let (predicted, references) = read(&folder.path().join("p.parquet"));
    assert!(references.iter().all(|((_, requested), reference)| requested == reference));
    assert_eq!(predicted.len(), issued.len());
    for (key, numbers) in &issued {
        assert_eq!(predicted.get(key), Some(numbers), "{key:?}");
    }
}

#[test]
fn every_so_many_hours_once_per_newest_observation() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stations.csv"), STATIONS).unwrap();
    let day = Time::parse("2024-03-01T00:00:00Z").unwrap();
    // HILL reports at 00:30, 05:50, 06:00, then not until 17:00; BAY once.
    let times = [("HILL", 30), ("HILL", 350), ("HILL", 360), ("HILL", 1020), ("BAY", 600), ("HILL", 1440)];
    let history: Vec<_> = times.iter().map(|(s, m)| (observation(s, day + m * 60, 8.0), None)).collect();
    write_history(&folder.path().join("h.csv"), &history);
    let arguments =
        ["--history", "h.csv", "--stations", "stations.csv", "--every", "3h", "--out", "p.parquet", "--max-age", "4h"];
    let (ok, said) = predict(folder.path(), &arguments);
    assert!(ok, "{said}");
    let (_, references) = read(&folder.path().join("p.parquet"));
    let mut found: Vec<(i64, i64)> =
        references.iter().map(|((_, requested), reference)| (*requested - day, *reference - day)).collect();
    found.sort_unstable();
    let minutes = |requested: i64, reference: i64| (requested * 60, reference * 60);
    assert_eq!(found, [minutes(180, 30), minutes(360, 360), minutes(1080, 1020), minutes(1440, 1440)]);
    // At 9 h nothing new, at 12 and 15 h too old, at 21 h nothing new.
    assert!(said.contains("none at 2 moments: the newest observation was older than 4h"), "{said}");
    assert!(said.contains("none at 2 moments: no newer observation"), "{said}");
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("stations.csv", STATIONS);
    write("h.csv", "station,time,temperature\nHILL,2024-03-01T00:00:00Z,4\n");
    write("notime.csv", "station,temperature\nHILL,4\n");
    write("not.parquet", "PAR1 but not really PAR1");
    write("m.csv", "station,reference_time\nHILL,2024-03-01T01:00:00Z\n");
    write("unknown.csv", "station,reference_time\nHILL,2024-03-01T01:00:00Z\nMOON,2024-03-01T01:00:00Z\n");
    write("badtime.csv", "station,reference_time\nHILL,yesterday\n");
    write("nocolumn.csv", "station,when\nHILL,2024-03-01T01:00:00Z\n");
    write("empty.csv", "station,reference_time\n");
    write("old.csv", "station,reference_time\nHILL,2024-03-09 00:00\n");
    let cases: [(&str, &str, &str, &[&str]); 10] = [
        ("notime.csv", "m.csv", "p.parquet", &["notime.csv", "`time`"]),
        ("not.parquet", "m.csv", "p.parquet", &["not.parquet"]),
        ("none.csv", "m.csv", "p.parquet", &["none.csv"]),
        ("h.csv", "unknown.csv", "p.parquet", &["unknown.csv", "line 3", "MOON", "--history"]),
        ("h.csv", "badtime.csv", "p.parquet", &["badtime.csv", "line 2", "reference_time", "yesterday"]),
        ("h.csv", "nocolumn.csv", "p.parquet", &["nocolumn.csv", "`reference_time`", "when"]),
        ("h.csv", "empty.csv", "p.parquet", &["empty.csv", "no reference time"]),
        ("h.csv", "old.csv", "p.parquet", &["h.csv", "nothing to predict", "3h", "old.csv"]),
        ("h.csv", "m.csv", "./h.csv", &["./h.csv", "another name"]),
        ("h.csv", "m.csv", "nowhere/p.parquet", &["nowhere/p.parquet", "cannot be written"]),
    ];
    for (history, moments, out, expected) in cases {
        let arguments =
            ["--history", history, "--stations", "stations.csv", "--reference-times", moments, "--out", out];
        let (ok, said) = predict(folder.path(), &arguments);
        assert!(!ok, "{history} {moments}: {said}");
        let line = said.lines().last().unwrap_or_default();
        assert!(line.starts_with("weatherglass: ") && expected.iter().all(|e| line.contains(e)), "{said}");
    }
    let left: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("p.parquet"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let (ok, said) =
        predict(folder.path(), &["--history", "h.csv", "--stations", "stations.csv", "--out", "p.parquet"]);
    assert!(!ok && said.contains("--reference-times") && said.contains("--every"), "{said}");
}
