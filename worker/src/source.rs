//! Where batches come from: what was left pending first, then what is new.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use streams::lease::Lease;
use streams::{Delivery, Error, GroupReader, Partition, Pending, Redis};
use tokio::sync::watch;
use tracing::info;

/// How long a read waits for something new; it bounds how long shutting down takes.
const BLOCK: Duration = Duration::from_millis(500);
/// Entries that this many processes have had may be what killed them: they are tried one by one.
const SUSPICIOUS: u64 = 3;

/// How often pending entries are looked for although the owner is the same: a worker that was
/// paused may have been handed entries after its partitions had gone to us.
const SWEEP: Duration = Duration::from_secs(10);

/// Entries to be processed together, with the leases they are committed under.
pub(crate) struct Work {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) leases: HashMap<Partition, Lease>,
    /// Partitions taken since the batch before, with the count of their commits: what is remembered of them
    /// is old.
    pub(crate) taken: Vec<(Partition, u64)>,
}

/// Reads the owned partitions.
pub(crate) struct Source {
    redis: Redis,
    reader: GroupReader,
    shown: watch::Receiver<Vec<Lease>>,
    /// Which partitions are being read, for whoever waits to give one back.
    reads: watch::Sender<BTreeSet<Partition>>,
    /// Partitions whose pending entries have been taken over, and when.
    settled: HashMap<Partition, (Lease, Instant)>,
    /// Tokens of leases that Redis has refused, until ownership has noticed too.
    refused: HashSet<String>,
    /// Pending entries that are still to be processed.
    recovered: VecDeque<Pending>,
    taken: Vec<(Partition, u64)>,
    batch: usize,
    connected: bool,
}

impl Source {
    pub(crate) async fn open(
        redis: Redis,
        consumer: &str,
        shown: watch::Receiver<Vec<Lease>>,
        reads: watch::Sender<BTreeSet<Partition>>,
        batch: usize,
    ) -> Result<Self, Error> {
        let reader = GroupReader::open(redis.clone(), consumer).await?;
        Ok(Self {
            redis,
            reader,
            shown,
            reads,
            settled: HashMap::new(),
            refused: HashSet::new(),
            recovered: VecDeque::new(),
            taken: Vec::new(),
            batch,
            connected: true,
        })
    }

    /// The next batch; empty when nothing came for half a second.
    pub(crate) async fn next(&mut self) -> Result<Work, Error> {
        if !self.connected {
            self.reader.reconnect().await?;
            self.connected = true;
        }
        for partition in self.reader.suspects() {
            self.look_again(partition);
        }
        self.settle().await?;
        let chunk = self.recovered_chunk();
        let deliveries = if chunk.is_empty() { self.read().await? } else { self.reader.claim(&chunk).await? };
        let taken = std::mem::take(&mut self.taken);
        Ok(Work { deliveries, leases: self.settled.iter().map(|(p, (lease, _))| (*p, lease.clone())).collect(), taken })
    }

    /// Forgets what was settled: after a commit of unknown outcome, only Redis knows what is pending.
    pub(crate) fn distrust(&mut self) {
        self.settled.clear();
        self.recovered.clear();
        self.connected = false;
    }

    /// Stops reading a partition whose lease Redis has refused.
    pub(crate) fn disown(&mut self, lease: Lease) {
        self.settled.remove(&lease.partition);
        self.recovered.retain(|d| d.partition != lease.partition);
        self.refused.insert(lease.token);
    }

    /// Has a partition's pending entries looked up again, and what is remembered of it forgotten.
    pub(crate) fn look_again(&mut self, partition: Partition) {
        self.settled.remove(&partition);
        self.recovered.retain(|d| d.partition != partition);
    }

    /// Takes over what is pending of partitions that are newly ours, before anything new of them.
    ///
    /// Nothing of ours is in progress here, so whatever is pending was handed to somebody else.
    async fn settle(&mut self) -> Result<(), Error> {
        let owned = self.publish();
        self.refused.retain(|token| owned.iter().any(|lease| lease.token == *token));
        self.settled.retain(|_, (lease, _)| owned.contains(lease));
        self.recovered.retain(|d| self.settled.contains_key(&d.partition));
        if !self.recovered.is_empty() {
            return Ok(());
        }
        for lease in owned.into_iter().filter(|l| !self.refused.contains(&l.token)) {
            if self.settled.get(&lease.partition).is_some_and(|(_, at)| at.elapsed() < SWEEP) {
                continue;
            }
            self.reader.ensure_group(lease.partition).await?;
            if self.settled.get(&lease.partition).is_none_or(|(held, _)| *held != lease) {
                // Before anything of it is read: what is read later is no older.
                let commits = self.redis.commits(lease.partition).await?;
                self.taken.push((lease.partition, commits));
                self.reader.forget_consumers(lease.partition).await?;
            }
            let pending = self.reader.pending(lease.partition).await?;
            if !pending.is_empty() {
                info!(partition = lease.partition, entries = pending.len(), "takes over unacknowledged entries");
            }
            self.recovered.extend(pending);
            self.settled.insert(lease.partition, (lease, Instant::now()));
        }
        Ok(())
    }

    /// The leases that are shown, once everybody can see that their partitions are being read: the batch
    /// before is committed by now, so what is not among them is at rest.
    fn publish(&mut self) -> Vec<Lease> {
        loop {
            let owned = self.shown.borrow_and_update().clone();
            let partitions: BTreeSet<Partition> = owned.iter().map(|lease| lease.partition).collect();
            self.reads.send_if_modified(|shown| {
                let changed = *shown != partitions;
                *shown = partitions;
                changed
            });
            // A lease that was withdrawn in between may have been given back: nobody knew that it is read.
            if !self.shown.has_changed().unwrap_or(false) {
                return owned;
            }
        }
    }

    /// A few pending entries of one partition, and a suspicious one alone.
    fn recovered_chunk(&mut self) -> Vec<Pending> {
        let mut chunk: Vec<Pending> = Vec::new();
        while let Some(next) = self.recovered.front() {
            let alone = next.deliveries >= SUSPICIOUS;
            let other = chunk.first().is_some_and(|first| first.partition != next.partition);
            if chunk.len() >= self.batch || other || (alone && !chunk.is_empty()) {
                break;
            }
            chunk.extend(self.recovered.pop_front());
            if alone {
                break;
            }
        }
        chunk
    }

    async fn read(&mut self) -> Result<Vec<Delivery>, Error> {
        let mut partitions: Vec<Partition> = self.settled.keys().copied().collect();
        partitions.sort_unstable();
        if partitions.is_empty() {
            // Nothing is ours: wait for a lease as long as a read would wait for an entry.
            let _ = tokio::time::timeout(BLOCK, self.shown.changed()).await;
            return Ok(Vec::new());
        }
        let read = self.reader.read(&partitions, self.batch, BLOCK).await;
        self.connected = read.is_ok();
        read
    }
}
