//! The Redis contract against a real redis-server.

// clippy.toml excuses test functions, not what they share.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use streams::commit::{Batch, Committed, WindowField};
use streams::server::RedisServer;
use streams::tail::Payload;
use streams::{Appender, Entry, Error, GroupReader, Outcome, Received, Redis, Tail};
use weather::{Flags, Observation, Station, StationId, Time, Variable};

async fn start() -> (RedisServer, Redis) {
    let server = RedisServer::temporary().unwrap();
    let redis = Redis::connect(&server.config()).await.unwrap();
    (server, redis)
}

fn id(text: &str) -> StationId {
    StationId::new(text).unwrap()
}

fn received(station: &str, time: i64, temperature: f32) -> Received {
    let values = [(Variable::Temperature, temperature)].into_iter().collect();
    let observation = Observation { station: id(station), time: Time::from_unix(time), values, source: None };
    Received { observation, flags: Flags::default(), received: 1 }
}

#[tokio::test]
async fn partitions_are_fixed_at_first_start() {
    let server = RedisServer::temporary().unwrap();
    let mut config = server.config();
    config.partitions = Some(4);
    assert_eq!(Redis::connect(&config).await.unwrap().keys().partitions(), 4);
    config.partitions = None;
    assert_eq!(Redis::connect(&config).await.unwrap().keys().partitions(), 4);
    config.partitions = Some(8);
    let refused = Redis::connect(&config).await.map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Partitions { stored: 4, configured: 8 });
}

#[tokio::test]
async fn an_absent_redis_is_unavailable() {
    let config = streams::RedisConfig { redis_port: 1, ..Default::default() };
    assert!(matches!(Redis::connect(&config).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_resent_report_is_a_duplicate_and_a_changed_one_is_not() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    let batch: Vec<Received> = (0..1000).map(|n| received(&format!("S{}", n % 50), n * 60, 1.0)).collect();
    let first = appender.append(&batch).await.unwrap();
    assert!(first.iter().all(|o| matches!(o, Outcome::Accepted(_))));
    assert_eq!(appender.append(&batch).await.unwrap(), vec![Outcome::Duplicate; 1000]);
    // Another process has no memory of its own and must see the same.
    let other = Appender::new(redis.clone());
    assert_eq!(other.append(&batch[..1]).await.unwrap(), [Outcome::Duplicate]);
    let corrected = received("S0", 0, 1.5);
    assert!(matches!(appender.append(&[corrected]).await.unwrap()[..], [Outcome::Accepted(_)]));
    // Back to the first value: a second correction, not a report seen before.
    assert!(matches!(appender.append(&batch[..1]).await.unwrap()[..], [Outcome::Accepted(_)]));
    assert_eq!(appender.append(&batch[..1]).await.unwrap(), [Outcome::Duplicate]);
    let mut stations = 0;
    for partition in 0..redis.keys().partitions() {
        stations += redis.partition_state(partition).await.unwrap().stations.len();
    }
    assert_eq!(stations, 50);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_handed_out_again() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    appender.append(&[received("A", 0, 1.0), received("A", 60, 2.0)]).await.unwrap();
    let partition = redis.keys().partition_of(&id("A"));
    let mut reader = GroupReader::open(redis.clone(), "one").await.unwrap();
    reader.ensure_group(partition).await.unwrap();
    reader.ensure_group(partition).await.unwrap();
    let read = reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap();
    assert_eq!(read.len(), 2);
    assert!(reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap().is_empty());

    let successor = GroupReader::open(redis.clone(), "two").await.unwrap();
    let pending = successor.pending(partition).await.unwrap();
    assert!(pending.iter().all(|p| p.deliveries == 1 && !p.ours));
    let claimed = successor.claim(&pending).await.unwrap();
    assert_eq!(claimed.iter().map(|d| d.id).collect::<Vec<_>>(), read.iter().map(|d| d.id).collect::<Vec<_>>());
    assert!(claimed.iter().all(|d| d.deliveries == 2));
    // Tried again by the same living process, an entry does not look like one that kills.
    let again = successor.claim(&successor.pending(partition).await.unwrap()).await.unwrap();
    assert!(again.iter().all(|d| d.deliveries == 2));
    assert_eq!(redis.backlog(partition).await.unwrap().oldest, Some(read[0].id));

    let lease = redis.acquire(partition, "two", Duration::from_secs(5)).await.unwrap().unwrap();
    let batch = Batch { acknowledged: vec![read[0].id, read[1].id], ..Batch::default() };
    assert_eq!(redis.commit(&lease, &batch, None).await.unwrap(), Committed::Done { acknowledged: 2, commits: 1 });
    assert!(successor.pending(partition).await.unwrap().is_empty());
    successor.forget_consumers(partition).await.unwrap();
    assert_eq!(redis.backlog(partition).await.unwrap().oldest, None);
}

/// A report and its correction wait in a spool and are handed over twice, since the spool was not told of
/// the first time: what "seen" knows alone would let both in again.
#[tokio::test]
async fn what_a_spool_hands_over_twice_is_accepted_once() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    let waited = [received("A", 0, 1.0), received("A", 0, 2.0), received("A", 60, 1.0)];
    let positions = ["7.0", "7.1", "8.0"].map(str::to_owned);
    let spool = streams::Spooled { name: "one", positions: &positions };
    let first = appender.append_from(&spool, &waited).await.unwrap();
    assert!(first.iter().all(|o| matches!(o, Outcome::Accepted(_))));
    assert_eq!(appender.append_from(&spool, &waited).await.unwrap(), [Outcome::Duplicate; 3]);
    // What comes after it is let in, also when it goes back to what was before; so is another spool's.
    let later = streams::Spooled { name: "one", positions: &["9.0".to_owned()] };
    assert!(matches!(appender.append_from(&later, &waited[..1]).await.unwrap()[..], [Outcome::Accepted(_)]));
    let other = streams::Spooled { name: "two", positions: &positions[..1] };
    assert!(matches!(appender.append_from(&other, &waited[1..2]).await.unwrap()[..], [Outcome::Accepted(_)]));
}

#[tokio::test]
async fn a_commit_is_all_once_or_nothing() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    appender.append(&[received("A", 0, 1.0)]).await.unwrap();
    let partition = redis.keys().partition_of(&id("A"));
    let mut reader = GroupReader::open(redis.clone(), "w").await.unwrap();
    reader.ensure_group(partition).await.unwrap();
    let read = reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap();

    let mut window = weather::Window::default();
    window.apply(&received("A", 0, 1.0).observation, Flags::default());
    let batch = Batch {
        acknowledged: vec![read[0].id],
        windows: vec![WindowField { station: id("A"), hour: 0, bytes: window.pack_hour(0) }],
        newest: vec![(id("A"), read[0].bytes.clone())],
        ..Batch::default()
    };
    let zombie = redis.acquire(partition, "zombie", Duration::from_millis(30)).await.unwrap().unwrap();
    assert_eq!(redis.acquire(partition, "new", Duration::from_secs(5)).await.unwrap(), None);
    tokio::time::sleep(Duration::from_millis(60)).await;
    let lease = redis.acquire(partition, "new", Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(redis.commit(&zombie, &batch, None).await, Err(Error::Fenced(partition)));
    // The owner remembers three commits that this Redis has lost: what it would write rests on them.
    assert_eq!(redis.commit(&lease, &batch, Some(3)).await, Err(Error::Diverged(partition)));
    assert_eq!(reader.pending(partition).await.unwrap().len(), 1);
    assert!(!redis.renew(&zombie, Duration::from_secs(5)).await.unwrap());
    redis.release(&zombie).await.unwrap();
    assert_eq!(redis.windows(&[id("A")]).await.unwrap().windows, [weather::Window::default()]);

    assert_eq!(redis.commit(&lease, &batch, Some(0)).await.unwrap(), Committed::Done { acknowledged: 1, commits: 1 });
    assert_eq!(redis.windows(&[id("A"), id("B")]).await.unwrap().windows, [window, weather::Window::default()]);
    // Sent again since its answer was lost: by one who knows what was before it, or nothing.
    for known in [Some(0), Some(1), None] {
        assert_eq!(redis.commit(&lease, &batch, known).await.unwrap(), Committed::Repeated { commits: 1 });
    }
    // A correction that was read while the report before it is pending with a zombie.
    appender.append(&[received("A", 0, 5.0), received("A", 0, 6.0)]).await.unwrap();
    let mut other = GroupReader::open(redis.clone(), "zombie").await.unwrap();
    let earlier = other.read(&[partition], 1, Duration::from_millis(10)).await.unwrap();
    let later = reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap();
    let ids = |read: &[streams::Delivery]| read.iter().map(|d| d.id).collect::<Vec<_>>();
    let overtaking = Batch { acknowledged: ids(&later), ..Batch::default() };
    assert_eq!(redis.commit(&lease, &overtaking, Some(1)).await, Err(Error::Overtaken(partition)));
    let both = Batch { acknowledged: [ids(&earlier), ids(&later)].concat(), ..Batch::default() };
    let done = Committed::Done { acknowledged: 2, commits: 2 };
    assert_eq!(redis.commit(&lease, &both, Some(1)).await.unwrap(), done);
    assert_eq!(redis.partition_state(partition).await.unwrap().newest, [received("A", 0, 1.0)]);
}

#[tokio::test]
async fn a_tail_brings_everything_after_it_began_and_the_past_is_still_there() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    appender.append(&[received("A", 0, 1.0)]).await.unwrap();
    let mut tail = Tail::from_end(redis.clone()).await.unwrap();
    let before = tail.position();
    appender.append(&[received("A", 60, 2.0), received("B", 60, 3.0)]).await.unwrap();
    let mut station = Station::unregistered(id("A"));
    station.name = "Ágnes-lak".into();
    appender.put_station(&station).await.unwrap();
    let mut found = Vec::new();
    while found.len() < 3 {
        let updates = tail.next(Duration::from_millis(500)).await.unwrap();
        assert!(updates.complete_to >= before);
        found.extend(updates.updates);
    }
    assert!(found.iter().any(|u| matches!(&u.payload, Ok(Payload::Entry(Entry::Station(s))) if *s == station)));
    assert_eq!(redis.stations(&[id("A"), id("C")]).await.unwrap(), [Some(station), None]);

    let all: Vec<u16> = (0..redis.keys().partitions()).collect();
    let past = redis.since(&all, before, 100).await.unwrap();
    assert!(past.complete);
    assert_eq!(past.updates.len(), 4);
    assert!(!redis.since(&all, before, 1).await.unwrap().complete);

    let partition = redis.keys().partition_of(&id("A"));
    let began = past.updates.iter().filter(|u| u.partition == partition).map(|u| u.id.milliseconds).min().unwrap();
    redis.trim_forecasts(partition, u64::MAX).await.unwrap();
    assert!(redis.since(&[partition], began, 100).await.unwrap().complete, "there was no forecast to trim");
}

#[tokio::test]
async fn trimming_stops_at_what_is_not_acknowledged() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    let partition = redis.keys().partition_of(&id("A"));
    let batch: Vec<Received> = (0..500).map(|n| received("A", n * 60, 1.0)).collect();
    appender.append(&batch).await.unwrap();
    let mut reader = GroupReader::open(redis.clone(), "w").await.unwrap();
    reader.ensure_group(partition).await.unwrap();
    assert_eq!(redis.trim_obs(partition, u64::MAX).await.unwrap(), 0, "nothing has been delivered");
    let read = reader.read(&[partition], 400, Duration::from_millis(10)).await.unwrap();
    let lease = redis.acquire(partition, "w", Duration::from_secs(5)).await.unwrap().unwrap();
    // All but the 301st are acknowledged.
    let acknowledged = read.iter().enumerate().filter(|(n, _)| *n != 300).map(|(_, d)| d.id).collect();
    redis.commit(&lease, &Batch { acknowledged, ..Batch::default() }, None).await.unwrap();
    let removed = redis.trim_obs(partition, u64::MAX).await.unwrap();
    assert!((200..=300).contains(&removed), "{removed} removed");
    assert!(!redis.since(&[partition], read[0].id.milliseconds, 10_000).await.unwrap().complete);
    assert_eq!(reader.pending(partition).await.unwrap()[0].id, read[300].id);
    assert_eq!(reader.read(&[partition], 400, Duration::from_millis(10)).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data_and_the_same_handle_goes_on() {
    let (mut server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    appender.append(&[received("A", 0, 1.0)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await; // appendfsync everysec
    server.kill();
    assert!(matches!(appender.append(&[received("A", 60, 1.0)]).await, Err(Error::Unavailable(_))));
    server.restart().unwrap();
    let mut tries = 0;
    let outcome = loop {
        match appender.append(&[received("A", 0, 1.0)]).await {
            Ok(outcome) => break outcome,
            Err(Error::Unavailable(_)) if tries < 50 => tries += 1,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(outcome, [Outcome::Duplicate]);
}

#[tokio::test]
async fn a_redis_without_its_data_is_told_again_and_another_one_is_refused() {
    let (server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    appender.append(&[received("S", 0, 1.0)]).await.unwrap();
    server.say("FLUSHALL").unwrap();
    server.say("SCRIPT FLUSH").unwrap();
    redis.settle_again().await.unwrap();
    appender.append(&[received("S", 60, 1.0)]).await.unwrap();
    assert!(redis.stations(&[id("S")]).await.unwrap()[0].is_some());
    assert_eq!(Redis::connect(&server.config()).await.unwrap().keys().partitions(), redis.keys().partitions());
    server.say("SET wg:partitions 3").unwrap();
    assert!(matches!(redis.settle_again().await, Err(Error::Partitions { stored: 3, .. })));
}

#[tokio::test]
async fn a_full_and_a_read_only_redis_say_so_and_let_in_who_only_asks() {
    let (server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    let one = [received("S", 0, 1.0)];
    server.say("CONFIG SET maxmemory 1").unwrap();
    let error = appender.append(&one).await.unwrap_err();
    assert!(matches!(error, Error::OutOfMemory(_)) && error.passes(), "{error:?}");
    assert!(redis.memory().await.unwrap().share() > 1.0);
    Redis::connect(&server.config()).await.unwrap();
    server.say("CONFIG SET maxmemory 0").unwrap();
    assert_eq!(redis.memory().await.unwrap().share(), 0.0);
    server.say("REPLICAOF 127.0.0.1 1").unwrap();
    let error = appender.append(&one).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly(_)) && error.passes(), "{error:?}");
    Redis::connect(&server.config()).await.unwrap().settle_again().await.unwrap();
    server.say("REPLICAOF NO ONE").unwrap();
    assert!(matches!(appender.append(&one).await.unwrap()[..], [Outcome::Accepted(_)]));
}
