//! Trimming: streams are cut by age, never past what a group has not acknowledged.

use redis::streams::{StreamInfoGroupsReply, StreamPendingReply};

use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{Partition, StreamId};

impl Redis {
    /// Removes entries of a partition's `obs` stream that arrived before `milliseconds` and that
    /// every group has acknowledged. Returns how many.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn trim_obs(&self, partition: Partition, milliseconds: u64) -> Result<u64, Error> {
        let key = self.keys().obs(partition);
        let mut bound = StreamId { milliseconds, sequence: 0 };
        let mut connection = self.pooled().await?;
        let groups: StreamInfoGroupsReply =
            redis::cmd("XINFO").arg("GROUPS").arg(&key).query_async(&mut *connection).await?;
        if groups.groups.is_empty() {
            return Ok(0);
        }
        for group in &groups.groups {
            let delivered: StreamId = group.last_delivered_id.parse().map_err(|e| Error::Data(format!("{e}")))?;
            // Everything up to the last delivered may go, if none of it is pending.
            bound = bound.min(StreamId { sequence: delivered.sequence + 1, ..delivered });
            let pending: StreamPendingReply =
                redis::cmd("XPENDING").arg(&key).arg(&group.name).query_async(&mut *connection).await?;
            if let StreamPendingReply::Data(data) = pending {
                bound = bound.min(data.start_id.parse().map_err(|e| Error::Data(format!("{e}")))?);
            }
        }
        self.trim(&key, bound).await
    }

    /// Removes forecasts of a partition that were issued before `milliseconds`. Returns how many.
    /// Each station's latest is kept elsewhere and stays.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn trim_forecasts(&self, partition: Partition, milliseconds: u64) -> Result<u64, Error> {
        self.trim(&self.keys().forecast(partition), StreamId { milliseconds, sequence: 0 }).await
    }

    async fn trim(&self, key: &str, bound: StreamId) -> Result<u64, Error> {
        let mut connection = self.pooled().await?;
        let removed = redis::cmd("XTRIM")
            .arg(key)
            .arg("MINID")
            .arg("~")
            .arg(bound.to_string())
            .query_async(&mut *connection)
            .await?;
        Ok(removed)
    }
}
