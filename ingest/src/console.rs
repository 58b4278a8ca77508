//! What consumer consoles send: pairs of a name and a text, in a query or a form.
//!
//! The makers use the same names with small differences, so that one table (`console/names.rs`) reads
//! them all; what differs is in `wunderground.rs`, `ecowitt.rs` and `ambient.rs`. `console/door.rs` is
//! the way in over HTTP. Nobody reads a console's complaints: what can't be a value counts as missing
//! and costs its neighbours nothing.

pub(crate) mod clock;
pub(crate) mod door;
pub(crate) mod fields;
pub(crate) mod identity;
pub(crate) mod names;
mod settings;

use std::fmt;

use streams::CounterReading;
use weather::admission::{Reason, check_value};
use weather::{Observation, Rejection, StationId, Time, Values, Variable};

use fields::Fields;
use names::{Gauge, Meaning, Unit};
pub(crate) use settings::Settings;

/// Records of rain reach some metres a year; a counter beyond a kilometre is broken, mm.
const MOST_RAIN: f64 = 1e6;
/// The longest description of a console, in characters.
const SOURCE_LENGTH: usize = 64;

/// A key that came with a report. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// What one report of a console says.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// All but the rain of a counter, which only what came before can tell.
    pub(crate) observation: Observation,
    /// What its rain counters show; no totals when it has none.
    pub(crate) counters: CounterReading,
    /// The keys that it brought.
    pub(crate) keys: Vec<Secret>,
    /// Values that were given and can't be.
    pub(crate) dropped: u32,
}

/// Values read so far.
pub(crate) struct Draft {
    values: Values,
    ranks: [u8; Variable::COUNT],
    totals: Vec<(Gauge, u8, f64)>,
    hour: Option<f32>,
    dropped: u32,
}

impl Draft {
    /// Reads every field that measures something out of doors.
    pub(crate) fn of(fields: &Fields<'_>) -> Self {
        let mut draft = Self::empty();
        for (name, text) in fields.iter() {
            match names::meaning(name) {
                Some(Meaning::Value(variable, unit, rank)) => draft.set(variable, unit, rank, text),
                Some(Meaning::Total(gauge, counter, unit)) => draft.count(gauge, counter, unit, text),
                Some(Meaning::HourSum) => draft.hour = draft.number(text).and_then(|v| hour_sum(Unit::Inch.convert(v))),
                Some(Meaning::Clouds) => draft.clouds(text),
                None => {}
            }
        }
        draft
    }

    pub(crate) fn empty() -> Self {
        Self {
            values: Values::default(),
            ranks: [u8::MAX; Variable::COUNT],
            totals: Vec::new(),
            hour: None,
            dropped: 0,
        }
    }

    /// Takes a value, unless a better name for the same has given one. What can't be is dropped.
    pub(crate) fn set(&mut self, variable: Variable, unit: Unit, rank: u8, text: &str) {
        let Some(number) = self.number(text) else { return };
        self.put(variable, rank, unit.convert(number));
    }

    /// Takes a value in our own unit.
    pub(crate) fn put(&mut self, variable: Variable, rank: u8, value: f64) {
        let value = value as f32;
        if check_value(variable, value).is_err() {
            self.dropped += 1;
        } else if rank < self.ranks[variable as usize] {
            self.ranks[variable as usize] = rank;
            self.values.set(variable, value);
        }
    }

    /// Takes what a counter shows.
    pub(crate) fn count(&mut self, gauge: Gauge, counter: u8, unit: Unit, text: &str) {
        match self.number(text).map(|v| unit.convert(v)) {
            Some(total) if (0.0..=MOST_RAIN).contains(&total) => self.totals.push((gauge, counter, total)),
            Some(_) => self.dropped += 1,
            None => {}
        }
    }

    /// Moves what was read as one variable to another: some firmware uses a name for something else.
    pub(crate) fn rename(&mut self, from: Variable, to: Variable) {
        if let Some(value) = self.values.get(from) {
            self.values.set(from, f32::NAN);
            self.put(to, 0, f64::from(value));
        }
    }

    /// A finite number; `-9999` and its like are how a console says that it has none.
    fn number(&mut self, text: &str) -> Option<f64> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let number = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v > -9998.0);
        if number.is_none() {
            self.dropped += 1;
        }
        number
    }

    /// The layers of a METAR's kind: the most covered one counts.
    fn clouds(&mut self, text: &str) {
        let oktas = |word: &str| match word.get(..3) {
            Some("SKC" | "CLR" | "NSC") => Some(0.0),
            Some("FEW") => Some(2.0),
            Some("SCT") => Some(4.0),
            Some("BKN") => Some(7.0),
            Some("OVC") => Some(8.0),
            _ => None,
        };
        if let Some(most) = text.split_whitespace().filter_map(oktas).reduce(f64::max) {
            self.put(Variable::CloudCover, 0, most * 12.5);
        }
    }

    /// The report, of the gauge that is preferred where there are two.
    ///
    /// # Errors
    /// When nothing was measured.
    pub(crate) fn finish(mut self, who: Who, time: Time, keys: Vec<Secret>) -> Result<Report, Rejection> {
        let has = |gauge| self.totals.iter().any(|(g, _, _)| *g == gauge);
        let gauge = if has(who.gauge) { who.gauge } else { who.gauge.other() };
        let mut totals: Vec<(u8, f64)> =
            self.totals.iter().filter(|(g, _, _)| *g == gauge).map(|(g, c, total)| (g.code(*c), *total)).collect();
        totals.sort_by_key(|(code, _)| *code);
        totals.dedup_by_key(|(code, _)| *code);
        // The sum of the trailing hour stands for a station without a counter. Such sums overlap when
        // they come more often than once an hour; nobody downstream adds up sums of half an hour or
        // more (`models/src/grid.rs` takes the one nearest the hour).
        if totals.is_empty()
            && let Some(hour) = self.hour
        {
            self.values.set(Variable::Precipitation, hour);
            self.values.set(Variable::PrecipitationPeriod, 3600.0);
        }
        if self.values.is_empty() && totals.is_empty() {
            let rejection =
                Rejection::new("tempf", Reason::MissingField, "at least one measured outdoor value is needed");
            return Err(rejection.of(who.station));
        }
        let observation = Observation { station: who.station, time, values: self.values, source: who.source };
        let counters = CounterReading { time, totals };
        Ok(Report { observation, counters, keys, dropped: self.dropped })
    }
}

fn hour_sum(mm: f64) -> Option<f32> {
    let value = mm as f32;
    check_value(Variable::Precipitation, value).is_ok().then_some(value)
}

/// Whose report it is.
pub(crate) struct Who {
    pub(crate) station: StationId,
    pub(crate) gauge: Gauge,
    pub(crate) source: Option<String>,
}

/// `door` and what the console says of itself, without anything that could be mistaken for markup.
pub(crate) fn source(door: &str, console: Option<&str>) -> Option<String> {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
    let console: String = console.unwrap_or_default().trim().chars().filter(plain).take(SOURCE_LENGTH).collect();
    Some(if console.is_empty() { door.to_owned() } else { format!("{door} {console}") })
}

#[cfg(test)]
mod tests;
