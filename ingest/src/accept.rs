//! What happens to every observation, whichever door it came by: checked, flagged, appended.

use std::collections::HashMap;

use ::metrics::counter;
use serde::Serialize;
use streams::{Error, Outcome, Received};
use tracing::warn;
use weather::{Admission, Observation, Rejection, Station, Time};

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
}

impl Door {
    /// A door that lets in what `admission` allows.
    pub(crate) const fn new(link: Link, spool: Option<Spool>, admission: Admission) -> Self {
        Self { link, spool, admission }
    }

    /// Checks, flags and keeps a request's items; answers once what was accepted is safe.
    ///
    /// Once begun it is finished, whether or not anybody waits for the answer: some senders hang up
    /// early and never send again.
    ///
    /// # Errors
    /// When not everything could be kept; the same request can be sent again without harm.
    pub async fn accept(&self, items: Vec<Result<Observation, Rejection>>) -> Result<Receipt, Closed> {
        let door = self.clone();
        let finished = tokio::spawn(async move { door.take(items).await });
        finished.await.unwrap_or(Err(Closed::Spool(SpoolError::Closed)))
    }

    async fn take(&self, items: Vec<Result<Observation, Rejection>>) -> Result<Receipt, Closed> {
        let now = Time::now();
        let received = jiff::Timestamp::now().as_millisecond();
        let mut receipt = Receipt::default();
        let mut good = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item.and_then(|o| self.admission.admit(&o, now).map(|flags| (o, flags))) {
                Ok((observation, flags)) => good.push(Received { observation, flags, received }),
                Err(rejection) => receipt.rejected.push(Refusal {
                    index,
                    field: rejection.field.into_owned(),
                    reason: rejection.reason.label(),
                    detail: rejection.detail,
                }),
            }
        }
        let superseded = supersede(&mut good);
        match self.keep(&good).await? {
            Kept::Stream(outcomes) => {
                receipt.accepted = outcomes.iter().filter(|o| matches!(o, Outcome::Accepted(_))).count();
                receipt.duplicates = outcomes.len() - receipt.accepted;
            }
            Kept::Spool => (receipt.accepted, receipt.spooled) = (good.len(), good.len()),
        }
        receipt.duplicates += superseded;
        count(&receipt, &good);
        Ok(receipt)
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
fn supersede(good: &mut Vec<Received>) -> usize {
    let before = good.len();
    if before > 1 {
        let mut last = HashMap::with_capacity(before);
        for (index, received) in good.iter().enumerate() {
            last.insert((received.observation.station.clone(), received.observation.time), index);
        }
        if last.len() < before {
            let mut kept: Vec<usize> = last.into_values().collect();
            kept.sort_unstable();
            let mut index = 0;
            good.retain(|_| {
                index += 1;
                kept.binary_search(&(index - 1)).is_ok()
            });
        }
    }
    before - good.len()
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
    use weather::{Flags, StationId, Values, Variable};

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
        let mut good = vec![
            report("A", 0, 1.0),
            report("B", 0, 5.0),
            report("A", 0, 2.0),
            report("A", 60, 1.0),
            report("A", 0, 3.0),
        ];
        assert_eq!(supersede(&mut good), 2);
        let left: Vec<f32> = good.iter().filter_map(|r| r.observation.values.get(Variable::Temperature)).collect();
        assert_eq!(left, [5.0, 1.0, 3.0]);
        assert_eq!(supersede(&mut good), 0);
    }
}
