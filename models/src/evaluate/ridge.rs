//! Ridge regression: per target and lead a linear function of the columns, fitted on the training
//! cases. Its penalty and its spread come from the last part of the training period.

use weather::QUANTILES;

use super::REPORTED;
use super::exchange::Examples;
use super::regression::{Equations, dot};
use super::target::Target;

/// Penalties tried, per case and standardised column.
const PENALTIES: [f64; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
/// Fewer late cases than this choose nothing.
const ENOUGH: usize = 200;

/// How columns become numbers of about the same size.
struct Scaling {
    means: Vec<f64>,
    factors: Vec<f64>,
    /// Columns of the window; the rest are those of the leads.
    window: usize,
}

/// One target at one lead.
struct Line {
    coefficients: Vec<f64>,
    /// Quantiles of what it missed by.
    residuals: [f64; QUANTILES.len()],
}

/// The fitted lines.
pub(crate) struct Ridge {
    scaling: Scaling,
    /// By target, then lead.
    lines: Vec<Option<Line>>,
}

impl Ridge {
    /// None where there is nothing to fit on.
    pub(crate) fn fit(examples: &Examples, lead_columns: usize) -> Option<Self> {
        let columns = examples.columns.columns;
        let window = columns.checked_sub(lead_columns * REPORTED.len()).filter(|_| !examples.late.is_empty())?;
        let scaling = Scaling::of(examples, window);
        let mut lines: Vec<Option<Line>> = (0..Target::COUNT * REPORTED.len()).map(|_| None).collect();
        for lead in 0..REPORTED.len() {
            let mut equations = Equations::<{ Target::COUNT }>::new(window + lead_columns + 1);
            for (row, targets) in examples.cases(false) {
                let known = Target::ALL.map(|target| value(targets, target, lead));
                equations.add(&scaling.row(row, lead), known);
            }
            for target in Target::ALL {
                lines[target as usize * REPORTED.len() + lead] =
                    Line::best(&mut equations, examples, &scaling, target, lead);
            }
        }
        Some(Self { scaling, lines })
    }

    /// Quantiles of the change from the newest value; for rain the chance, seven times.
    pub(crate) fn levels(&self, columns: &[f32], target: Target, lead: usize) -> Option<[f32; QUANTILES.len()]> {
        let line = self.lines.get(target as usize * REPORTED.len() + lead)?.as_ref()?;
        let value = dot(&self.scaling.row(columns, lead), &line.coefficients);
        #[allow(clippy::cast_possible_truncation)] // changes of weather
        Some(match target {
            Target::Rain => [value.clamp(0.0, 1.0) as f32; QUANTILES.len()],
            _ => line.residuals.map(|residual| (value + residual) as f32),
        })
    }
}

impl Examples {
    fn cases(&self, late: bool) -> impl Iterator<Item = (&[f32], &[f32])> {
        let rows = self.columns.rows().zip(self.targets.rows()).zip(&self.late);
        rows.filter(move |(_, is)| **is == late).map(|(row, _)| row)
    }
}

fn value(targets: &[f32], target: Target, lead: usize) -> Option<f64> {
    targets.get(target as usize * REPORTED.len() + lead).map(|v| f64::from(*v)).filter(|v| v.is_finite())
}

impl Scaling {
    #[allow(clippy::cast_precision_loss)] // counts
    fn of(examples: &Examples, window: usize) -> Self {
        let columns = examples.columns.columns;
        let mut sums = vec![(0.0, 0.0, 0_u64); columns];
        for (row, _) in examples.cases(false) {
            for ((sum, squares, n), value) in sums.iter_mut().zip(row).filter(|(_, v)| v.is_finite()) {
                let value = f64::from(*value);
                (*sum, *squares, *n) = (*sum + value, *squares + value * value, *n + 1);
            }
        }
        let means: Vec<f64> = sums.iter().map(|(sum, _, n)| sum / (*n).max(1) as f64).collect();
        let deviation = |((_, squares, n), mean): (&(f64, f64, u64), &f64)| {
            let deviation = (squares / (*n).max(1) as f64 - mean * mean).max(0.0).sqrt();
            if deviation > 1e-6 { 1.0 / deviation } else { 0.0 }
        };
        let factors = sums.iter().zip(&means).map(deviation).collect();
        Self { means, factors, window }
    }

    /// The columns of the window and of the lead, missing ones at their mean, and a constant.
    fn row(&self, columns: &[f32], lead: usize) -> Vec<f64> {
        let each = (self.means.len() - self.window) / REPORTED.len();
        let start = self.window + lead * each;
        let chosen = (0..self.window).chain(start..start + each);
        let scaled = chosen.map(|at| {
            let value = columns.get(at).map_or(f64::NAN, |v| f64::from(*v));
            // A column that is far out in a new place must not carry the forecast away.
            if value.is_finite() { ((value - self.means[at]) * self.factors[at]).clamp(-4.0, 4.0) } else { 0.0 }
        });
        scaled.chain([1.0]).collect()
    }
}

impl Line {
    fn best(
        equations: &mut Equations<{ Target::COUNT }>,
        examples: &Examples,
        scaling: &Scaling,
        target: Target,
        lead: usize,
    ) -> Option<Self> {
        let (mut gram, moment) = equations.of(target as usize);
        let lines: Vec<Vec<f64>> = PENALTIES.iter().filter_map(|penalty| gram.solve(moment, *penalty)).collect();
        let mut misses: Vec<Vec<f64>> = vec![Vec::new(); lines.len()];
        for (row, targets) in examples.cases(true) {
            if let Some(wanted) = value(targets, target, lead) {
                let row = scaling.row(row, lead);
                lines.iter().zip(&mut misses).for_each(|(line, misses)| misses.push(wanted - dot(&row, line)));
            }
        }
        let loss = |misses: &Vec<f64>| misses.iter().map(|m| m.abs()).sum::<f64>();
        let pairs = lines.into_iter().zip(misses).filter(|(_, misses)| misses.len() >= ENOUGH);
        let (coefficients, mut misses) = pairs.min_by(|(_, a), (_, b)| loss(a).total_cmp(&loss(b)))?;
        misses.sort_by(f64::total_cmp);
        Some(Self { coefficients, residuals: QUANTILES.map(|level| quantile(&misses, f64::from(level))) })
    }
}

/// The quantile of sorted values, between neighbours in proportion; `sorted` has some.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an index
pub(crate) fn quantile(sorted: &[f64], level: f64) -> f64 {
    let at = level.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (low, part) = (at as usize, at.fract());
    let value = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or(f64::NAN);
    value(low) * (1.0 - part) + value(low + 1) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_sorted_values() {
        let sorted = [0.0, 1.0, 2.0, 10.0];
        assert_eq!([0.0, 0.5, 1.0].map(|level| quantile(&sorted, level)), [0.0, 1.5, 10.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
