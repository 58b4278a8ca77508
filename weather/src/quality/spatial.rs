//! Tests of a report against its neighbours: isolation and the buddy check of titanlib.

use crate::quality::limits::Buddy;
use crate::quality::qartod::{self, Flag};

/// A value and the height of where it was measured, m, where known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elsewhere {
    /// In the variable's unit.
    pub value: f32,
    /// Metres above sea level.
    pub elevation: Option<f32>,
}

/// The buddy check of one value.
///
/// How many spreads it is from the mean of its neighbours, brought to its height; the spread is at least
/// the variable's least. Fewer than `least` neighbours and the station is isolated: not evaluated, since
/// a lonely station is no bad one. The neighbours must have been believed themselves.
#[must_use]
pub fn buddy(this: Elsewhere, neighbours: &[Elsewhere], least: usize, limits: &Buddy) -> Flag {
    if neighbours.is_empty() || neighbours.len() < least {
        return Flag::NotEvaluated;
    }
    let count = neighbours.len() as f32;
    let brought = |n: &Elsewhere| match (this.elevation, n.elevation) {
        (Some(here), Some(there)) => n.value + limits.gradient * (here - there),
        _ => n.value,
    };
    let mean = neighbours.iter().map(brought).sum::<f32>() / count;
    let variance = neighbours.iter().map(|n| (brought(n) - mean).powi(2)).sum::<f32>() / count;
    // The mean is uncertain too: titanlib adds its variance.
    let spread = (variance + variance / count).sqrt().max(limits.least_spread);
    qartod::beyond((this.value - mean).abs() / spread, limits.threshold, 2.0 * limits.threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Buddy = Buddy { threshold: 2.0, least_spread: 1.0, gradient: -0.0065 };

    fn at(value: f32) -> Elsewhere {
        Elsewhere { value, elevation: Some(0.0) }
    }

    /// Rounds of the check in which what was flagged is no buddy any more, as titanlib does it.
    fn rounds(values: &[f32], least: usize, iterations: usize) -> Vec<u8> {
        let mut flagged = vec![false; values.len()];
        for _ in 0..iterations {
            let before = flagged.clone();
            for (index, value) in values.iter().enumerate() {
                let believed = |(other, _): &(usize, &f32)| *other != index && !before[*other];
                let others: Vec<Elsewhere> = values.iter().enumerate().filter(believed).map(|(_, v)| at(*v)).collect();
                let flag = buddy(at(*value), &others, least, &PLAIN);
                flagged[index] |= matches!(flag, Flag::Suspect | Flag::Fail);
            }
        }
        flagged.into_iter().map(u8::from).collect()
    }

    #[test]
    fn the_reference_vector_of_titanlib() {
        // titanlib 0.4.0: three stations 11 km apart, radius 50 km, 2 buddies, threshold 2, spread at least 1.
        assert_eq!(rounds(&[0.0, 1.0, -111.0], 2, 2), [0, 0, 1]);
    }

    #[test]
    fn height_explains_a_difference() {
        let summit = Elsewhere { value: 2.0, elevation: Some(2000.0) };
        let valley = [at(15.0), at(15.5), at(14.8)];
        assert_eq!(buddy(summit, &valley, 3, &PLAIN), Flag::Good);
        assert_eq!(buddy(at(2.0), &valley, 3, &PLAIN), Flag::Fail);
        assert_eq!(buddy(at(12.0), &valley, 3, &PLAIN), Flag::Suspect);
    }

    #[test]
    fn a_lonely_station_is_not_judged() {
        assert_eq!(buddy(at(99.0), &[at(1.0), at(1.0)], 3, &PLAIN), Flag::NotEvaluated);
        assert_eq!(buddy(at(99.0), &[], 0, &PLAIN), Flag::NotEvaluated);
    }
}
