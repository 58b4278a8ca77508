//! The main job, through the real processes: an observation posted becomes a live forecast.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use serde_json::{Value, json};
use stack::{Service, Stack, history, observation, subscribe_all};
use std::io::Write;
use weather::Time;

fn numbers(forecast: &Value) -> Value {
    json!([forecast["variables"], forecast["precipitation_probability"], forecast["reference_time"], forecast["cause"]])
}

#[tokio::test]
async fn an_observation_posted_becomes_a_forecast_in_every_form() {
    let stack = Stack::start().await;
    let described =
        json!({"name": "Kert", "latitude": 47.5, "longitude": 19.0, "elevation": 120, "timezone": "Europe/Budapest"});
    let url = format!("{}/v1/stations/GARDEN", stack.url(Service::Ingest));
    assert_eq!(stack.client.put(&url).json(&described).send().await.unwrap().status(), 200);
    stack.post(rmp_serde::to_vec_named(&history("GARDEN", 72)).unwrap(), "application/msgpack").await;
    stack.settled().await;

    let mut live = stack.live(subscribe_all()).await;
    let snapshot = live.frame("snapshot").await;
    assert_eq!(snapshot["stations"][0]["station"]["name"], "Kert");
    let before = snapshot["stations"][0]["forecast"].clone();
    assert_eq!(before["leads"].as_array().unwrap().len(), 48);

    let now = Time::now();
    let receipt = stack.post_one(&observation("GARDEN", now, 14.5)).await;
    assert_eq!(receipt, json!({"accepted": 1, "duplicates": 0, "rejected": []}));
    let observed = live.frame("observation").await;
    assert_eq!((&observed["station"], &observed["temperature"]), (&json!("GARDEN"), &json!(14.5)));
    assert_eq!(observed["time"], now.to_string());
    let forecast = live.frame("forecast").await;
    assert_eq!(forecast["reference_time"], now.to_string());
    assert_ne!(forecast["variables"]["temperature"], before["variables"]["temperature"]);
    for lead in 0..48 {
        let levels: Vec<f64> = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"]
            .iter()
            .map(|q| forecast["variables"]["temperature"][q][lead].as_f64().unwrap())
            .collect();
        assert!(levels.is_sorted(), "quantiles cross at lead {lead}: {levels:?}");
    }

    let (status, by_rest) = stack.get("/api/v1/stations/GARDEN/forecast").await;
    assert_eq!((status, numbers(&by_rest)), (200, numbers(&forecast)));
    let (status, by_old_form) = stack.get("/forecast/?station_id=GARDEN").await;
    assert_eq!((status, numbers(&by_old_form)), (200, numbers(&forecast)));
    let (_, observations) = stack.get("/api/v1/stations/GARDEN/observations").await;
    assert_eq!(observations["observations"].as_array().unwrap().len(), 73);
    let (_, docs) = stack.get("/api/openapi.json").await;
    assert!(docs["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn every_encoding_arrives() {
    let stack = Stack::start().await;
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;
    let now = Time::now();
    let one = |station: &str| serde_json::to_string(&observation(station, now, 1.0)).unwrap();
    let gzip = |text: String| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let packed = rmp_serde::to_vec_named(&[observation("MSGPACK", now, 1.0)]).unwrap();
    let lines = format!("{}\n{}\n", one("LINE-1"), one("LINE-2"));
    let bodies: [(&str, Option<&str>, Vec<u8>); 6] = [
        ("application/json", None, one("OBJECT").into_bytes()),
        ("application/json; charset=utf-8", None, format!("[{}]", one("ARRAY")).into_bytes()),
        ("application/x-ndjson", None, lines.into_bytes()),
        ("application/msgpack", None, packed),
        ("application/json", Some("gzip"), gzip(one("GZIP"))),
        ("application/json", Some("zstd"), zstd::encode_all(one("ZSTD").as_bytes(), 1).unwrap()),
    ];
    for (content_type, encoding, body) in bodies {
        let mut request = stack.client.post(format!("{}/v1/observations", stack.url(Service::Ingest)));
        request = request.header("content-type", content_type).body(body);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{content_type} {encoding:?}: {}", answer.text().await.unwrap());
    }
    let mut forecast = std::collections::BTreeSet::new();
    while forecast.len() < 7 {
        forecast.insert(live.frame("forecast").await["station"].as_str().unwrap().to_owned());
    }
    let expected = ["ARRAY", "GZIP", "LINE-1", "LINE-2", "MSGPACK", "OBJECT", "ZSTD"].map(str::to_owned);
    assert_eq!(forecast, expected.into());
}

#[tokio::test]
async fn bad_items_are_refused_one_by_one_and_the_rest_is_taken() {
    let stack = Stack::start_with(&[(Service::Ingest, "--body-limit=20000")]).await;
    let now = Time::now();
    let at = |offset: i64| (now + offset).to_string();
    let items = json!([
        {"station": "A", "time": at(0), "temperature": 20.0},
        {"station": "A", "time": at(1), "temperature": "20"},
        {"station": "A", "time": at(2), "temprature": 20.0},
        {"station": "A", "time": at(3), "temperature": 68.0},
        {"station": "a/b", "time": at(4), "temperature": 20.0},
        {"station": "A", "time": at(3600), "temperature": 20.0},
        {"station": "A", "time": "2020-01-01T00:00:00Z", "temperature": 20.0},
        {"station": "A", "time": "noon", "temperature": 20.0},
        {"station": "A", "time": at(5)},
        {"time": at(6), "temperature": 20.0},
        17,
        {"station": "B", "time": at(0), "wind_speed": 3.0},
        {"station": "A", "time": at(0), "temperature": 20.0},
    ]);
    let (status, receipt) = stack.post(items.to_string(), "application/json").await;
    assert_eq!((status, &receipt["accepted"], &receipt["duplicates"]), (202, &json!(2), &json!(1)));
    let refused: Vec<(u64, &str, &str)> = receipt["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["index"].as_u64().unwrap(), r["field"].as_str().unwrap(), r["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        (1, "temperature", "wrong_type"),
        (2, "temprature", "unknown_field"),
        (3, "temperature", "out_of_range"),
        (4, "station", "bad_station"),
        (5, "time", "in_future"),
        (6, "time", "past_retention"),
        (7, "time", "bad_time"),
        (8, "temperature", "missing_field"),
        (9, "station", "missing_field"),
        (10, "item", "wrong_type"),
    ];
    assert_eq!(refused, expected);

    let mut nan = rmp_serde::to_vec_named(&observation("A", now, f32::NAN)).unwrap();
    // The codec leaves an absent value out; a sender's NaN has to be written by hand.
    nan = [
        vec![nan[0] + 1],
        nan[1..].to_vec(),
        rmp_serde::to_vec("wind_gust").unwrap(),
        rmp_serde::to_vec(&f32::NAN).unwrap(),
    ]
    .concat();
    let (status, receipt) = stack.post(nan, "application/msgpack").await;
    assert_eq!((status, &receipt["rejected"][0]["reason"]), (202, &json!("not_finite")), "{receipt}");
    let (status, problem) = stack.post("{\"station\":", "application/json").await;
    assert_eq!((status, problem["title"].as_str()), (400, Some("Unparseable body")));
    assert_eq!(stack.post("x".repeat(20_001), "application/json").await.0, 413);
    assert_eq!(stack.post("a,b", "text/csv").await.0, 415);

    let rejected = async |reason: &str| {
        stack.metric(Service::Ingest, "weatherglass_ingest_rejected_observations_total", &format!("\"{reason}\"")).await
    };
    for (reason, count) in [
        ("wrong_type", 2.0),
        ("out_of_range", 1.0),
        ("in_future", 1.0),
        ("not_finite", 1.0),
        ("unparseable", 1.0),
        ("past_retention", 1.0),
        ("too_large", 1.0),
    ] {
        assert_eq!(rejected(reason).await, count, "{reason}");
    }
    let total = async |what: &str| {
        stack.metric(Service::Ingest, &format!("weatherglass_ingest_{what}_observations_total"), "").await
    };
    let (accepted, duplicate) = (total("accepted").await, total("duplicate").await);
    assert_eq!(total("received").await, accepted + duplicate + total("rejected").await);
    stack.settled().await;
    assert_eq!(stack.metric(Service::Worker, "weatherglass_worker_observations_total", "").await, accepted);
}

#[tokio::test]
async fn corrections_and_late_reports_change_the_forecast_and_duplicates_do_not() {
    let stack = Stack::start().await;
    stack.post(rmp_serde::to_vec_named(&history("A", 30)).unwrap(), "application/msgpack").await;
    stack.settled().await;
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;
    let now = Time::now();
    stack.post_one(&observation("A", now, 5.0)).await;
    let first = live.frame("forecast").await;
    assert_eq!(stack.post_one(&observation("A", now, 5.0)).await["duplicates"], 1);
    stack.post_one(&observation("A", now, 6.0)).await;
    let corrected = live.frame("forecast").await;
    assert_eq!((&corrected["revision"], &corrected["reference_time"]), (&json!(1), &first["reference_time"]));
    assert_ne!(corrected["variables"], first["variables"]);
    stack.post_one(&observation("A", now - 1800, 2.0)).await;
    let late = live.frame("forecast").await;
    assert_eq!(late["reference_time"], first["reference_time"]);
    assert_ne!(late["cause"], corrected["cause"]);
    assert_eq!(stack.metric(Service::Worker, "weatherglass_worker_observations_total", "corrected").await, 1.0);
    assert_eq!(stack.metric(Service::Worker, "weatherglass_worker_observations_total", "\"late\"").await, 1.0);
}

#[tokio::test]
async fn with_auth_a_key_opens_what_it_is_for() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "0123456789abcdef MESO-*\n").unwrap();
    let file = format!("--keys-file={}", keys.path().display());
    let arguments = ["--auth", &file, "--registration=open"].map(|argument| (Service::Ingest, argument));
    let stack = Stack::start_with(&arguments).await;
    let url = format!("{}/v1/observations", stack.url(Service::Ingest));
    let body = json!([observation("MESO-1", Time::now(), 1.0), observation("OTHER", Time::now(), 1.0)]);
    assert_eq!(stack.client.post(&url).json(&body).send().await.unwrap().status(), 401);
    let answer = stack.client.post(&url).bearer_auth("0123456789abcdef").json(&body).send().await.unwrap();
    let receipt: Value = answer.json().await.unwrap();
    assert_eq!((&receipt["accepted"], &receipt["rejected"][0]["reason"]), (&json!(1), &json!("not_allowed")));
    stack.settled().await;
}
