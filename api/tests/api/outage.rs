//! Redis goes away and comes back.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Api, Network, PATIENCE, ago};

#[tokio::test]
async fn the_last_state_is_served_while_redis_is_away_and_the_flow_goes_on_after() {
    let mut network = Network::start().await;
    network.observe("X1", ago(120), 1.0).await;
    network.work("X1").await;
    let api = Api::on(&network.config()).await;
    let mut client = api.connect().await;
    client.send(json!({"type": "subscribe", "id": "a", "all": true, "channels": ["observation"]})).await;
    let snapshot = client.next().await;
    tokio::time::sleep(Duration::from_millis(1200)).await; // appendfsync everysec

    network.server.kill();
    api.until_ready(false).await;
    assert_eq!(api.get("/healthz").await.status(), 200);
    assert!(!api.problem("/readyz", 503).await.is_empty());
    assert_eq!(api.json("/api/v1/stations").await["features"][0]["id"], "X1");
    assert_eq!(api.json("/api/v1/stations/X1/forecast").await["station"], "X1");
    let history = api.get("/api/v1/stations/X1/observations").await;
    assert_eq!((history.status().as_u16(), &history.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    // What was missed can't be read now: the client gets a snapshot, and is told.
    client.send(json!({"type": "subscribe", "id": "b", "all": true, "cursor": snapshot["cursor"]})).await;
    assert_eq!(client.next().await["complete"], false);
    assert_eq!(client.next().await["stations"][0]["observation"]["temperature"], 1.0);

    network.server.restart().unwrap();
    api.until_ready(true).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while network.appender.append(&[crate::harness::received("X1", ago(0), 2.0)]).await.is_err() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.next_of("observation").await["temperature"], 2.0);
    api.stop().await;
}

#[tokio::test]
async fn without_redis_the_start_fails_and_says_so() {
    let config =
        api::Config { redis: streams::RedisConfig { redis_port: 1, ..Default::default() }, ..api::Config::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = api::run(config, listener, Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
