//! Tailing: following every stream from a position, as the api does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use weather::Forecast;

use crate::codec::{DecodeError, Entry, Judgement, decode_forecast};
use crate::connection::Redis;
use crate::entries::{self, Entries, Raw, Streams};
use crate::error::Error;
use crate::keys::{Partition, StreamId};
use crate::link::Link;

/// Which of a partition's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// Observations and station descriptions.
    Observations,
    /// Forecasts.
    Forecasts,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Of an `obs` stream.
    Entry(Entry),
    /// Of a `forecast` stream.
    Forecast(Box<Forecast>),
    /// Of a `forecast` stream too: it stands before the forecast that it has a part in.
    Judgement(Box<Judgement>),
}

/// One new entry.
#[derive(Clone, Debug)]
pub struct Update {
    /// From which partition.
    pub partition: Partition,
    /// From which of its streams.
    pub log: Log,
    /// Its stream ID.
    pub id: StreamId,
    /// What it says, or why it can't be read.
    pub payload: Result<Payload, DecodeError>,
}

/// What one read brought, in order of arrival.
#[derive(Debug, Default)]
pub struct Updates {
    /// The new entries, by time of arrival.
    pub updates: Vec<Update>,
    /// Every entry that arrived before this millisecond has been handed out, whatever its stream.
    pub complete_to: u64,
}

/// Time between looks at the streams of an idle cluster.
const POLL: Duration = Duration::from_millis(20);
/// How far apart the clocks of a cluster's nodes may be, milliseconds.
const SKEW: u64 = 2000;
/// Entries of one stream per read.
const COUNT: usize = 1000;

/// Follows both streams of every partition, on a connection of its own.
pub struct Tail {
    redis: Redis,
    connection: Link,
    streams: Vec<(Partition, Log, String)>,
    positions: HashMap<String, StreamId>,
}

impl Tail {
    /// A tail that begins at the present end of every stream.
    ///
    /// What is looked up after this call (see [`Redis::partition_state`]) and what the tail then
    /// brings have no gap between them; an entry may be in both.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn from_end(redis: Redis) -> Result<Self, Error> {
        let connection = redis.dedicated().await?;
        let mut streams = Vec::new();
        for partition in 0..redis.keys().partitions() {
            streams.push((partition, Log::Observations, redis.keys().obs(partition)));
            streams.push((partition, Log::Forecasts, redis.keys().forecast(partition)));
        }
        let ends = streams.iter().map(|(_, _, key)| {
            let redis = &redis;
            async move {
                let mut command = redis::cmd("XREVRANGE");
                command.arg(key).arg("+").arg("-").arg("COUNT").arg(1);
                Ok::<_, Error>(command.query_async::<Entries>(&mut redis.hot()).await?)
            }
        });
        let newest = try_join_all(ends).await?;
        let mut positions = HashMap::new();
        for ((_, _, key), reply) in streams.iter().zip(newest) {
            positions.insert(key.clone(), entries::first(&reply).unwrap_or_default());
        }
        Ok(Self { redis, connection, streams, positions })
    }

    /// The newest position of all streams, in milliseconds of arrival.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.positions.values().map(|id| id.milliseconds).max().unwrap_or_default()
    }

    /// Waits up to `block` for new entries.
    ///
    /// # Errors
    /// When the connection failed; [`Tail::reconnect`] goes on where it stopped.
    pub async fn next(&mut self, block: Duration) -> Result<Updates, Error> {
        let streams = if self.redis.is_cluster() { self.poll(block).await? } else { self.wait(block).await? };
        let mut found = Updates::default();
        let mut truncated: Option<u64> = None;
        for (stream, read) in streams {
            let Some((partition, log, key)) = self.streams.iter().find(|(_, _, key)| *key == stream) else {
                continue;
            };
            found.updates.extend(read.iter().map(|entry| update(*partition, *log, entry)));
            let Some(last) = found.updates.last().map(|u| u.id) else { continue };
            self.positions.insert(key.clone(), last);
            if read.len() >= COUNT {
                truncated = Some(truncated.map_or(last.milliseconds, |t| t.min(last.milliseconds)));
            }
        }
        found.updates.sort_by_key(|u| u.id);
        found.complete_to = truncated.unwrap_or_else(|| self.position());
        if self.redis.is_cluster() {
            // Its nodes have a clock each, and are not read at the same moment.
            found.complete_to = found.complete_to.saturating_sub(SKEW);
        }
        Ok(found)
    }

    /// New entries of one server: one command that waits on all streams.
    async fn wait(&mut self, block: Duration) -> Result<Vec<(String, Vec<Raw>)>, Error> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(COUNT).arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
        command.arg("STREAMS");
        for (_, _, key) in &self.streams {
            command.arg(key);
        }
        for (_, _, key) in &self.streams {
            command.arg(self.positions.get(key).copied().unwrap_or_default().to_string());
        }
        Ok(command.query_async::<Streams>(&mut self.connection).await?.0)
    }

    /// New entries of a cluster, where no command reaches two partitions: every stream is asked again and
    /// again.
    async fn poll(&mut self, block: Duration) -> Result<Vec<(String, Vec<Raw>)>, Error> {
        let deadline = Instant::now() + block;
        loop {
            let asked = self.streams.iter().map(|(_, _, key)| {
                let position = self.positions.get(key).copied().unwrap_or_default().to_string();
                let mut connection = self.connection.clone();
                async move {
                    let mut command = redis::cmd("XREAD");
                    command.arg("COUNT").arg(COUNT).arg("STREAMS").arg(key).arg(position);
                    Ok::<Streams, Error>(command.query_async(&mut connection).await?)
                }
            });
            let answers = join_all(asked).await;
            let failed = answers.iter().find_map(|answer| answer.as_ref().err()).cloned();
            let found: Vec<(String, Vec<Raw>)> = answers.into_iter().flatten().flat_map(|streams| streams.0).collect();
            // What the nodes that live have is not held up by one that does not.
            match failed {
                Some(error) if found.is_empty() => return Err(error),
                _ if !found.is_empty() || Instant::now() >= deadline => return Ok(found),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Opens a new connection after one failed; positions are kept.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        self.connection = self.redis.dedicated().await?;
        Ok(())
    }
}

fn update(partition: Partition, log: Log, entry: &Raw) -> Update {
    let bytes = entry.bytes();
    let payload = match log {
        Log::Observations => Entry::decode(&bytes).map(Payload::Entry),
        Log::Forecasts => match decode_forecast(&bytes) {
            Ok(forecast) => Ok(Payload::Forecast(Box::new(forecast))),
            Err(error) => Judgement::decode(&bytes).map(|j| Payload::Judgement(Box::new(j))).map_err(|_| error),
        },
    };
    Update { partition, log, id: entry.id, payload }
}

/// What Redis still holds of the past of some partitions.
#[derive(Debug)]
pub struct Past {
    /// Entries by time of arrival.
    pub updates: Vec<Update>,
    /// Whether nothing between the asked time and now is missing.
    pub complete: bool,
}

impl Redis {
    /// Every entry of these partitions that arrived at or after `milliseconds`, at most `limit` of
    /// each stream; more, or a stream that has been trimmed past that time, makes it incomplete.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn since(&self, partitions: &[Partition], milliseconds: u64, limit: usize) -> Result<Past, Error> {
        let mut past = Past { updates: Vec::new(), complete: true };
        for &partition in partitions {
            for log in [Log::Observations, Log::Forecasts] {
                let key = match log {
                    Log::Observations => self.keys().obs(partition),
                    Log::Forecasts => self.keys().forecast(partition),
                };
                let reply: Entries = redis::cmd("XRANGE")
                    .arg(&key)
                    .arg(milliseconds)
                    .arg("+")
                    .arg("COUNT")
                    .arg(limit + 1)
                    .query_async(&mut self.hot())
                    .await?;
                past.complete &= reply.0.len() <= limit && !self.trimmed_past(&key, milliseconds).await?;
                past.updates.extend(reply.0.iter().take(limit).map(|entry| update(partition, log, entry)));
            }
        }
        past.updates.sort_by_key(|u| u.id);
        Ok(past)
    }

    /// Whether entries that arrived at or after `milliseconds` may have been trimmed away: something
    /// has been, and what is left does not begin earlier. (Redis does not record where a trim ended.)
    async fn trimmed_past(&self, key: &str, milliseconds: u64) -> Result<bool, Error> {
        let exists: bool = redis::cmd("EXISTS").arg(key).query_async(&mut self.hot()).await?;
        if !exists {
            return Ok(false);
        }
        let info: HashMap<String, redis::Value> =
            redis::cmd("XINFO").arg("STREAM").arg(key).query_async(&mut self.hot()).await?;
        let number = |name: &str| info.get(name).and_then(|v| redis::from_redis_value_ref::<u64>(v).ok()).unwrap_or(0);
        if number("entries-added") <= number("length") {
            return Ok(false);
        }
        let reply: Entries =
            redis::cmd("XRANGE").arg(key).arg("-").arg("+").arg("COUNT").arg(1).query_async(&mut self.hot()).await?;
        Ok(entries::first(&reply).is_none_or(|id| id.milliseconds >= milliseconds))
    }
}
