//! The same binaries on a Redis Cluster: three primaries and three replicas on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::collections::{BTreeMap, HashSet};
use std::process::Command;
use std::time::{Duration, Instant};

use stack::{Service, Stack, eventually, free_port, observation};
use streams::server::RedisServer;
use streams::tail::Payload;
use streams::{
    Appender, Contact, KeyRecord, Knock, Log, Outcome, Redis, RedisConfig, Refused, Registration, Scope, Verdict,
};
use weather::{Observation, Station, StationId, Time};

struct Cluster(Vec<RedisServer>);

impl Cluster {
    /// Three primaries, each with a replica.
    async fn start() -> Self {
        let node = |_| {
            // Its bus would be 10000 above its port, which may be no port at all.
            let bus = free_port().to_string();
            let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1500"];
            RedisServer::temporary_with(&settings).unwrap()
        };
        let cluster = Self((0..6).map(node).collect());
        let nodes = cluster.0.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(nodes).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let created = create.output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        eventually("the cluster is whole", || async {
            cluster.0.iter().all(|node| {
                let info = ask(node, &["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            }) && cluster.0.iter().filter(|node| is_connected_replica(node)).count() == 3
        })
        .await;
        cluster
    }

    fn url(&self) -> String {
        let nodes: Vec<String> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Kills a primary; it comes back, by then as a replica, when another has taken its place.
    fn kill_primary(&mut self) -> Instant {
        self.0.sort_by_key(|node| !ask(node, &["ROLE"]).starts_with("master"));
        self.0[0].kill();
        Instant::now() + Duration::from_secs(4)
    }
}

fn ask(node: &RedisServer, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &node.port().to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_connected_replica(node: &RedisServer) -> bool {
    let info = ask(node, &["INFO", "replication"]);
    info.contains("role:slave") && info.contains("master_link_status:up")
}

fn load() -> Vec<Observation> {
    let begin = Time::now() - 3600 * 10;
    let report = |n: i64, s: usize| observation(&format!("S{s}"), begin + n * 600, (n % 40) as f32 / 2.0);
    (0..60).flat_map(|n| (0..12).map(move |s| report(n, s))).collect()
}

/// Posts one after another until each is accepted, killing a primary half way.
async fn post_all(stack: &Stack, cluster: &mut Cluster, load: &[Observation]) {
    let mut returns: Option<Instant> = None;
    for (at, observation) in load.iter().enumerate() {
        if at == load.len() / 2 {
            returns = Some(cluster.kill_primary());
        }
        loop {
            if returns.is_some_and(|at| Instant::now() > at) {
                returns = None;
                cluster.0[0].restart().unwrap();
            }
            let (status, receipt) = stack.post(serde_json::to_vec(observation).unwrap(), "application/json").await;
            if status == 202 {
                break;
            }
            assert_eq!(status, 503, "{receipt}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(returns.is_none(), "nobody noticed that a primary was gone");
}

/// Every observation is in its window, every forecast has a cause of its own that is in the stream.
async fn account(redis: &Redis, load: &[Observation]) {
    let mut expected: BTreeMap<&StationId, Vec<Time>> = BTreeMap::new();
    load.iter().for_each(|o| expected.entry(&o.station).or_default().push(o.time));
    for (station, times) in expected {
        let window = redis.windows(std::slice::from_ref(station)).await.unwrap().windows.remove(0);
        assert_eq!(window.samples().iter().map(|s| s.time).collect::<Vec<_>>(), times, "the window of {station}");
    }
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let past = redis.since(&partitions, 0, 10_000).await.unwrap();
    let entries: HashSet<String> =
        past.updates.iter().filter(|u| u.log == Log::Observations).map(|u| u.id.to_string()).collect();
    let mut causes = HashSet::new();
    for update in past.updates {
        let Ok(Payload::Forecast(forecast)) = update.payload else { continue };
        assert!(entries.contains(&forecast.cause), "a forecast without its observation");
        let cause = (forecast.station.clone(), forecast.cause.clone());
        assert!(causes.insert(cause), "two forecasts of one observation: {} {}", forecast.station, forecast.cause);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_is_killed_in_mid_load() {
    let mut cluster = Cluster::start().await;
    let wait = "--wait-replicas=1";
    let stack = Stack::start_at(&cluster.url(), &[(Service::Ingest, wait)]).await;
    let load = load();
    post_all(&stack, &mut cluster, &load).await;
    stack.settled().await;
    let redis = stack.connect_redis().await;
    assert!(redis.is_cluster());
    account(&redis, &load).await;
    let last = load.last().unwrap();
    eventually("the api has the last forecast", || async {
        let (_, forecast) = stack.get(&format!("/api/v1/stations/{}/forecast", last.station)).await;
        forecast["reference_time"] == last.time.to_string()
    })
    .await;
}

#[tokio::test]
async fn what_disagrees_with_redis_is_refused() {
    let node = RedisServer::temporary_with(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]);
    let node = node.unwrap();
    let refusal = async |config: &RedisConfig| Redis::connect(config).await.err().unwrap().to_string();
    assert!(refusal(&node.config()).await.contains("redis+cluster://"));
    let server = RedisServer::temporary().unwrap();
    let alone = RedisConfig {
        redis_url: Some(format!("redis+cluster://127.0.0.1:{}", server.port())),
        ..RedisConfig::default()
    };
    assert!(refusal(&alone).await.contains("is not a cluster"), "{}", refusal(&alone).await);
    Redis::connect(&RedisConfig { deployment: "alps".into(), partitions: Some(8), ..server.config() }).await.unwrap();
    let other = refusal(&server.config()).await;
    assert!(other.contains("\"alps\"") && other.contains("--key-prefix"), "{other}");
    let many = refusal(&RedisConfig { deployment: "alps".into(), partitions: Some(16), ..server.config() }).await;
    assert!(many.contains("--partitions 8"), "{many}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_keeps_to_partitions_and_slots() {
    let cluster = Cluster::start().await;
    let config = RedisConfig { redis_url: Some(cluster.url()), ..RedisConfig::default() };
    let redis = Redis::connect(&config).await.unwrap();
    let ids: Vec<StationId> = (0..40).map(|n| StationId::new(&format!("S{n}")).unwrap()).collect();
    let (known, strangers) = ids.split_at(20);
    for id in known {
        redis.put_station(&Station::unregistered(id.clone())).await.unwrap();
    }
    let received = |id: &StationId| streams::Received {
        observation: observation(id.as_str(), Time::now(), 1.0),
        flags: weather::Flags::default(),
        received: 0,
    };
    let appender = Appender::with_registration(redis.clone(), Registration::Confirm);
    let outcomes = appender.append(&ids.iter().map(received).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(outcomes.iter().filter(|o| **o == Outcome::Unconfirmed).count(), 20);
    let refused = Refused { field: "station".into(), reason: "unconfirmed".into(), detail: String::new() };
    let verdict = Verdict::Rejected(refused);
    let contact = Contact { time: 1, door: "json".into(), remote: None, verdict, raw: String::new(), cut: false };
    let knock = |id: &StationId| Knock { station: id.clone(), contact: contact.clone(), refused: 1, listed: true };
    let written = redis.write_contacts(&ids.iter().map(knock).collect::<Vec<_>>(), 1000).await.unwrap();
    assert_eq!((written.written, redis.unconfirmed_count().await.unwrap()), (40, 20));
    assert_eq!(redis.unconfirmed().await.unwrap().len(), 20);
    assert_eq!(redis.refused_stations(100).await.unwrap().len(), 40);
    let key =
        KeyRecord { digest: [7; 32], scopes: vec![Scope::Station(ids[0].clone())], label: "k".into(), created: 0 };
    redis.put_key(&key).await.unwrap();
    assert_eq!(redis.key(&key.digest).await.unwrap(), Some(key.clone()));
    for id in &ids {
        assert!(redis.remove_station(id).await.unwrap(), "{id}");
    }
    assert_eq!((redis.key(&key.digest).await.unwrap(), redis.unconfirmed_count().await.unwrap()), (None, 0));
    assert!(redis.contacts(strangers).await.unwrap().iter().all(|contacts| contacts.last().is_none()));
}
