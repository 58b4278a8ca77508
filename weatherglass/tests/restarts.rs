//! Every process dies or stops in mid-stream; nothing is lost and nothing is doubled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stack::{Service, Stack, observation, subscribe_all};
use streams::tail::Payload;
use streams::{Log, Redis};
use tokio::task::JoinHandle;
use weather::{Observation, Time};

const STATIONS: usize = 8;
const EACH: usize = 120;

fn load() -> Vec<Observation> {
    let begin = Time::now() - 3600 * 20;
    (0..EACH)
        .flat_map(|n| {
            (0..STATIONS).map(move |s| observation(&format!("S{s}"), begin + n as i64 * 600, (n % 40) as f32 / 2.0))
        })
        .collect()
}

/// Posts one observation after another, trying again until each has been answered.
fn sender(stack: &Stack, load: Vec<Observation>, sent: Arc<AtomicUsize>) -> JoinHandle<()> {
    let (client, url) = (stack.client.clone(), format!("{}/v1/observations", stack.url(Service::Ingest)));
    tokio::spawn(async move {
        for observation in load {
            loop {
                let answer = client.post(&url).json(&observation).send().await;
                if answer.is_ok_and(|a| a.status() == 202) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            sent.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

async fn reached(sent: &AtomicUsize, count: usize) {
    stack::eventually("the sender gets on", || async { sent.load(Ordering::SeqCst) >= count }).await;
}

/// Holds what Redis has against what was sent.
async fn account(redis: &Redis, load: &[Observation]) {
    let mut expected: BTreeMap<&str, Vec<(Time, u32)>> = BTreeMap::new();
    for o in load {
        let temperature = o.values.get(weather::Variable::Temperature).unwrap();
        expected.entry(o.station.as_str()).or_default().push((o.time, temperature.to_bits()));
    }
    for (station, expected) in expected {
        let id = weather::StationId::new(station).unwrap();
        let window = redis.windows(&[id]).await.unwrap().windows.remove(0);
        let found: Vec<(Time, u32)> = window
            .samples()
            .iter()
            .map(|s| (s.time, s.values.get(weather::Variable::Temperature).unwrap().to_bits()))
            .collect();
        assert_eq!(found, expected, "the window of {station}");
    }
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let past = redis.since(&partitions, 0, 100_000).await.unwrap();
    let entries: BTreeSet<String> =
        past.updates.iter().filter(|u| u.log == Log::Observations).map(|u| u.id.to_string()).collect();
    let (mut causes, mut newest) = (HashSet::new(), BTreeMap::new());
    for update in past.updates {
        let Ok(Payload::Forecast(forecast)) = update.payload else { continue };
        assert!(entries.contains(&forecast.cause), "a forecast without its observation");
        assert!(causes.insert(forecast.cause.clone()), "two forecasts of one observation");
        newest.insert(forecast.station.clone(), forecast.reference_time);
    }
    let last = load.last().unwrap().time;
    assert_eq!(newest.len(), STATIONS);
    assert!(newest.values().all(|t| *t == last), "the last observation of every station is in its forecast");
    for partition in partitions {
        assert!(redis.dead_letters(partition, None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn killed_and_restarted_in_mid_stream() {
    let mut stack = Stack::start().await;
    let load = load();
    let sent = Arc::new(AtomicUsize::new(0));
    let sender = sender(&stack, load.clone(), Arc::clone(&sent));
    for (round, service) in [Service::Worker, Service::Ingest, Service::Api, Service::Worker].into_iter().enumerate() {
        reached(&sent, 100 + round * 150).await;
        stack.restart(service).await;
    }
    sender.await.unwrap();
    stack.settled().await;
    account(&stack.connect_redis().await, &load).await;
    let (_, latest) = stack.get("/api/v1/stations/S0/forecast").await;
    assert_eq!(latest["reference_time"], load.last().unwrap().time.to_string());
}

#[tokio::test]
async fn redis_restarted_in_mid_stream() {
    let mut stack = Stack::start().await;
    let load = load();
    let sent = Arc::new(AtomicUsize::new(0));
    let sender = sender(&stack, load.clone(), Arc::clone(&sent));
    let mut live = stack.live(subscribe_all()).await;
    live.frame("snapshot").await;
    reached(&sent, 200).await;
    stack.redis.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.redis.restart().unwrap();
    sender.await.unwrap();
    stack.settled().await;
    account(&stack.connect_redis().await, &load).await;
    // The socket that was open all the time has seen the end of it.
    let last = load.last().unwrap().time.to_string();
    while live.frame("forecast").await["reference_time"] != last {}
}

#[tokio::test]
async fn stopped_politely_in_mid_stream() {
    let mut stack = Stack::start().await;
    let load = load();
    let sent = Arc::new(AtomicUsize::new(0));
    let sender = sender(&stack, load.clone(), Arc::clone(&sent));
    for (round, service) in Service::ALL.into_iter().enumerate() {
        reached(&sent, 100 + round * 200).await;
        stack.stop(service);
        stack.spawn(service);
    }
    sender.await.unwrap();
    stack.settled().await;
    account(&stack.connect_redis().await, &load).await;
}

/// Workers come, are killed and leave while observations arrive: the partitions are shared evenly within
/// seconds each time, and no observation is lost or done twice.
#[tokio::test]
async fn workers_that_come_and_go_share_the_partitions() {
    let stack = Stack::start().await;
    let load = load();
    let sent = Arc::new(AtomicUsize::new(0));
    let sender = sender(&stack, load.clone(), Arc::clone(&sent));
    let shared = async |shares: &[usize]| {
        stack::eventually(&format!("shares of {shares:?}"), || async { stack.shares() == shares }).await;
    };
    shared(&[16]).await;
    let (leaves, mut dies) = (stack.spawn_second_worker(), stack.spawn_second_worker());
    shared(&[5, 5, 6]).await;
    dies.kill().unwrap();
    dies.wait().unwrap();
    shared(&[8, 8]).await;
    stack.stop_second_worker(leaves);
    shared(&[16]).await;
    sender.await.unwrap();
    stack.settled().await;
    account(&stack.connect_redis().await, &load).await;
    assert!(stack.metric(Service::Worker, "weatherglass_worker_partition_changes_total", "given_back").await >= 10.0);
    let lost = stack.metric(Service::Worker, "weatherglass_worker_partition_changes_total", "lost").await;
    assert_eq!(lost, 0.0, "what is handed over in order is not lost");
}

/// What a worker forecasts after a restart, and after its partitions changed hands, is to the bit what an
/// undisturbed one forecasts.
#[tokio::test]
async fn forecasts_do_not_show_that_a_worker_was_restarted() {
    let (undisturbed, mut disturbed) = (Stack::start().await, Stack::start().await);
    let load = load();
    let (before, after) = load.split_at(load.len() / 2);
    for stack in [&undisturbed, &disturbed] {
        assert_eq!(stack.post(serde_json::to_vec(before).unwrap(), "application/json").await.0, 202);
        stack.settled().await;
    }
    disturbed.restart(Service::Worker).await;
    let second = disturbed.spawn_second_worker();
    stack::eventually("two share", || async { disturbed.shares() == [8, 8] }).await;
    for stack in [&undisturbed, &disturbed] {
        assert_eq!(stack.post(serde_json::to_vec(after).unwrap(), "application/json").await.0, 202);
        stack.settled().await;
    }
    let (first, other) = (undisturbed.connect_redis().await, disturbed.connect_redis().await);
    for partition in 0..first.keys().partitions() {
        let latest = async |redis: &Redis| {
            let mut latest = redis.partition_state(partition).await.unwrap().latest;
            latest.sort_by(|a, b| a.station.cmp(&b.station));
            latest.into_iter().map(|f| (f.station, f.reference_time, f.revision, f.prediction)).collect::<Vec<_>>()
        };
        assert_eq!(latest(&first).await, latest(&other).await, "partition {partition}");
    }
    disturbed.stop_second_worker(second);
}
