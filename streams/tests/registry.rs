//! The registry against a real redis-server: who is let in, what is written down, what is forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

use std::time::Duration;

use streams::commit::{Batch, Committed, WindowField};
use streams::key_ring::{digest, generate};
use streams::server::RedisServer;
use streams::tail::Payload;
use streams::{
    Appender, Contact, Entry, GroupReader, KeyRecord, Knock, Outcome, Received, Redis, Refused, Registration, Scope,
    Tail, Verdict,
};
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

fn knock(station: &str, time: i64, refused: Option<&str>) -> Knock {
    let refusal = |reason: &str| Refused { field: "f".into(), reason: reason.to_owned(), detail: "d".into() };
    let contact = Contact {
        time,
        door: "json".into(),
        remote: Some("::1".into()),
        verdict: refused.map_or(Verdict::Accepted, |reason| Verdict::Rejected(refusal(reason))),
        raw: "{}".into(),
        cut: false,
    };
    Knock { station: id(station), contact, refused: u64::from(refused.is_some()), listed: refused.is_some() }
}

/// How many entries the stream of a station's partition has.
async fn length(redis: &Redis, station: &str) -> u64 {
    redis.backlog(redis.keys().partition_of(&id(station))).await.unwrap().length
}

#[tokio::test]
async fn who_is_not_registered_is_refused_in_the_step_that_would_append() {
    let (_server, redis) = start().await;
    let confirming = Appender::with_registration(redis.clone(), Registration::Confirm);
    confirming.put_station(&Station::unregistered(id("known"))).await.unwrap();
    let batch = [received("known", 0, 1.0), received("stranger", 0, 1.0), received("known", 60, 2.0)];
    let outcomes = confirming.append(&batch).await.unwrap();
    assert!(matches!(outcomes[..], [Outcome::Accepted(_), Outcome::Unconfirmed, Outcome::Accepted(_)]));
    assert_eq!(redis.stations(&[id("stranger")]).await.unwrap(), [None]);
    assert_eq!(length(&redis, "stranger").await, 0);
    // From a spool no less.
    let positions = ["1.0".to_owned(), "1.1".to_owned()];
    let spool = streams::Spooled { name: "s", positions: &positions };
    let waited = [received("stranger", 0, 1.0), received("stranger", 60, 1.0)];
    assert_eq!(confirming.append_from(&spool, &waited).await.unwrap(), [Outcome::Unconfirmed; 2]);
    // Once it is registered the very next report gets in, and what was refused was not seen.
    redis.put_station(&Station::unregistered(id("stranger"))).await.unwrap();
    assert!(matches!(confirming.append(&batch[1..2]).await.unwrap()[..], [Outcome::Accepted(_)]));
    // Another process that is open registers whom it meets, as ever.
    let open = Appender::new(redis.clone());
    assert!(matches!(open.append(&[received("new", 0, 1.0)]).await.unwrap()[..], [Outcome::Accepted(_)]));
    assert!(redis.stations(&[id("new")]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn contacts_tell_the_last_of_both_kinds_and_strangers_wait_to_be_accepted() {
    let (_server, redis) = start().await;
    redis.put_station(&Station::unregistered(id("A"))).await.unwrap();
    let first = [knock("A", 1000, None), knock("A", 2000, Some("bad_time")), knock("B", 1500, Some("unconfirmed"))];
    let written = redis.write_contacts(&first, 100).await.unwrap();
    assert_eq!((written.written, written.strangers, written.dropped), (3, 0, 0));
    redis.write_contacts(&[knock("B", 2500, Some("unconfirmed"))], 100).await.unwrap();
    let unlisted = Knock { listed: false, ..knock("C", 1, Some("not_allowed")) };
    assert_eq!(redis.write_contacts(&[unlisted, knock("D", 1, None)], 100).await.unwrap().strangers, 2);

    let [a, b, c] = &redis.contacts(&[id("A"), id("B"), id("C")]).await.unwrap()[..] else { panic!() };
    assert_eq!((a.accepted.as_ref().unwrap().time, a.last().unwrap().time), (1000, 2000));
    assert_eq!(a.rejected.as_ref(), Some(&knock("A", 2000, Some("bad_time")).contact));
    assert_eq!((b.accepted.as_ref(), c.last()), (None, None));
    let refused = redis.refused_stations(10).await.unwrap();
    assert_eq!(refused.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["B", "A"]);
    assert_eq!(redis.refused_stations(1).await.unwrap().len(), 1);
    redis.write_contacts(&[knock("A", 3000, None)], 100).await.unwrap();
    assert_eq!(redis.refused_stations(10).await.unwrap().len(), 1, "A has got in since");

    let waiting = redis.unconfirmed().await.unwrap();
    assert_eq!(waiting.len(), 1);
    let b = &waiting[0];
    assert_eq!((b.station.as_str(), b.first, b.last, b.refused), ("B", 1500, 2500, 2));
    redis.put_station(&Station::unregistered(id("B"))).await.unwrap();
    assert_eq!(redis.unconfirmed_count().await.unwrap(), 0);
    assert!(redis.contacts(&[id("B")]).await.unwrap()[0].rejected.is_some(), "why it was refused stays to be seen");
    // An open process that registers it takes it from the list as well.
    redis.write_contacts(&[knock("E", 1, Some("bad_time"))], 100).await.unwrap();
    Appender::new(redis.clone()).append(&[received("E", 0, 1.0)]).await.unwrap();
    assert_eq!(redis.unconfirmed_count().await.unwrap(), 0);
}

#[tokio::test]
async fn made_up_names_push_out_only_one_another() {
    let (_server, redis) = start().await;
    redis.put_station(&Station::unregistered(id("A"))).await.unwrap();
    redis.write_contacts(&[knock("A", 1, Some("bad_time"))], 64).await.unwrap();
    let mut dropped = 0;
    for round in 0..4 {
        let flood: Vec<Knock> =
            (0..100).map(|n| knock(&format!("S{round}-{n}"), round * 1000 + n, Some("unconfirmed"))).collect();
        dropped += redis.write_contacts(&flood, 64).await.unwrap().dropped;
    }
    let left = redis.unconfirmed().await.unwrap();
    assert!(left.len() <= 64 && left.len() as u64 + dropped == 400, "{} left, {dropped} dropped", left.len());
    assert!(left.iter().all(|u| u.last >= 3000), "the oldest went first");
    let gone = redis.contacts(&[id("S0-0"), id("A")]).await.unwrap();
    assert_eq!((gone[0].last(), gone[1].rejected.is_some()), (None, true));
}

#[tokio::test]
async fn a_removed_station_leaves_nothing_and_readers_are_told() {
    let (_server, redis) = start().await;
    let appender = Appender::new(redis.clone());
    let now = Time::now().unix();
    appender.append(&[received("A", now, 1.0), received("AB", now, 1.0)]).await.unwrap();
    redis.write_contacts(&[knock("A", 1, None), knock("A", 2, Some("bad_time"))], 10).await.unwrap();
    let key = |label: &str, scopes: &[&str]| KeyRecord {
        digest: digest(&generate()),
        scopes: scopes.iter().map(|s| s.parse().unwrap()).collect(),
        label: label.to_owned(),
        created: 0,
    };
    for record in [key("own", &["A"]), key("both", &["A", "AB"]), key("network", &["A*"])] {
        redis.put_key(&record).await.unwrap();
    }
    let partition = redis.keys().partition_of(&id("A"));
    let mut reader = GroupReader::open(redis.clone(), "w").await.unwrap();
    reader.ensure_group(partition).await.unwrap();
    let read = reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap();
    let mut tail = Tail::from_end(redis.clone()).await.unwrap();

    assert!(redis.remove_station(&id("A")).await.unwrap());
    let told = tail.next(Duration::from_millis(500)).await.unwrap().updates;
    assert!(
        matches!(&told[..], [one] if matches!(&one.payload, Ok(Payload::Entry(Entry::Removed(r))) if *r == id("A")))
    );
    assert!(!redis.remove_station(&id("A")).await.unwrap(), "and once only");
    assert_eq!(redis.stations(&[id("A"), id("AB")]).await.unwrap().iter().flatten().count(), 1);
    assert_eq!(redis.contacts(&[id("A")]).await.unwrap()[0].last(), None);
    let labels: Vec<String> = redis.key_ring().await.unwrap().into_iter().map(|record| record.label).collect();
    assert_eq!(labels, ["both", "network"]);

    // The worker had it in hand, and brings some of it back until it comes to the removal.
    let lease = redis.acquire(partition, "w", Duration::from_secs(5)).await.unwrap().unwrap();
    let field = WindowField { station: id("A"), hour: 0, bytes: vec![1] };
    let mut batch = Batch { acknowledged: read.iter().map(|d| d.id).collect(), ..Batch::default() };
    batch.windows.push(field.clone());
    batch.newest.push((id("A"), received("A", now, 1.0).observation.station.as_str().into()));
    redis.commit(&lease, &batch, None).await.unwrap();
    let rest = reader.read(&[partition], 10, Duration::from_millis(10)).await.unwrap();
    let mut batch = Batch { acknowledged: rest.iter().map(|d| d.id).collect(), ..Batch::default() };
    batch.removed.push(id("A"));
    let done = redis.commit(&lease, &batch, None).await.unwrap();
    assert!(matches!(done, Committed::Done { commits: 2, .. }));
    let state = redis.partition_state(partition).await.unwrap();
    assert_eq!((state.newest.len(), state.unreadable), (0, 0));
    let windows = redis.windows(&[id("A")]).await.unwrap();
    assert_eq!((windows.unreadable, windows.windows[0].samples().len()), (0, 0));
    // Back again: what it reported before is no duplicate, and others' still is.
    let again = appender.append(&[received("A", now, 1.0), received("AB", now, 1.0)]).await.unwrap();
    assert!(matches!(again[..], [Outcome::Accepted(_), Outcome::Duplicate]));
}

#[tokio::test]
async fn keys_are_found_by_their_digest_until_they_are_revoked() {
    let (server, redis) = start().await;
    let key = generate();
    let record = KeyRecord {
        digest: digest(&key),
        scopes: vec![Scope::Network("MESO-".into()), Scope::Station(id("A"))],
        label: "roof".into(),
        created: 7,
    };
    redis.put_key(&record).await.unwrap();
    assert_eq!(redis.key(&digest(&key)).await.unwrap(), Some(record.clone()));
    assert_eq!(redis.key(&digest("another")).await.unwrap(), None);
    assert_eq!(redis.key_ring().await.unwrap(), [record]);
    // redis-cli, not a socket of ours: the whole dump is to be looked at.
    let port = server.port().to_string();
    let dump = std::process::Command::new("redis-cli").args(["-p", &port, "HGETALL", "wg:keys"]).output().unwrap();
    let text = String::from_utf8_lossy(&dump.stdout).into_owned();
    assert!(text.contains("roof") && !text.contains(&key), "{text}");
    assert!(redis.drop_key(&digest(&key)).await.unwrap());
    assert!(!redis.drop_key(&digest(&key)).await.unwrap());
    assert_eq!(redis.key(&digest(&key)).await.unwrap(), None);
}
