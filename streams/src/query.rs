//! Looking things up: windows, stations, newest observations, latest forecasts, lag.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use weather::{Forecast, Station, StationId, Window};

use crate::codec::{Entry, Received, decode_forecast};
use crate::connection::Redis;
use crate::entries::{self, Entries};
use crate::error::Error;
use crate::keys::{GROUP, Partition, StreamId};

/// Everything a reader needs of a partition before it follows its streams.
#[derive(Debug, Default)]
pub struct PartitionState {
    /// Registered stations.
    pub stations: Vec<Station>,
    /// Each station's newest observation.
    pub newest: Vec<Received>,
    /// Each station's latest forecast.
    pub latest: Vec<Forecast>,
    /// Values that this release can't read; they are left out.
    pub unreadable: usize,
}

/// The values of a hash, each an entry's bytes.
type Values = Vec<Vec<u8>>;

/// Windows as Redis holds them.
#[derive(Debug, Default, PartialEq)]
pub struct Windows {
    /// In the order asked for.
    pub windows: Vec<Window>,
    /// Hours that are damaged or of a newer release. They are left out, and stay as they are until
    /// an observation of theirs is written: one bad field must not stop its station.
    pub unreadable: usize,
}

/// How far behind the workers are with a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries in the stream.
    pub length: u64,
    /// Entries handed out and not yet acknowledged.
    pub pending: u64,
    /// The oldest entry that is not acknowledged.
    pub oldest: Option<StreamId>,
}

/// How full Redis is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that count towards the limit.
    pub used: u64,
    /// `maxmemory`; 0 is no limit.
    pub limit: u64,
}

impl Memory {
    /// The used share of the limit; 0 without one.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }

    /// Reads the answer to `INFO memory`.
    fn parse(info: &str) -> Option<Self> {
        let number =
            |name: &str| info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
        // Buffers of replicas and of the append-only file are used, and don't count.
        let aside: u64 = number("mem_not_counted_for_evict").unwrap_or_default();
        let used: u64 = number("used_memory")?;
        Some(Self { used: used.saturating_sub(aside), limit: number("maxmemory")? })
    }
}

impl Redis {
    /// How full Redis is. Of a cluster, whose nodes each have a limit, nothing is said: its nodes refuse
    /// what they have no room for.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn memory(&self) -> Result<Memory, Error> {
        if self.is_cluster() {
            return Ok(Memory::default());
        }
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut self.hot()).await?;
        Memory::parse(&info).ok_or_else(|| Error::Data("INFO memory names no used_memory and maxmemory".into()))
    }

    /// The windows of these stations, in order; a station never heard has an empty one.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn windows(&self, stations: &[StationId]) -> Result<Windows, Error> {
        let fields: Vec<Vec<(Vec<u8>, Vec<u8>)>> = self
            .of_each(stations, |pipe, partition, station| {
                pipe.cmd("HGETALL").arg(self.keys().window(partition, station));
            })
            .await?;
        let mut found = Windows::default();
        for fields in fields {
            let mut window = Window::default();
            for (hour, bytes) in fields {
                let hour = std::str::from_utf8(&hour).ok().and_then(|hour| hour.parse().ok());
                let read = hour.is_some_and(|hour| window.unpack_hour(hour, &bytes).is_ok());
                found.unreadable += usize::from(!read);
            }
            found.windows.push(window);
        }
        Ok(found)
    }

    /// The descriptions of these stations, in order; a station nobody registered, or whose
    /// description this release can't read, has none.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn stations(&self, stations: &[StationId]) -> Result<Vec<Option<Station>>, Error> {
        let found: Vec<Option<Vec<u8>>> = self
            .of_each(stations, |pipe, partition, station| {
                pipe.cmd("HGET").arg(self.keys().stations(partition)).arg(station.as_str());
            })
            .await?;
        let station = |bytes: Vec<u8>| match Entry::decode(&bytes) {
            Ok(Entry::Station(station)) => Some(station),
            _ => None,
        };
        Ok(found.into_iter().map(|bytes| bytes.and_then(station)).collect())
    }

    /// Asks one thing of each station, a pipeline per partition: one that leaves its partition is refused
    /// by a cluster. The answers come in the order of the stations.
    pub(crate) async fn of_each<T: redis::FromRedisValue>(
        &self,
        stations: &[StationId],
        ask: impl Fn(&mut redis::Pipeline, Partition, &StationId),
    ) -> Result<Vec<T>, Error> {
        let mut asked: BTreeMap<Partition, (redis::Pipeline, Vec<usize>)> = BTreeMap::new();
        for (at, station) in stations.iter().enumerate() {
            let partition = self.keys().partition_of(station);
            let (pipe, places) = asked.entry(partition).or_insert_with(|| (redis::pipe(), Vec::new()));
            ask(pipe, partition, station);
            places.push(at);
        }
        let answers = try_join_all(asked.into_values().map(|(pipe, places)| async move {
            let answers: Vec<T> = pipe.query_async(&mut self.hot()).await?;
            Ok::<_, Error>(places.into_iter().zip(answers))
        }));
        let mut placed: Vec<(usize, T)> = answers.await?.into_iter().flatten().collect();
        placed.sort_by_key(|(at, _)| *at);
        Ok(placed.into_iter().map(|(_, answer)| answer).collect())
    }

    /// The stations of a partition.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn descriptions(&self, partition: Partition) -> Result<Vec<Station>, Error> {
        let mut connection = self.pooled().await?;
        let key = self.keys().stations(partition);
        let values: Values = redis::cmd("HVALS").arg(key).query_async(&mut *connection).await?;
        let station = |bytes: &Vec<u8>| match Entry::decode(bytes) {
            Ok(Entry::Station(station)) => Some(station),
            _ => None,
        };
        Ok(values.iter().filter_map(station).collect())
    }

    /// The newest observation of each of these stations, in order; none where there is none to be read.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn newest(&self, stations: &[StationId]) -> Result<Vec<Option<Received>>, Error> {
        let read: Vec<Option<Vec<u8>>> = self
            .of_each(stations, |pipe, partition, station| {
                pipe.cmd("HGET").arg(self.keys().newest(partition)).arg(station.as_str());
            })
            .await?;
        let observation = |bytes: Vec<u8>| match Entry::decode(&bytes) {
            Ok(Entry::Observation(received)) => Some(received),
            _ => None,
        };
        Ok(read.into_iter().map(|bytes| bytes.and_then(observation)).collect())
    }

    /// A partition's stations with their newest observations and latest forecasts.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn partition_state(&self, partition: Partition) -> Result<PartitionState, Error> {
        let keys = self.keys();
        let mut connection = self.pooled().await?;
        let (stations, newest, latest): (Values, Values, Values) = redis::pipe()
            .cmd("HVALS")
            .arg(keys.stations(partition))
            .cmd("HVALS")
            .arg(keys.newest(partition))
            .cmd("HVALS")
            .arg(keys.latest(partition))
            .query_async(&mut *connection)
            .await?;
        let mut state = PartitionState::default();
        for bytes in stations.iter().chain(&newest) {
            match Entry::decode(bytes) {
                Ok(Entry::Station(station)) => state.stations.push(station),
                Ok(Entry::Observation(received)) => state.newest.push(received),
                // Nobody writes a removal into these hashes.
                Ok(Entry::Removed(_)) | Err(_) => state.unreadable += 1,
            }
        }
        for bytes in &latest {
            match decode_forecast(bytes) {
                Ok(forecast) => state.latest.push(forecast),
                Err(_) => state.unreadable += 1,
            }
        }
        Ok(state)
    }

    /// How far behind the workers are with a partition.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn backlog(&self, partition: Partition) -> Result<Backlog, Error> {
        let key = self.keys().obs(partition);
        let mut connection = self.pooled().await?;
        let length: u64 = redis::cmd("XLEN").arg(&key).query_async(&mut *connection).await?;
        let groups: redis::RedisResult<redis::streams::StreamInfoGroupsReply> =
            redis::cmd("XINFO").arg("GROUPS").arg(&key).query_async(&mut *connection).await;
        let Some(group) = groups.ok().and_then(|g| g.groups.into_iter().find(|g| g.name == GROUP)) else {
            let oldest = self.first_after(partition, None).await?;
            return Ok(Backlog { length, pending: 0, oldest });
        };
        let pending: redis::streams::StreamPendingReply =
            redis::cmd("XPENDING").arg(&key).arg(GROUP).query_async(&mut *connection).await?;
        let oldest = match pending {
            redis::streams::StreamPendingReply::Data(data) => parse(&data.start_id)?,
            _ => {
                let delivered = group.last_delivered_id.parse().map_err(|e| Error::Data(format!("{e}")))?;
                self.first_after(partition, Some(delivered)).await?
            }
        };
        Ok(Backlog { length, pending: group.pending as u64, oldest })
    }

    /// The first entry of a partition's `obs` stream after an ID.
    async fn first_after(&self, partition: Partition, after: Option<StreamId>) -> Result<Option<StreamId>, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let reply: Entries = redis::cmd("XRANGE")
            .arg(self.keys().obs(partition))
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut self.hot())
            .await?;
        Ok(entries::first(&reply))
    }
}

fn parse(id: &str) -> Result<Option<StreamId>, Error> {
    id.parse().map(Some).map_err(|e| Error::Data(format!("{e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_redis_says() {
        let info = "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory:2000\r\nmem_not_counted_for_evict:100\r\n";
        let memory = Memory::parse(info).unwrap();
        assert_eq!(memory, Memory { used: 900, limit: 2000 });
        assert!((memory.share() - 0.45).abs() < 1e-9);
        assert_eq!(Memory { used: 5, limit: 0 }.share(), 0.0);
        assert_eq!(Memory::parse("# Memory"), None);
    }
}
