//! Appending: how observations and station descriptions enter Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use futures_util::future::join_all;
use redis::Script;
use weather::{Observation, Station, StationId};

use crate::codec::{Entry, Received};
use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{Partition, StreamId};
use crate::script::Call;

/// Observations per script call: long enough to amortise the call, short enough that Redis serves
/// others in between.
const CHUNK: usize = 256;
/// How long a resent report is recognised here after the last one of its hour. The workers
/// recognise it for as long as their windows reach.
const SEEN_SECONDS: i64 = 6 * 3600;

/// What an observation's arguments take, about: its entry, its values and what names them.
const ROOM: usize = 320;

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/append.lua")));

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the stream, under this ID.
    Accepted(StreamId),
    /// The same report had been accepted before.
    Duplicate,
    /// Nobody has registered its station, and [`Registration::Confirm`] lets in nobody else.
    Unconfirmed,
}

/// What becomes of observations of a station that nobody has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// They register it, without a position.
    #[default]
    Open,
    /// They are refused until somebody registers it.
    Confirm,
}

/// Where in which spool observations waited.
#[derive(Clone, Copy, Debug)]
pub struct Spooled<'a> {
    /// The spool's name: no other one has it.
    pub name: &'a str,
    /// Each observation's position, all of the same length and greater in the order of alphabets than those
    /// before it, now and in every earlier call.
    pub positions: &'a [String],
}

/// Writes to the `obs` streams.
#[derive(Clone)]
pub struct Appender {
    redis: Redis,
    registration: Registration,
}

impl Appender {
    /// An appender to `redis`, open to every station.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self { redis, registration: Registration::Open }
    }

    /// The same with another way to treat stations that nobody has registered.
    ///
    /// That is settled in Redis, in the step that would append: nothing is remembered here that somebody
    /// may have changed meanwhile, and nothing more is asked.
    #[must_use]
    pub const fn with_registration(redis: Redis, registration: Registration) -> Self {
        Self { redis, registration }
    }

    /// Appends observations, in order per station, and answers in the order given once Redis has them.
    ///
    /// An observation of a station that nobody registered registers it without a position, or is refused:
    /// [`Registration`].
    ///
    /// # Errors
    /// When any partition's write failed. What other partitions accepted stays accepted: sending
    /// the same observations again is safe, they count as duplicates.
    pub async fn append(&self, observations: &[Received]) -> Result<Vec<Outcome>, Error> {
        self.append_all(observations, None).await
    }

    /// The same for observations that waited in a spool: what of it has been handed over before is a
    /// duplicate, whatever came after it.
    ///
    /// # Errors
    /// As of [`Appender::append`].
    pub async fn append_from(&self, spool: &Spooled<'_>, observations: &[Received]) -> Result<Vec<Outcome>, Error> {
        self.append_all(observations, Some(spool)).await
    }

    async fn append_all(&self, observations: &[Received], spool: Option<&Spooled<'_>>) -> Result<Vec<Outcome>, Error> {
        let mut by_partition: BTreeMap<Partition, Vec<usize>> = BTreeMap::new();
        for (index, received) in observations.iter().enumerate() {
            let partition = self.redis.keys().partition_of(&received.observation.station);
            by_partition.entry(partition).or_default().push(index);
        }
        let written = join_all(by_partition.iter().map(|(partition, indices)| async move {
            let mut outcomes = Vec::with_capacity(indices.len());
            for chunk in indices.chunks(CHUNK) {
                outcomes.extend(self.append_chunk(*partition, chunk, observations, spool).await?);
            }
            Ok::<_, Error>(outcomes)
        }))
        .await;
        let mut outcomes = vec![Outcome::Duplicate; observations.len()];
        for (indices, result) in by_partition.values().zip(written) {
            for (index, outcome) in indices.iter().zip(result?) {
                outcomes[*index] = outcome;
            }
        }
        Ok(outcomes)
    }

    async fn append_chunk(
        &self,
        partition: Partition,
        chunk: &[usize],
        all: &[Received],
        spool: Option<&Spooled<'_>>,
    ) -> Result<Vec<Outcome>, Error> {
        let keys = self.redis.keys();
        let mut named = vec![keys.obs(partition), keys.stations(partition), keys.handed_over(partition)];
        named.push(keys.unconfirmed(partition));
        // Place of each hour's hash among the keys, counted from 1 as the script does.
        let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
        for index in chunk {
            let hour = all[*index].observation.time.hour();
            seen.entry(hour).or_insert_with(|| {
                named.push(keys.seen(partition, hour));
                named.len()
            });
        }
        // Every time, not once per process: a Redis that came back without its data, or without the
        // last second of it, has forgotten stations that this process would believe registered.
        let stations: BTreeSet<&StationId> = chunk.iter().map(|i| &all[*i].observation.station).collect();
        let arguments = 3 + 2 * stations.len() + 5 * chunk.len();
        let mut call = Call::new(&APPEND, &named, arguments, ROOM * (chunk.len() + stations.len()));
        call.arg(SEEN_SECONDS).arg(spool.map_or("", |spool| spool.name)).arg(stations.len());
        for station in &stations {
            call.arg(station.as_str());
        }
        for station in stations {
            match self.registration {
                Registration::Open => call.arg(encode_station(&Station::unregistered(station.clone()))),
                Registration::Confirm => call.arg(""),
            };
        }
        for index in chunk {
            let received = &all[*index];
            let (field, values) = fingerprint(&received.observation);
            let place = seen.get(&received.observation.time.hour()).copied().unwrap_or_default();
            call.arg(place).arg(field).arg(values).arg(received.encode());
            if let Some(spool) = spool {
                call.arg(spool.positions.get(*index).map_or("", String::as_str));
            }
        }
        let ids: Vec<String> = call.run(&mut self.redis.hot()).await?;
        self.redis.replicated(partition).await?;
        ids.iter()
            .map(|id| match id.as_str() {
                "" => Ok(Outcome::Duplicate),
                "-" => Ok(Outcome::Unconfirmed),
                id => id.parse().map(Outcome::Accepted).map_err(|e| Error::Data(format!("{e}"))),
            })
            .collect()
    }

    /// Registers a station, or describes it anew, and tells the readers of its partition.
    ///
    /// # Errors
    /// When Redis did not take it; sending it again is safe.
    pub async fn put_station(&self, station: &Station) -> Result<(), Error> {
        self.redis.put_station(station).await
    }
}

/// The bytes of a description in the stations hash: those of its stream entry.
pub(crate) fn encode_station(station: &Station) -> Vec<u8> {
    Entry::Station(station.clone()).encode()
}

/// What identifies a report within its hour, and its values bit for bit.
fn fingerprint(observation: &Observation) -> (Vec<u8>, Vec<u8>) {
    let id = observation.station.as_str().as_bytes();
    let mut field = Vec::with_capacity(id.len() + 3);
    field.extend_from_slice(id);
    field.push(b'@');
    field.extend_from_slice(&(observation.time.unix().rem_euclid(3600) as u16).to_le_bytes());
    let mut values = Vec::with_capacity(5 * observation.values.len());
    for (variable, value) in observation.values.iter() {
        values.push(variable as u8);
        values.extend_from_slice(&value.to_le_bytes());
    }
    (field, values)
}
