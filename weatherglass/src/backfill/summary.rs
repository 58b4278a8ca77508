//! What became of everything a backfill read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ingest::files::Dropped;
use weather::{Rejection, Variable};

use crate::poster::Receipt;

/// How many places are named of each kind of rejection.
const PLACES: usize = 3;

/// Rejections of one kind.
#[derive(Clone, Debug, Default)]
struct Kind {
    count: u64,
    /// What was said of the first.
    detail: String,
    /// Where the first few stood.
    places: Vec<String>,
}

/// The account of a backfill: received = accepted + duplicate + rejected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    rejected: BTreeMap<String, Kind>,
    dropped: Dropped,
    /// Files read, as far as they are there.
    pub(crate) files: u64,
    /// Files left out because they had been read.
    pub(crate) known: u64,
    /// Files that can't be read.
    pub(crate) unreadable: u64,
    pub(crate) stations: u64,
}

impl Summary {
    /// Items that were read, and that the door has answered for.
    pub(crate) fn received(&self) -> u64 {
        self.accepted + self.duplicates + self.rejections()
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.rejected.values().map(|kind| kind.count).sum()
    }

    fn reject(&mut self, path: &Path, line: u64, field: &str, reason: &str, detail: &str) {
        let kind = self.rejected.entry(format!("{field}: {reason}")).or_default();
        if kind.count == 0 {
            detail.clone_into(&mut kind.detail);
        }
        kind.count += 1;
        if kind.places.len() < PLACES {
            kind.places.push(format!("{}:{line}", path.display()));
        }
    }

    /// A line that can't be read.
    pub(crate) fn refuse(&mut self, path: &Path, line: u64, rejection: &Rejection) {
        self.reject(path, line, &rejection.field, rejection.reason.label(), &rejection.detail);
    }

    /// The door's answer to observations of these lines.
    pub(crate) fn add(&mut self, path: &Path, lines: &[u64], receipt: &Receipt) {
        self.accepted += receipt.accepted;
        self.duplicates += receipt.duplicates;
        for refusal in &receipt.rejected {
            let line = lines.get(refusal.index).copied().unwrap_or(0);
            self.reject(path, line, &refusal.field, &refusal.reason, &refusal.detail);
        }
    }

    /// Values left out of lines that were taken.
    pub(crate) fn drop_values(&mut self, dropped: &Dropped) {
        for (sum, more) in self.dropped.0.iter_mut().zip(dropped.0) {
            *sum += more;
        }
    }

    /// How many were refused for their age.
    pub(crate) fn past_retention(&self) -> u64 {
        self.rejected.iter().filter(|(what, _)| what.ends_with(": past_retention")).map(|(_, kind)| kind.count).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "received {}: accepted {}, duplicates {}, rejected {}; {} files read",
            self.received(),
            self.accepted,
            self.duplicates,
            self.rejections(),
            self.files
        )?;
        for (count, what) in
            [(self.known, "known before"), (self.unreadable, "can't be read"), (self.stations, "stations registered")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for (what, kind) in &self.rejected {
            write!(f, "\n  {} x {what} ({})", kind.count, kind.detail)?;
            write!(f, "\n    at {}", kind.places.join(", "))?;
            if kind.count > kind.places.len() as u64 {
                f.write_str(", ...")?;
            }
        }
        for variable in Variable::ALL {
            let count = self.dropped.0[variable as usize];
            if count > 0 {
                write!(f, "\n  {count} values of {variable} left out: impossible, an error code")?;
            }
        }
        let old = self.past_retention();
        if old > 0 {
            write!(
                f,
                "\n  {old} observations are older than what ingest keeps (WEATHERGLASS_RETENTION), so they are of no use \
                 to forecasts of the coming days; `weatherglass replay --shift now` plays a recording as if it happened \
                 now, and `weatherglass train` reads files itself"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poster::Refusal;
    use weather::admission::Reason;

    #[test]
    fn everything_is_counted_and_the_first_places_are_named() {
        let mut summary = Summary { files: 1, ..Summary::default() };
        let path = Path::new("a.csv");
        let old =
            |index| Refusal { index, field: "time".into(), reason: "past_retention".into(), detail: "old".into() };
        let receipt = Receipt { accepted: 2, duplicates: 1, rejected: (0..5).map(old).collect() };
        summary.add(path, &[10, 11, 12, 13, 14, 15, 16, 17], &receipt);
        summary.refuse(path, 9, &Rejection::new("time", Reason::BadTime, "no time"));
        let mut dropped = Dropped::default();
        dropped.0[Variable::Visibility as usize] = 4;
        summary.drop_values(&dropped);
        assert_eq!((summary.received(), summary.rejections(), summary.past_retention()), (9, 6, 5));
        let said = summary.to_string();
        for part in [
            "received 9: accepted 2, duplicates 1, rejected 6",
            "5 x time: past_retention (old)",
            "at a.csv:10, a.csv:11, a.csv:12, ...",
            "at a.csv:9\n",
            "4 values of visibility",
            "WEATHERGLASS_RETENTION",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
