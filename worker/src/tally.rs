//! What a batch did, counted when it is committed: one that has to be done again is counted once.

use std::collections::BTreeMap;

use ::metrics::{counter, histogram};
use weather::quality::Test;
use weather::{Change, Flags};

use crate::metrics;

/// The counts of one partition's part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    changes: BTreeMap<&'static str, u64>,
    dead: BTreeMap<&'static str, u64>,
    flagged: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) conflated: u64,
    pub(crate) forecasts: u64,
    /// When ingest had the observations that the forecasts are of, milliseconds since 1970.
    pub(crate) received: Vec<i64>,
}

impl Tally {
    /// An observation went into its window, or did not.
    pub(crate) fn observed(&mut self, change: Change) {
        *self.changes.entry(change.label()).or_default() += 1;
    }

    /// Quality control says `now` of an observation of which it had said `before`: what is new is counted.
    pub(crate) fn flagged(&mut self, before: Flags, now: Flags) {
        for test in Test::ALL {
            let (old, new) = (before.by(test), now.by(test));
            for (label, count) in [
                ("suspect", new.suspect.without(old.suspect).iter().count()),
                ("fail", new.failed.without(old.failed).iter().count()),
            ] {
                if count > 0 {
                    *self.flagged.entry((test.label(), label)).or_default() += count as u64;
                }
            }
        }
    }

    /// An entry was given up.
    pub(crate) fn given_up(&mut self, reason: &'static str) {
        *self.dead.entry(reason).or_default() += 1;
    }

    /// Shows the counts: the commit is done.
    pub(crate) fn publish(self) {
        for (change, count) in self.changes {
            counter!(metrics::OBSERVATIONS, "change" => change).increment(count);
        }
        for (reason, count) in self.dead {
            counter!(metrics::DEAD_LETTERS, "reason" => reason).increment(count);
        }
        for ((test, flag), count) in self.flagged {
            counter!(metrics::FLAGGED, "test" => test, "flag" => flag).increment(count);
        }
        counter!(metrics::CONFLATED).increment(self.conflated);
        counter!(metrics::FORECASTS).increment(self.forecasts);
        let now = jiff::Timestamp::now().as_millisecond();
        for moment in self.received {
            histogram!(metrics::LATENCY).record((now - moment).max(0) as f64 / 1000.0);
        }
    }
}
