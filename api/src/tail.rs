//! Follows the streams on a connection of its own and feeds the hub.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};
use streams::{Error, Log, Partition, Redis, Tail};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weather::StationId;

use crate::health::Health;
use crate::hub::Hub;
use crate::metrics::{TAIL_LAG, UNREADABLE, UNREADABLE_STATE, redis_failed};

/// How long a read waits for new entries.
const BLOCK: Duration = Duration::from_secs(1);
/// How much later than that an answer means that Redis hangs.
const GRACE: Duration = Duration::from_secs(4);
/// The first wait after a failure; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Stations whose windows are looked up together.
const WINDOWS: usize = 32;
/// Entries of a backlog that are read together.
const BACKLOG: usize = 1000;

/// Loads the hub, then feeds it until `shutdown`. While Redis is away the hub keeps what it has,
/// and the tail goes on from where it stopped.
pub(crate) async fn follow(redis: Redis, hub: &Hub, health: &Health, shutdown: CancellationToken) {
    let work = async {
        let mut tail = begin(&redis, hub, health).await;
        loop {
            if let Err(error) = read(&mut tail, hub, health).await {
                failed(&error, health, "lost the tail of the streams; what is known stays, and it is tried again");
                reconnect(&mut tail, health).await;
                info!("follows the streams again");
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

fn failed(error: &Error, health: &Health, message: &'static str) {
    redis_failed(error);
    health.failed(error);
    warn!(%error, kind = error.label(), "{message}");
}

async fn begin(redis: &Redis, hub: &Hub, health: &Health) -> Tail {
    let mut retry = Retry::default();
    loop {
        match load(redis, hub).await {
            Ok(tail) => {
                health.loaded();
                return tail;
            }
            Err(error) => failed(&error, health, "could not load the state; it is tried again"),
        }
        retry.wait().await;
    }
}

/// The tail begins first, so that nothing falls between what it brings and what is looked up.
async fn load(redis: &Redis, hub: &Hub) -> Result<Tail, Error> {
    let tail = Tail::from_end(redis.clone()).await?;
    hub.begin(tail.position());
    for partition in 0..redis.keys().partitions() {
        let state = redis.partition_state(partition).await?;
        let stations: Vec<StationId> = state.newest.iter().map(|r| r.observation.station.clone()).collect();
        hub.load(state);
        for chunk in stations.chunks(WINDOWS) {
            learn_cadences(redis, hub, chunk).await?;
        }
        load_backlog(redis, hub, partition).await?;
    }
    Ok(tail)
}

async fn learn_cadences(redis: &Redis, hub: &Hub, stations: &[StationId]) -> Result<(), Error> {
    let read = redis.windows(stations).await?;
    if read.unreadable > 0 {
        // How often those stations report is learnt again from what arrives.
        counter!(UNREADABLE, "reason" => UNREADABLE_STATE).increment(read.unreadable as u64);
        warn!(hours = read.unreadable, "hours of windows are unreadable and left out");
    }
    for (station, window) in stations.iter().zip(&read.windows) {
        let samples = window.samples();
        let times: Vec<_> = samples[samples.len().saturating_sub(12)..].iter().map(|s| s.time).collect();
        hub.learn_cadence(station, &times);
    }
    Ok(())
}

/// The newest observations are written by the workers: what they have yet to process stands only
/// in the stream, before the tail's beginning.
async fn load_backlog(redis: &Redis, hub: &Hub, partition: Partition) -> Result<(), Error> {
    let Some(oldest) = redis.backlog(partition).await?.oldest else { return Ok(()) };
    let mut from = oldest.milliseconds;
    loop {
        let past = redis.since(&[partition], from, BACKLOG).await?;
        let observations = past.updates.iter().filter(|u| u.log == Log::Observations);
        let (count, last) = observations.fold((0, from), |(count, _), u| (count + 1, u.id.milliseconds));
        past.updates.into_iter().for_each(|update| hub.apply_past(update));
        if count < BACKLOG {
            return Ok(());
        }
        // More entries in one millisecond than are read together can't be told apart by time.
        from = if last == from { from + 1 } else { last };
    }
}

async fn read(tail: &mut Tail, hub: &Hub, health: &Health) -> Result<(), Error> {
    let read = tokio::time::timeout(BLOCK + GRACE, tail.next(BLOCK)).await;
    let found = read.unwrap_or_else(|_| Err(Error::Unavailable("no answer to a blocking read".to_owned())))?;
    health.answered();
    let last = found.updates.last().map(|u| u.id.milliseconds);
    for update in found.updates {
        hub.apply(update, found.complete_to);
        // A batch of thousands must not keep sessions from being written to.
        tokio::task::coop::consume_budget().await;
    }
    hub.advance(found.complete_to);
    gauge!(TAIL_LAG).set(last.map_or(0.0, lag));
    Ok(())
}

/// Seconds since an entry arrived, by our clock and Redis's.
fn lag(arrived: u64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(arrived)).as_secs_f64()
}

async fn reconnect(tail: &mut Tail, health: &Health) {
    let mut retry = Retry::default();
    loop {
        retry.wait().await;
        match tail.reconnect().await {
            Ok(()) => return,
            Err(error) => {
                redis_failed(&error);
                health.failed(&error);
            }
        }
    }
}

/// Waits that double, half of each random: processes that lost Redis together come back apart.
struct Retry {
    wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { wait: FIRST_RETRY }
    }
}

impl Retry {
    async fn wait(&mut self) {
        let half = self.wait / 2;
        tokio::time::sleep(half + half.mul_f64(jitter())).await;
        self.wait = (self.wait * 2).min(LAST_RETRY);
    }
}

/// Between 0 and 1; the seed of hash maps is random enough to tell processes apart.
fn jitter() -> f64 {
    let bits = RandomState::new().hash_one(0u8);
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
