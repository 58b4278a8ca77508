//! The steps in which a station's sensors report.
//!
//! An airport reports whole degrees, hectopascals and knots, an American one whole degrees
//! Fahrenheit. What such a station will report next is one of a few values: while a forecast is surer
//! than a step is wide, its quantiles are steps themselves, not points between them.

use crate::grid::Channel;

/// Whole degrees Celsius, whole degrees Fahrenheit.
const DEGREES: [f32; 2] = [1.0, 5.0 / 9.0];
/// Whole hectopascals.
const HECTOPASCALS: [f32; 1] = [1.0];
/// Whole metres a second, knots, miles an hour, kilometres an hour.
const SPEEDS: [f32; 4] = [1.0, 0.514_444, 0.447_04, 0.277_778];
/// Fewer values than this show no step.
const ENOUGH: usize = 12;
/// Nor do fewer different ones: a calm is a multiple of everything.
const DISTINCT: usize = 4;
/// How far a value may lie from its step: what is left when the step is converted and rounded again.
/// °C, hPa or m/s.
const TOLERANCE: f32 = 0.055;
/// The share of values that may be off, as a hundredth: a report by another instrument.
const ODD: usize = 3;

/// The widest step that the values of a quantity are multiples of, in its unit; none where they are
/// finer than people notice, or too few to say.
pub(crate) fn of(channel: Channel, values: &[f32]) -> Option<f32> {
    let candidates: &[f32] = match channel {
        Channel::Temperature | Channel::DewPoint => &DEGREES,
        Channel::Pressure => &HECTOPASCALS,
        Channel::WindSpeed => &SPEEDS,
        _ => return None,
    };
    candidates.iter().copied().find(|step| fits(*step, values))
}

fn fits(step: f32, values: &[f32]) -> bool {
    // Of a fine step everything is nearly a multiple.
    let tolerance = TOLERANCE.min(step / 8.0);
    let (mut known, mut off, mut distinct) = (0, 0, [f32::NAN; DISTINCT]);
    for value in values.iter().filter(|v| !v.is_nan()) {
        let multiple = (value / step).round();
        known += 1;
        off += usize::from((value - multiple * step).abs() > tolerance);
        if off * 100 > ODD * values.len() {
            return false;
        }
        if let Some(free) = distinct.iter_mut().take_while(|d| **d != multiple).find(|d| d.is_nan()) {
            *free = multiple;
        }
    }
    known >= ENOUGH && off * 100 <= ODD * known && distinct.iter().all(|d| !d.is_nan())
}

/// How many steps wide the middle 80 % may be for the quantiles to be whole steps, and from where on
/// they are left as they are: beyond it the step no longer matters, and a stair would only be ugly.
const SURE: f32 = 2.0;
const UNSURE: f32 = 3.0;

/// Moves changes from a value that was reported, in its unit and ascending, to whole steps.
pub(crate) fn settle(changes: &mut [f32], step: f32, middle_80: f32) {
    let strength = ((UNSURE - middle_80 / step) / (UNSURE - SURE)).clamp(0.0, 1.0);
    for change in changes.iter_mut() {
        *change += strength * ((*change / step).round() * step - *change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(step: f32, digits: f32) -> Vec<f32> {
        #[allow(clippy::cast_precision_loss)]
        let smooth = (0..96).map(|hour| 15.0 + 7.3 * (hour as f32 / 4.0).sin());
        smooth.map(|v| ((v / step).round() * step * digits).round() / digits).collect()
    }

    #[test]
    fn steps_are_found_through_conversion_and_rounding() {
        for (channel, step, digits) in [
            (Channel::Temperature, 1.0, 10.0),
            (Channel::Temperature, 5.0 / 9.0, 10.0),
            (Channel::Pressure, 1.0, 10.0),
            (Channel::WindSpeed, 0.514_444, 10.0),
            (Channel::WindSpeed, 0.447_04, 100.0),
            (Channel::WindSpeed, 0.277_778, 100.0),
        ] {
            assert_eq!(of(channel, &course(step, digits)), Some(step), "{channel:?} {step}");
        }
    }

    #[test]
    fn tenths_have_none_and_neither_have_few_or_equal_values() {
        for channel in [Channel::Temperature, Channel::DewPoint, Channel::Pressure, Channel::WindSpeed] {
            assert_eq!(of(channel, &course(0.1, 10.0)), None, "{channel:?}");
        }
        let mut few = course(1.0, 10.0);
        few[..86].fill(f32::NAN);
        assert_eq!(of(Channel::Temperature, &few), None);
        assert_eq!(of(Channel::WindSpeed, &[0.0; 96]), None);
    }

    #[test]
    fn sure_quantiles_are_steps_and_unsure_ones_stay() {
        let mut sure = [-0.4, 0.1, 0.6, 1.2];
        settle(&mut sure, 1.0, 1.6);
        assert_eq!(sure, [0.0, 0.0, 1.0, 1.0]);
        let (mut unsure, was) = ([-2.4, 0.1, 2.6], [-2.4, 0.1, 2.6]);
        settle(&mut unsure, 1.0, 4.0);
        assert_eq!(unsure, was);
        let mut between = [0.1, 0.4, 0.6];
        settle(&mut between, 1.0, 2.5);
        assert!(between.is_sorted(), "{between:?}");
    }
}
