//! The published scores: over every window, step and channel, in standardised units.

use serde::Serialize;

/// Mean squared and mean absolute error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BenchmarkScore {
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
}

/// Sums of errors, so that the last, shorter batch counts as much per value as the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Errors {
    squared: f64,
    absolute: f64,
    count: u64,
}

impl Errors {
    pub(crate) fn add(&mut self, forecast: f32, truth: f32) {
        let error = f64::from(forecast) - f64::from(truth);
        self.squared += error * error;
        self.absolute += error.abs();
        self.count += 1;
    }

    #[allow(clippy::cast_precision_loss)] // far below 2^53
    pub(crate) fn score(&self) -> BenchmarkScore {
        let count = self.count.max(1) as f64;
        BenchmarkScore { mse: self.squared / count, mae: self.absolute / count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_batch_counts_by_its_values() {
        // 3 errors of 1 in a first batch and one of 5 in a second: not the mean of the batches' means.
        let mut errors = Errors::default();
        [0.0, 2.0, 4.0].into_iter().for_each(|truth| errors.add(truth + 1.0, truth));
        errors.add(-2.0, 3.0);
        assert_eq!(errors.score(), BenchmarkScore { mse: 7.0, mae: 2.0 });
        assert_eq!(Errors::default().score(), BenchmarkScore::default());
    }
}
