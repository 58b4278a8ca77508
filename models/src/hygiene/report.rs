//! What was found in a file of observations, by station.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use weather::{StationId, Variable};

use super::units::Suspicion;

/// Stations that the short form describes.
const DESCRIBED: usize = 5;
/// A station that is silent for longer than this is told, h.
pub(super) const LONG_GAP: i64 = 48;

/// What can be wrong with single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// No value in its unit, left out while reading.
    Impossible,
    /// The same value for longer than the weather can.
    Stuck,
    /// A jump that comes back with the next report.
    Spike,
}

impl Finding {
    const ALL: [Self; 3] = [Self::Impossible, Self::Stuck, Self::Spike];

    const fn name(self) -> &'static str {
        match self {
            Self::Impossible => "impossible",
            Self::Stuck => "stuck",
            Self::Spike => "spikes",
        }
    }
}

/// One station's part.
#[derive(Clone, Debug)]
pub(crate) struct StationReport {
    pub(crate) station: StationId,
    pub(crate) rows: usize,
    /// Rows that are older than the one before.
    pub(crate) out_of_order: usize,
    /// Rows of a time that another row has; the last one was kept.
    pub(crate) duplicates: usize,
    /// Of these, how many said something else.
    pub(crate) contradictions: usize,
    /// Share of the reports that its usual interval makes one expect, 0 to 1.
    pub(crate) missing: f64,
    /// Its longest silence, s.
    pub(crate) longest_gap: i64,
    /// Values by variable.
    pub(crate) values: [u64; Variable::COUNT],
    found: BTreeMap<(Finding, Variable), u64>,
    left_out: BTreeMap<Variable, Suspicion>,
}

impl StationReport {
    pub(super) fn new(station: StationId, rows: usize) -> Self {
        Self {
            station,
            rows,
            out_of_order: 0,
            duplicates: 0,
            contradictions: 0,
            missing: 0.0,
            longest_gap: 0,
            values: [0; Variable::COUNT],
            found: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, variable: Variable, finding: Finding, count: u64) {
        if count > 0 {
            *self.found.entry((finding, variable)).or_insert(0) += count;
        }
    }

    pub(super) fn leave_out(&mut self, variable: Variable, suspicion: Suspicion) {
        self.left_out.insert(variable, suspicion);
    }

    /// How many values of a variable have the fault.
    pub(crate) fn count(&self, finding: Finding, variable: Variable) -> u64 {
        self.found.get(&(finding, variable)).copied().unwrap_or(0)
    }

    /// Why a variable was left out, if it was.
    pub(super) fn left_out(&self, variable: Variable) -> Option<&Suspicion> {
        self.left_out.get(&variable)
    }

    /// Whether the file had numbers of the variable for the station, whatever they were.
    pub(super) fn has(&self, variable: Variable) -> bool {
        self.values[variable as usize] + self.count(Finding::Impossible, variable) > 0
    }

    /// Values that the model will not see.
    fn lost(&self) -> u64 {
        let out: u64 = self.left_out.keys().map(|v| self.values[*v as usize]).sum();
        out + self.found.iter().filter(|((f, _), _)| *f != Finding::Impossible).map(|(_, count)| count).sum::<u64>()
    }
}

impl fmt::Display for StationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} rows, {:.0} % of reports missing", self.station, self.rows, 100.0 * self.missing)?;
        if self.longest_gap > LONG_GAP * 3600 {
            write!(f, ", longest gap {} h", self.longest_gap / 3600)?;
        }
        if self.out_of_order > 0 {
            write!(f, ", {} rows out of order", self.out_of_order)?;
        }
        if self.duplicates > 0 {
            write!(f, ", {} times twice ({} with other values; the last kept)", self.duplicates, self.contradictions)?;
        }
        for ((finding, variable), count) in &self.found {
            write!(f, ", {variable}: {count} {}", finding.name())?;
        }
        for (variable, suspicion) in &self.left_out {
            write!(f, ", {variable} left out: {}", suspicion.reason)?;
        }
        Ok(())
    }
}

/// A file's part.
#[derive(Clone, Debug)]
pub(crate) struct FileReport {
    /// Its name.
    pub(crate) file: String,
    /// What the reader says of it.
    pub(crate) read: String,
    pub(crate) stations: Vec<StationReport>,
}

impl FileReport {
    /// Totals and the stations that lose most, a few lines.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.totals();
        let mut worst: Vec<&StationReport> = self.stations.iter().filter(|s| s.lost() > 0).collect();
        worst.sort_by(|a, b| b.lost().cmp(&a.lost()).then_with(|| a.station.cmp(&b.station)));
        for station in worst.iter().take(DESCRIBED) {
            let _ = write!(text, "\n  {station}"); // a string takes all
        }
        if worst.len() > DESCRIBED {
            let _ = write!(text, "\n  and {} more", worst.len() - DESCRIBED);
        }
        text
    }

    /// Totals and every station, for a file beside the model.
    pub(crate) fn full(&self) -> String {
        let mut text = self.totals();
        for station in &self.stations {
            let _ = write!(text, "\n  {station}");
        }
        text.push('\n');
        text
    }

    fn totals(&self) -> String {
        let mut text = format!("{}: {}", self.file, self.read);
        let sum = |of: &dyn Fn(&StationReport) -> usize| self.stations.iter().map(of).sum::<usize>();
        let gaps = self.stations.iter().filter(|s| s.longest_gap > LONG_GAP * 3600).count();
        for (count, what) in [
            (sum(&|s| s.out_of_order), "rows out of order"),
            (sum(&|s| s.duplicates), "times twice"),
            (gaps, "stations silent for more than 48 h"),
            (sum(&|s| s.left_out.len()), "variables of stations left out"),
        ] {
            if count > 0 {
                let _ = write!(text, "; {count} {what}");
            }
        }
        for finding in Finding::ALL.into_iter().filter(|f| *f != Finding::Impossible) {
            for variable in Variable::ALL {
                let count: u64 = self.stations.iter().map(|s| s.count(finding, variable)).sum();
                let values: u64 = self.stations.iter().map(|s| s.values[variable as usize]).sum();
                if count > 0 {
                    let percent = 100.0 * count as f64 / values.max(1) as f64;
                    let _ = write!(text, "; {variable}: {count} {} ({percent:.2} %)", finding.name());
                }
            }
        }
        text
    }
}
