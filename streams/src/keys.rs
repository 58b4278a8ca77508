//! Every key, in one place.
//!
//! All keys of a partition share the hash tag `{prefix:partition}`, so that a step over several of
//! them is legal on Redis Cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use weather::StationId;

/// The consumer group of the workers.
pub const GROUP: &str = "forecast";

/// The field of a stream entry that holds its MessagePack.
pub const FIELD: &str = "v";

/// The partitions of a fresh Redis.
pub const DEFAULT_PARTITIONS: u16 = 16;

/// The number of a partition, from 0.
pub type Partition = u16;

/// The names of the keys of one deployment.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
    partitions: u16,
}

impl Keys {
    /// Keys that begin with `prefix`, over `partitions` partitions (at least one).
    #[must_use]
    pub fn new(prefix: &str, partitions: u16) -> Self {
        Self { prefix: prefix.to_owned(), partitions: partitions.max(1) }
    }

    /// How many partitions there are.
    #[must_use]
    pub const fn partitions(&self) -> u16 {
        self.partitions
    }

    /// What every key begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The partition of a station: CRC-16 (XMODEM, as Redis Cluster) modulo their number.
    #[must_use]
    pub fn partition_of(&self, station: &StationId) -> Partition {
        crc16::State::<crc16::XMODEM>::calculate(station.as_str().as_bytes()) % self.partitions
    }

    /// The number of partitions, fixed at first start: `wg:partitions`.
    #[must_use]
    pub fn partition_count(&self) -> String {
        format!("{}:partitions", self.prefix)
    }

    /// The name of the deployment that these keys are of: `wg:deployment`.
    #[must_use]
    pub fn deployment(&self) -> String {
        format!("{}:deployment", self.prefix)
    }

    /// Sorted set: worker process -> when it counts as gone, milliseconds since 1970 by Redis's clock:
    /// `wg:workers`.
    #[must_use]
    pub fn workers(&self) -> String {
        format!("{}:workers", self.prefix)
    }

    /// Hash: SHA-256 of a station's or network's key, in hexadecimal -> what it opens: `wg:keys`.
    #[must_use]
    pub fn key_ring(&self) -> String {
        format!("{}:keys", self.prefix)
    }

    fn tagged(&self, partition: Partition, rest: &str) -> String {
        format!("{{{}:{partition}}}:{rest}", self.prefix)
    }

    /// Stream of what came in: observations and station descriptions.
    #[must_use]
    pub fn obs(&self, partition: Partition) -> String {
        self.tagged(partition, "obs")
    }

    /// Stream of issued forecasts.
    #[must_use]
    pub fn forecast(&self, partition: Partition) -> String {
        self.tagged(partition, "forecast")
    }

    /// Hash: station id -> its description.
    #[must_use]
    pub fn stations(&self, partition: Partition) -> String {
        self.tagged(partition, "stations")
    }

    /// Hash: id of a station that came unregistered and was refused -> when first, when last
    /// (milliseconds since 1970), how many of its items were refused.
    #[must_use]
    pub fn unconfirmed(&self, partition: Partition) -> String {
        self.tagged(partition, "unconfirmed")
    }

    /// Hash: station id -> the last of its contacts of which something got in.
    #[must_use]
    pub fn contact_accepted(&self, partition: Partition) -> String {
        self.tagged(partition, "contact:accepted")
    }

    /// Hash: station id -> the last of its contacts that was refused.
    #[must_use]
    pub fn contact_rejected(&self, partition: Partition) -> String {
        self.tagged(partition, "contact:rejected")
    }

    /// Hash: station id -> its newest observation, as in the stream.
    #[must_use]
    pub fn newest(&self, partition: Partition) -> String {
        self.tagged(partition, "newest")
    }

    /// Hash: station id -> its latest forecast, as in the stream.
    #[must_use]
    pub fn latest(&self, partition: Partition) -> String {
        self.tagged(partition, "latest")
    }

    /// Hash: hour since 1970 -> the packed observations of that hour.
    #[must_use]
    pub fn window(&self, partition: Partition, station: &StationId) -> String {
        self.tagged(partition, &format!("window:{station}"))
    }

    /// Hash: station and second -> values last accepted for one hour of observation time, to recognise
    /// resent reports.
    #[must_use]
    pub fn seen(&self, partition: Partition, hour: i64) -> String {
        self.tagged(partition, &format!("seen:{hour}"))
    }

    /// Hash: an ingest's spool -> the last position in it that was handed over.
    #[must_use]
    pub fn handed_over(&self, partition: Partition) -> String {
        self.tagged(partition, "spools")
    }

    /// Hash: station id -> the newest readings of its rain counters.
    #[must_use]
    pub fn rain(&self, partition: Partition) -> String {
        self.tagged(partition, "rain")
    }

    /// Stream of entries that could not be processed.
    #[must_use]
    pub fn dead(&self, partition: Partition) -> String {
        self.tagged(partition, "dead")
    }

    /// The lease of the worker that owns the partition.
    #[must_use]
    pub fn owner(&self, partition: Partition) -> String {
        self.tagged(partition, "owner")
    }

    /// How many batches have been committed: tells a Redis that has gone back to an earlier state.
    #[must_use]
    pub fn commits(&self, partition: Partition) -> String {
        self.tagged(partition, "commits")
    }

    /// Counter that makes every lease's fencing token larger than the last.
    #[must_use]
    pub fn fence(&self, partition: Partition) -> String {
        self.tagged(partition, "fence")
    }
}

/// The ID of a stream entry: milliseconds of its arrival by Redis's clock, and a sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// Milliseconds since 1970.
    pub milliseconds: u64,
    /// Tells apart entries of the same millisecond.
    pub sequence: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

/// Not a stream ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a stream ID such as 1790000000000-0")]
pub struct BadStreamId(String);

impl FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(text: &str) -> Result<Self, BadStreamId> {
        let parse = || {
            let (milliseconds, sequence) = text.split_once('-')?;
            Some(Self { milliseconds: milliseconds.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parse().ok_or_else(|| BadStreamId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_partition_share_its_tag() {
        let keys = Keys::new("wg", 16);
        let station = StationId::new("KJFK").unwrap();
        assert_eq!(keys.obs(3), "{wg:3}:obs");
        assert_eq!(keys.window(3, &station), "{wg:3}:window:KJFK");
        assert_eq!(keys.partition_count(), "wg:partitions");
        assert_eq!(keys.workers(), "wg:workers");
    }

    #[test]
    fn partitions_follow_the_cluster_crc() {
        // CRC-16/XMODEM of "123456789" is 0x31C3 in the Redis Cluster specification.
        let keys = Keys::new("wg", u16::MAX);
        assert_eq!(keys.partition_of(&StationId::new("123456789").unwrap()), 0x31C3);
    }

    #[test]
    fn stream_ids_round_trip_and_order() {
        let id: StreamId = "1790000000000-2".parse().unwrap();
        assert_eq!(id.to_string(), "1790000000000-2");
        assert!(id > "1789999999999-9".parse().unwrap());
        assert!("12".parse::<StreamId>().is_err());
    }
}
