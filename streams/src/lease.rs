//! Leases: which worker owns a partition, with a token that fences out the one before; and which
//! workers there are to share them.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::connection::Redis;
use crate::error::Error;
use crate::keys::Partition;

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('EXISTS', KEYS[1]) == 1 then return '' end
         local token = ARGV[1] .. '#' .. redis.call('INCR', KEYS[2])
         redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
         return token",
    )
});
static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('PEXPIRE', KEYS[1], ARGV[2])
         return 1",
    )
});
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
});

/// Redis's own clock judges who is gone: the workers' need not agree.
static ATTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now))
         redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
         redis.call('PEXPIRE', KEYS[1], ARGV[2])
         return redis.call('ZRANGE', KEYS[1], 0, -1)",
    )
});

/// The right to process a partition, until it expires or is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Of which partition.
    pub partition: Partition,
    /// `worker#fence`: every lease of a partition has a higher fence than the one before.
    pub token: String,
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Redis {
    /// Says that a worker is there for another `time`; returns the names of all that are, itself included,
    /// in alphabetical order.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn attend(&self, worker: &str, time: Duration) -> Result<Vec<String>, Error> {
        let mut present: Vec<String> =
            ATTEND.key(self.keys().workers()).arg(worker).arg(milliseconds(time)).invoke_async(&mut self.hot()).await?;
        present.sort_unstable();
        Ok(present)
    }

    /// Says that a worker takes no more partitions: the others share among themselves.
    ///
    /// # Errors
    /// When Redis did not hear it; the worker is then forgotten in its own time.
    pub async fn leave(&self, worker: &str) -> Result<(), Error> {
        let gone = redis::cmd("ZREM").arg(self.keys().workers()).arg(worker).to_owned();
        Ok(gone.query_async::<()>(&mut self.hot()).await?)
    }

    /// Takes the lease of a partition for `time`, if nobody holds it.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn acquire(&self, partition: Partition, worker: &str, time: Duration) -> Result<Option<Lease>, Error> {
        let token: String = ACQUIRE
            .key(self.keys().owner(partition))
            .key(self.keys().fence(partition))
            .arg(worker)
            .arg(milliseconds(time))
            .invoke_async(&mut self.hot())
            .await?;
        Ok((!token.is_empty()).then_some(Lease { partition, token }))
    }

    /// Extends a lease; false when it is no longer ours.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, Error> {
        let held: u8 = RENEW
            .key(self.keys().owner(lease.partition))
            .arg(&lease.token)
            .arg(milliseconds(time))
            .invoke_async(&mut self.hot())
            .await?;
        Ok(held == 1)
    }

    /// Gives a lease back, so that another worker need not wait for it to expire.
    ///
    /// # Errors
    /// When Redis did not hear it; the lease then expires by itself.
    pub async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let _: u8 =
            RELEASE.key(self.keys().owner(lease.partition)).arg(&lease.token).invoke_async(&mut self.hot()).await?;
        Ok(())
    }
}
