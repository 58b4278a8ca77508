//! Contacts: the last that was heard of each station, let in or refused and why.
//!
//! A station that sends and is refused looks to its owner like one that works. Here stands what it
//! sent last.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use futures_util::future::{join_all, try_join_all};
use redis::Script;
use serde::{Deserialize, Serialize};
use weather::StationId;

use crate::connection::Redis;
use crate::error::Error;
use crate::keys::Partition;
use crate::registry::Unconfirmed;
use crate::script::Call;

static CONTACT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/contact.lua")));

/// Contacts per script call.
const CHUNK: usize = 256;
/// Contacts that are read together: each has a few KB.
const PAGE: usize = 256;
/// What a contact's arguments take, about.
const ROOM: usize = 640;

/// One message of a station, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When it came, milliseconds since 1970 by the clock of ingest.
    pub time: i64,
    /// By which door: `json`, `wunderground`, ...
    pub door: String,
    /// Who sent it: an address. For the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// What was sent, at most some KB, without secrets.
    pub raw: String,
    /// Whether `raw` is only its beginning.
    #[serde(default)]
    pub cut: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It got in.
    Accepted,
    /// It had got in before.
    Duplicate,
    /// It was refused.
    Rejected(Refused),
}

impl Verdict {
    /// One word for it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// Why a message was refused, as its sender was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The field at fault.
    pub field: String,
    /// The kind of fault, as [`weather::admission::Reason::label`] has it.
    pub reason: String,
    /// What would be right.
    pub detail: String,
}

/// The last that was heard of a station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    /// The last that got in, or had got in before.
    pub accepted: Option<Contact>,
    /// The last that was refused.
    pub rejected: Option<Contact>,
}

impl Contacts {
    /// The later of the two.
    #[must_use]
    pub fn last(&self) -> Option<&Contact> {
        self.accepted.iter().chain(&self.rejected).max_by_key(|contact| contact.time)
    }
}

/// A contact to be written.
#[derive(Clone, Debug)]
pub struct Knock {
    /// Of which station.
    pub station: StationId,
    /// The newest of those that it stands for.
    pub contact: Contact,
    /// Items that were refused, of all those that it stands for.
    pub refused: u64,
    /// Whether a station that is not registered is to be listed as unconfirmed; otherwise its contact is
    /// left out.
    pub listed: bool,
}

/// What became of contacts that were to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Those written.
    pub written: u64,
    /// Those left out: their stations are neither registered nor to be listed.
    pub strangers: u64,
    /// Unconfirmed stations that were dropped from the list, those not heard for longest, since there are
    /// too many.
    pub dropped: u64,
}

impl Redis {
    /// Writes down contacts; at most about `most` unconfirmed stations are listed over all partitions.
    ///
    /// # Errors
    /// When any partition's write failed. What others wrote stays; writing the same again does no harm
    /// but to the count of refused items.
    pub async fn write_contacts(&self, knocks: &[Knock], most: usize) -> Result<Written, Error> {
        let mut by_partition: BTreeMap<Partition, Vec<&Knock>> = BTreeMap::new();
        for knock in knocks {
            by_partition.entry(self.keys().partition_of(&knock.station)).or_default().push(knock);
        }
        let most = most.div_ceil(usize::from(self.keys().partitions()));
        let parts = by_partition.iter().map(|(partition, knocks)| async move {
            let mut sum = Written::default();
            for chunk in knocks.chunks(CHUNK) {
                let part = self.write_chunk(*partition, chunk, most).await?;
                sum.written += part.written;
                sum.strangers += part.strangers;
                sum.dropped += part.dropped;
            }
            Ok::<_, Error>(sum)
        });
        let mut sum = Written::default();
        for part in join_all(parts).await {
            let part = part?;
            sum.written += part.written;
            sum.strangers += part.strangers;
            sum.dropped += part.dropped;
        }
        Ok(sum)
    }

    async fn write_chunk(&self, partition: Partition, chunk: &[&Knock], most: usize) -> Result<Written, Error> {
        let keys = self.keys();
        let named = [
            keys.stations(partition),
            keys.unconfirmed(partition),
            keys.contact_accepted(partition),
            keys.contact_rejected(partition),
        ];
        let mut call = Call::new(&CONTACT, &named, 2 + 6 * chunk.len(), ROOM * chunk.len());
        call.arg(most).arg(chunk.len());
        for knock in chunk {
            call.arg(knock.station.as_str());
        }
        for knock in chunk {
            let kind = if matches!(knock.contact.verdict, Verdict::Rejected(_)) { "R" } else { "A" };
            // Packing into memory fails only if a `Serialize` is at fault, which the tests would show.
            let bytes = rmp_serde::to_vec_named(&knock.contact).unwrap_or_default();
            call.arg(kind).arg(bytes).arg(knock.contact.time).arg(knock.refused).arg(u8::from(knock.listed));
        }
        let (written, strangers, dropped) = call.run(&mut self.hot()).await?;
        Ok(Written { written, strangers, dropped })
    }

    /// The contacts of these stations, in order. One that this release can't read counts as none.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn contacts(&self, stations: &[StationId]) -> Result<Vec<Contacts>, Error> {
        let keys = self.keys();
        let accepted = self.of_each::<Option<Vec<u8>>>(stations, |pipe, partition, station| {
            pipe.cmd("HGET").arg(keys.contact_accepted(partition)).arg(station.as_str());
        });
        let rejected = self.of_each::<Option<Vec<u8>>>(stations, |pipe, partition, station| {
            pipe.cmd("HGET").arg(keys.contact_rejected(partition)).arg(station.as_str());
        });
        let (accepted, rejected) = tokio::try_join!(accepted, rejected)?;
        let pair = |(a, r): (Option<Vec<u8>>, Option<Vec<u8>>)| Contacts { accepted: read(a), rejected: read(r) };
        Ok(accepted.into_iter().zip(rejected).map(pair).collect())
    }

    /// The stations whose last contact was refused, the latest first, at most so many.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn refused_stations(&self, most: usize) -> Result<Vec<(StationId, Contacts)>, Error> {
        let mut newest: Vec<(StationId, Contact)> = Vec::new();
        for partition in 0..self.keys().partitions() {
            let key = self.keys().contact_rejected(partition);
            let mut cursor: u64 = 0;
            loop {
                let mut command = redis::cmd("HSCAN");
                command.arg(&key).arg(cursor).arg("COUNT").arg(PAGE);
                let (next, page): (u64, Vec<(String, Vec<u8>)>) = command.query_async(&mut self.hot()).await?;
                let pairs =
                    page.into_iter().filter_map(|(id, bytes)| Some((StationId::new(&id).ok()?, read(Some(bytes))?)));
                newest.extend(pairs);
                // A scan may show a field twice; twice as many are kept, for those that got in since.
                newest.sort_by(|a, b| (Reverse(a.1.time), &a.0).cmp(&(Reverse(b.1.time), &b.0)));
                newest.dedup_by(|a, b| a.0 == b.0);
                newest.truncate(most.saturating_mul(2));
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        let ids: Vec<StationId> = newest.into_iter().map(|(id, _)| id).collect();
        let contacts = self.contacts(&ids).await?;
        let refused = |contacts: &Contacts| matches!(contacts.last().map(|c| &c.verdict), Some(Verdict::Rejected(_)));
        Ok(ids.into_iter().zip(contacts).filter(|(_, contacts)| refused(contacts)).take(most).collect())
    }

    /// Every station that came unregistered, the latest first.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn unconfirmed(&self) -> Result<Vec<Unconfirmed>, Error> {
        let parts = (0..self.keys().partitions()).map(|partition| async move {
            let mut command = redis::cmd("HGETALL");
            command.arg(self.keys().unconfirmed(partition));
            Ok::<Vec<(String, String)>, Error>(command.query_async(&mut self.hot()).await?)
        });
        let found = try_join_all(parts).await?.into_iter().flatten();
        let mut listed: Vec<Unconfirmed> = found.filter_map(|(id, facts)| Unconfirmed::parse(&id, &facts)).collect();
        listed.sort_by(|a, b| (Reverse(a.last), &a.station).cmp(&(Reverse(b.last), &b.station)));
        Ok(listed)
    }

    /// What is known of one station that came unregistered; none if it does not wait.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn waits(&self, station: &StationId) -> Result<Option<Unconfirmed>, Error> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys().unconfirmed(self.keys().partition_of(station))).arg(station.as_str());
        let facts: Option<String> = command.query_async(&mut self.hot()).await?;
        Ok(facts.and_then(|facts| Unconfirmed::parse(station.as_str(), &facts)))
    }

    /// How many stations came unregistered and wait.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn unconfirmed_count(&self) -> Result<u64, Error> {
        let parts = (0..self.keys().partitions()).map(|partition| async move {
            let mut command = redis::cmd("HLEN");
            command.arg(self.keys().unconfirmed(partition));
            Ok::<u64, Error>(command.query_async(&mut self.hot()).await?)
        });
        Ok(try_join_all(parts).await?.into_iter().sum())
    }
}

fn read(bytes: Option<Vec<u8>>) -> Option<Contact> {
    rmp_serde::from_slice(&bytes?).ok()
}
