//! Group reading: the workers' side of the `obs` streams.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId as RedisEntry, StreamPendingCountReply, StreamReadReply};

use crate::codec::{DecodeError, Entry};
use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{FIELD, GROUP, Partition, StreamId};

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

/// Reads `obs` streams as one consumer of the group, on a connection of its own.
pub struct GroupReader {
    redis: Redis,
    consumer: String,
    connection: MultiplexedConnection,
}

impl GroupReader {
    /// A reader named `consumer`.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn open(redis: Redis, consumer: &str) -> Result<Self, Error> {
        let connection = redis.dedicated().await?;
        Ok(Self { redis, consumer: consumer.to_owned(), connection })
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

    /// Takes over everything of a partition that was handed out and never acknowledged, oldest first.
    ///
    /// Only the partition's owner may call it: it does not ask how long entries have been idle.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn claim_pending(&self, partition: Partition) -> Result<Vec<Delivery>, Error> {
        let key = self.redis.keys().obs(partition);
        let mut connection = self.redis.pooled().await?;
        let mut deliveries = Vec::new();
        let mut from = "0-0".to_owned();
        loop {
            let claimed: StreamAutoClaimReply = redis::cmd("XAUTOCLAIM")
                .arg(&key)
                .arg(GROUP)
                .arg(&self.consumer)
                .arg(0)
                .arg(&from)
                .arg("COUNT")
                .arg(CLAIM)
                .query_async(&mut *connection)
                .await?;
            if let (Some(first), Some(last)) = (claimed.claimed.first(), claimed.claimed.last()) {
                let counts: StreamPendingCountReply = redis::cmd("XPENDING")
                    .arg(&key)
                    .arg(GROUP)
                    .arg(&first.id)
                    .arg(&last.id)
                    .arg(CLAIM)
                    .query_async(&mut *connection)
                    .await?;
                let counts: HashMap<&str, usize> =
                    counts.ids.iter().map(|p| (p.id.as_str(), p.times_delivered)).collect();
                for entry in &claimed.claimed {
                    let times = counts.get(entry.id.as_str()).copied().unwrap_or(1);
                    deliveries.push(delivery(partition, entry, times as u64)?);
                }
            }
            from = claimed.next_stream_id;
            if from == "0-0" {
                return Ok(deliveries);
            }
        }
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
        let keys: Vec<String> = partitions.iter().map(|p| self.redis.keys().obs(*p)).collect();
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(count);
        command.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX)).arg("STREAMS");
        for key in &keys {
            command.arg(key);
        }
        for _ in &keys {
            command.arg(">");
        }
        let reply: Option<StreamReadReply> = command.query_async(&mut self.connection).await?;
        let mut deliveries = Vec::new();
        for stream in reply.map(|r| r.keys).unwrap_or_default() {
            let Some(at) = keys.iter().position(|key| *key == stream.key) else { continue };
            for entry in &stream.ids {
                deliveries.push(delivery(partitions[at], entry, 1)?);
            }
        }
        Ok(deliveries)
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

/// Entries claimed per call.
const CLAIM: usize = 1000;

/// An entry without our field is no envelope; its bytes are then empty.
fn delivery(partition: Partition, entry: &RedisEntry, deliveries: u64) -> Result<Delivery, Error> {
    let id = entry.id.parse().map_err(|e| Error::Data(format!("{e}")))?;
    let bytes: Vec<u8> = entry.get(FIELD).unwrap_or_default();
    Ok(Delivery { partition, id, entry: Entry::decode(&bytes), bytes, deliveries })
}
