//! Group reading: the workers' side of the `obs` streams.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::streams::{StreamInfoConsumersReply, StreamPendingCountReply};

use crate::codec::{DecodeError, Entry};
use crate::connection::Redis;
use crate::entries::{Entries, Raw, Streams};
use crate::error::Error;
use crate::keys::{GROUP, Partition, StreamId};
use crate::link::Link;

/// One entry handed to this worker.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// From which partition.
    pub partition: Partition,
    /// Its stream ID.
    pub id: StreamId,
    /// What it says.
    pub entry: Result<Entry, DecodeError>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How often it has been handed out, this time included.
    pub deliveries: u64,
}

/// An entry that was handed out and never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Of which partition.
    pub partition: Partition,
    /// Its stream ID.
    pub id: StreamId,
    /// How often it has been handed out.
    pub deliveries: u64,
    /// Whether this reader had it last.
    pub ours: bool,
}

/// Reads `obs` streams as one consumer of the group, on a connection of its own.
pub struct GroupReader {
    redis: Redis,
    consumer: String,
    connection: Link,
    /// Partitions of a cluster whose last read failed: what it may have handed out is pending with us.
    suspects: Vec<Partition>,
}

impl GroupReader {
    /// A reader named `consumer`.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn open(redis: Redis, consumer: &str) -> Result<Self, Error> {
        let connection = redis.dedicated().await?;
        Ok(Self { redis, consumer: consumer.to_owned(), connection, suspects: Vec::new() })
    }

    /// Makes the group of a partition if there is none; it begins at the oldest entry.
    ///
    /// # Errors
    /// When Redis did not do it.
    pub async fn ensure_group(&self, partition: Partition) -> Result<(), Error> {
        let mut connection = self.redis.pooled().await?;
        let made: redis::RedisResult<()> = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(self.redis.keys().obs(partition))
            .arg(GROUP)
            .arg("0")
            .arg("MKSTREAM")
            .query_async(&mut *connection)
            .await;
        match made {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            other => Ok(other?),
        }
    }

    /// What of a partition was handed out and never acknowledged, oldest first. Nothing is claimed.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn pending(&self, partition: Partition) -> Result<Vec<Pending>, Error> {
        let key = self.redis.keys().obs(partition);
        let mut connection = self.redis.pooled().await?;
        let mut pending: Vec<Pending> = Vec::new();
        loop {
            let from = pending.last().map_or_else(|| "-".to_owned(), |p| format!("({}", p.id));
            let page: StreamPendingCountReply = redis::cmd("XPENDING")
                .arg(&key)
                .arg(GROUP)
                .arg(from)
                .arg("+")
                .arg(PAGE)
                .query_async(&mut *connection)
                .await?;
            for entry in &page.ids {
                pending.push(Pending {
                    partition,
                    id: parse(&entry.id)?,
                    deliveries: entry.times_delivered as u64,
                    ours: entry.consumer == self.consumer,
                });
            }
            if page.ids.len() < PAGE {
                return Ok(pending);
            }
        }
    }

    /// Takes over pending entries of one partition, to be processed now.
    ///
    /// Only entries about to be tried are to be claimed: their count of deliveries rises, unless it
    /// was this very reader that tried them before and lived. So the count tells how many processes an
    /// entry has outlived, and an entry that is merely waiting behind a bad one keeps its own.
    ///
    /// Only the partition's owner may call it: it does not ask how long entries have been idle.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn claim(&self, entries: &[Pending]) -> Result<Vec<Delivery>, Error> {
        let Some(partition) = entries.first().map(|p| p.partition) else { return Ok(Vec::new()) };
        let key = self.redis.keys().obs(partition);
        let mut pipe = redis::pipe();
        for entry in entries {
            let count = entry.deliveries + u64::from(!entry.ours);
            pipe.cmd("XCLAIM").arg(&key).arg(GROUP).arg(&self.consumer).arg(0).arg(entry.id.to_string());
            pipe.arg("RETRYCOUNT").arg(count);
        }
        let mut connection = self.redis.pooled().await?;
        let claimed: Vec<Entries> = pipe.query_async(&mut *connection).await?;
        let mut deliveries = Vec::new();
        for (entry, reply) in entries.iter().zip(claimed) {
            // An entry that was trimmed away meanwhile is no longer pending, and has no reply.
            for found in &reply.0 {
                deliveries.push(delivery(partition, found, entry.deliveries + u64::from(!entry.ours)));
            }
        }
        Ok(deliveries)
    }

    /// Forgets consumers of a partition that have nothing pending and have been silent for an hour:
    /// those of processes that are gone.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn forget_consumers(&self, partition: Partition) -> Result<(), Error> {
        let key = self.redis.keys().obs(partition);
        let mut connection = self.redis.pooled().await?;
        let consumers: StreamInfoConsumersReply =
            redis::cmd("XINFO").arg("CONSUMERS").arg(&key).arg(GROUP).query_async(&mut *connection).await?;
        for consumer in consumers.consumers {
            if consumer.pending == 0 && consumer.idle > FORGOTTEN && consumer.name != self.consumer {
                let forget =
                    redis::cmd("XGROUP").arg("DELCONSUMER").arg(&key).arg(GROUP).arg(&consumer.name).to_owned();
                forget.query_async::<()>(&mut *connection).await?;
            }
        }
        Ok(())
    }

    /// Waits up to `block` for new entries of these partitions: at most `count` of each.
    ///
    /// Dropping the future leaves what Redis answered to nobody: entries then stay pending until
    /// they are claimed. So it is to be awaited to its end; `block` bounds that.
    ///
    /// # Errors
    /// When the connection failed; [`GroupReader::reconnect`] makes a new one.
    pub async fn read(
        &mut self,
        partitions: &[Partition],
        count: usize,
        block: Duration,
    ) -> Result<Vec<Delivery>, Error> {
        if !self.redis.is_cluster() {
            return self.read_once(partitions, count, Some(block), self.connection.clone()).await;
        }
        // No command reaches two partitions of a cluster, and one that blocks would hold up the others.
        let deadline = Instant::now() + block;
        loop {
            let each = |p| self.read_once(std::slice::from_ref(p), count, None, self.connection.clone());
            let answers = join_all(partitions.iter().map(each)).await;
            let (mut read, mut failed) = (Vec::new(), None);
            for (partition, answer) in partitions.iter().zip(answers) {
                match answer {
                    Ok(deliveries) => read.extend(deliveries),
                    Err(error) => {
                        self.suspects.push(*partition);
                        failed = Some(error);
                    }
                }
            }
            // A node that fails must not hold up what the others have handed out.
            if !read.is_empty() {
                return Ok(read);
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn read_once(
        &self,
        partitions: &[Partition],
        count: usize,
        block: Option<Duration>,
        mut connection: Link,
    ) -> Result<Vec<Delivery>, Error> {
        let keys: Vec<String> = partitions.iter().map(|p| self.redis.keys().obs(*p)).collect();
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(count);
        if let Some(block) = block {
            command.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
        }
        command.arg("STREAMS");
        for key in &keys {
            command.arg(key);
        }
        for _ in &keys {
            command.arg(">");
        }
        // The connection has no response timeout of its own; a peer that has vanished answers nothing.
        let patience = block.unwrap_or_default() + GRACE;
        let answer = tokio::time::timeout(patience, command.query_async(&mut connection)).await;
        let reply: Streams = answer.map_err(|_| Error::Unavailable("no answer to a blocking read".to_owned()))??;
        let mut deliveries = Vec::new();
        for (key, entries) in reply.0 {
            let Some(at) = keys.iter().position(|asked| *asked == key) else { continue };
            deliveries.extend(entries.iter().map(|entry| delivery(partitions[at], entry, 1)));
        }
        Ok(deliveries)
    }

    /// Partitions whose read failed although it may have been done: their pending entries are to be looked
    /// up before anything new is read.
    pub fn suspects(&mut self) -> Vec<Partition> {
        std::mem::take(&mut self.suspects)
    }

    /// Opens a new connection after one failed.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        self.connection = self.redis.dedicated().await?;
        Ok(())
    }
}

/// Pending entries listed per call.
const PAGE: usize = 1000;
/// How much longer than its block a blocking read may take.
const GRACE: Duration = Duration::from_secs(5);
/// Time between looks at the partitions of an idle cluster.
const POLL: Duration = Duration::from_millis(10);
/// Silence after which a consumer with nothing pending is forgotten, milliseconds.
const FORGOTTEN: usize = 3_600_000;

fn parse(id: &str) -> Result<StreamId, Error> {
    id.parse().map_err(|e| Error::Data(format!("{e}")))
}

fn delivery(partition: Partition, entry: &Raw, deliveries: u64) -> Delivery {
    let bytes = entry.bytes();
    Delivery { partition, id: entry.id, entry: Entry::decode(&bytes), bytes, deliveries }
}
