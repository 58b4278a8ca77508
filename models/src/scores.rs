//! Verification scores, pure: numbers in, a number out.
//!
//! Definitions follow Gneiting & Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and
//! Estimation", and are held against the Python package `scores` (`models/tests/scores.rs`). Lower is
//! better everywhere but in [`skill`]. Units are those of what is scored; probabilities and shares
//! are 0 to 1. Empty input gives `None`, never a number.

/// What a set of errors (forecast minus observation) says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean error: positive where the forecast is too high.
    pub bias: f64,
}

/// Mean absolute, root mean square and mean error of pairs of a forecast and an observation.
#[must_use]
pub fn deviation(pairs: &[(f64, f64)]) -> Option<Deviation> {
    let mean = |of: fn(f64) -> f64| mean(pairs.iter().map(|(forecast, observed)| of(forecast - observed)));
    Some(Deviation { mae: mean(f64::abs)?, rmse: mean(|e| e * e)?.sqrt(), bias: mean(|e| e)? })
}

/// The mean, if there is anything.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The pinball (quantile) loss of `quantile` at `level` when `observed` came:
/// `(y - q)(level - 1[y < q])`.
#[must_use]
pub fn pinball(level: f64, quantile: f64, observed: f64) -> f64 {
    if observed < quantile { (1.0 - level) * (quantile - observed) } else { level * (observed - quantile) }
}

/// The share of ranks each of ascending levels stands for: up to half way to its neighbours, and to
/// 0 and 1 at the ends. They add up to 1.
#[must_use]
pub fn rank_shares(levels: &[f64]) -> Vec<f64> {
    let half_way = |index: usize| match (index.checked_sub(1).and_then(|i| levels.get(i)), levels.get(index)) {
        (Some(below), Some(above)) => f64::midpoint(*below, *above),
        (None, _) => 0.0,
        (Some(_), None) => 1.0,
    };
    (0..levels.len()).map(|index| half_way(index + 1) - half_way(index)).collect()
}

/// The CRPS of a distribution that is known by some quantiles: twice their pinball losses, weighted
/// by [`rank_shares`]. Unweighted, unevenly spaced levels would count their tails too often.
#[must_use]
pub fn crps_quantiles(levels: &[f64], quantiles: &[f64], observed: f64) -> f64 {
    let losses = levels.iter().zip(quantiles).map(|(level, quantile)| pinball(*level, *quantile, observed));
    2.0 * rank_shares(levels).into_iter().zip(losses).map(|(share, loss)| share * loss).sum::<f64>()
}

/// The CRPS of the distribution that an ensemble is.
#[must_use]
#[allow(clippy::cast_precision_loss)] // members
pub fn crps_ensemble(members: &[f64], observed: f64) -> Option<f64> {
    let distance = mean(members.iter().map(|m| (m - observed).abs()))?;
    Some(distance - spread(members) / (2.0 * (members.len() as f64).powi(2)))
}

/// The CRPS that an ensemble of infinitely many such members is expected to have. One member tells
/// nothing of its spread.
#[must_use]
#[allow(clippy::cast_precision_loss)] // members
pub fn fair_crps_ensemble(members: &[f64], observed: f64) -> Option<f64> {
    let count = members.len() as f64;
    let distance = mean(members.iter().map(|m| (m - observed).abs()))?;
    (members.len() > 1).then(|| distance - spread(members) / (2.0 * count * (count - 1.0)))
}

/// The sum of the distances of all ordered pairs.
fn spread(members: &[f64]) -> f64 {
    members.iter().flat_map(|a| members.iter().map(move |b| (a - b).abs())).sum()
}

/// The interval score of the central interval that misses `miss` (0.2 for 80 %) of observations: its
/// width, and `2 / miss` times the distance by which it missed.
#[must_use]
pub fn interval(miss: f64, low: f64, high: f64, observed: f64) -> f64 {
    high - low + 2.0 / miss * ((low - observed).max(0.0) + (observed - high).max(0.0))
}

/// The share of observations within their intervals, ends included.
#[must_use]
pub fn coverage(intervals: &[(f64, f64, f64)]) -> Option<f64> {
    mean(intervals.iter().map(|(low, high, y)| if (low..=high).contains(&y) { 1.0 } else { 0.0 }))
}

/// The Brier score of pairs of a probability and what happened.
#[must_use]
pub fn brier(pairs: &[(f64, bool)]) -> Option<f64> {
    mean(pairs.iter().map(|(p, happened)| (p - f64::from(u8::from(*happened))).powi(2)))
}

/// The Brier skill over the frequency among these very cases, which no forecaster knew. None where
/// it always or never happened.
#[must_use]
pub fn brier_skill(pairs: &[(f64, bool)]) -> Option<f64> {
    let frequency = mean(pairs.iter().map(|(_, happened)| f64::from(u8::from(*happened))))?;
    skill(brier(pairs)?, frequency * (1.0 - frequency))
}

/// The part of a reference's score that was saved: 1 is perfect, 0 no better, negative worse. None
/// where the reference was perfect.
#[must_use]
pub fn skill(score: f64, reference: f64) -> Option<f64> {
    (reference > 0.0).then(|| 1.0 - score / reference)
}

/// The angle between two directions, degrees, 0 to 180.
#[must_use]
pub fn angle(a: f64, b: f64) -> f64 {
    let difference = (a - b).rem_euclid(360.0);
    difference.min(360.0 - difference)
}

/// Forecast probabilities of one bin, and how often it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Cases.
    pub n: u64,
    /// The sum of their probabilities.
    pub forecast: f64,
    /// How many happened.
    pub happened: f64,
}

/// Bins of equal width that a reliability diagram has.
pub const BINS: usize = 10;

/// Which of [`BINS`] a probability falls into; the last one includes 1.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // 0 to 10
pub fn bin(probability: f64) -> usize {
    ((probability * BINS as f64).max(0.0) as usize).min(BINS - 1)
}

/// The CRPS of a normal distribution, what [`crps_quantiles`] tends to with ever more levels.
#[must_use]
pub fn crps_normal(mean: f64, deviation: f64, observed: f64) -> f64 {
    let z = (observed - mean) / deviation;
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    deviation * (z * (2.0 * normal_rank(z) - 1.0) + 2.0 * density - 1.0 / std::f64::consts::PI.sqrt())
}

/// The share of a standard normal distribution below `z`, to 1e-12: the series of the error
/// function, and its continued fraction far out (Abramowitz & Stegun 7.1.6 and 7.1.14).
#[must_use]
pub fn normal_rank(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let tail = if x < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - (-x * x).exp() * sum / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..60).rev().fold(x, |deeper, n| x + f64::from(n) / 2.0 / deeper);
        (-x * x).exp() / std::f64::consts::PI.sqrt() / fraction / 2.0
    };
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    /// The standard normal quantile, by halving.
    fn normal(level: f64) -> f64 {
        let (mut low, mut high) = (-9.0, 9.0);
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if normal_rank(middle) < level { low = middle } else { high = middle }
        }
        low
    }

    fn of_normal(levels: &[f64]) -> (f64, f64) {
        let quantiles: Vec<f64> = levels.iter().map(|l| normal(*l)).collect();
        let unweighted = mean(levels.iter().zip(&quantiles).map(|(l, q)| 2.0 * pinball(*l, *q, 1.0)));
        (crps_quantiles(levels, &quantiles, 1.0), unweighted.unwrap())
    }

    #[test]
    fn quantiles_of_a_normal_distribution() {
        near(crps_normal(0.0, 1.0, 0.0), 0.233_695);
        near(crps_normal(0.0, 1.0, 1.0), 0.602_441);
        let midpoints: Vec<f64> = (0..19).map(|i| (f64::from(i) + 0.5) / 19.0).collect();
        near(of_normal(&midpoints).0, 0.6044);
        let deciles: Vec<f64> = (1..10).map(|i| f64::from(i) / 10.0).collect();
        near(of_normal(&deciles).0, 0.6238);
        near(of_normal(&deciles).1, 0.6646);
        let (weighted, unweighted) = of_normal(&[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]);
        near(weighted, 0.5850);
        near(unweighted, 0.4334);
    }

    #[test]
    fn ensembles() {
        near(crps_ensemble(&[-1.0, 0.0, 1.0], 0.0).unwrap(), 0.222_222);
        near(crps_ensemble(&[0.0, 1.0, 4.0], 2.0).unwrap(), 0.777_778);
        near(fair_crps_ensemble(&[0.0, 1.0, 4.0], 2.0).unwrap(), 0.333_333);
        assert_eq!((crps_ensemble(&[], 0.0), fair_crps_ensemble(&[1.0], 0.0)), (None, None));
    }

    #[test]
    fn pinball_losses() {
        for (level, quantile, observed, expected) in
            [(0.1, 10.0, 12.0, 0.2), (0.1, 10.0, 9.0, 0.9), (0.9, 10.0, 12.0, 1.8), (0.5, 10.0, 12.0, 1.0)]
        {
            near(pinball(level, quantile, observed), expected);
        }
    }

    #[test]
    fn intervals() {
        near(interval(0.2, 5.0, 15.0, 17.0), 30.0);
        near(coverage(&[(0.0, 1.0, 1.0), (0.0, 1.0, 1.1), (0.0, 1.0, 0.5), (0.0, 1.0, -3.0)]).unwrap(), 0.5);
    }

    #[test]
    fn probabilities() {
        let four = [(0.1, false), (0.9, true), (0.8, true), (0.3, false)];
        near(brier(&four).unwrap(), 0.0375);
        let five = [(0.1, false), (0.9, true), (0.8, true), (0.3, false), (0.5, true)];
        near(brier(&five).unwrap(), 0.08);
        near(brier_skill(&five).unwrap(), 0.6667);
        assert_eq!(brier_skill(&[(0.3, true)]), None, "the frequency itself is perfect");
        assert_eq!([0.0, 0.099, 0.1, 0.95, 1.0, f64::NAN, -1.0, 7.0].map(bin), [0, 0, 1, 9, 9, 0, 0, 9]);
    }

    #[test]
    fn deviations() {
        let pairs = [(20.0, 21.0), (22.0, 20.0), (19.0, 19.0), (25.0, 28.0)];
        let found = deviation(&pairs).unwrap();
        near(found.mae, 1.5);
        near(found.rmse, 1.8708);
        near(found.bias, -0.5);
        let carried: Vec<(f64, f64)> = pairs.iter().map(|(_, observed)| (19.0, *observed)).collect();
        near(skill(found.mae, deviation(&carried).unwrap().mae).unwrap(), 0.5);
        assert_eq!((deviation(&[]), skill(1.0, 0.0)), (None, None));
    }

    #[test]
    fn angles() {
        near(angle(350.0, 10.0), 20.0);
        near(angle(90.0, 270.0), 180.0);
    }
}
