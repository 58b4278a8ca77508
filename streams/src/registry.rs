//! The registry: which stations there are, and who has asked to be one.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use redis::Script;
use weather::{Station, StationId};

use crate::append::encode_station;
use crate::codec::Entry;
use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{FIELD, Partition};

static REMOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/remove_station.lua")));

/// Fields of a "seen" hash that are looked at together.
const PAGE: usize = 1000;

/// Names and values of a hash.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A station that came unregistered, where an operator is to confirm who is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// What it calls itself.
    pub station: StationId,
    /// When it came first, milliseconds since 1970.
    pub first: i64,
    /// When it came last.
    pub last: i64,
    /// How many of its items have been refused.
    pub refused: u64,
}

impl Unconfirmed {
    /// Reads what `contact.lua` writes; none if it is something else.
    pub(crate) fn parse(id: &str, facts: &str) -> Option<Self> {
        let mut numbers = facts.split(' ');
        let mut next = || numbers.next()?.parse().ok();
        let (first, last, refused) = (next()?, next()?, next()?);
        Some(Self { station: StationId::new(id).ok()?, first, last, refused: u64::try_from(refused).ok()? })
    }
}

impl Redis {
    /// Registers a station, or describes it anew, and tells the readers of its partition.
    ///
    /// # Errors
    /// When Redis did not take it; sending it again is safe.
    pub async fn put_station(&self, station: &Station) -> Result<(), Error> {
        let partition = self.keys().partition_of(&station.id);
        let mut connection = self.pooled().await?;
        redis::pipe()
            .atomic()
            .cmd("HSET")
            .arg(self.keys().stations(partition))
            .arg(station.id.as_str())
            .arg(encode_station(station))
            .ignore()
            .cmd("HDEL")
            .arg(self.keys().unconfirmed(partition))
            .arg(station.id.as_str())
            .ignore()
            .cmd("XADD")
            .arg(self.keys().obs(partition))
            .arg("*")
            .arg(FIELD)
            .arg(encode_station(station))
            .ignore()
            .query_async::<()>(&mut *connection)
            .await?;
        Ok(())
    }

    /// Forgets a station: description, newest observation, latest forecast, window, contacts, and the keys
    /// that open it and nothing else. Returns false if nothing of it was there.
    ///
    /// Readers of the streams are told. What the streams hold of it stays until it is trimmed.
    ///
    /// # Errors
    /// When Redis did not do all of it; doing it again is safe.
    pub async fn remove_station(&self, station: &StationId) -> Result<bool, Error> {
        // First, so that nothing of it comes in with them meanwhile.
        let keys = self.drop_keys_of(station).await?;
        let (names, partition) = (self.keys(), self.keys().partition_of(station));
        let there: bool = REMOVE
            .key(names.obs(partition))
            .key(names.window(partition, station))
            .key(names.stations(partition))
            .key(names.newest(partition))
            .key(names.latest(partition))
            .key(names.unconfirmed(partition))
            .key(names.contact_accepted(partition))
            .key(names.contact_rejected(partition))
            .arg(station.as_str())
            .arg(Entry::Removed(station.clone()).encode())
            .invoke_async(&mut self.hot())
            .await?;
        self.forget_seen(partition, station).await?;
        Ok(there || keys > 0)
    }

    /// Has reports of a removed station no longer taken for duplicates, if it should come back.
    async fn forget_seen(&self, partition: Partition, station: &StationId) -> Result<(), Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let hour = i64::try_from(since.as_secs()).unwrap_or_default() / weather::time::HOUR;
        let hours = (hour - weather::WINDOW_HOURS - 1)..=(hour + 1);
        try_join_all(hours.map(|hour| self.forget_seen_of(partition, hour, station))).await?;
        Ok(())
    }

    async fn forget_seen_of(&self, partition: Partition, hour: i64, station: &StationId) -> Result<(), Error> {
        let key = self.keys().seen(partition, hour);
        let mut cursor: u64 = 0;
        loop {
            // Nothing that an id may have means anything in a pattern.
            let mut command = redis::cmd("HSCAN");
            command.arg(&key).arg(cursor).arg("MATCH").arg(format!("{station}@*")).arg("COUNT").arg(PAGE);
            let (next, page): (u64, Fields) = command.query_async(&mut self.hot()).await?;
            if !page.is_empty() {
                let mut command = redis::cmd("HDEL");
                command.arg(&key);
                for (field, _) in &page {
                    command.arg(field);
                }
                command.query_async::<()>(&mut self.hot()).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_unconfirmed_station_are_read_or_left() {
        let found = Unconfirmed::parse("A", "1790000000000 1790000060000 3").unwrap();
        assert_eq!((found.first, found.last, found.refused), (1_790_000_000_000, 1_790_000_060_000, 3));
        for bad in ["", "1 2", "1 2 x", "1 2 -3"] {
            assert_eq!(Unconfirmed::parse("A", bad), None, "{bad}");
        }
    }
}
