//! The live WebSocket.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Api, Client, Network, ago, config, received, scrape, station};

fn subscribe(id: &str) -> Value {
    json!({"type": "subscribe", "id": id, "all": true})
}

#[tokio::test]
async fn a_snapshot_then_what_happens_in_both_subprotocols() {
    let mut network = Network::start().await;
    let api = Api::on(&network.config()).await;
    network.appender.put_station(&station("X1", 47.5, 19.0)).await.unwrap();
    network.observe("X1", ago(120), 12.3).await;
    network.work("X1").await;
    let mut clients = Vec::new();
    for protocol in [None, Some("weatherglass.v1+json"), Some("weatherglass.v1+msgpack")] {
        let mut client = Client::open(api.address, protocol, None).await;
        assert_eq!(client.protocol.as_deref(), protocol);
        // What was appended is on its way to the hub: a snapshot may come before it.
        let found = loop {
            client.send(subscribe("a")).await;
            let snapshot = client.next_of("snapshot").await;
            assert_eq!(snapshot["id"], "a");
            if snapshot["stations"][0]["forecast"].is_object() {
                break snapshot["stations"][0].clone();
            }
        };
        assert_eq!(found["station"]["state"], "up");
        assert_eq!(found["station"]["latitude"], 47.5);
        assert!((found["observation"]["temperature"].as_f64().unwrap() - 12.3).abs() < 1e-5);
        assert_eq!(found["forecast"]["leads"][47], 48);
        clients.push(client);
    }
    let time = ago(60);
    network.observe("X1", time, 13.5).await;
    network.work("X1").await;
    for client in &mut clients {
        let observation = client.next_of("observation").await;
        assert_eq!(observation["station"], "X1");
        assert_eq!(observation["time"], time.to_string());
        assert_eq!(observation["temperature"], 13.5);
        assert!(observation["cursor"].is_string() && observation["expires"].is_string());
        let forecast = client.next_of("forecast").await;
        assert_eq!(forecast["reference_time"], time.to_string());
        assert_eq!(forecast["variables"]["temperature"]["q95"].as_array().unwrap().len(), 48);
        assert_eq!(forecast["variables"]["wind_direction"], json!({"q50": vec![270.0; 48]}));
        assert_eq!(forecast["weather_code"].as_array().unwrap().len(), 48);
        client.quiet().await;
    }
    api.stop().await;
    for client in &mut clients {
        assert_eq!(client.close_code().await, 1001);
    }
}

#[tokio::test]
async fn an_unknown_station_is_introduced_and_repeats_are_not_sent() {
    let network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(subscribe("a")).await;
    assert_eq!(client.next().await["stations"], json!([]));
    network.observe("N1", ago(60), 1.0).await;
    let introduced = client.next().await;
    assert_eq!((&introduced["type"], &introduced["station"]), (&json!("station"), &json!("N1")));
    assert_eq!((&introduced["state"], &introduced["details"]["name"]), (&json!("up"), &json!("N1")));
    assert_eq!(client.next().await["type"], "observation");
    // Later arrivals of earlier times are sent, and do not become the newest.
    network.observe("N1", ago(600), 0.5).await;
    assert_eq!(client.next().await["temperature"], 0.5);
    client.send(json!({"type": "subscribe", "id": "b", "stations": ["N1"], "channels": ["observation"]})).await;
    let snapshot = client.next_of("snapshot").await;
    assert_eq!(snapshot["stations"][0]["observation"]["temperature"], 1.0);
    // Two subscriptions want it; it comes once.
    network.observe("N1", ago(5), 2.0).await;
    assert_eq!(client.next().await["temperature"], 2.0);
    client.quiet().await;
    for id in ["a", "b"] {
        client.send(json!({"type": "unsubscribe", "id": id})).await;
    }
    client.quiet().await;
    network.observe("N1", ago(1), 3.0).await;
    client.quiet().await;
    api.stop().await;
}

#[tokio::test]
async fn private_stations_are_not_there() {
    let network = Network::start().await;
    let mut hidden = station("HIDDEN", 1.0, 1.0);
    hidden.public = false;
    network.appender.put_station(&hidden).await.unwrap();
    network.observe("HIDDEN", ago(60), 1.0).await;
    network.appender.put_station(&station("SEEN", 1.0, 1.0)).await.unwrap();
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(json!({"type": "subscribe", "id": "a", "stations": ["HIDDEN", "NOBODY", "SEEN"]})).await;
    let snapshot = client.next().await;
    assert_eq!(snapshot["type"], "snapshot", "no error tells which are private");
    assert_eq!(snapshot["stations"].as_array().unwrap().len(), 1);
    assert_eq!(snapshot["stations"][0]["station"]["id"], "SEEN");
    network.observe("HIDDEN", ago(30), 1.0).await;
    client.quiet().await;
    api.problem("/api/v1/stations/HIDDEN", 404).await;
    assert_eq!(api.json("/api/v1/stations").await["features"].as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn a_station_made_private_is_removed_live_and_after_a_return() {
    let network = Network::start().await;
    let mut shy = station("SHY", 1.0, 1.0);
    network.appender.put_station(&shy).await.unwrap();
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(subscribe("a")).await;
    client.next_of("snapshot").await;
    network.observe("SHY", ago(60), 1.0).await;
    let cursor = client.next_of("observation").await["cursor"].clone();
    tokio::time::sleep(Duration::from_millis(5)).await;
    shy.public = false;
    network.appender.put_station(&shy).await.unwrap();
    let mut removed = client.next().await;
    assert!(removed.as_object_mut().unwrap().remove("cursor").unwrap().is_string());
    assert_eq!(removed, json!({"type": "station", "station": "SHY", "state": "removed"}));
    network.observe("SHY", ago(30), 1.0).await;
    client.quiet().await;

    // An api that never saw it public can't tell that it was: the snapshot has what there is.
    api.stop().await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    let mut back = subscribe("a");
    back["cursor"] = cursor;
    client.send(back).await;
    assert_eq!(client.next().await["complete"], false);
    assert_eq!(client.next().await["stations"], json!([]));
    api.stop().await;
}

/// What Python's `websockets` takes.
const USUAL_FRAME: usize = 1024 * 1024;

#[tokio::test]
async fn a_large_snapshot_comes_in_frames_that_clients_take() {
    let mut network = Network::start().await;
    let names: Vec<String> = (0..400).map(|n| format!("L{n:03}")).collect();
    let batch: Vec<_> = names.iter().map(|name| received(name, ago(60), 1.0)).collect();
    network.appender.append(&batch).await.unwrap();
    let partitions: HashMap<_, _> =
        names.iter().map(|name| (network.redis.keys().partition_of(&crate::harness::id(name)), name)).collect();
    for name in partitions.values() {
        network.work(name).await;
    }
    let api = Api::on(&network.config()).await;
    for protocol in ["weatherglass.v1+json", "weatherglass.v1+msgpack"] {
        let mut client = Client::open(api.address, Some(protocol), None).await;
        client.send(subscribe("a")).await;
        let (mut found, mut parts) = (Vec::new(), 0);
        loop {
            let message = client.message().await;
            assert!(message.len() < USUAL_FRAME, "{} bytes", message.len());
            let frame = Client::frame(message);
            assert_eq!((&frame["type"], &frame["id"]), (&json!("snapshot"), &json!("a")));
            for entry in frame["stations"].as_array().unwrap() {
                assert!(entry["forecast"].is_object());
                found.push(entry["station"]["id"].as_str().unwrap().to_owned());
            }
            parts += 1;
            assert_ne!(frame.get("more").is_some(), frame.get("cursor").is_some());
            if frame.get("more").is_none() {
                break;
            }
            assert_eq!(frame["more"], true);
        }
        assert_eq!(found, names);
        assert!(parts > 1);
    }
    api.stop().await;
}

#[tokio::test]
async fn boxes_hold_their_stations_across_the_date_line() {
    let network = Network::start().await;
    for (name, latitude, longitude) in [("FIJI", -18.0, 178.0), ("SAMOA", -14.0, -172.0), ("ROME", 42.0, 12.5)] {
        network.appender.put_station(&station(name, latitude, longitude)).await.unwrap();
    }
    network.observe("NOWHERE", ago(60), 1.0).await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    let mut names = async |bbox: Value| {
        client.send(json!({"type": "subscribe", "id": "box", "bbox": bbox})).await;
        let snapshot = client.next().await;
        let stations = snapshot["stations"].as_array().unwrap().iter();
        stations.map(|s| s["station"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!([170, -30, -170, 0])).await, ["FIJI", "SAMOA"]);
    assert_eq!(names(json!([-170, -30, 170, 60])).await, ["ROME"]);
    assert_eq!(names(json!([-180, -90, 180, 90])).await, ["FIJI", "ROME", "SAMOA"]);
    for (name, temperature) in [("FIJI", 1.0), ("NOWHERE", 2.0), ("ROME", 3.0)] {
        network.observe(name, ago(10), temperature).await;
    }
    let mut heard = [client.next_of("observation").await, client.next_of("observation").await];
    heard.sort_by_key(|frame| frame["station"].to_string());
    assert_eq!((&heard[0]["station"], &heard[1]["station"]), (&json!("FIJI"), &json!("ROME")));
    api.stop().await;
}

#[tokio::test]
async fn bad_frames_are_answered_and_the_session_goes_on() {
    let network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    for (text, code) in [
        ("hello", "bad_frame"),
        (r#"{"type":"sing"}"#, "unknown_type"),
        (r#"{"type":"subscribe","id":"a","stations":["?"]}"#, "bad_station"),
        (r#"{"type":"subscribe","id":"a","bbox":[1,2,3]}"#, "bad_bbox"),
        (r#"{"type":"subscribe","id":"a","all":true,"channels":["x"]}"#, "bad_channel"),
        (r#"{"type":"unsubscribe","id":"a"}"#, "unknown_subscription"),
    ] {
        client.send_message(Message::text(text)).await;
        let error = client.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}");
    }
    client.send_message(Message::binary(vec![0xc1, 0xff])).await;
    assert_eq!(client.next().await["code"], "bad_frame");
    for n in 0..32 {
        client.send(subscribe(&format!("s{n}"))).await;
        assert_eq!(client.next().await["type"], "snapshot");
    }
    client.send(subscribe("one more")).await;
    let error = client.next().await;
    assert_eq!((&error["code"], &error["id"]), (&json!("too_many_subscriptions"), &json!("one more")));
    client.send(subscribe("s3")).await;
    assert_eq!(client.next().await["type"], "snapshot", "an id again replaces its subscription");
    client.quiet().await;
    assert!(scrape().contains(r#"weatherglass_api_client_errors_total{code="bad_bbox"} "#));

    let mut packed = Client::open(api.address, Some("weatherglass.v1+msgpack"), None).await;
    packed.send_message(Message::text("{}")).await;
    assert_eq!(packed.next().await["code"], "bad_frame");
    packed.send_message(Message::binary(vec![0xdd, 0xff, 0xff, 0xff, 0xff])).await;
    assert_eq!(packed.next().await["code"], "bad_frame");

    client.send_message(Message::text("x".repeat(100_000))).await;
    assert_eq!(client.close_code().await, 1009);
    api.stop().await;
}

#[tokio::test]
async fn a_cursor_resumes_across_a_restart_of_the_api() {
    let mut network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(subscribe("a")).await;
    client.next_of("snapshot").await;
    network.observe("R1", ago(600), 1.0).await;
    let cursor = client.next_of("observation").await["cursor"].clone();
    api.stop().await;
    assert_eq!(client.close_code().await, 1001);

    // The cursor's own millisecond is read again; what is missed must lie in another.
    tokio::time::sleep(Duration::from_millis(5)).await;
    for n in 2..=5 {
        network.observe("R1", ago(600 - 60 * n), n as f32).await;
        network.work("R1").await;
    }
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    let resume = |cursor: &Value| json!({"type": "subscribe", "id": "a", "stations": ["R1"], "cursor": cursor});
    client.send(resume(&cursor)).await;
    let mut missed = Vec::new();
    let mut forecasts = 0;
    let recovered = loop {
        let frame = client.next().await;
        match frame["type"].as_str().unwrap() {
            "observation" => missed.push(frame["temperature"].as_f64().unwrap()),
            "forecast" => forecasts += 1,
            "recovered" => break frame,
            "station" => assert_eq!(frame["state"], "up"),
            other => panic!("{other}"),
        }
    };
    assert_eq!(recovered, json!({"type": "recovered", "id": "a", "complete": true}));
    assert_eq!((missed, forecasts), (vec![1.0, 2.0, 3.0, 4.0, 5.0], 4));
    network.observe("R1", ago(1), 6.0).await;
    assert_eq!(client.next().await["temperature"], 6.0);

    for garbled in [json!("nonsense"), json!("c1-ffffffffffffffff"), json!("")] {
        client.send(resume(&garbled)).await;
        assert_eq!(client.next().await["complete"], false);
        assert_eq!(client.next().await["type"], "snapshot");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_trimmed_past_is_told_to_be_incomplete() {
    let mut network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(subscribe("a")).await;
    client.next_of("snapshot").await;
    // Of a running stream: whoever comes to an empty one has missed nothing that was before.
    network.observe("T1", ago(3600), 0.0).await;
    let cursor = client.next_of("observation").await["cursor"].clone();
    tokio::time::sleep(Duration::from_millis(5)).await;
    for n in 0..300 {
        network.observe("T1", ago(3000 - n), n as f32 / 10.0).await;
    }
    network.work("T1").await;
    let partition = network.redis.keys().partition_of(&crate::harness::id("T1"));
    assert!(network.redis.trim_obs(partition, u64::MAX).await.unwrap() > 0);
    client.send(json!({"type": "subscribe", "id": "b", "stations": ["T1"], "cursor": cursor})).await;
    assert_eq!(client.next_of("recovered").await["complete"], false);
    let snapshot = client.next_of("snapshot").await;
    assert!((snapshot["stations"][0]["observation"]["temperature"].as_f64().unwrap() - 29.9).abs() < 1e-4);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gap_and_no_double_while_it_rains_observations() {
    let network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let start = ago(90_000).unix();
    let appender = network.appender.clone();
    let rain = tokio::spawn(async move {
        for chunk in 0..200 {
            let batch: Vec<_> = (0..10)
                .map(|n| {
                    received("RAIN", weather::Time::from_unix(start + chunk * 10 + n), (chunk * 10 + n) as f32 / 100.0)
                })
                .collect();
            appender.append(&batch).await.unwrap();
        }
    });
    for _ in 0..5 {
        let mut client = api.connect().await;
        client.send(json!({"type": "subscribe", "id": "a", "stations": ["RAIN"], "channels": ["observation"]})).await;
        let snapshot = client.next().await;
        let of = |frame: &Value| weather::Time::parse(frame["time"].as_str().unwrap()).unwrap().unix();
        let mut last = match &snapshot["stations"][0]["observation"] {
            Value::Null => start - 1,
            held => of(held),
        };
        for _ in 0..50 {
            if last == start + 1999 {
                break;
            }
            let time = of(&client.next().await);
            assert_eq!(time, last + 1, "every second follows the one before");
            last = time;
        }
    }
    rain.await.unwrap();
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_the_newest_of_each_station() {
    let network = Network::start().await;
    let mut settings = config(&network.config());
    settings.limits.queued_updates = 20;
    let api = Api::start(settings).await;
    let mut slow = Client::open(api.address, None, Some(4096)).await;
    slow.send(json!({"type": "subscribe", "id": "a", "all": true, "channels": ["observation"]})).await;
    slow.next_of("snapshot").await;
    let (start, rounds) = (ago(80_000).unix(), 3000);
    let names: Vec<String> = (0..5).map(|n| format!("S{n}")).collect();
    for chunk in (0..rounds).collect::<Vec<i64>>().chunks(500) {
        let batch = chunk.iter().flat_map(|n| {
            names.iter().map(move |s| received(s, weather::Time::from_unix(start + n), *n as f32 / 100.0))
        });
        network.appender.append(&batch.collect::<Vec<_>>()).await.unwrap();
    }
    let mut newest: HashMap<String, f64> = HashMap::new();
    let mut frames = 0;
    let last = f64::from((rounds - 1) as f32 / 100.0);
    while newest.len() < 5 || newest.values().any(|v| (*v - last).abs() > 1e-4) {
        let frame = slow.next().await;
        frames += 1;
        newest.insert(frame["station"].as_str().unwrap().to_owned(), frame["temperature"].as_f64().unwrap());
    }
    assert!(frames < rounds * 5, "{frames} frames: nothing was conflated");
    slow.quiet().await;
    assert!(!scrape().contains("weatherglass_api_conflated_updates_total 0\n"));
    api.stop().await;
}

#[tokio::test]
async fn who_answers_no_ping_is_closed_with_the_documented_code() {
    let network = Network::start().await;
    let mut settings = config(&network.config());
    settings.limits.ping = Duration::from_millis(100);
    settings.limits.stall = Duration::from_millis(600);
    let api = Api::start(settings).await;
    let mut silent = api.connect().await;
    let mut talking = api.connect().await;
    for _ in 0..15 {
        talking.send(json!({"type": "ping"})).await;
        assert_eq!(talking.next().await["type"], "pong");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(silent.close_code().await, 4008);
    talking.quiet().await;
    assert!(scrape().contains(r#"weatherglass_api_closed_sessions_total{reason="silent"} 1"#));
    api.stop().await;
}

#[tokio::test]
async fn a_station_that_falls_silent_is_told_to_be_stale() {
    let network = Network::start().await;
    let mut settings = config(&network.config());
    settings.limits.sweep = Duration::from_millis(100);
    let api = Api::start(settings).await;
    let mut client = api.connect().await;
    client.send(json!({"type": "subscribe", "id": "a", "all": true, "channels": ["station"]})).await;
    client.next_of("snapshot").await;
    // Two reports a minute apart, the newer about to be ten minutes old.
    network.observe("OLD", ago(657), 1.0).await;
    network.observe("OLD", ago(597), 1.0).await;
    assert_eq!(client.next().await["state"], "up");
    let stale = client.next().await;
    assert_eq!((&stale["state"], &stale["details"]["state"]), (&json!("stale"), &json!("stale")));
    api.stop().await;
}
