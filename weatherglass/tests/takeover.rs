//! Partitions change hands, and entries go bad: the others are not harmed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::process::Command;

use stack::{Service, Stack, eventually, observation};
use streams::Redis;
use weather::{Observation, StationId, Time};

fn redis_cli(stack: &Stack, arguments: &[&str]) -> String {
    let port = stack.redis.port().to_string();
    let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn window_times(redis: &Redis, station: &str) -> Vec<i64> {
    let windows = redis.windows(&[StationId::new(station).unwrap()]).await.unwrap().windows;
    windows[0].samples().iter().map(|s| s.time.unix()).collect()
}

async fn post_all(stack: &Stack, time: Time) -> Vec<Observation> {
    let observations: Vec<Observation> = (0..8).map(|s| observation(&format!("S{s}"), time, 10.0)).collect();
    for observation in &observations {
        stack.post_one(observation).await;
    }
    observations
}

async fn dead_letters(redis: &Redis) -> Vec<String> {
    let mut reasons = Vec::new();
    for partition in 0..redis.keys().partitions() {
        reasons.extend(redis.dead_letters(partition, None).await.unwrap().into_iter().map(|letter| letter.reason));
    }
    reasons
}

/// A is paused for longer than its lease, B takes over and leaves again, A wakes up: what B wrote
/// into the hours that A remembers must survive A's next write of them.
#[tokio::test]
async fn a_worker_that_was_paused_forgets_what_it_remembered() {
    let stack = Stack::start().await;
    let redis = stack.connect_redis().await;
    // One hour's field of each window is written three times.
    let hour = Time::from_unix((Time::now().hour() - 2) * 3600);
    post_all(&stack, hour + 60).await;
    stack.settled().await;
    stack.signal(Service::Worker, "-STOP");
    let second = stack.spawn_second_worker();
    post_all(&stack, hour + 120).await;
    stack.settled().await;
    stack.stop_second_worker(second);
    stack.signal(Service::Worker, "-CONT");
    post_all(&stack, hour + 180).await;
    stack.settled().await;
    let expected: Vec<i64> = [60, 120, 180].iter().map(|s| (hour + *s).unix()).collect();
    for station in 0..8 {
        assert_eq!(window_times(&redis, &format!("S{station}")).await, expected, "S{station}");
    }
    assert!(dead_letters(&redis).await.is_empty());
}

#[tokio::test]
async fn what_is_not_ours_is_put_aside_and_the_rest_goes_on() {
    let stack = Stack::start().await;
    let redis = stack.connect_redis().await;
    for partition in 0..redis.keys().partitions() {
        redis_cli(&stack, &["XADD", &redis.keys().obs(partition), "*", "v", "hello"]);
        redis_cli(&stack, &["XADD", &redis.keys().obs(partition), "*", "other", "field"]);
        // A field whose name is no text: what reads it with others must not refuse them all.
        let add = ["eval", "return redis.call('XADD', KEYS[1], '*', '\\255', 'x')", "1"];
        redis_cli(&stack, &[add.as_slice(), &[&redis.keys().obs(partition)]].concat());
    }
    let time = Time::now();
    post_all(&stack, time).await;
    stack.settled().await;
    assert_eq!(window_times(&redis, "S3").await, [time.unix()]);
    let reasons = dead_letters(&redis).await;
    assert_eq!(reasons.len(), 3 * usize::from(redis.keys().partitions()));
    assert!(reasons.iter().all(|r| r.starts_with("malformed")), "{reasons:?}");
    let counted = stack.metric(Service::Worker, "weatherglass_worker_dead_letters_total", "malformed").await;
    assert_eq!(counted, reasons.len() as f64);
}

#[tokio::test]
async fn entries_behind_one_that_kills_are_not_given_up_with_it() {
    let mut stack = Stack::start().await;
    let redis = stack.connect_redis().await;
    let station = StationId::new("S0").unwrap();
    let stream = redis.keys().obs(redis.keys().partition_of(&station));
    // The worker must have made its groups, and be gone, before a ghost takes entries and dies.
    let begin = Time::now() - 3600;
    stack.post_one(&observation("S0", begin, 1.0)).await;
    stack.settled().await;
    stack.kill(Service::Worker);
    for minute in 1..=10 {
        stack.post_one(&observation("S0", begin + minute * 60, 1.0)).await;
    }
    let read = redis_cli(&stack, &["XREADGROUP", "GROUP", "forecast", "ghost", "STREAMS", &stream, ">"]);
    let ids: Vec<&str> = read.lines().map(str::trim).filter(|l| l.parse::<streams::StreamId>().is_ok()).collect();
    assert_eq!(ids.len(), 10, "{read}");
    redis_cli(&stack, &["XCLAIM", &stream, "forecast", "ghost", "0", ids[0], "RETRYCOUNT", "9"]);
    stack.spawn(Service::Worker);
    stack.settled().await;
    let reasons = dead_letters(&redis).await;
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("deliveries"), "{reasons:?}");
    let times = window_times(&redis, "S0").await;
    assert_eq!(times.len(), 10, "the first and the nine behind the bad one");
    eventually("the newest is in the forecast", || async {
        let (_, forecast) = stack.get("/api/v1/stations/S0/forecast").await;
        forecast["reference_time"] == (begin + 600).to_string()
    })
    .await;
    // What was given up without a fault of its own is put back, and has its effect.
    let (status, told) = dead_letters_command(&stack, &["replay", "--all", "--reason", "deliveries"]);
    assert!(status && told.contains("is in its stream again"), "{told}");
    stack.settled().await;
    assert_eq!(window_times(&redis, "S0").await.len(), 11);
    assert!(dead_letters(&redis).await.is_empty());
}

fn dead_letters_command(stack: &Stack, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.args(["dead-letters", "--redis-port", &stack.redis.port().to_string()]).args(arguments);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    (output.status.success(), text)
}

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_and_dropped() {
    let stack = Stack::start().await;
    let redis = stack.connect_redis().await;
    let port = stack.redis.port().to_string();
    let astray = observation("S0", Time::now(), 11.5);
    let right = redis.keys().partition_of(&astray.station);
    let wrong = (right + 1) % redis.keys().partitions();
    let received = streams::Received { observation: astray, flags: weather::Flags::default(), received: 1 };
    let bytes = streams::Entry::Observation(received).encode();
    let mut add = Command::new("redis-cli");
    add.args(["-p", &port, "-x", "XADD", &redis.keys().obs(wrong), "*", "v"]).stdin(std::process::Stdio::piped());
    let mut child = add.stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
    assert!(child.wait().unwrap().success());
    redis_cli(&stack, &["XADD", &redis.keys().obs(right), "*", "other", "field"]);
    stack.settled().await;

    let (_, list) = dead_letters_command(&stack, &["list"]);
    assert!(list.contains("2 dead letters") && list.contains("malformed"), "{list}");
    let (_, list) = dead_letters_command(&stack, &["list", "--reason", "wrong_partition", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    let id = listed["id"].as_str().unwrap();
    let (_, shown) = dead_letters_command(&stack, &["show", id]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["content"]["observation"]["station"], "S0");
    assert!(shown["reason"].as_str().unwrap().contains(&format!("belongs to partition {right}")), "{shown}");
    assert!(shown["deliveries"] == 1 && shown["worker"].as_str().unwrap().contains('#'), "{shown}");

    // Put back as it was it goes astray again; nothing of it reaches the window.
    assert!(dead_letters_command(&stack, &["replay", id]).0);
    stack.settled().await;
    assert!(window_times(&redis, "S0").await.is_empty());
    let (found, told) = dead_letters_command(&stack, &["show", id]);
    assert!(!found && told.contains("there is no such dead letter"), "{told}");
    let (status, told) = dead_letters_command(&stack, &["drop", "--all"]);
    assert!(status && told.lines().count() == 2, "{told}");
    let (_, list) = dead_letters_command(&stack, &["list"]);
    assert!(list.contains("0 dead letters"), "{list}");
    let (status, told) = dead_letters_command(&stack, &["drop", "seven"]);
    assert!(!status && told.contains("is not a dead letter such as"), "{told}");
}
