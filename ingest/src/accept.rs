//! What happens to every observation, whichever door it came by: checked, flagged, appended.

use ::metrics::counter;
use serde::Serialize;
use streams::{Appender, Error, Outcome, Received, Redis};
use tracing::warn;
use weather::{Admission, Observation, Rejection, Station, Time};

use crate::metrics;

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

/// The answer to a request. Every item is in one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Items that are in the stream now.
    pub accepted: usize,
    /// Items that had been accepted before.
    pub duplicates: usize,
    /// Items that were refused.
    pub rejected: Vec<Refusal>,
}

/// The way from any door into Redis.
#[derive(Clone)]
pub struct Door {
    redis: Redis,
    appender: Appender,
    admission: Admission,
}

impl Door {
    /// A door that lets in what `admission` allows.
    #[must_use]
    pub const fn new(redis: Redis, appender: Appender, admission: Admission) -> Self {
        Self { redis, appender, admission }
    }

    /// Checks, flags and appends a request's items; answers once Redis has what was accepted.
    ///
    /// # Errors
    /// When Redis did not take everything; the same request can be sent again without harm.
    pub async fn accept(&self, items: Vec<Result<Observation, Rejection>>) -> Result<Receipt, Error> {
        let now = Time::now();
        let received = jiff::Timestamp::now().as_millisecond();
        let mut receipt = Receipt::default();
        let mut good = Vec::with_capacity(items.len());
        let total = items.len();
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
        let outcomes = self.appender.append(&good).await.inspect_err(count_error)?;
        receipt.accepted = outcomes.iter().filter(|o| matches!(o, Outcome::Accepted(_))).count();
        receipt.duplicates = outcomes.len() - receipt.accepted;
        count(&receipt, total, &good);
        Ok(receipt)
    }

    /// Registers a station or describes it anew.
    ///
    /// # Errors
    /// When Redis did not take it.
    pub async fn put_station(&self, station: &Station) -> Result<(), Error> {
        self.appender.put_station(station).await.inspect_err(count_error)?;
        counter!(metrics::STATIONS).increment(1);
        Ok(())
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn ready(&self) -> Result<(), Error> {
        self.redis.ping().await
    }
}

fn count_error(error: &Error) {
    warn!(%error, "Redis did not take a request");
    counter!(metrics::REDIS_ERRORS, "kind" => error.label()).increment(1);
}

/// Counted once per answered request: one that failed will be sent again.
fn count(receipt: &Receipt, total: usize, good: &[Received]) {
    counter!(metrics::RECEIVED).increment(total as u64);
    counter!(metrics::ACCEPTED).increment(receipt.accepted as u64);
    counter!(metrics::DUPLICATE).increment(receipt.duplicates as u64);
    for refusal in &receipt.rejected {
        counter!(metrics::REJECTED, "reason" => refusal.reason).increment(1);
    }
    let suspect: usize = good.iter().map(|r| r.flags.suspect.iter().count()).sum();
    let failed: usize = good.iter().map(|r| r.flags.failed.iter().count()).sum();
    counter!(metrics::FLAGGED, "flag" => "suspect").increment(suspect as u64);
    counter!(metrics::FLAGGED, "flag" => "fail").increment(failed as u64);
}
