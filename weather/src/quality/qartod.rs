//! QARTOD's flags, how several are one, and the tests that it defines, as `ioos_qc` 3.0 does them.

use serde::{Deserialize, Serialize};

/// A QARTOD flag, with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Flag {
    /// Passed.
    Good = 1,
    /// Could not be tested: no neighbour, no history.
    NotEvaluated = 2,
    /// Dubious.
    Suspect = 3,
    /// Wrong.
    Fail = 4,
    /// There is no value.
    Missing = 9,
}

impl Flag {
    /// The flag of several tests of one value: 4 before 3 before 1 before 2 before 9.
    #[must_use]
    pub fn aggregate(flags: impl IntoIterator<Item = Self>) -> Self {
        const RANK: [Flag; 5] = [Flag::Fail, Flag::Suspect, Flag::Good, Flag::NotEvaluated, Flag::Missing];
        let rank = |flag: Flag| RANK.iter().position(|f| *f == flag).unwrap_or(RANK.len());
        flags.into_iter().min_by_key(|flag| rank(*flag)).unwrap_or(Self::Missing)
    }
}

/// Gross range: outside `fail` the value is wrong, outside `suspect` dubious. Bounds are inclusive.
#[must_use]
pub fn gross_range(value: f32, suspect: Option<(f32, f32)>, fail: Option<(f32, f32)>) -> Flag {
    let outside = |range: Option<(f32, f32)>| range.is_some_and(|(low, high)| value < low || value > high);
    if !value.is_finite() {
        Flag::Missing
    } else if outside(fail) {
        Flag::Fail
    } else if outside(suspect) {
        Flag::Suspect
    } else {
        Flag::Good
    }
}

/// Spike: how far a value is from the mean of its two neighbours.
#[must_use]
pub fn spike(before: f32, value: f32, after: f32, suspect: f32, fail: f32) -> Flag {
    beyond((value - f32::midpoint(before, after)).abs(), suspect, fail)
}

/// Rate of change: how much a value differs from the one before, against what is allowed for the time
/// between them.
#[must_use]
pub fn change(before: f32, value: f32, suspect: f32, fail: f32) -> Flag {
    beyond((value - before).abs(), suspect, fail)
}

/// More than `fail` is wrong, more than `suspect` dubious.
#[must_use]
pub fn beyond(amount: f32, suspect: f32, fail: f32) -> Flag {
    if amount > fail {
        Flag::Fail
    } else if amount > suspect {
        Flag::Suspect
    } else {
        Flag::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(flags: impl IntoIterator<Item = Flag>) -> Vec<u8> {
        flags.into_iter().map(|flag| flag as u8).collect()
    }

    #[test]
    fn aggregation_as_qartod_has_it() {
        use Flag::{Fail, Good, Missing, NotEvaluated, Suspect};
        assert_eq!(Flag::aggregate([Good, Good, NotEvaluated]), Good);
        assert_eq!(Flag::aggregate([Good, Suspect, Fail]), Fail);
        assert_eq!(Flag::aggregate([NotEvaluated, Good, Missing]), Good);
        assert_eq!(Flag::aggregate([]), Missing);
    }

    // The expected flags of the next three are what ioos_qc 3.0.0 answers.

    #[test]
    fn gross_range_of_the_reference_vector() {
        let values = [1.0, 2.0, 3.0, 4.0, 8.0, f32::NAN];
        let flags = values.map(|v| gross_range(v, Some((1.0, 3.0)), Some((0.0, 5.0))));
        assert_eq!(numbers(flags), [1, 1, 1, 3, 4, 9]);
    }

    #[test]
    fn spike_of_the_reference_vector() {
        let values = [10.0, 10.0, 15.0, 10.0, 10.0, 30.0, 10.0];
        let mut flags = vec![Flag::NotEvaluated; values.len()];
        for at in 1..values.len() - 1 {
            flags[at] = spike(values[at - 1], values[at], values[at + 1], 3.0, 10.0);
        }
        assert_eq!(numbers(flags), [2, 1, 3, 1, 3, 4, 2]);
    }

    #[test]
    fn rate_of_change_of_the_reference_vector() {
        // Every 600 s, suspect beyond 3 in 600 s. The first has no predecessor: ioos_qc calls it good.
        let values = [10.0, 11.0, 20.0, 20.5];
        let mut flags = vec![Flag::Good];
        flags.extend(values.windows(2).map(|pair| change(pair[0], pair[1], 600.0 * (3.0 / 600.0), f32::INFINITY)));
        assert_eq!(numbers(flags), [1, 1, 3, 1]);
    }
}
