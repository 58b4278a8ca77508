//! Quality control: which values of an observation can be believed, and which test says so.
//!
//! Values that no atmosphere can have are refused at the door ([`crate::admission`]). Here are the
//! tests that mark a value instead: `fail` is masked from the model and shown as bad, `suspect` is
//! masked and shown. They go in QARTOD's order (range, internal consistency, step, spike,
//! persistence, spatial), and none of them believes what an earlier one has failed. The first two
//! look at one report ([`check`]), the next three at a station's window ([`temporal`]), the last at
//! its neighbours ([`spatial`]). All thresholds stand in one table ([`limits`]).

pub mod limits;
pub mod qartod;
pub mod spatial;
pub mod temporal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

pub use limits::Limits;
pub use qartod::Flag;

use crate::observation::Values;
use crate::variable::{Variable, VariableSet};

/// A quality control test, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the documentation; what they do is in their modules
pub enum Test {
    Range,
    Consistency,
    Step,
    Spike,
    Persistence,
    Spatial,
}

impl Test {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Range, Self::Consistency, Self::Step, Self::Spike, Self::Persistence, Self::Spatial];

    /// The JSON name and metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Consistency => "consistency",
            Self::Step => "step",
            Self::Spike => "spike",
            Self::Persistence => "persistence",
            Self::Spatial => "spatial",
        }
    }
}

/// What one test found in one observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u16)", into = "(u16, u16)")]
pub struct Marks {
    /// QARTOD flag 3.
    pub suspect: VariableSet,
    /// QARTOD flag 4.
    pub failed: VariableSet,
}

impl From<(u16, u16)> for Marks {
    fn from((suspect, failed): (u16, u16)) -> Self {
        Self { suspect: VariableSet::from_bits(suspect), failed: VariableSet::from_bits(failed) }
    }
}

impl From<Marks> for (u16, u16) {
    fn from(marks: Marks) -> Self {
        (marks.suspect.bits(), marks.failed.bits())
    }
}

/// The variables of one observation that did not pass, and by which test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// QARTOD flag 3 by some test, and 4 by none: dubious, masked from the model.
    pub suspect: VariableSet,
    /// QARTOD flag 4 by some test: wrong, masked from the model.
    pub failed: VariableSet,
    by: [Marks; Test::COUNT],
}

impl Flags {
    /// Of an observation of which only the outcome is known, not the tests.
    #[must_use]
    pub fn untold(suspect: VariableSet, failed: VariableSet) -> Self {
        Self { suspect: suspect.without(failed), failed, ..Self::default() }
    }

    /// With what each test found. An outcome that no test explains stays.
    #[must_use]
    pub fn told(suspect: VariableSet, failed: VariableSet, by: [Marks; Test::COUNT]) -> Self {
        let mut flags = Self { by, ..Self::untold(suspect, failed) };
        for marks in by {
            flags.take(marks);
        }
        flags
    }

    /// What `test` found.
    #[must_use]
    pub const fn by(&self, test: Test) -> Marks {
        self.by[test as usize]
    }

    /// What each test found, in the order of [`Test::ALL`].
    #[must_use]
    pub const fn all(&self) -> &[Marks; Test::COUNT] {
        &self.by
    }

    /// Enters what `test` says of `variable`. Only [`Flag::Suspect`] and [`Flag::Fail`] leave a mark.
    pub fn mark(&mut self, test: Test, variable: Variable, flag: Flag) {
        let mut marks = self.by[test as usize];
        match flag {
            Flag::Suspect => marks.suspect.insert(variable),
            Flag::Fail => marks.failed.insert(variable),
            Flag::Good | Flag::NotEvaluated | Flag::Missing => return,
        }
        self.by[test as usize] = marks;
        self.take(marks);
    }

    /// Forgets what these tests found, to have them look again.
    pub fn clear(&mut self, tests: &[Test]) {
        for test in tests {
            self.by[*test as usize] = Marks::default();
        }
        (self.suspect, self.failed) = (VariableSet::EMPTY, VariableSet::EMPTY);
        for marks in self.by {
            self.take(marks);
        }
    }

    fn take(&mut self, marks: Marks) {
        self.failed = self.failed.with(marks.failed);
        self.suspect = self.suspect.with(marks.suspect).without(self.failed);
    }

    /// Whether `variable` may be used by the model.
    #[must_use]
    pub const fn usable(&self, variable: Variable) -> bool {
        !self.suspect.contains(variable) && !self.failed.contains(variable)
    }

    /// The tests that `variable` did not pass, with `suspect` or `fail`.
    #[must_use]
    pub fn found(&self, variable: Variable) -> BTreeMap<&'static str, &'static str> {
        let label = |test: Test| {
            let marks = self.by(test);
            match (marks.failed.contains(variable), marks.suspect.contains(variable)) {
                (true, _) => Some((test.label(), "fail")),
                (_, true) => Some((test.label(), "suspect")),
                _ => None,
            }
        };
        Test::ALL.into_iter().filter_map(label).collect()
    }

    /// Whether every value passed.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.suspect.is_empty() && self.failed.is_empty()
    }

    /// `"fail"`, `"suspect"`, or nothing for a good value.
    #[must_use]
    pub const fn label(&self, variable: Variable) -> Option<&'static str> {
        if self.failed.contains(variable) {
            Some("fail")
        } else if self.suspect.contains(variable) {
            Some("suspect")
        } else {
            None
        }
    }
}

impl Serialize for Flags {
    /// A map: each variable that did not pass -> each test that said so -> `suspect` or `fail`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let marked = self.suspect.with(self.failed);
        serializer.collect_map(marked.iter().map(|variable| (variable.name(), self.found(variable))))
    }
}

/// How far a dew point may exceed the temperature before it fails, °C: two sensors, each with
/// WMO-8's achievable uncertainty of about 0.2-0.5 °C.
const DEW_POINT_EXCESS: f32 = 1.0;
/// Below it a dew point above the temperature is only suspect, °C.
const DEW_POINT_TOLERANCE: f32 = 0.5;

/// Flags the values of one report that contradict each other or leave the usual range.
#[must_use]
pub fn check(values: &Values, limits: &Limits) -> Flags {
    let mut flags = Flags::default();
    range(values, limits, &mut flags);
    consistency(values, &mut flags);
    flags
}

/// Ranges that are narrower than the physical ones: a value between the two is possible but rare
/// enough to be an instrument fault first.
fn range(values: &Values, limits: &Limits, flags: &mut Flags) {
    for (variable, value) in values.iter() {
        if let Some(usual) = limits.of(variable).usual
            && let Some(flag) = flagged(qartod::gross_range(value, Some(usual), None))
        {
            flags.mark(Test::Range, variable, flag);
        }
    }
    if let Some(rain) = values.get(Variable::Precipitation) {
        let period = values.get(Variable::PrecipitationPeriod).unwrap_or(3600.0);
        if rain > limits.most_rain(period) {
            flags.mark(Test::Range, Variable::Precipitation, Flag::Suspect);
        }
    }
}

pub(crate) fn flagged(flag: Flag) -> Option<Flag> {
    matches!(flag, Flag::Suspect | Flag::Fail).then_some(flag)
}

/// MADIS internal consistency: dew point at most temperature, gust at least mean wind.
fn consistency(values: &Values, flags: &mut Flags) {
    use Test::Consistency;
    if let (Some(temperature), Some(dew_point)) = (values.get(Variable::Temperature), values.get(Variable::DewPoint)) {
        if dew_point > temperature + DEW_POINT_EXCESS {
            flags.mark(Consistency, Variable::DewPoint, Flag::Fail);
            flags.mark(Consistency, Variable::Temperature, Flag::Suspect);
        } else if dew_point > temperature + DEW_POINT_TOLERANCE {
            flags.mark(Consistency, Variable::DewPoint, Flag::Suspect);
        }
    }
    if let (Some(mean), Some(gust)) = (values.get(Variable::WindSpeed), values.get(Variable::WindGust))
        && gust < mean
    {
        // Consoles report gust and mean over different minutes: a small excess is honest.
        let flag = if mean - gust > 1.0 + 0.1 * mean { Flag::Fail } else { Flag::Suspect };
        flags.mark(Consistency, Variable::WindGust, flag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(values: &[(Variable, f32)]) -> Flags {
        check(&values.iter().copied().collect(), &Limits::default())
    }

    #[test]
    fn a_good_report_has_no_flag() {
        let good = [
            (Variable::Temperature, 20.0),
            (Variable::DewPoint, 12.0),
            (Variable::WindSpeed, 3.0),
            (Variable::WindGust, 7.0),
        ];
        assert_eq!(flags(&good), Flags::default());
    }

    #[test]
    fn a_dew_point_above_the_temperature_fails() {
        let found = flags(&[(Variable::Temperature, 10.0), (Variable::DewPoint, 14.0)]);
        assert_eq!(found.label(Variable::DewPoint), Some("fail"));
        assert_eq!(found.label(Variable::Temperature), Some("suspect"));
        assert!(!found.usable(Variable::Temperature));
        assert!(found.by(Test::Consistency).failed.contains(Variable::DewPoint));
    }

    #[test]
    fn a_gust_below_the_mean_is_marked_by_how_far() {
        let near = flags(&[(Variable::WindSpeed, 10.0), (Variable::WindGust, 9.0)]);
        assert_eq!(near.label(Variable::WindGust), Some("suspect"));
        let far = flags(&[(Variable::WindSpeed, 10.0), (Variable::WindGust, 4.0)]);
        assert_eq!(far.label(Variable::WindGust), Some("fail"));
        assert!(far.usable(Variable::WindSpeed));
    }

    #[test]
    fn rare_values_are_suspect() {
        assert_eq!(flags(&[(Variable::Temperature, -61.0)]).label(Variable::Temperature), Some("suspect"));
        let cloudburst = |rain, period| {
            flags(&[(Variable::Precipitation, rain), (Variable::PrecipitationPeriod, period)])
                .label(Variable::Precipitation)
        };
        assert_eq!(cloudburst(20.0, 300.0), None);
        assert_eq!(cloudburst(30.0, 300.0), Some("suspect"));
        assert_eq!(cloudburst(90.0, 3600.0), None);
        assert_eq!(cloudburst(250.0, 3600.0), Some("suspect"));
    }

    #[test]
    fn the_worst_flag_counts_and_a_test_can_be_taken_back() {
        let mut flags = Flags::default();
        flags.mark(Test::Step, Variable::Temperature, Flag::Suspect);
        flags.mark(Test::Spike, Variable::Temperature, Flag::Fail);
        assert_eq!(flags.label(Variable::Temperature), Some("fail"));
        assert!(!flags.suspect.contains(Variable::Temperature));
        flags.clear(&[Test::Spike]);
        assert_eq!(flags.label(Variable::Temperature), Some("suspect"));
        flags.clear(&[Test::Step]);
        assert_eq!(flags, Flags::default());
    }
}
