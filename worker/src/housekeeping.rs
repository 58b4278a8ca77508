//! Beside the pipeline: trimming streams, and measuring how far behind we are.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, gauge};
use streams::lease::Lease;
use streams::{Error, Redis};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::health::Health;
use crate::metrics;

const MEASURE: Duration = Duration::from_secs(2);
/// Trimming is done at every so many measurements.
const TRIM_EVERY: u32 = 30;

/// Runs until shutdown.
pub(crate) async fn run(
    redis: Redis,
    leases: watch::Receiver<Vec<Lease>>,
    retention: Duration,
    health: Arc<Health>,
    shutdown: CancellationToken,
) {
    let mut round = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(MEASURE) => {}
            () = shutdown.cancelled() => return,
        }
        let owned = leases.borrow().clone();
        let trim = round % TRIM_EVERY == TRIM_EVERY - 1;
        round += 1;
        if let Err(error) = measure(&redis, &owned, &health).await {
            metrics::redis_error(&error);
        }
        if trim && let Err(error) = trim_all(&redis, &owned, retention).await {
            metrics::redis_error(&error);
            warn!(%error, "streams were not trimmed");
        }
    }
}

async fn measure(redis: &Redis, owned: &[Lease], health: &Health) -> Result<(), Error> {
    let (mut pending, mut dead, mut oldest) = (0, 0, None);
    for lease in owned {
        let backlog = redis.backlog(lease.partition).await?;
        pending += backlog.pending;
        dead += redis.dead_count(lease.partition).await?;
        oldest = [oldest, backlog.oldest.map(|id| id.milliseconds)].into_iter().flatten().min();
    }
    let now = now_milliseconds();
    let age = oldest.map_or(0.0, |arrived| now.saturating_sub(arrived) as f64 / 1000.0);
    gauge!(metrics::PENDING).set(pending as f64);
    gauge!(metrics::DEAD).set(dead as f64);
    gauge!(metrics::OLDEST).set(age);
    health.set_oldest(age as i64);
    Ok(())
}

/// Tries every partition; the last failure is returned.
async fn trim_all(redis: &Redis, owned: &[Lease], retention: Duration) -> Result<(), Error> {
    let bound = now_milliseconds().saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX));
    let mut outcome = Ok(());
    for lease in owned {
        for (stream, trimmed) in [
            ("obs", redis.trim_obs(lease.partition, bound).await),
            ("forecast", redis.trim_forecasts(lease.partition, bound).await),
        ] {
            match trimmed {
                Ok(count) => counter!(metrics::TRIMMED, "stream" => stream).increment(count),
                Err(error) => outcome = Err(error),
            }
        }
    }
    outcome
}

fn now_milliseconds() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
