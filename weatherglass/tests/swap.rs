//! Model versions come and go under a running stream: damaged ones are refused and counted, a good
//! one takes over, and no observation notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use stack::{Service, Stack, eventually, observation, repository};
use streams::tail::Payload;
use streams::{Log, Redis};
use tokio::task::JoinHandle;
use weather::{Observation, Time};

const REFUSED: &str = "weatherglass_worker_refused_models_total";
const MODEL: &str = "weatherglass_worker_model_info";
const STATIONS: usize = 6;

/// The version that serves; its judged twin stands beside it.
fn newest(known: Vec<models::VersionInfo>) -> models::VersionInfo {
    known.into_iter().rfind(|v| v.id.name == models::DEFAULT_MODEL).unwrap()
}

/// A weights folder of its own, in which versions are copies of the committed one.
struct Weights(tempfile::TempDir);

impl Weights {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn add(&self, version: &str) -> PathBuf {
        self.add_with(version, |_| {})
    }

    /// Damaged out of sight and then moved into place, as a copy that is whole looks.
    fn add_with(&self, version: &str, damage: impl FnOnce(&Path)) -> PathBuf {
        let from = newest(models::versions(&repository().join("models/weights")));
        let made = self.0.path().join(version);
        fs::create_dir_all(&made).unwrap();
        for file in fs::read_dir(&from.folder).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), made.join(file.file_name())).unwrap();
        }
        let quoted = |version: &str| format!("version = \"{version}\"");
        edit(&made, &quoted(&from.id.version), &quoted(version));
        damage(&made);
        let to = self.0.path().join("weatherglass").join(version);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(made, &to).unwrap();
        to
    }
}

/// Changes a version's manifest.
fn edit(version: &Path, from: &str, to: &str) {
    let manifest = version.join("manifest.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(manifest, text.replacen(from, to, 1)).unwrap();
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers that this network never gave, under a checksum that is right.
fn another_golden(version: &Path) {
    let golden = version.join("golden.bin");
    let before = sha256(&fs::read(&golden).unwrap());
    change(&golden, |bytes| bytes[..4].copy_from_slice(&9.0f32.to_le_bytes()));
    edit(version, &before, &sha256(&fs::read(golden).unwrap()));
}

/// Observations posted one after another until it is told to stop.
struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<Vec<Observation>>,
}

impl Stream {
    fn start(stack: &Stack) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (client, url) = (stack.client.clone(), format!("{}/v1/observations", stack.url(Service::Ingest)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            let (begin, mut posted) = (Time::now() - 3600 * 20, Vec::new());
            while !stopped.load(Ordering::SeqCst) {
                let n = posted.len();
                let time = begin + (n / STATIONS) as i64;
                let observation = observation(&format!("S{}", n % STATIONS), time, (n % 40) as f32 / 2.0);
                let answer = client.post(&url).json(&observation).send().await.unwrap();
                assert_eq!(answer.status(), 202);
                posted.push(observation);
                count.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            posted
        });
        Self { stop, sent, task }
    }

    /// So many more are posted.
    async fn goes_on(&self, more: usize) {
        let goal = self.sent.load(Ordering::SeqCst) + more;
        eventually("the stream goes on", || async { self.sent.load(Ordering::SeqCst) >= goal }).await;
    }

    async fn end(self) -> Vec<Observation> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Every observation is in its window, and caused one forecast or was conflated; returns how many
/// forecasts each version made, and how often the version changed within a station.
async fn account(stack: &Stack, posted: &[Observation]) -> (BTreeMap<String, usize>, usize) {
    let redis = stack.connect_redis().await;
    windows_hold(&redis, posted).await;
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let past = redis.since(&partitions, 0, 1_000_000).await.unwrap();
    let entries: BTreeSet<String> =
        past.updates.iter().filter(|u| u.log == Log::Observations).map(|u| u.id.to_string()).collect();
    assert_eq!(entries.len(), posted.len());
    let (mut causes, mut made, mut changes, mut newest) = (HashSet::new(), BTreeMap::new(), 0, BTreeMap::new());
    for update in past.updates {
        let Ok(Payload::Forecast(forecast)) = update.payload else { continue };
        assert!(entries.contains(&forecast.cause), "a forecast without its observation");
        assert!(causes.insert(forecast.cause.clone()), "two forecasts of one observation");
        *made.entry(forecast.model.version.clone()).or_default() += 1;
        let before = newest.insert(forecast.station.clone(), forecast.model.version.clone());
        changes += usize::from(before.is_some_and(|version| version != forecast.model.version));
    }
    let conflated = stack.metric(Service::Worker, "weatherglass_worker_conflated_observations_total", "").await;
    assert_eq!(causes.len() + conflated as usize, posted.len(), "forecasts and conflated observations");
    for partition in partitions {
        assert!(redis.dead_letters(partition, None).await.unwrap().is_empty());
    }
    (made, changes)
}

async fn windows_hold(redis: &Redis, posted: &[Observation]) {
    for station in 0..STATIONS {
        let id = weather::StationId::new(&format!("S{station}")).unwrap();
        let expected: Vec<Time> = posted.iter().filter(|o| o.station == id).map(|o| o.time).collect();
        let window = redis.windows(std::slice::from_ref(&id)).await.unwrap().windows.remove(0);
        assert_eq!(window.samples().iter().map(|s| s.time).collect::<Vec<_>>(), expected, "the window of {id}");
    }
}

async fn serves(stack: &Stack, version: &str) {
    let label = format!("version=\"{version}\"");
    eventually(&format!("{version} serves"), || async {
        stack.metric(Service::Worker, MODEL, &label).await == 1.0
            && stack.metric(Service::Worker, MODEL, "").await == 1.0
    })
    .await;
    assert!(stack.readiness().await.contains(&format!("model weatherglass {version}\n")));
}

#[tokio::test]
async fn damaged_versions_are_refused_and_a_good_one_takes_over_in_mid_stream() {
    let weights = Weights::new();
    weights.add("0.9.0");
    let models = format!("--models={}", weights.0.path().display());
    let stack = Stack::start_with(&[(Service::Worker, &models), (Service::Worker, "--model-poll=1")]).await;
    serves(&stack, "0.9.0").await;
    let stream = Stream::start(&stack);
    stream.goes_on(30).await;

    let truncated = weights.add_with("0.9.1", |v| change(&v.join("weights.bpk"), |b| b.truncate(b.len() / 2)));
    weights.add_with("0.9.2", |v| change(&v.join("weights.bpk"), |b| b[100_000] ^= 1));
    weights.add_with("0.9.3", |v| edit(v, "features = \"hourly", "features = \"daily"));
    weights.add_with("0.9.4", |v| edit(v, "latent = ", "latent = 1"));
    weights.add_with("0.9.5", another_golden);
    let reasons = [("checksum", 2.0), ("architecture", 1.0), ("weights", 1.0), ("golden", 1.0)];
    for (reason, count) in reasons {
        eventually(&format!("{reason} refused"), || async {
            stack.metric(Service::Worker, REFUSED, &format!("reason=\"{reason}\"")).await == count
        })
        .await;
    }
    // The stream goes on under the old version, and what was refused is not tried at every look.
    stream.goes_on(200).await;
    serves(&stack, "0.9.0").await;
    assert_eq!(stack.metric(Service::Worker, REFUSED, "").await, 5.0);

    // The copy that had stopped half-way is completed: it is tried again, and serves.
    fs::copy(weights.0.path().join("weatherglass/0.9.0/weights.bpk"), truncated.join("weights.bpk")).unwrap();
    serves(&stack, "0.9.1").await;
    stream.goes_on(100).await;
    // Ten comes after nine. What runs may be taken away meanwhile.
    fs::remove_dir_all(truncated).unwrap();
    weights.add("0.10.0");
    serves(&stack, "0.10.0").await;
    stream.goes_on(100).await;
    assert_eq!(stack.metric(Service::Worker, REFUSED, "").await, 5.0);
    assert_eq!(stack.metric(Service::Worker, "weatherglass_worker_model_swaps_total", "").await, 2.0);

    let posted = stream.end().await;
    stack.settled().await;
    let (made, changes) = account(&stack, &posted).await;
    assert_eq!(made.keys().collect::<Vec<_>>(), ["0.10.0", "0.9.0", "0.9.1"], "forecasts carry their version");
    assert_eq!(changes, 2 * STATIONS, "every station goes from one version to the next, once each");
}

#[tokio::test]
async fn a_hangup_looks_at_once_and_a_pinned_version_stays() {
    let weights = Weights::new();
    weights.add("0.9.0");
    let models = format!("--models={}", weights.0.path().display());
    let mut stack = Stack::start_with(&[(Service::Worker, &models), (Service::Worker, "--model-poll=0")]).await;
    weights.add("0.10.0");
    stack.signal(Service::Worker, "-HUP");
    serves(&stack, "0.10.0").await;
    // A damaged version above it must not keep a worker from starting again.
    weights.add_with("0.11.0", another_golden);
    stack.restart(Service::Worker).await;
    serves(&stack, "0.10.0").await;
    assert_eq!(stack.metric(Service::Worker, REFUSED, "reason=\"golden\"").await, 1.0);
    stack.tell(Service::Worker, "--model-version=0.9.0");
    stack.restart(Service::Worker).await;
    serves(&stack, "0.9.0").await;
    stack.signal(Service::Worker, "-HUP");
    tokio::time::sleep(Duration::from_secs(1)).await;
    serves(&stack, "0.9.0").await;
}
