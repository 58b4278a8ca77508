//! Redis is away, full, read-only or empty, as ingest and its spool take it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use stack::{Service, Stack, eventually, observation};
use streams::tail::Payload;
use streams::{Entry, Log};
use weather::{Observation, StationId, Time};

/// What breaks a Redis that goes on answering, and what mends it.
const TROUBLES: [(&str, &str); 2] =
    [("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"), ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")];

fn spool_in(folder: &Path) -> String {
    format!("--spool={}", folder.display())
}

/// Ten minutes of one-minute reports of three stations, the `round`th.
fn round(round: i64) -> Vec<Observation> {
    let begin = Time::now().unix() / 3600 * 3600 - 10 * 3600 + round * 600;
    let at = |n: i64| Time::from_unix(begin + n * 60);
    (0..10).flat_map(|n| ["A", "B", "C"].map(|s| observation(s, at(n), (round * 10 + n) as f32 / 4.0))).collect()
}

async fn post_all(stack: &Stack, observations: &[Observation]) -> Value {
    let (status, receipt) = stack.post(serde_json::to_vec(observations).unwrap(), "application/json").await;
    assert_eq!(status, 202, "{receipt}");
    receipt
}

/// The times in the streams by station, as they stand there.
async fn arrived(stack: &Stack) -> BTreeMap<String, Vec<Time>> {
    let redis = stack.connect_redis().await;
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let mut arrived: BTreeMap<String, Vec<Time>> = BTreeMap::new();
    let mut causes = HashSet::new();
    for update in redis.since(&partitions, 0, 100_000).await.unwrap().updates {
        match (update.log, update.payload.unwrap()) {
            (Log::Observations, Payload::Entry(Entry::Observation(r))) => {
                arrived.entry(r.observation.station.as_str().to_owned()).or_default().push(r.observation.time);
            }
            (_, Payload::Forecast(forecast)) => {
                let first = causes.insert((update.partition, forecast.cause.clone()));
                assert!(first, "two forecasts of {}", forecast.cause);
            }
            _ => {}
        }
    }
    arrived
}

fn expected(observations: &[Observation]) -> BTreeMap<String, Vec<Time>> {
    let mut expected: BTreeMap<String, Vec<Time>> = BTreeMap::new();
    for o in observations {
        expected.entry(o.station.as_str().to_owned()).or_default().push(o.time);
    }
    expected
}

async fn count(stack: &Stack, name: &str, label: &str) -> f64 {
    stack.metric(Service::Ingest, &format!("weatherglass_ingest_{name}"), label).await
}

async fn drained(stack: &Stack) {
    eventually("an empty spool", || async { count(stack, "spool_observations", "").await == 0.0 }).await;
}

/// Received and found = accepted + duplicate + rejected + waiting.
async fn account(stack: &Stack) {
    let came =
        count(stack, "received_observations_total", "").await + count(stack, "spool_found_observations", "").await;
    let mut fates = count(stack, "spool_observations", "").await;
    for fate in ["accepted", "duplicate", "rejected"] {
        fates += count(stack, &format!("{fate}_observations_total"), "").await;
    }
    assert_eq!(came, fates, "the account does not add up");
}

async fn readiness(stack: &Stack) -> (u16, String) {
    let answer = stack.client.get(format!("{}/readyz", stack.url(Service::Ingest))).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A request that is not taken: 503, when to come back, and why.
async fn turned_away(stack: &Stack, observations: &[Observation]) -> String {
    let url = format!("{}/v1/observations", stack.url(Service::Ingest));
    let answer = stack.client.post(url).json(observations).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    answer.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_is_lost_while_redis_is_away_and_ingest_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::start_with(&[(Service::Ingest, &spool_in(folder.path()))]).await;
    // Of a Redis that writes to its disk once a second a kill may take the last second.
    stack.redis.say("CONFIG SET appendfsync always").unwrap();
    let rounds: Vec<Vec<Observation>> = (0..4).map(round).collect();
    assert_eq!(post_all(&stack, &rounds[0]).await, json!({"accepted": 30, "duplicates": 0, "rejected": []}));
    stack.redis.kill();
    for chunk in rounds[1].chunks(3) {
        assert_eq!(post_all(&stack, chunk).await["spooled"], 3);
    }
    assert_eq!(readiness(&stack).await, (200, "ready, spooling: 30 observations\n".to_owned()));
    account(&stack).await;
    let (status, _) = stack.post("{}", "application/json").await;
    assert_eq!(status, 202, "what is refused needs no Redis");

    stack.restart(Service::Ingest).await;
    assert_eq!(count(&stack, "spool_found_observations", "").await, 30.0);
    // Sent again, with one that was never sent and one that can't be.
    let mut third = rounds[0][..3].to_vec();
    third.extend_from_slice(&rounds[2]);
    third.push(observation("A", Time::now(), 999.0));
    let receipt = post_all(&stack, &third).await;
    assert_eq!(
        (&receipt["accepted"], &receipt["spooled"], &receipt["duplicates"]),
        (&json!(33), &json!(33), &json!(0))
    );
    assert_eq!(receipt["rejected"][0]["index"], 33);
    account(&stack).await;
    stack.redis.restart().unwrap();
    for chunk in rounds[3].chunks(3) {
        post_all(&stack, chunk).await;
    }
    drained(&stack).await;
    account(&stack).await;
    assert_eq!(count(&stack, "duplicate_observations_total", "").await, 3.0);
    assert_eq!(post_all(&stack, &rounds[3]).await["duplicates"], 30, "straight to Redis again");
    stack.settled().await;
    assert_eq!(arrived(&stack).await, expected(&rounds.concat()));
}

#[tokio::test]
async fn a_full_and_a_read_only_redis_are_503_without_a_spool() {
    let stack = Stack::ingest_only(&[]).await;
    for (n, (trouble, cure)) in (0..).zip(TROUBLES) {
        stack.redis.say(trouble).unwrap();
        turned_away(&stack, &round(n)).await;
        if n == 0 {
            // By now or soon Redis is not even asked.
            eventually("holding back", || async { memory_share(&stack).await > 0.95 }).await;
            assert!(turned_away(&stack, &round(n)).await.contains("memory limit"));
            assert!(count(&stack, "held_back_requests_total", "").await > 0.0);
        }
        stack.redis.say(cure).unwrap();
        let body = serde_json::to_vec(&round(n)).unwrap();
        eventually("taken again", || async { stack.post(body.clone(), "application/json").await.0 == 202 }).await;
        account(&stack).await;
    }
    assert_eq!(arrived(&stack).await, expected(&[round(0), round(1)].concat()));
}

async fn memory_share(stack: &Stack) -> f64 {
    count(stack, "redis_memory_ratio", "").await
}

#[tokio::test]
async fn a_full_and_a_read_only_redis_fill_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::ingest_only(&[&spool_in(folder.path())]).await;
    for (n, (trouble, cure)) in (0..).zip(TROUBLES) {
        stack.redis.say(trouble).unwrap();
        assert_eq!(post_all(&stack, &round(n)).await["spooled"], 30);
        assert_eq!(readiness(&stack).await.0, 200);
        stack.redis.say(cure).unwrap();
        drained(&stack).await;
        account(&stack).await;
    }
    assert_eq!(arrived(&stack).await, expected(&[round(0), round(1)].concat()));
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_partitions_and_stations_back() {
    let mut stack = Stack::ingest_only(&["--partitions=4"]).await;
    post_all(&stack, &round(0)).await;
    stack.redis.say("FLUSHALL").unwrap();
    stack.redis.say("SCRIPT FLUSH").unwrap();
    assert_eq!(post_all(&stack, &round(1)).await["accepted"], 30);
    eventually("4 partitions again", || async { stack.redis.say("GET wg:partitions").unwrap().contains("\r\n4\r\n") })
        .await;
    let redis = stack.connect_redis().await;
    assert!(redis.stations(&[StationId::new("A").unwrap()]).await.unwrap()[0].is_some());
    assert_eq!(arrived(&stack).await, expected(&round(1)));
    // Set up anew with another number: nobody would find what this process writes.
    stack.redis.say("FLUSHALL").unwrap();
    stack.redis.say("SET wg:partitions 8").unwrap();
    stack.fails(Service::Ingest).await;
}

#[tokio::test]
async fn a_full_spool_turns_away_and_is_of_use_again_when_drained() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::ingest_only(&[&spool_in(folder.path()), "--spool-limit=1"]).await;
    let big: Vec<Observation> =
        (0..1500).map(|n| observation(&format!("S{n}"), Time::now() - 60, (n % 40) as f32)).collect();
    stack.redis.kill();
    let mut kept = 0.0;
    let detail = loop {
        let body = serde_json::to_vec(&big).unwrap();
        match stack.post(body, "application/json").await {
            (202, receipt) => kept += receipt["spooled"].as_f64().unwrap(),
            _ => break turned_away(&stack, &big).await,
        }
        assert!(kept < 100_000.0, "no bound");
    };
    assert!(detail.contains("WEATHERGLASS_SPOOL_LIMIT"), "{detail}");
    assert!(kept > 0.0 && count(&stack, "spool_bytes", "").await <= 1_048_576.0);
    assert!(count(&stack, "spool_refused_requests_total", "reason=\"full\"").await > 0.0);
    account(&stack).await;

    let mut second = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    second.args(["ingest", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", &spool_in(folder.path())]);
    let refused = second.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("WEATHERGLASS_SPOOL") && said.contains("another process"),
        "{said}"
    );

    stack.redis.restart().unwrap();
    drained(&stack).await;
    account(&stack).await;
    assert_eq!(arrived(&stack).await.len(), 1500);
    assert_eq!(post_all(&stack, &round(0)).await["accepted"], 30);
}

#[tokio::test]
async fn a_damaged_record_costs_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::ingest_only(&[&spool_in(folder.path())]).await;
    stack.redis.kill();
    for station in ["BEFORE", "DAMAGED-HERE", "AFTER"] {
        post_all(&stack, &[observation(station, Time::now() - 60, 1.0)]).await;
    }
    stack.kill(Service::Ingest);
    let file = folder.path().join("spool.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let text = b"DAMAGED-HERE";
    let places: Vec<usize> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    stack.redis.restart().unwrap();
    drained(&stack).await;
    assert_eq!(count(&stack, "spool_damaged_records_total", "").await, 1.0);
    assert_eq!(count(&stack, "rejected_observations_total", "damaged_in_spool").await, 1.0);
    account(&stack).await;
    assert_eq!(arrived(&stack).await.into_keys().collect::<Vec<_>>(), ["AFTER", "BEFORE"]);
}
