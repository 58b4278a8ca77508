//! Real recordings through the real door.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::process::Command;

use stack::{Service, Stack, recordings};

fn replay(stack: &Stack, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .arg("replay")
        .args(arguments)
        .args(["--url", &stack.url(Service::Ingest)])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Every station of a network has a forecast and a position after its recording has been played.
async fn play_network(name: &str, stations: usize) {
    let Some(folder) = recordings() else {
        eprintln!("SKIPPED: no recordings: set WEATHERGLASS_DATA to a folder with tables/*.parquet");
        return;
    };
    let stack = Stack::start().await;
    let file = folder.join(format!("tables/{name}.parquet"));
    let list = folder.join(format!("tables/{name}_stations.csv"));
    let (file, list) = (file.to_str().unwrap(), list.to_str().unwrap());
    let (ok, said) = replay(&stack, &[file, "--stations", list, "--shift", "now"]);
    assert!(ok, "{said}");
    assert!(said.contains("rejected 0"), "{said}");
    stack.settled().await;
    let (_, found) = stack.get("/api/v1/stations").await;
    let found = found["features"].as_array().unwrap();
    assert_eq!(found.len(), stations);
    for station in found {
        let id = station["id"].as_str().unwrap();
        let (status, forecast) = stack.get(&format!("/api/v1/stations/{id}/forecast")).await;
        assert_eq!(status, 200, "{id}: {forecast}");
    }
    // A second time is the same recording: all of it is known.
    let (ok, said) = replay(&stack, &[file, "--stations", list, "--shift", "now"]);
    let accepted = said.split("accepted ").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    // A report may have fallen due in the seconds between the two.
    assert!(ok && accepted.is_some_and(|count| count < 20), "{said}");
    stack.settled().await;
}

#[tokio::test]
async fn a_network_of_airports_whose_clocks_are_their_own() {
    play_network("europe_metar", 111).await;
}

#[tokio::test]
async fn a_network_whose_stations_ended_in_different_years() {
    play_network("beijing_prsa", 6).await;
}

#[tokio::test]
async fn an_old_recording_says_how_to_play_it() {
    let stack = Stack::start().await;
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), "station,time,temperature\nA,2020-01-01T00:00:00Z,1.5\n").unwrap();
    let (ok, said) = replay(&stack, &[file.path().to_str().unwrap()]);
    assert!(!ok && said.contains("--shift now"), "{said}");
    let (ok, said) = replay(&stack, &[file.path().to_str().unwrap(), "--shift", "now", "--speed", "3600"]);
    assert!(ok && said.contains("accepted 1,"), "{said}");
    stack.settled().await;
}
