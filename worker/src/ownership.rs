//! Which partitions are ours: leases that are renewed while we live and given back when we leave.
//!
//! A worker takes every partition that nobody holds. Redis refuses the commit of a lease that is
//! gone, so a worker that was paused for longer than its lease can do no harm.

use std::time::{Duration, Instant};

use ::metrics::gauge;
use streams::lease::Lease;
use streams::{Error, Redis};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics;

struct Held {
    lease: Lease,
    renewed: Instant,
}

/// Starts renewing; the receiver shows the leases held, the task ends after they are given back.
///
/// The leases are given back when the last receiver is gone, so that whoever commits under them
/// decides when.
pub(crate) fn start(
    redis: Redis,
    worker: String,
    time: Duration,
    shutdown: CancellationToken,
) -> (watch::Receiver<Vec<Lease>>, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let task = tokio::spawn(async move {
        let mut held: Vec<Held> = Vec::new();
        loop {
            renew(&redis, &mut held, time).await;
            if !shutdown.is_cancelled() {
                acquire(&redis, &mut held, &worker, time).await;
            }
            gauge!(metrics::PARTITIONS).set(held.len() as f64);
            sender.send_if_modified(|shown| {
                let now: Vec<Lease> = held.iter().map(|h| h.lease.clone()).collect();
                let changed = *shown != now;
                *shown = now;
                changed
            });
            tokio::select! {
                () = tokio::time::sleep(time / 3) => {}
                () = sender.closed() => break,
            }
        }
        for held in held {
            if let Err(error) = redis.release(&held.lease).await {
                // The others would wait as long for the same answer.
                warn!(%error, "leases were not given back and will expire");
                break;
            }
        }
    });
    (receiver, task)
}

async fn renew(redis: &Redis, held: &mut Vec<Held>, time: Duration) {
    let mut kept = Vec::with_capacity(held.len());
    for mut one in held.drain(..) {
        let asked = Instant::now();
        match redis.renew(&one.lease, time).await {
            Ok(true) => {
                one.renewed = asked;
                kept.push(one);
            }
            Ok(false) => warn!(partition = one.lease.partition, "a partition was taken over"),
            // Redis can't say. The lease is ours until its time has passed.
            Err(error) => {
                metrics::redis_error(&error);
                if one.renewed.elapsed() < time {
                    kept.push(one);
                }
            }
        }
    }
    *held = kept;
}

async fn acquire(redis: &Redis, held: &mut Vec<Held>, worker: &str, time: Duration) {
    let before = held.len();
    for partition in 0..redis.keys().partitions() {
        if held.iter().any(|h| h.lease.partition == partition) {
            continue;
        }
        let renewed = Instant::now();
        match redis.acquire(partition, worker, time).await {
            Ok(Some(lease)) => held.push(Held { lease, renewed }),
            Ok(None) => {}
            Err(error) => {
                metrics::redis_error(&error);
                // The others would wait as long for the same answer.
                if matches!(error, Error::Unavailable(_)) {
                    break;
                }
            }
        }
    }
    if held.len() > before {
        held.sort_by_key(|h| h.lease.partition);
        info!(taken = held.len() - before, owned = held.len(), "took partitions");
    }
}
