//! Dead letters: entries that could not be processed, whole, with their reason and history, until
//! somebody looks.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use redis::Script;
use redis::streams::StreamRangeReply;

use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{FIELD, Partition, StreamId};

static REPLAY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/replay_dead.lua")));

/// Letters that are read together.
const PAGE: usize = 500;

/// Which dead letter: `PARTITION/STREAM-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadId {
    /// Of which partition.
    pub partition: Partition,
    /// Its ID among that partition's dead letters; its time is that of giving up.
    pub id: StreamId,
}

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.id)
    }
}

/// Not the name of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a dead letter such as 3/1790000000000-0: `dead-letters list` names them")]
pub struct BadDeadId(String);

impl FromStr for DeadId {
    type Err = BadDeadId;

    fn from_str(text: &str) -> Result<Self, BadDeadId> {
        let parse = || {
            let (partition, id) = text.split_once('/')?;
            Some(Self { partition: partition.parse().ok()?, id: id.parse().ok()? })
        };
        parse().ok_or_else(|| BadDeadId(text.to_owned()))
    }
}

/// An entry that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name.
    pub id: DeadId,
    /// Where it stood in the `obs` stream; the time is that of its arrival.
    pub entry: StreamId,
    /// Why: `malformed`, `newer_version`, `wrong_partition` or `deliveries`, and the detail.
    pub reason: String,
    /// How often it had been handed out.
    pub deliveries: u64,
    /// The worker process that gave it up.
    pub worker: String,
    /// What it was.
    pub bytes: Vec<u8>,
}

impl Redis {
    /// The dead letters of a partition after one of them, or from the oldest; at most a page of them, so
    /// that reading a great many takes little memory. An empty page is the end.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn dead_letters(&self, partition: Partition, after: Option<StreamId>) -> Result<Vec<DeadLetter>, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys().dead(partition)).arg(from).arg("+").arg("COUNT").arg(PAGE);
        let page: StreamRangeReply = command.query_async(&mut self.hot()).await?;
        page.ids.iter().map(|entry| letter(partition, entry)).collect()
    }

    /// One dead letter, if it is there.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn dead_letter(&self, id: DeadId) -> Result<Option<DeadLetter>, Error> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys().dead(id.partition)).arg(id.id.to_string()).arg(id.id.to_string());
        let found: StreamRangeReply = command.query_async(&mut self.hot()).await?;
        found.ids.first().map(|entry| letter(id.partition, entry)).transpose()
    }

    /// How many dead letters a partition has.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn dead_count(&self, partition: Partition) -> Result<u64, Error> {
        Ok(redis::cmd("XLEN").arg(self.keys().dead(partition)).query_async(&mut self.hot()).await?)
    }

    /// Puts a dead letter back into its partition's stream as a new entry, in one step; returns its new
    /// ID, or none if there is no such letter.
    ///
    /// # Errors
    /// After [`Error::Unavailable`] it may have been done: the letter is then gone.
    pub async fn replay_dead_letter(&self, id: DeadId) -> Result<Option<StreamId>, Error> {
        let (dead, obs) = (self.keys().dead(id.partition), self.keys().obs(id.partition));
        let new: String = REPLAY.key(dead).key(obs).arg(id.id.to_string()).invoke_async(&mut self.hot()).await?;
        if new.is_empty() {
            return Ok(None);
        }
        new.parse().map(Some).map_err(|e| Error::Data(format!("{e}")))
    }

    /// Removes a dead letter for good; false if there is no such letter.
    ///
    /// # Errors
    /// When Redis did not do it.
    pub async fn drop_dead_letter(&self, id: DeadId) -> Result<bool, Error> {
        let key = self.keys().dead(id.partition);
        let gone: u64 = redis::cmd("XDEL").arg(key).arg(id.id.to_string()).query_async(&mut self.hot()).await?;
        Ok(gone > 0)
    }
}

fn letter(partition: Partition, entry: &redis::streams::StreamId) -> Result<DeadLetter, Error> {
    let parse = |id: &str| id.parse::<StreamId>().map_err(|e| Error::Data(format!("{e}")));
    let stood: String = entry.get("id").unwrap_or_default();
    Ok(DeadLetter {
        id: DeadId { partition, id: parse(&entry.id)? },
        // One that another release wrote is shown with what it has.
        entry: stood.parse().unwrap_or_default(),
        reason: entry.get("reason").unwrap_or_default(),
        deliveries: entry.get("deliveries").unwrap_or_default(),
        worker: entry.get("worker").unwrap_or_default(),
        bytes: entry.get(FIELD).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let id: DeadId = "3/1790000000000-1".parse().unwrap();
        assert_eq!((id.partition, id.to_string().as_str()), (3, "3/1790000000000-1"));
        for bad in ["", "3", "1790000000000-1", "x/1-1", "3/1", "70000/1-1"] {
            assert!(bad.parse::<DeadId>().unwrap_err().to_string().contains("dead-letters list"), "{bad}");
        }
    }
}
