//! Quality control through the real processes: what is marked, by which test, and that it reaches readers
//! and not the model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use serde_json::{Value, json};
use stack::{Service, Stack, history, subscribe_all};
use weather::Time;

fn temperature(station: &str, time: Time, value: f64) -> Value {
    json!({"station": station, "time": time, "temperature": value})
}

async fn post(stack: &Stack, items: &Value) {
    let (_, answer) = stack.post(serde_json::to_vec(items).unwrap(), "application/json").await;
    assert_eq!(answer["rejected"], json!([]));
}

/// The median temperatures of a station's forecast.
async fn medians(stack: &Stack, station: &str) -> (Value, Vec<f64>) {
    let (status, forecast) = stack.get(&format!("/api/v1/stations/{station}/forecast")).await;
    assert_eq!(status, 200, "{forecast}");
    let row = forecast["variables"]["temperature"]["q50"].as_array().unwrap();
    let medians = row.iter().map(|v| v.as_f64().unwrap()).collect();
    (forecast, medians)
}

#[tokio::test]
async fn a_spike_is_told_again_when_it_is_known_and_moves_no_forecast() {
    let stack = Stack::start().await;
    for station in ["SPIKED", "TWIN"] {
        stack.post(rmp_serde::to_vec_named(&history(station, 72)).unwrap(), "application/msgpack").await;
    }
    stack.settled().await;
    let (_, observations) = stack.get("/api/v1/stations/TWIN/observations").await;
    let last = &observations["observations"].as_array().unwrap()[71];
    let usual = last["temperature"].as_f64().unwrap();
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;

    let now = Time::now();
    let spike = now - 600;
    post(&stack, &temperature("SPIKED", spike, usual - 15.0)).await;
    let as_received = live.frame("observation").await;
    assert_eq!(as_received["quality"], Value::Null, "the door knows no other report: {as_received}");
    let judged = live.frame("observation").await;
    assert_eq!(judged["quality_tests"], json!({"temperature": {"step": "suspect"}}), "{judged}");
    let forecast = live.frame("forecast").await;
    assert!(forecast["inputs"]["masked_share"].as_f64().unwrap() > 0.0, "{}", forecast["inputs"]);

    for station in ["SPIKED", "TWIN"] {
        post(&stack, &temperature(station, now, usual)).await;
    }
    let corrected = loop {
        let frame = live.frame("observation").await;
        if frame["time"] == spike.to_string() {
            break frame;
        }
    };
    assert_eq!(corrected["quality"], json!({"temperature": "fail"}));
    assert_eq!(corrected["quality_tests"]["temperature"]["spike"], "fail");
    stack.settled().await;

    let (_, observations) = stack.get("/api/v1/stations/SPIKED/observations").await;
    let all = observations["observations"].as_array().unwrap();
    let flagged: Vec<&Value> = all.iter().filter(|o| o.get("quality").is_some()).collect();
    assert_eq!(flagged.len(), 1, "the way back is no fault: {flagged:?}");
    assert_eq!(flagged[0]["time"], spike.to_string());

    let ((_, with), (_, without)) = (medians(&stack, "SPIKED").await, medians(&stack, "TWIN").await);
    let apart = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 0.6, "a masked spike of 15 degC moved the forecast by {apart}");
    let counted =
        stack.metric(Service::Worker, "weatherglass_worker_flagged_values_total", "spike\",flag=\"fail").await;
    assert_eq!(counted, 1.0);
}

/// Stations a few kilometres apart; the last is 12 °C off, and nothing but its neighbours can tell.
async fn a_neighbourhood(extra: &[(Service, &str)]) -> Value {
    let stack = Stack::start_with(extra).await;
    for index in 0..5 {
        let described =
            json!({"name": "N", "latitude": 47.5 + 0.02 * f64::from(index), "longitude": 19.0, "elevation": 120});
        let url = format!("{}/v1/stations/N{index}", stack.url(Service::Ingest));
        assert_eq!(stack.client.put(&url).json(&described).send().await.unwrap().status(), 200);
    }
    // The worker looks where stations are about a second after it was told.
    stack.settled().await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let now = Time::now();
    for index in 0..4 {
        post(&stack, &temperature(&format!("N{index}"), now - 60, 10.0 + 0.2 * f64::from(index))).await;
    }
    stack.settled().await;
    // A neighbour that was silent is asked again after a second.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    post(&stack, &temperature("N4", now, 22.0)).await;
    stack.settled().await;
    let (_, good) = stack.get("/api/v1/stations/N3/observations").await;
    assert_eq!(good["observations"][0]["quality"], Value::Null);
    let (_, observations) = stack.get("/api/v1/stations/N4/observations").await;
    observations["observations"][0].clone()
}

#[tokio::test]
async fn neighbours_tell_a_station_that_is_off() {
    let odd = a_neighbourhood(&[]).await;
    assert_eq!(odd["quality_tests"], json!({"temperature": {"spatial": "fail"}}), "{odd}");
}

#[tokio::test]
async fn neighbours_that_another_worker_remembers_are_asked_in_redis() {
    // A worker that remembers one station has to look up all the others.
    let odd = a_neighbourhood(&[(Service::Worker, "--cached-stations=1")]).await;
    assert_eq!(odd["quality_tests"], json!({"temperature": {"spatial": "fail"}}), "{odd}");
}

#[tokio::test]
async fn a_network_has_its_own_limits_and_a_bad_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quality.toml");
    std::fs::write(
        &file,
        "[[network]]\nprefix = \"HOT-\"\n[network.limits.temperature]\nusual = [-10.0, 30.0]\nstep = []\n",
    )
    .unwrap();
    let argument = format!("--quality={}", file.display());
    let stack = Stack::start_with(&[(Service::Worker, &argument)]).await;
    let now = Time::now();
    post(&stack, &json!([temperature("HOT-1", now, 35.0), temperature("COOL-1", now, 35.0)])).await;
    stack.settled().await;
    let (_, hot) = stack.get("/api/v1/stations/HOT-1/observations").await;
    assert_eq!(hot["observations"][0]["quality_tests"], json!({"temperature": {"range": "suspect"}}));
    let (_, cool) = stack.get("/api/v1/stations/COOL-1/observations").await;
    assert_eq!(cool["observations"][0]["quality"], Value::Null);

    std::fs::write(&file, "[[network]]\nprefix = \"X\"\n[network.limits.heat]\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .args(["worker", &argument, "--metrics-listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("WEATHERGLASS_QUALITY") && said.contains("heat"), "{said}");
}
