//! From the spool into Redis: the oldest first, as fast as Redis takes it.

use ::metrics::counter;
use streams::{Backoff, Error, Outcome, Spooled};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::Rejection;

use crate::contact::{Note, Recorder, Visit};
use crate::link::Link;
use crate::metrics;
use crate::spool::{Batch, Spool, SpoolError};

/// Why a batch did not get through.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("{0}")]
    Redis(#[from] Error),
    #[error("{0}")]
    Spool(#[from] SpoolError),
    #[error("Redis is near its memory limit")]
    NearlyFull,
}

/// Empties the spool whenever it holds something, until `shutdown`. What is left then is found by the
/// next process.
///
/// # Errors
/// When the spool's thread has ended, which it does only by a fault of ours.
pub(crate) async fn drain(
    spool: Spool,
    link: Link,
    contacts: Recorder,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    loop {
        tokio::select! {
            () = spool.filled() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        // Not cut off by shutdown: between Redis having a batch and its being forgotten there is
        // no good place to stop. The caller's patience ends it.
        match step(&spool, &link, &contacts).await {
            Ok(()) => backoff.reset(),
            Err(Stuck::Spool(SpoolError::Closed)) if shutdown.is_cancelled() => return Ok(()),
            Err(Stuck::Spool(error @ SpoolError::Closed)) => return Err(error.into()),
            Err(stuck) => {
                if let Stuck::Redis(error) = &stuck {
                    counter!(metrics::REDIS_ERRORS, "kind" => error.label()).increment(1);
                }
                // Once per outage: the tries after the first say nothing new.
                if backoff.failures() == 0 {
                    warn!(%stuck, "the spool can't be drained now");
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff.pause()) => {}
                    () = shutdown.cancelled() => return Ok(()),
                }
            }
        }
    }
}

/// Takes one batch through.
async fn step(spool: &Spool, link: &Link, contacts: &Recorder) -> Result<(), Stuck> {
    if link.is_nearly_full() {
        return Err(Stuck::NearlyFull);
    }
    let appender = link.appender()?;
    let batch = spool.next().await?;
    if batch.observations.is_empty() {
        return Ok(());
    }
    let place = Spooled { name: &batch.spool, positions: &batch.positions };
    let outcomes = appender.append_from(&place, &batch.observations).await?;
    let count = |outcome| outcomes.iter().filter(|o| **o == outcome).count() as u64;
    let (duplicates, refused) = (count(Outcome::Duplicate), count(Outcome::Unconfirmed));
    note(contacts, &batch, &outcomes);
    Ok(spool.forget(batch, duplicates, refused).await?)
}

/// Its sender was told that it is safe: here stands that it was not let in after all.
fn note(contacts: &Recorder, batch: &Batch, outcomes: &[Outcome]) {
    let refused = batch.observations.iter().zip(outcomes).filter(|(_, outcome)| **outcome == Outcome::Unconfirmed);
    let refused: Vec<_> =
        refused.map(|(received, _)| (received, Rejection::unconfirmed(received.observation.station.clone()))).collect();
    let notes = refused.iter().map(|(received, rejection)| Note {
        station: &received.observation.station,
        index: 0,
        observation: Some(&received.observation),
        refused: Some(rejection),
        duplicate: false,
    });
    let visit = Visit { door: "spool", ..Visit::default() };
    contacts.note(&visit, jiff::Timestamp::now().as_millisecond(), notes);
}
