//! Quality flags of one observation, from what it says by itself.
//!
//! Values that no atmosphere can have are refused at the door ([`crate::admission`]). Here are the
//! tests that mark a value instead: `fail` is masked from the model and shown as bad, `suspect` is
//! masked and shown. Order and names follow QARTOD (range, then internal consistency).

use serde::{Deserialize, Serialize};

use crate::observation::Values;
use crate::variable::{Variable, VariableSet};

/// The variables of one observation that did not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u16)", into = "(u16, u16)")]
pub struct Flags {
    /// QARTOD flag 3: dubious, masked from the model.
    pub suspect: VariableSet,
    /// QARTOD flag 4: wrong, masked from the model.
    pub failed: VariableSet,
}

impl From<(u16, u16)> for Flags {
    fn from((suspect, failed): (u16, u16)) -> Self {
        Self { suspect: VariableSet::from_bits(suspect), failed: VariableSet::from_bits(failed) }
    }
}

impl From<Flags> for (u16, u16) {
    fn from(flags: Flags) -> Self {
        (flags.suspect.bits(), flags.failed.bits())
    }
}

impl Flags {
    /// Whether `variable` may be used by the model.
    #[must_use]
    pub const fn usable(&self, variable: Variable) -> bool {
        !self.suspect.contains(variable) && !self.failed.contains(variable)
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

/// How far a dew point may exceed the temperature before it fails, °C: two sensors, each with
/// WMO-8's achievable uncertainty of about 0.2-0.5 °C.
const DEW_POINT_EXCESS: f32 = 1.0;
/// Below it a dew point above the temperature is only suspect, °C.
const DEW_POINT_TOLERANCE: f32 = 0.5;

/// Flags the values that contradict each other or leave the usual range of their climate.
#[must_use]
pub fn check(values: &Values) -> Flags {
    let mut flags = Flags::default();
    range(values, &mut flags);
    consistency(values, &mut flags);
    flags
}

/// MADIS validity ranges that are narrower than the physical ones: a value between the two is
/// possible but rare enough to be an instrument fault first.
fn range(values: &Values, flags: &mut Flags) {
    const USUAL: [(Variable, f32, f32); 5] = [
        (Variable::Temperature, -60.0, 54.4),
        (Variable::DewPoint, -67.8, 32.2),
        (Variable::PressureMsl, 870.0, 1085.0),
        (Variable::WindSpeed, 0.0, 75.0),
        (Variable::SolarRadiation, -10.0, 1500.0),
    ];
    for (variable, low, high) in USUAL {
        if values.get(variable).is_some_and(|v| v < low || v > high) {
            flags.suspect.insert(variable);
        }
    }
}

/// MADIS internal consistency: dew point at most temperature, gust at least mean wind.
fn consistency(values: &Values, flags: &mut Flags) {
    if let (Some(temperature), Some(dew_point)) = (values.get(Variable::Temperature), values.get(Variable::DewPoint)) {
        if dew_point > temperature + DEW_POINT_EXCESS {
            flags.failed.insert(Variable::DewPoint);
            flags.suspect.insert(Variable::Temperature);
        } else if dew_point > temperature + DEW_POINT_TOLERANCE {
            flags.suspect.insert(Variable::DewPoint);
        }
    }
    if let (Some(mean), Some(gust)) = (values.get(Variable::WindSpeed), values.get(Variable::WindGust))
        && gust < mean
    {
        // Consoles report gust and mean over different minutes: a small excess is honest.
        if mean - gust > 1.0 + 0.1 * mean {
            flags.failed.insert(Variable::WindGust)
        } else {
            flags.suspect.insert(Variable::WindGust)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(values: &[(Variable, f32)]) -> Flags {
        check(&values.iter().copied().collect())
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
    }
}
