//! Which partitions are ours: our share of them, by leases that are renewed while we live and given
//! back when somebody else is to have them.
//!
//! Every worker says that it is there and sees who else is. One that holds more than its share gives
//! the surplus back, once the last batch of it is committed; one that holds less takes what is free.
//! Redis refuses the commit of a lease that is gone, so a worker that was paused for longer than its
//! lease can do no harm, whoever it believes to be there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::metrics::{counter, gauge};
use futures_util::future::join_all;
use streams::lease::Lease;
use streams::{Error, Partition, Redis};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{metrics, share};

/// The longest time between looks at who is there.
const LOOK: Duration = Duration::from_secs(1);

struct Held {
    lease: Lease,
    renewed: Instant,
    /// No longer shown; given back when nobody reads it any more.
    leaving: bool,
}

struct Ownership {
    redis: Redis,
    worker: String,
    time: Duration,
    held: Vec<Held>,
    /// Who was there when Redis last said; nobody before it did.
    present: Vec<String>,
}

/// Starts renewing; the receiver shows the leases held, the task ends after they are given back.
///
/// `read` says which partitions are being read or worked on: a lease is given back only once its
/// partition is not among them. All are given back when the last receiver is gone, so that whoever
/// commits under them decides when.
pub(crate) fn start(
    redis: Redis,
    worker: String,
    time: Duration,
    mut read: watch::Receiver<BTreeSet<Partition>>,
    shutdown: CancellationToken,
) -> (watch::Receiver<Vec<Lease>>, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let task = tokio::spawn(async move {
        let mut ownership = Ownership { redis, worker, time, held: Vec::new(), present: Vec::new() };
        loop {
            ownership.renew().await;
            if shutdown.is_cancelled() {
                ownership.leave().await;
            } else {
                ownership.attend().await;
                ownership.settle_share().await;
            }
            ownership.show(&sender);
            let in_use = read.borrow_and_update().clone();
            ownership.give_back(|partition| !in_use.contains(&partition)).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK.min(time / 6)) => {}
                // What was in use no longer is; without a sender there is nothing to hear.
                Ok(()) = read.changed() => {}
                () = shutdown.cancelled(), if !ownership.present.is_empty() => {}
                () = sender.closed() => break,
            }
        }
        ownership.leave().await;
        ownership.held.iter_mut().for_each(|held| held.leaving = true);
        ownership.give_back(|_| true).await;
    });
    (receiver, task)
}

impl Ownership {
    async fn renew(&mut self) {
        let asked = Instant::now();
        let (redis, time) = (&self.redis, self.time);
        let answers = join_all(self.held.iter().map(|held| redis.renew(&held.lease, time))).await;
        let mut kept = Vec::with_capacity(self.held.len());
        for (mut one, answer) in self.held.drain(..).zip(answers) {
            match answer {
                Ok(true) => {
                    one.renewed = asked;
                    kept.push(one);
                }
                Ok(false) => {
                    counter!(metrics::PARTITION_CHANGES, "change" => "lost").increment(1);
                    warn!(partition = one.lease.partition, "a partition was taken over");
                }
                // Redis can't say. The lease is ours until its time has passed.
                Err(error) => {
                    metrics::redis_error(&error);
                    if one.renewed.elapsed() < time {
                        kept.push(one);
                    }
                }
            }
        }
        self.held = kept;
    }

    /// Says that we are there and learns who else is.
    async fn attend(&mut self) {
        match self.redis.attend(&self.worker, self.time).await {
            Ok(present) => {
                if present.len() != self.present.len() {
                    info!(workers = present.len(), "workers that share the partitions");
                }
                gauge!(metrics::WORKERS).set(present.len() as f64);
                self.present = present;
            }
            // Whoever was there may still be: shares stay as they are.
            Err(error) => metrics::redis_error(&error),
        }
    }

    /// Says, once, that the others may share without us.
    async fn leave(&mut self) {
        if self.present.is_empty() {
            return;
        }
        self.present.clear();
        if let Err(error) = self.redis.leave(&self.worker).await {
            warn!(%error, "the other workers were not told of our leaving and will notice");
        }
    }

    /// Takes what is free up to our share, or marks what is beyond it.
    async fn settle_share(&mut self) {
        if self.present.is_empty() {
            return;
        }
        let share = share::of(&self.worker, &self.present, self.redis.keys().partitions());
        // What we were about to give back is the first that we take again.
        let mut kept = 0;
        for held in &mut self.held {
            held.leaving = kept >= share;
            kept += 1;
        }
        if kept < share {
            self.acquire(share).await;
        }
    }

    async fn acquire(&mut self, share: usize) {
        let before = self.held.len();
        let ours: BTreeSet<Partition> = self.held.iter().map(|h| h.lease.partition).collect();
        let order = share::order(&self.worker, &self.present, self.redis.keys().partitions());
        let free: Vec<Partition> = order.filter(|p| !ours.contains(p)).collect();
        let mut free = free.as_slice();
        while self.held.len() < share && !free.is_empty() {
            let (now, later) = free.split_at((share - self.held.len()).min(free.len()));
            free = later;
            let renewed = Instant::now();
            let (redis, worker, time) = (&self.redis, &self.worker, self.time);
            for answer in join_all(now.iter().map(|p| redis.acquire(*p, worker, time))).await {
                match answer {
                    Ok(Some(lease)) => self.held.push(Held { lease, renewed, leaving: false }),
                    Ok(None) => {}
                    Err(error) => {
                        metrics::redis_error(&error);
                        // The others would wait as long for the same answer.
                        if matches!(error, Error::Unavailable(_)) {
                            free = &[];
                        }
                    }
                }
            }
        }
        if self.held.len() > before {
            let taken = self.held.len() - before;
            counter!(metrics::PARTITION_CHANGES, "change" => "taken").increment(taken as u64);
            info!(taken, owned = self.held.len(), workers = self.present.len(), "took partitions");
        }
    }

    fn show(&mut self, sender: &watch::Sender<Vec<Lease>>) {
        let mut now: Vec<Lease> = self.held.iter().filter(|h| !h.leaving).map(|h| h.lease.clone()).collect();
        now.sort_by_key(|lease| lease.partition);
        gauge!(metrics::PARTITIONS).set(now.len() as f64);
        sender.send_if_modified(|shown| {
            let changed = *shown != now;
            *shown = now;
            changed
        });
    }

    /// Gives back the leases that are leaving and whose partition is at rest.
    async fn give_back(&mut self, at_rest: impl Fn(Partition) -> bool) {
        let leaving: Vec<Held>;
        (leaving, self.held) = self.held.drain(..).partition(|h| h.leaving && at_rest(h.lease.partition));
        if leaving.is_empty() {
            return;
        }
        let released = join_all(leaving.iter().map(|held| self.redis.release(&held.lease))).await;
        counter!(metrics::PARTITION_CHANGES, "change" => "given_back").increment(leaving.len() as u64);
        info!(given_back = leaving.len(), owned = self.held.len(), "gave partitions back");
        if let Some(error) = released.into_iter().find_map(Result::err) {
            warn!(%error, "leases were not given back and will expire");
        }
    }
}
