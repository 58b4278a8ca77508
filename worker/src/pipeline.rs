//! The loop: a batch is read, applied, forecast and committed, slice by slice, before the next is read.

use std::collections::HashMap;
use std::time::Instant;

use ::metrics::{counter, histogram};
use streams::commit::{Batch, Committed};
use streams::lease::Lease;
use streams::{Backoff, Delivery, Entry, Error, Partition, Redis};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use weather::StationId;

use crate::commit::Commits;
use crate::dead_letter;
use crate::health::Health;
use crate::infer::{Answer, Inference};
use crate::metrics;
use crate::neighbours::Neighbours;
use crate::source::{Source, Work};
use crate::tally::Tally;
use crate::windows::{Remembered, Touched, Windows};

/// The worker's stages and what they share.
pub(crate) struct Pipeline {
    redis: Redis,
    inference: Inference,
    windows: Windows,
    neighbours: Neighbours,
    /// How many commits of each partition there have been, as its last one here said.
    commits: HashMap<Partition, u64>,
    /// Leases that Redis has refused, to be told to the source.
    refused: Vec<Lease>,
    /// Partitions of which Redis has gone back to an earlier state, or has an earlier entry, to be told to the
    /// source.
    look_again: Vec<Partition>,
}

impl Pipeline {
    pub(crate) fn new(redis: Redis, inference: Inference, windows: Windows, neighbours: Neighbours) -> Self {
        let (commits, refused, look_again) = (HashMap::new(), Vec::new(), Vec::new());
        Self { redis, inference, windows, neighbours, commits, refused, look_again }
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
            for partition in self.look_again.drain(..) {
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
                    shutdown.run_until_cancelled(tokio::time::sleep(backoff.pause())).await;
                }
            }
        }
        health.set_reading(false);
        Ok(())
    }

    /// One batch, from entries to commits. The outer error ends the worker, the inner one is Redis's.
    ///
    /// It goes slice by slice: while a slice is inferred, the one before is being committed.
    async fn process(&mut self, work: Work) -> anyhow::Result<Result<(), Error>> {
        let taken: Vec<Partition> = work.taken.iter().map(|(partition, _)| *partition).collect();
        self.windows.forget_partitions(self.redis.keys(), &taken);
        self.commits.extend(work.taken.iter().copied());
        if work.deliveries.is_empty() {
            return Ok(Ok(()));
        }
        histogram!(metrics::BATCH).record(work.deliveries.len() as f64);
        let (mut under_way, mut outcome) = (Committing::new(), Ok(()));
        for slice in slices(&work.deliveries) {
            let mut commits = Commits::default();
            match self.apply(slice, &mut commits).await {
                Ok(touched) => self.forecast(touched, &mut commits).await?,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            // Before the next is sent: one that has failed ends the batch.
            outcome = self.conclude(&mut under_way).await;
            if outcome.is_err() {
                break;
            }
            self.commit(commits, &work.leases, &mut under_way);
        }
        let last = self.conclude(&mut under_way).await;
        self.windows.shrink();
        Ok(outcome.and(last))
    }

    /// Puts every entry where it belongs: into a window, or among the dead letters.
    async fn apply(&mut self, slice: &[Delivery], commits: &mut Commits) -> Result<HashMap<StationId, Touched>, Error> {
        let sorted: Vec<_> = slice.iter().map(|d| (d, dead_letter::sort(d, self.redis.keys()))).collect();
        let stations = sorted.iter().filter_map(|(_, s)| s.as_ref().ok()).map(|entry| entry.station());
        self.windows.load(&self.redis, stations).await?;
        let mut touched = HashMap::new();
        for (delivery, entry) in sorted {
            commits.partition(delivery.partition).acknowledged.push(delivery.id);
            let tally = commits.tally(delivery.partition);
            match entry {
                Ok(entry) => {
                    self.windows.apply(delivery, entry, &mut touched, tally);
                    if let Entry::Removed(id) = entry {
                        commits.partition(delivery.partition).removed.push(id.clone());
                    }
                }
                Err((letter, reason)) => {
                    error!(id = %letter.id, partition = delivery.partition, reason = letter.reason, "an entry is given up");
                    tally.given_up(reason);
                    commits.partition(delivery.partition).dead.push(letter);
                }
            }
        }
        self.look_around(&mut touched, commits).await?;
        Ok(touched)
    }

    /// Holds the newest observations of this slice against their neighbours'.
    async fn look_around(
        &mut self,
        touched: &mut HashMap<StationId, Touched>,
        commits: &mut Commits,
    ) -> Result<(), Error> {
        let newest = touched.iter().filter(|(_, note)| note.newest.is_some()).map(|(id, _)| id.clone()).collect();
        for (id, found) in self.neighbours.judge(&self.redis, &self.windows, newest).await? {
            let Some(note) = touched.get_mut(&id) else { continue };
            let tally = commits.tally(self.redis.keys().partition_of(&id));
            self.windows.judge_by_neighbours(&id, &found, note, tally);
        }
        Ok(())
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

    /// Sends the commit of every partition.
    fn commit(&self, commits: Commits, leases: &HashMap<Partition, Lease>, under_way: &mut Committing) {
        let Commits { batches, mut tallies, mut stations } = commits;
        for (partition, batch) in batches {
            let Some(lease) = leases.get(&partition).cloned() else { continue };
            let tally = tallies.remove(&partition).unwrap_or_default();
            let stations = stations.remove(&partition).unwrap_or_default();
            let redis = self.redis.clone();
            let known = self.commits.get(&partition).copied();
            under_way.spawn(async move {
                let result = commit_one(&redis, &lease, &batch, known).await;
                Ended { lease, tally, stations, result }
            });
        }
    }

    /// Waits for the commits that are under way. One whose partition has another owner by now, or
    /// has gone back to an earlier state, is dropped; any other failure is returned after all have ended.
    async fn conclude(&mut self, under_way: &mut Committing) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(ended) = under_way.join_next().await {
            // A commit that panicked may have been written or not, like one that was not answered.
            let ended = match ended {
                Ok(ended) => ended,
                Err(failure) => {
                    outcome = Err(Error::Unavailable(failure.to_string()));
                    continue;
                }
            };
            let Ended { lease, tally, stations, result } = ended;
            match result {
                Ok(Committed::Done { commits, .. }) => {
                    self.commits.insert(lease.partition, commits);
                    tally.publish();
                }
                Ok(Committed::Repeated { commits }) => {
                    self.commits.insert(lease.partition, commits);
                }
                Err(failure) => {
                    self.windows.forget(stations.iter());
                    outcome = self.refused(lease, failure).and(outcome);
                }
            }
        }
        outcome
    }

    /// A commit that was not done. What concerns its partition alone is noted; the rest is returned.
    fn refused(&mut self, lease: Lease, failure: Error) -> Result<(), Error> {
        let partition = lease.partition;
        match failure {
            Error::Fenced(_) => {
                counter!(metrics::FENCED).increment(1);
                warn!(partition, "a commit was refused: another worker owns the partition");
                self.refused.push(lease);
            }
            Error::Diverged(_) => {
                counter!(metrics::DIVERGED).increment(1);
                error!(partition, "Redis has gone back to an earlier state; its entries are read again");
                self.commits.remove(&partition);
                self.look_again.push(partition);
            }
            Error::Overtaken(_) => {
                metrics::redis_error(&failure);
                warn!(partition, "an earlier entry is pending with another worker; it comes first");
                self.look_again.push(partition);
            }
            failure => return Err(failure),
        }
        Ok(())
    }
}
/// Entries inferred and committed together, unless one partition has more. Beyond it inference gets no
/// cheaper, and buffers that no longer fit the cache are mapped, cleared and given back each time:
/// with a whole backlog in one batch that was a sixth of all the work beside inference.
const SLICE: usize = 256;

/// The deliveries of whole partitions, a few partitions at a time: so a partition's commit stays one,
/// and its stations are in no other slice. Deliveries of a partition lie side by side.
fn slices(deliveries: &[Delivery]) -> Vec<&[Delivery]> {
    let mut slices = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for partition in deliveries.chunk_by(|a, b| a.partition == b.partition) {
        if end > begin && end - begin + partition.len() > SLICE {
            slices.push(&deliveries[begin..end]);
            begin = end;
        }
        end += partition.len();
    }
    slices.push(&deliveries[begin..end]);
    slices
}

/// Commits that have been sent.
type Committing = JoinSet<Ended>;

/// A partition's commit, done or failed.
struct Ended {
    lease: Lease,
    tally: Tally,
    stations: Vec<StationId>,
    result: Result<Committed, Error>,
}

async fn commit_one(redis: &Redis, lease: &Lease, batch: &Batch, known: Option<u64>) -> Result<Committed, Error> {
    let begun = Instant::now();
    let committed = redis.commit(lease, batch, known).await;
    histogram!(metrics::COMMIT).record(begun.elapsed().as_secs_f64());
    committed
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::StreamId;

    #[test]
    fn a_slice_holds_whole_partitions_and_every_entry_is_in_one() {
        let delivery = |partition| Delivery {
            partition,
            id: StreamId::default(),
            entry: streams::Entry::decode(&[]),
            bytes: Vec::new(),
            deliveries: 1,
        };
        let sizes = [(0, 100), (1, 156), (2, 1), (5, 700), (6, 3)];
        let all: Vec<Delivery> = sizes.iter().flat_map(|(p, n)| (0..*n).map(|_| delivery(*p))).collect();
        let cut: Vec<usize> = slices(&all).iter().map(|slice| slice.len()).collect();
        assert_eq!(cut, [256, 1, 700, 3]);
    }
}
