//! What was left out of a file, and why.

use std::collections::BTreeMap;
use std::fmt;

use weather::{StationId, Variable};

/// How many bad rows are described in words; the rest are only counted.
const DESCRIBED: usize = 5;

/// A row that is no observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its number, the first after the header being 1.
    pub row: u64,
    /// What is wrong with it.
    pub message: String,
}

/// Numbers of one variable that cannot be observations in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impossible {
    /// How many.
    pub count: u64,
    /// The lowest of them.
    pub lowest: f32,
    /// The highest of them.
    pub highest: f32,
}

/// What became of the rows read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Observations handed out.
    pub observations: u64,
    /// Rows outside the filter.
    pub filtered: u64,
    /// Rows without any measured value.
    pub empty: u64,
    /// Rows without a valid station or time.
    pub bad: u64,
    /// The first few of them.
    pub examples: Vec<BadRow>,
    /// Values left out because they are no number or physically impossible, by [`Variable`].
    pub dropped: [u64; Variable::COUNT],
    /// The physically impossible ones, by station: a station whose unit is wrong has many.
    pub impossible: BTreeMap<(StationId, Variable), Impossible>,
    /// Those of the row being read, whose station is not known yet.
    pub(crate) of_row: Vec<(Variable, f32)>,
}

impl Report {
    pub(crate) fn bad(&mut self, message: impl FnOnce() -> String) {
        self.bad += 1;
        if self.examples.len() < DESCRIBED {
            self.examples.push(BadRow { row: self.rows, message: message() });
        }
    }

    /// Leaves out a number that its variable cannot have.
    pub(crate) fn impossible(&mut self, variable: Variable, value: f32) {
        self.dropped[variable as usize] += 1;
        if value.is_finite() {
            self.of_row.push((variable, value));
        }
    }

    /// Says whose row was read last.
    pub(crate) fn row_of(&mut self, station: &StationId) {
        for (variable, value) in self.of_row.drain(..) {
            let entry = self.impossible.entry((station.clone(), variable));
            let known = entry.or_insert(Impossible { count: 0, lowest: value, highest: value });
            known.count += 1;
            known.lowest = known.lowest.min(value);
            known.highest = known.highest.max(value);
        }
    }

    /// Whether every row was an observation or empty, and every value possible.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.bad == 0 && self.dropped.iter().all(|n| *n == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observations of {} rows", self.observations, self.rows)?;
        for (count, what) in [(self.filtered, "filtered out"), (self.empty, "empty"), (self.bad, "bad")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for variable in Variable::ALL {
            let count = self.dropped[variable as usize];
            if count > 0 {
                write!(f, ", {count} impossible {variable}")?;
            }
        }
        for BadRow { row, message } in &self.examples {
            write!(f, "; row {row}: {message}")?;
        }
        Ok(())
    }
}
