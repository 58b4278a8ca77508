//! What happens to every observation, whichever door it came by: checked, flagged, appended.

use std::collections::HashMap;

use ::metrics::counter;
use serde::Serialize;
use streams::{Error, Outcome, Received};
use tracing::warn;
use weather::{Admission, Observation, Rejection, Station, StationId, Time};

use crate::contact::{Note, Recorder, Visit};
use crate::link::Link;
use crate::metrics;
use crate::spool::{Spool, SpoolError};

/// The refusal of one item of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The field at fault.
    pub field: String,
    /// The kind of fault, one of [`weather::admission::Reason`].
    pub reason: &'static str,
    /// What would be right.
    pub detail: String,
}

/// The answer to a request. Every item is accepted, a duplicate or rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Items that are safe now: in the stream, or in the spool.
    pub accepted: usize,
    /// How many of the accepted wait in the spool. Which of them are duplicates will be found when
    /// Redis has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub spooled: usize,
    /// Items that had been accepted before.
    pub duplicates: usize,
    /// Items that were refused.
    pub rejected: Vec<Refusal>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why a request as a whole was not taken. It is welcome later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Redis did not take everything.
    #[error("{0}")]
    Redis(#[from] Error),
    /// Redis needs what room it has left for what it has accepted already.
    #[error("Redis is near its memory limit")]
    NearlyFull,
    /// The spool did not take it either.
    #[error("Redis does not take observations now, and {0}")]
    Spool(#[from] SpoolError),
}

/// Where a request's observations are.
enum Kept {
    Stream(Vec<Outcome>),
    Spool,
}

/// The way from any door into Redis, or into the spool before it.
#[derive(Clone)]
pub struct Door {
    link: Link,
    spool: Option<Spool>,
    admission: Admission,
    contacts: Recorder,
}

/// A request's items that may come in, and what they came with.
#[derive(Default)]
struct Good {
    /// Checked and flagged.
    items: Vec<Received>,
    /// The place of each in the request.
    places: Vec<usize>,
}

impl Door {
    /// A door that lets in what `admission` allows.
    pub(crate) const fn new(link: Link, spool: Option<Spool>, admission: Admission, contacts: Recorder) -> Self {
        Self { link, spool, admission, contacts }
    }

    /// Whether a report of that time could be let in now.
    pub(crate) fn is_timely(&self, time: Time) -> bool {
        let age = Time::now() - time;
        (-self.admission.future..=self.admission.retention).contains(&age)
    }

    /// Checks, flags and keeps a request's items; answers once what was accepted is safe.
    ///
    /// Once begun it is finished, whether or not anybody waits for the answer: some senders hang up
    /// early and never send again.
    ///
    /// # Errors
    /// When not everything could be kept; the same request can be sent again without harm.
    pub async fn accept(&self, items: Vec<Result<Observation, Rejection>>) -> Result<Receipt, Closed> {
        self.accept_from(Visit::default(), items).await
    }

    /// The same, of a visit that the last contacts of its stations tell of.
    ///
    /// # Errors
    /// As of [`Door::accept`].
    pub(crate) async fn accept_from(
        &self,
        visit: Visit,
        items: Vec<Result<Observation, Rejection>>,
    ) -> Result<Receipt, Closed> {
        let door = self.clone();
        let finished = tokio::spawn(async move { door.take(&visit, items).await });
        finished.await.unwrap_or(Err(Closed::Spool(SpoolError::Closed)))
    }

    async fn take(&self, visit: &Visit, items: Vec<Result<Observation, Rejection>>) -> Result<Receipt, Closed> {
        let received = jiff::Timestamp::now().as_millisecond();
        let mut receipt = Receipt::default();
        let mut good = self.sort(visit, received, items, &mut receipt);
        let superseded = supersede(&mut good);
        match self.keep(&good.items).await? {
            Kept::Stream(outcomes) => self.answer(visit, received, &good, &outcomes, &mut receipt),
            Kept::Spool => {
                (receipt.accepted, receipt.spooled) = (good.items.len(), good.items.len());
                // As far as anybody knows: what becomes of it is told when Redis has it.
                self.answer(visit, received, &good, &[], &mut Receipt::default());
            }
        }
        receipt.duplicates += superseded;
        count(&receipt, &good.items);
        Ok(receipt)
    }

    /// Tells what may come in from what is refused.
    fn sort(
        &self,
        visit: &Visit,
        received: i64,
        items: Vec<Result<Observation, Rejection>>,
        receipt: &mut Receipt,
    ) -> Good {
        let now = Time::now();
        let mut good = Good { items: Vec::with_capacity(items.len()), places: Vec::with_capacity(items.len()) };
        let mut refused = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item.map(|o| (self.admission.admit(&o, now), o)) {
                Ok((Ok(flags), observation)) => {
                    good.items.push(Received { observation, flags, received });
                    good.places.push(index);
                }
                Ok((Err(rejection), o)) => refused.push((index, rejection.of(o.station.clone()), Some(o))),
                Err(rejection) => refused.push((index, rejection, None)),
            }
        }
        let notes = refused.iter().filter_map(|(index, rejection, observation)| {
            let (station, observation) = (rejection.station.as_ref()?, observation.as_ref());
            Some(Note { station, index: *index, observation, refused: Some(rejection), duplicate: false })
        });
        self.contacts.note(visit, received, notes);
        receipt.rejected.extend(refused.into_iter().map(|(index, rejection, _)| refusal(index, rejection)));
        good
    }

    /// Says what became of what was kept; of what waits in the spool there are no outcomes.
    fn answer(&self, visit: &Visit, received: i64, good: &Good, outcomes: &[Outcome], receipt: &mut Receipt) {
        let mut refused = Vec::new();
        for (at, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Outcome::Accepted(_) => receipt.accepted += 1,
                Outcome::Duplicate => receipt.duplicates += 1,
                Outcome::Unconfirmed => {
                    refused.push((at, Rejection::unconfirmed(good.items[at].observation.station.clone())));
                }
            }
        }
        let mut left = refused.iter().peekable();
        let notes = good.items.iter().zip(&good.places).enumerate().map(|(at, (item, place))| Note {
            station: &item.observation.station,
            index: *place,
            observation: Some(&item.observation),
            refused: left.next_if(|(refused, _)| *refused == at).map(|(_, rejection)| rejection),
            duplicate: matches!(outcomes.get(at), Some(Outcome::Duplicate)),
        });
        self.contacts.note(visit, received, notes);
        if !refused.is_empty() {
            receipt.rejected.extend(refused.into_iter().map(|(at, rejection)| refusal(good.places[at], rejection)));
            receipt.rejected.sort_by_key(|refusal| refusal.index);
        }
    }

    /// Notes a station that was turned away at the door, before anything of it was read.
    pub(crate) fn turned_away(&self, visit: &Visit, station: &StationId, rejection: &Rejection) {
        let now = jiff::Timestamp::now().as_millisecond();
        let note = Note { station, index: 0, observation: None, refused: Some(rejection), duplicate: false };
        self.contacts.note(visit, now, std::iter::once(note));
    }

    /// Straight into Redis, or behind what the spool holds.
    async fn keep(&self, good: &[Received]) -> Result<Kept, Closed> {
        if good.is_empty() {
            return Ok(Kept::Stream(Vec::new()));
        }
        let held_back = self.link.is_nearly_full();
        if held_back {
            counter!(metrics::HELD_BACK).increment(1);
        }
        if let Some(spool) = &self.spool
            && (held_back || spool.holds_any())
        {
            spool.put(good).await?;
            return Ok(Kept::Spool);
        }
        if held_back {
            return Err(Closed::NearlyFull);
        }
        let failure = match self.append(good).await {
            Ok(outcomes) => return Ok(Kept::Stream(outcomes)),
            Err(failure) => failure,
        };
        count_error(&failure);
        match &self.spool {
            Some(spool) if failure.passes() => {
                spool.put(good).await?;
                Ok(Kept::Spool)
            }
            _ => Err(failure.into()),
        }
    }

    async fn append(&self, good: &[Received]) -> Result<Vec<Outcome>, Error> {
        self.link.appender()?.append(good).await
    }

    /// Registers a station or describes it anew. Never spooled: who describes stations can wait.
    ///
    /// # Errors
    /// When Redis did not take it.
    pub async fn put_station(&self, station: &Station) -> Result<(), Closed> {
        if self.link.is_nearly_full() {
            counter!(metrics::HELD_BACK).increment(1);
            return Err(Closed::NearlyFull);
        }
        let put = async { self.link.appender()?.put_station(station).await };
        put.await.inspect_err(count_error)?;
        counter!(metrics::STATIONS).increment(1);
        Ok(())
    }

    /// What is known of these stations, in order; nothing of one that nobody has registered.
    ///
    /// # Errors
    /// When Redis can't say.
    pub(crate) async fn stations(&self, ids: &[StationId]) -> Result<Vec<Option<Station>>, Closed> {
        Ok(self.link.redis()?.stations(ids).await?)
    }

    /// Whether observations are welcome, and in which words.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn ready(&self) -> Result<String, Closed> {
        let Some(spool) = &self.spool else {
            self.link.redis()?.ping().await?;
            return Ok("ready\n".to_owned());
        };
        if spool.is_nearly_full() {
            return Err(SpoolError::Full(spool.held().bytes >> 20).into());
        }
        let reached = async { self.link.redis()?.ping().await };
        if !spool.holds_any() && reached.await.is_ok() {
            return Ok("ready\n".to_owned());
        }
        Ok(format!("ready, spooling: {} observations\n", spool.held().observations))
    }
}

/// Of several reports of one station and second in one request the last counts, and the others are
/// duplicates: the request sent again would otherwise correct the last by the first, and back.
fn supersede(good: &mut Good) -> usize {
    let before = good.items.len();
    if before > 1 {
        let mut last = HashMap::with_capacity(before);
        for (index, received) in good.items.iter().enumerate() {
            last.insert((received.observation.station.clone(), received.observation.time), index);
        }
        if last.len() < before {
            let mut kept: Vec<usize> = last.into_values().collect();
            kept.sort_unstable();
            let mut index = 0;
            good.items.retain(|_| {
                index += 1;
                kept.binary_search(&(index - 1)).is_ok()
            });
            good.places = kept.into_iter().filter_map(|at| good.places.get(at).copied()).collect();
        }
    }
    before - good.items.len()
}

fn refusal(index: usize, rejection: Rejection) -> Refusal {
    Refusal { index, field: rejection.field.into_owned(), reason: rejection.reason.label(), detail: rejection.detail }
}

pub(crate) fn count_error(error: &Error) {
    warn!(%error, "Redis did not take a request");
    counter!(metrics::REDIS_ERRORS, "kind" => error.label()).increment(1);
}

/// Counted once per answered request: one that failed will be sent again. What was spooled is counted
/// where the spool has it (`spool.rs`).
fn count(receipt: &Receipt, good: &[Received]) {
    let direct = receipt.accepted - receipt.spooled;
    counter!(metrics::RECEIVED).increment((direct + receipt.duplicates + receipt.rejected.len()) as u64);
    counter!(metrics::ACCEPTED).increment(direct as u64);
    counter!(metrics::DUPLICATE).increment(receipt.duplicates as u64);
    for refusal in &receipt.rejected {
        counter!(metrics::REJECTED, "reason" => refusal.reason).increment(1);
    }
    let suspect: usize = good.iter().map(|r| r.flags.suspect.iter().count()).sum();
    let failed: usize = good.iter().map(|r| r.flags.failed.iter().count()).sum();
    counter!(metrics::FLAGGED, "flag" => "suspect").increment(suspect as u64);
    counter!(metrics::FLAGGED, "flag" => "fail").increment(failed as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{Flags, Values, Variable};

    fn report(station: &str, second: i64, temperature: f32) -> Received {
        Received {
            observation: Observation {
                station: StationId::new(station).unwrap(),
                time: Time::from_unix(second),
                values: Values::from_iter([(Variable::Temperature, temperature)]),
                source: None,
            },
            flags: Flags::default(),
            received: 0,
        }
    }

    #[test]
    fn of_a_report_and_its_correction_in_one_request_the_last_counts() {
        let items = vec![
            report("A", 0, 1.0),
            report("B", 0, 5.0),
            report("A", 0, 2.0),
            report("A", 60, 1.0),
            report("A", 0, 3.0),
        ];
        let mut good = Good { items, places: vec![0, 2, 3, 5, 6] };
        assert_eq!(supersede(&mut good), 2);
        assert_eq!(good.places, [2, 5, 6]);
        let left: Vec<f32> =
            good.items.iter().filter_map(|r| r.observation.values.get(Variable::Temperature)).collect();
        assert_eq!(left, [5.0, 1.0, 3.0]);
        assert_eq!(supersede(&mut good), 0);
    }
}
