//! Forecasts from the station's own last days and from what is usual, and their best mixture.

use weather::derived;
use weather::time::HOUR;

use super::REPORTED;
use super::cases::Case;
use super::climatology::Climatology;
use super::columns::{average, wet_share};
use super::subject::{SUBJECTS, Subject};
use super::target::Target;
use crate::baselines::{diurnal, persistence};
use crate::decode::WET;
use crate::features::Past;
use crate::scores;

/// Persistence, diurnal persistence, climatology, damped anomaly.
pub(crate) const SIMPLE: usize = 4;
/// Weights of the mixture are multiples of one in so many.
const STEPS: u8 = 20;
/// Cases that dampings and mixtures are fitted on; the grid of weights is tried on each.
pub(crate) const FITTED: usize = 12_000;
const DAYS: usize = 3;

/// A forecast of each, where there is one.
pub(crate) type Simple = [Option<f32>; SIMPLE];
/// A forecast of each for the two components of the wind.
type Vectors = [Option<(f32, f32)>; SIMPLE];

/// By subject, then lead.
type Weights = [[[f32; SIMPLE]; REPORTED.len()]; SUBJECTS.len()];

/// What is usual, how anomalies fade and how the baselines mix; without a fit there are only the two
/// kinds of persistence.
#[derive(Default)]
pub(crate) struct Mixture {
    climatology: Option<Climatology>,
    /// By target, then lead: what is left of an anomaly.
    left: Option<[[f32; REPORTED.len()]; Target::COUNT]>,
    /// By subject, then lead: for stations with a climatology, and for those without.
    weights: Option<[Weights; 2]>,
}

impl Mixture {
    pub(crate) fn fit(cases: &[Case<'_>], climatology: Climatology) -> Self {
        let mut mixture = Self { climatology: Some(climatology), ..Self::default() };
        mixture.fit_dampings(cases);
        let with = mixture.best_weights(cases);
        let climatology = mixture.climatology.take();
        let without = mixture.best_weights(cases);
        Self { climatology, weights: Some([with, without]), ..mixture }
    }

    fn fit_dampings(&mut self, cases: &[Case<'_>]) {
        let mut sums = [[(0.0_f64, 0.0_f64); REPORTED.len()]; Target::COUNT];
        for case in cases {
            let past = case.past();
            let truth = case.truth(&past);
            for target in Target::ALL {
                let Some(anomaly) = anomaly(&past, target) else { continue };
                for (at, lead) in REPORTED.into_iter().enumerate() {
                    let observed = truth.get(target.channel(), lead - 1);
                    if let Some((observed, usual)) = observed.zip(usual_of_days(&past, target, lead)) {
                        let (products, squares) = &mut sums[target as usize][at];
                        *products += f64::from(anomaly * (observed - usual));
                        *squares += f64::from(anomaly * anomaly);
                    }
                }
            }
        }
        #[allow(clippy::cast_possible_truncation)] // about 0 to 1
        let share = |(products, squares): (f64, f64)| (products / squares.max(1e-9)).clamp(-1.0, 1.5) as f32;
        self.left = Some(sums.map(|row| row.map(share)));
    }

    /// Of all mixtures on the grid, the one with the least error.
    fn best_weights(&self, cases: &[Case<'_>]) -> Weights {
        let grid = grid();
        let mut losses = vec![[[0.0_f64; REPORTED.len()]; SUBJECTS.len()]; grid.len()];
        for case in cases {
            let past = case.past();
            let truth = case.truth(&past);
            for (index, subject) in SUBJECTS.into_iter().enumerate() {
                for (at, lead) in REPORTED.into_iter().enumerate() {
                    let Some(observed) = subject.observed(&truth, lead) else { continue };
                    let forecasts = self.forecasts(case, &past, subject, at);
                    for (weights, losses) in grid.iter().zip(&mut losses) {
                        if let Some(mixed) = forecasts.mixed(weights) {
                            losses[index][at] += subject.loss(f64::from(mixed), f64::from(observed));
                        }
                    }
                }
            }
        }
        let best = |index: usize, at: usize| {
            let all = grid.iter().zip(&losses);
            let best = all.min_by(|(_, a), (_, b)| a[index][at].total_cmp(&b[index][at]));
            best.map_or([0.0; SIMPLE], |(weights, _)| *weights)
        };
        std::array::from_fn(|index| std::array::from_fn(|at| best(index, at)))
    }

    fn forecasts(&self, case: &Case<'_>, past: &Past, subject: Subject, at: usize) -> Forecasts {
        match subject {
            Subject::Scalar(_, target, _) => Forecasts::Numbers(self.of(case, past, target, at)),
            Subject::Chance => Forecasts::Numbers(self.chances(case, past, at)),
            Subject::Direction => {
                let (u, v) = (self.of(case, past, Target::WindU, at), self.of(case, past, Target::WindV, at));
                Forecasts::Vectors(std::array::from_fn(|i| u[i].zip(v[i])))
            }
        }
    }

    /// Each baseline and their mixture, for the `at`th of the reported leads.
    pub(crate) fn all(&self, case: &Case<'_>, past: &Past, subject: usize, at: usize) -> (Simple, Option<f32>) {
        let forecasts = self.forecasts(case, past, SUBJECTS[subject], at);
        let known = self.climatology.as_ref().is_some_and(|climatology| climatology.knows(case));
        let weights = self.weights.as_ref().map(|[with, without]| if known { with } else { without });
        (forecasts.each(), weights.and_then(|weights| forecasts.mixed(&weights[subject][at])))
    }

    fn of(&self, case: &Case<'_>, past: &Past, target: Target, at: usize) -> Simple {
        let lead = REPORTED[at];
        let damped = self.left.zip(usual_of_days(past, target, lead)).map(|(left, usual)| {
            let value = usual + left[target as usize][at] * anomaly(past, target).unwrap_or(0.0);
            if target.non_negative() { value.max(0.0) } else { value }
        });
        // Where there is no history, what is usual is what the window's days had at that hour.
        let usual = self.climatology.as_ref().and_then(|c| c.usual(case, valid(case, lead), Some(target)));
        let usual = usual.or(self.left.and_then(|_| usual_of_days(past, target, lead)));
        let channel = target.channel();
        [persistence(past, channel), diurnal(past, channel, lead), usual, damped]
    }

    /// The chance of rain; how often it rained in the window takes the place of the anomaly.
    fn chances(&self, case: &Case<'_>, past: &Past, at: usize) -> Simple {
        let wet = |mm: f32| if mm >= WET { 1.0 } else { 0.0 };
        let channel = Target::Rain.channel();
        let window = self.left.and_then(|_| wet_share(past, DAYS * 24));
        let usual = self.climatology.as_ref().and_then(|c| c.usual(case, valid(case, REPORTED[at]), None));
        [persistence(past, channel).map(wet), diurnal(past, channel, REPORTED[at]).map(wet), usual.or(window), window]
    }
}

/// The forecasts of the baselines for one subject.
enum Forecasts {
    Numbers(Simple),
    Vectors(Vectors),
}

impl Forecasts {
    fn each(&self) -> Simple {
        match self {
            Self::Numbers(numbers) => *numbers,
            Self::Vectors(vectors) => vectors.map(|vector| vector.map(|(u, v)| derived::wind_direction(u, v))),
        }
    }

    /// The weighted mean of those that exist.
    fn mixed(&self, weights: &[f32; SIMPLE]) -> Option<f32> {
        let weighted = |value: &dyn Fn(usize) -> Option<f32>| {
            let known = (0..SIMPLE).filter_map(|i| Some((value(i)?, weights[i])));
            let (sum, total) = known.fold((0.0, 0.0), |(sum, total), (v, w)| (sum + v * w, total + w));
            (total > 0.0).then(|| sum / total)
        };
        match self {
            Self::Numbers(numbers) => weighted(&|i| numbers[i]),
            Self::Vectors(vectors) => {
                let (u, v) = (weighted(&|i| vectors[i].map(|x| x.0))?, weighted(&|i| vectors[i].map(|x| x.1))?);
                Some(derived::wind_direction(u, v))
            }
        }
    }
}

#[allow(clippy::cast_possible_wrap)] // at most 48
fn valid(case: &Case<'_>, lead: usize) -> weather::Time {
    case.reference + lead as i64 * HOUR
}

/// The mean of the window's days at the hour that is forecast.
fn usual_of_days(past: &Past, target: Target, lead: usize) -> Option<f32> {
    average((0..DAYS).filter_map(|day| past.same_hour(target.channel(), lead, day)))
}

/// How far the newest value is from the mean of the window's days at its hour.
fn anomaly(past: &Past, target: Target) -> Option<f32> {
    // A day after the newest value it is the same hour again.
    Some(past.newest(target.channel())? - usual_of_days(past, target, 24)?)
}

/// All weights that are multiples of a step and add up to 1.
#[allow(clippy::many_single_char_names)]
fn grid() -> Vec<[f32; SIMPLE]> {
    let mut grid = Vec::new();
    for a in 0..=STEPS {
        for b in 0..=STEPS - a {
            for c in 0..=STEPS - a - b {
                grid.push([a, b, c, STEPS - a - b - c].map(|part| f32::from(part) / f32::from(STEPS)));
            }
        }
    }
    grid
}

impl Subject {
    /// What is made least: the angle, the squared error of a chance, else the absolute error.
    pub(crate) fn loss(self, forecast: f64, observed: f64) -> f64 {
        match self {
            Self::Direction => scores::angle(forecast, observed),
            Self::Chance => (forecast - observed).powi(2),
            Self::Scalar(..) => (forecast - observed).abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_are_convex_and_hold_each_alone() {
        let grid = grid();
        assert_eq!(grid.len(), 1771);
        assert!(grid.iter().all(|w| (w.iter().sum::<f32>() - 1.0).abs() < 1e-6 && w.iter().all(|w| *w >= 0.0)));
        for alone in 0..SIMPLE {
            assert!(grid.iter().any(|w| w[alone] == 1.0));
        }
        let forecasts = Forecasts::Numbers([Some(2.0), None, Some(4.0), None]);
        assert_eq!(forecasts.mixed(&[0.25, 0.5, 0.25, 0.0]), Some(3.0), "what is missing has no say");
        assert_eq!(forecasts.mixed(&[0.0, 1.0, 0.0, 0.0]), None);
    }
}
