//! The loop: a batch is read, applied, forecast and committed before the next is read.

use std::collections::HashMap;
use std::time::Instant;

use ::metrics::{counter, histogram};
use futures_util::future::join_all;
use streams::commit::{Batch, Committed};
use streams::lease::Lease;
use streams::{Error, Partition, Redis};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use weather::StationId;

use crate::backoff::Backoff;
use crate::commit::Commits;
use crate::dead_letter;
use crate::health::Health;
use crate::infer::{Answer, Inference};
use crate::metrics;
use crate::source::{Source, Work};
use crate::windows::{Remembered, Touched, Windows};

/// The worker's stages and what they share.
pub(crate) struct Pipeline {
    redis: Redis,
    inference: Inference,
    windows: Windows,
    /// How many commits of each partition there have been, as its last one here said.
    commits: HashMap<Partition, u64>,
    /// Leases that Redis has refused, to be told to the source.
    refused: Vec<Lease>,
    /// Partitions of which Redis has gone back to an earlier state, to be told to the source.
    diverged: Vec<Partition>,
}

impl Pipeline {
    pub(crate) fn new(redis: Redis, inference: Inference, cached_stations: usize) -> Self {
        let windows = Windows::new(cached_stations);
        Self { redis, inference, windows, commits: HashMap::new(), refused: Vec::new(), diverged: Vec::new() }
    }

    /// Processes batches until shutdown. A batch that was read is committed first.
    pub(crate) async fn run(
        mut self,
        mut source: Source,
        health: &Health,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let step = match source.next().await {
                Ok(work) => {
                    health.set_reading(true);
                    self.process(work).await?
                }
                Err(error) => Err(error),
            };
            for lease in self.refused.drain(..) {
                source.disown(lease);
            }
            for partition in self.diverged.drain(..) {
                source.look_again(partition);
            }
            match step {
                Ok(()) => backoff.reset(),
                Err(failure) => {
                    metrics::redis_error(&failure);
                    warn!(error = %failure, "a batch was not committed; it will be read again");
                    health.set_reading(false);
                    source.distrust();
                    self.windows.forget_all();
                    self.commits.clear();
                    backoff.wait(shutdown).await;
                }
            }
        }
        health.set_reading(false);
        Ok(())
    }

    /// One batch, from entries to commits. The outer error ends the worker, the inner one is Redis's.
    async fn process(&mut self, work: Work) -> anyhow::Result<Result<(), Error>> {
        self.windows.forget_partitions(self.redis.keys(), &work.taken);
        self.commits.retain(|partition, _| !work.taken.contains(partition));
        if work.deliveries.is_empty() {
            return Ok(Ok(()));
        }
        histogram!(metrics::BATCH).record(work.deliveries.len() as f64);
        let mut commits = Commits::default();
        let touched = match self.apply(&work, &mut commits).await {
            Ok(touched) => touched,
            Err(error) => return Ok(Err(error)),
        };
        self.forecast(touched, &mut commits).await?;
        let outcome = self.commit(commits, &work.leases).await;
        self.windows.shrink();
        Ok(outcome)
    }

    /// Puts every entry where it belongs: into a window, or among the dead letters.
    async fn apply(&mut self, work: &Work, commits: &mut Commits) -> Result<HashMap<StationId, Touched>, Error> {
        let sorted: Vec<_> = work.deliveries.iter().map(|d| (d, dead_letter::sort(d, self.redis.keys()))).collect();
        let stations = sorted.iter().filter_map(|(_, s)| s.as_ref().ok()).map(|entry| entry.station());
        self.windows.load(&self.redis, stations).await?;
        let mut touched = HashMap::new();
        for (delivery, entry) in sorted {
            commits.partition(delivery.partition).acknowledged.push(delivery.id);
            let tally = commits.tally(delivery.partition);
            match entry {
                Ok(entry) => self.windows.apply(delivery, entry, &mut touched, tally),
                Err((letter, reason)) => {
                    error!(id = %letter.id, partition = delivery.partition, reason = letter.reason, "an entry is given up");
                    tally.given_up(reason);
                    commits.partition(delivery.partition).dead.push(letter);
                }
            }
        }
        Ok(touched)
    }

    /// Runs the model for every station that changed.
    async fn forecast(
        &mut self,
        mut touched: HashMap<StationId, Touched>,
        commits: &mut Commits,
    ) -> anyhow::Result<()> {
        let stations: Vec<Remembered> = touched.keys().filter_map(|id| self.windows.take(id)).collect();
        if stations.is_empty() {
            return Ok(());
        }
        let Answer { model, stations, outputs } = self.inference.predict(stations).await?;
        for (remembered, output) in stations.into_iter().zip(outputs) {
            if let Some(touched) = touched.remove(&remembered.station.id) {
                commits.add(self.redis.keys(), &model, &remembered, touched, output);
            }
            self.windows.put_back(remembered);
        }
        Ok(())
    }

    /// Commits every partition. One that has another owner by now, or has gone back to an earlier state, is
    /// dropped; any other failure is returned after all have been tried.
    async fn commit(&mut self, commits: Commits, leases: &HashMap<Partition, Lease>) -> Result<(), Error> {
        let Commits { batches, mut tallies, stations } = commits;
        let (redis, known) = (&self.redis, &self.commits);
        let done = join_all(batches.iter().filter_map(|(partition, batch)| {
            let lease = leases.get(partition)?;
            Some(async move { (lease, commit_one(redis, lease, batch, known.get(partition).copied()).await) })
        }))
        .await;
        let mut outcome = Ok(());
        for (lease, result) in done {
            let partition = lease.partition;
            match result {
                Ok(Committed::Done { commits, .. }) => {
                    self.commits.insert(partition, commits);
                    tallies.remove(&partition).unwrap_or_default().publish();
                }
                Ok(Committed::Repeated { commits }) => {
                    self.commits.insert(partition, commits);
                }
                Err(failure) => {
                    if let Some(stations) = stations.get(&partition) {
                        self.windows.forget(stations.iter());
                    }
                    match failure {
                        Error::Fenced(_) => {
                            counter!(metrics::FENCED).increment(1);
                            warn!(partition, "a commit was refused: another worker owns the partition");
                            self.refused.push(lease.clone());
                        }
                        Error::Diverged(_) => {
                            counter!(metrics::DIVERGED).increment(1);
                            error!(partition, "Redis has gone back to an earlier state; its entries are read again");
                            self.commits.remove(&partition);
                            self.diverged.push(partition);
                        }
                        failure => outcome = Err(failure),
                    }
                }
            }
        }
        outcome
    }
}

async fn commit_one(redis: &Redis, lease: &Lease, batch: &Batch, known: Option<u64>) -> Result<Committed, Error> {
    let begun = Instant::now();
    let committed = redis.commit(lease, batch, known).await;
    histogram!(metrics::COMMIT).record(begun.elapsed().as_secs_f64());
    committed
}
