//! Who may send, through the real processes: quarantine, keys, last contacts, removal, the file of stations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stack::{Service, Stack, eventually, history, observation, subscribe_all};
use weather::Time;

const OPERATOR: &str = "an-operators-key-for-everything";

/// `weatherglass stations ...` against the stack's Redis.
fn run(stack: &Stack, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.args(["stations", "--redis-port", &stack.redis.port().to_string()]).args(arguments);
    command.env("WEATHERGLASS_LOG", "warn").output().unwrap()
}

fn stations(stack: &Stack, arguments: &[&str]) -> String {
    let output = run(stack, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(stack: &Stack, arguments: &[&str]) -> String {
    let output = run(stack, arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    String::from_utf8(output.stderr).unwrap()
}

async fn push(stack: &Stack, key: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/v1/observations", stack.url(Service::Ingest));
    let answer = stack.client.post(url).bearer_auth(key).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn report(station: &str, temperature: f32) -> Value {
    serde_json::to_value(observation(station, Time::now(), temperature)).unwrap()
}

async fn contact(stack: &Stack, station: &str) -> Value {
    stack.get(&format!("/api/v1/stations/{station}/contact")).await.1
}

/// The stations of a list of contacts.
async fn listed(stack: &Stack, state: &str) -> Vec<String> {
    let (status, list) = stack.get(&format!("/api/v1/contacts?state={state}")).await;
    assert_eq!(status, 200, "{list}");
    let station = |contact: &Value| contact["station"].as_str().unwrap().to_owned();
    list["contacts"].as_array().unwrap().iter().map(station).collect()
}

async fn guarded(folder: &Path) -> Stack {
    let keys = folder.join("keys");
    std::fs::write(&keys, format!("{OPERATOR}\n")).unwrap();
    let file = format!("--keys-file={}", keys.display());
    Stack::start_with(&[(Service::Ingest, "--auth"), (Service::Ingest, &file)]).await
}

#[tokio::test]
async fn a_stranger_waits_is_accepted_and_is_told_why_it_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stack = guarded(folder.path()).await;
    let (status, receipt) = push(&stack, OPERATOR, report("GARDEN", 9.5)).await;
    assert_eq!((status, &receipt["accepted"]), (202, &json!(0)));
    assert_eq!(receipt["rejected"][0]["reason"], "unconfirmed");
    let detail = receipt["rejected"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("weatherglass stations accept GARDEN"), "{detail}");
    assert_eq!(
        stack.metric(Service::Ingest, "weatherglass_ingest_rejected_observations_total", "unconfirmed").await,
        1.0
    );
    eventually("the stranger is listed", || async { listed(&stack, "unconfirmed").await == ["GARDEN"] }).await;
    assert_eq!(stack.get("/api/v1/stations/GARDEN").await.0, 404);
    let seen = contact(&stack, "GARDEN").await;
    assert_eq!((&seen["unconfirmed"]["refused"], &seen["last"]["outcome"]), (&json!(1), &json!("rejected")));
    assert!(seen["rejected"]["raw"].as_str().unwrap().contains("\"temperature\":9.5"), "{seen}");
    assert!(stations(&stack, &["list", "--unconfirmed"]).starts_with("GARDEN  first 20"));
    eventually("the gauge knows", || async {
        stack.metric(Service::Ingest, "weatherglass_ingest_unconfirmed_stations", "").await == 1.0
    })
    .await;

    assert!(refused(&stack, &["accept", "GARDN"]).contains("GARDN: it does not wait"));
    stations(&stack, &["accept", "GARDEN", "--name", "Kert", "--latitude", "-33.9", "--longitude", "18.4"]);
    let (_, receipt) = push(&stack, OPERATOR, report("GARDEN", 10.5)).await;
    assert_eq!(receipt["accepted"], 1, "the very next push gets in: {receipt}");
    let bad = json!({"station": "GARDEN", "time": "yesterday", "temperature": 1, "password": "hunter22222"});
    let (_, receipt) = push(&stack, OPERATOR, json!([bad, report("GARDEN", 11.5)])).await;
    assert_eq!((&receipt["rejected"][0]["reason"], &receipt["accepted"]), (&json!("unknown_field"), &json!(1)));
    eventually("both contacts are written", || async {
        let seen = contact(&stack, "GARDEN").await;
        seen["accepted"]["outcome"] == "accepted" && seen["rejected"]["reason"] == "unknown_field"
    })
    .await;
    let seen = contact(&stack, "GARDEN").await;
    assert_eq!((seen.get("unconfirmed"), &seen["rejected"]["door"]), (None, &json!("json")));
    let raw = seen["rejected"]["raw"].as_str().unwrap();
    assert!(raw.contains("yesterday") && raw.contains("\"password\":\"***\""), "{raw}");
    let shown = stations(&stack, &["show", "GARDEN"]);
    for (whose, text) in [("the api", seen.to_string()), ("the command", shown.clone())] {
        assert!(!text.contains("hunter22222") && !text.contains(OPERATOR), "{whose}: {text}");
    }
    assert!(!seen.to_string().contains("127.0.0.1") && shown.contains("127.0.0.1"), "only the operator sees addresses");
    assert!(listed(&stack, "unconfirmed").await.is_empty());
    // Who hides a station hides its contacts.
    stations(&stack, &["add", "GARDEN", "--update", "--public", "false"]);
    assert_eq!(stack.get("/api/v1/stations/GARDEN/contact").await.0, 404);
    assert_eq!(stack.get("/api/v1/contacts?state=everything").await.0, 400);
    stack.settled().await;
}

#[tokio::test]
async fn a_key_opens_its_station_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let stack = guarded(folder.path()).await;
    assert!(refused(&stack, &["key", "ROOF"]).contains("no such station"));
    let made = stations(&stack, &["add", "ROOF", "--key"]);
    let first = made.lines().last().unwrap().to_owned();
    assert_eq!((first.len(), made.lines().count()), (32, 2), "{made}");
    assert!(refused(&stack, &["add", "ROOF"]).contains("it is registered"));
    let second = stations(&stack, &["key", "ROOF", "--label", "spare"]).trim().to_owned();
    let network = stations(&stack, &["key", "MESO-*"]).trim().to_owned();
    for key in [&first, &second] {
        assert_eq!(push(&stack, key, report("ROOF", 1.0)).await.1["rejected"], json!([]), "both open it");
        let (_, receipt) = push(&stack, key, report("ROOF2", 1.0)).await;
        assert_eq!(receipt["rejected"][0]["reason"], "not_allowed", "and no other");
    }
    assert_eq!(push(&stack, &network, report("MESO-1", 1.0)).await.1["rejected"][0]["reason"], "unconfirmed");
    assert_eq!(push(&stack, &network, report("ROOF", 1.0)).await.1["rejected"][0]["reason"], "not_allowed");
    assert_eq!(push(&stack, "a-key-that-nobody-has-made-00000", report("ROOF", 1.0)).await.0, 401);
    // Who has a network's key may describe its stations.
    let url = format!("{}/v1/stations/MESO-1", stack.url(Service::Ingest));
    let about = json!({"name": "One", "latitude": 1, "longitude": 2});
    assert_eq!(stack.client.put(&url).bearer_auth(&network).json(&about).send().await.unwrap().status(), 200);
    assert_eq!(push(&stack, &network, report("MESO-1", 1.0)).await.1["accepted"], 1);

    assert_eq!(stations(&stack, &["key", "ROOF", "--list"]).lines().count(), 2);
    let revoked = Instant::now();
    stations(&stack, &["key", "ROOF", "--revoke", "key-1"]);
    eventually("the revoked key is refused", || async { push(&stack, &first, report("ROOF", 2.0)).await.0 == 401 })
        .await;
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    assert_eq!(push(&stack, &second, report("ROOF", 3.0)).await.0, 202);
    let shown = stations(&stack, &["list", "--json"]);
    for key in [&first, &second, &network] {
        assert!(!shown.contains(key.as_str()) && !stations(&stack, &["show", "ROOF"]).contains(key.as_str()));
    }
    stack.settled().await;
}

#[tokio::test]
async fn a_removed_station_vanishes_everywhere() {
    let stack = Stack::start().await;
    for station in ["GARDEN", "STAYS"] {
        stack.post(serde_json::to_vec(&history(station, 30)).unwrap(), "application/json").await;
    }
    stack.settled().await;
    let mut live = stack.live(subscribe_all()).await;
    assert_eq!(live.frame("snapshot").await["stations"].as_array().unwrap().len(), 2);
    // In the worker's hands while it is removed.
    stack.post_one(&observation("GARDEN", Time::now(), 1.0)).await;
    assert_eq!(stations(&stack, &["remove", "GARDEN"]), "GARDEN is removed\n");
    let removed = loop {
        let frame = live.frame("station").await;
        if frame["state"] == "removed" {
            break frame;
        }
    };
    assert_eq!(removed["station"], "GARDEN");
    stack.settled().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for path in ["", "/forecast", "/observations", "/contact"] {
        assert_eq!(stack.get(&format!("/api/v1/stations/GARDEN{path}")).await.0, 404, "{path}");
    }
    let names = |list: &Value| list["features"].as_array().unwrap().len();
    assert_eq!(names(&stack.get("/api/v1/stations").await.1), 1);
    let redis = stack.connect_redis().await;
    let garden = weather::StationId::new("GARDEN").unwrap();
    let partition = redis.keys().partition_of(&garden);
    let state = redis.partition_state(partition).await.unwrap();
    assert!(state.stations.iter().all(|s| s.id != garden));
    assert!(state.newest.iter().all(|r| r.observation.station != garden));
    assert!(state.latest.iter().all(|f| f.station != garden));
    assert!(redis.windows(std::slice::from_ref(&garden)).await.unwrap().windows[0].newest().is_none());
    assert!(refused(&stack, &["remove", "GARDEN"]).contains("nothing is known of it"));
    // An open door lets it in anew, with nothing of before.
    let now = Time::now();
    let receipt = stack.post_one(&observation("GARDEN", now, 2.0)).await;
    assert_eq!(receipt["accepted"], 1);
    stack.settled().await;
    eventually("it is back", || async { stack.get("/api/v1/stations/GARDEN/forecast").await.0 == 200 }).await;
    let (_, observations) = stack.get("/api/v1/stations/GARDEN/observations").await;
    assert_eq!(observations["observations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stranger_that_waited_in_the_spool_is_refused_when_it_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = format!("--spool={}", folder.path().display());
    let mut stack = Stack::ingest_only(&["--registration=confirm", &spool]).await;
    // Nobody is asked for a key: nobody registers himself either.
    let url = format!("{}/v1/stations/NEW", stack.url(Service::Ingest));
    let about = json!({"name": "One", "latitude": 1, "longitude": 2});
    let answer = stack.client.put(&url).json(&about).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("stations accept NEW"));
    stations(&stack, &["add", "KNOWN"]);
    tokio::time::sleep(Duration::from_millis(1200)).await; // appendfsync everysec
    stack.redis.kill();
    let both = [observation("KNOWN", Time::now(), 1.0), observation("STRANGER", Time::now(), 1.0)];
    let (_, receipt) = stack.post(serde_json::to_vec(&both).unwrap(), "application/json").await;
    assert_eq!((&receipt["accepted"], &receipt["spooled"]), (&json!(2), &json!(2)));
    stack.redis.restart().unwrap();
    eventually("the spool is empty", || async {
        stack.metric(Service::Ingest, "weatherglass_ingest_spool_observations", "").await == 0.0
    })
    .await;
    let count = async |what: &str, label: &str| {
        stack.metric(Service::Ingest, &format!("weatherglass_ingest_{what}_observations_total"), label).await
    };
    assert_eq!((count("received", "").await, count("accepted", "").await), (2.0, 1.0));
    assert_eq!(count("rejected", "unconfirmed").await, 1.0);
    let waiting = || stations(&stack, &["list", "--unconfirmed", "--json"]);
    eventually("the strangers are listed", || async {
        let text = waiting();
        text.contains("\"id\":\"STRANGER\"") && text.contains("\"door\":\"spool\"") && text.contains("\"id\":\"NEW\"")
    })
    .await;
}

#[tokio::test]
async fn the_stations_of_a_file_are_there_and_a_bad_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = "0123456789abcdef0123456789abcdef";
    std::fs::write(folder.path().join("roof.key"), format!("{key}\n")).unwrap();
    let file = folder.path().join("stations.toml");
    std::fs::write(&file, "[[station]]\nid = \"ROOF\"\nname = \"Roof\"\nelevation = 120\nkey_file = \"roof.key\"\n")
        .unwrap();
    let argument = format!("--stations-file={}", file.display());
    let stack = Stack::start_with(&[(Service::Ingest, "--auth"), (Service::Ingest, &argument)]).await;
    eventually("the file's station is registered", || async {
        stack.get("/api/v1/stations/ROOF").await.1["properties"]["name"] == "Roof"
    })
    .await;
    assert_eq!(push(&stack, key, report("ROOF", 1.0)).await.1["accepted"], 1);
    stack.settled().await;

    std::fs::write(&file, "[[station]]\nid = \"ROOF\"\nlatitude = 91\nlongitude = 0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.args(["ingest", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", &argument]);
    let output = command.args(["--redis-port", &stack.redis.port().to_string(), "--log=error"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.trim().lines().count() == 1, "{told}");
    assert!(told.contains("stations.toml: station \"ROOF\": latitude: degrees north"), "{told}");
}
