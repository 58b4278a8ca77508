//! The directions in which many rows vary most.

use burn::tensor::{Device, Tensor, TensorData};

use super::ridge::numbers;

/// Rounds of the power iteration: far more than the leading directions need.
const ROUNDS: usize = 12;

/// Directions, each as long as the rows' standard deviation along it.
pub(crate) struct Basis {
    /// `[directions, width]`.
    pub(crate) scaled: Tensor<2>,
}

impl Basis {
    /// The `count` leading directions of `[rows, width]`, found by iteration from fixed starts.
    #[allow(clippy::cast_precision_loss)] // sizes
    pub(crate) fn of(rows: Tensor<2>, count: usize, device: &Device) -> Self {
        let [windows, width] = rows.dims();
        let count = count.min(width);
        let covariance = rows.clone().transpose().matmul(rows) / windows as f64;
        // Any start that is not orthogonal to a leading direction will do.
        let start = |at: usize| ((at * 2_654_435_761 % 1_000_003) as f32 / 500_001.5) - 1.0;
        let mut found: Vec<f32> = (0..count * width).map(|at| start(at + 1)).collect();
        let mut lengths = Vec::new();
        for _ in 0..ROUNDS {
            let product = Tensor::<2>::from_data(TensorData::new(found, [count, width]), device);
            found = numbers(product.matmul(covariance.clone()));
            lengths = orthonormalise(&mut found, width);
        }
        for (row, length) in found.chunks_mut(width).zip(lengths) {
            // After convergence a direction is stretched by its variance.
            row.iter_mut().for_each(|value| *value *= length.sqrt());
        }
        Self { scaled: Tensor::from_data(TensorData::new(found, [count, width]), device) }
    }
}

/// Gram and Schmidt's way, row after row; the lengths that were left of them.
fn orthonormalise(rows: &mut [f32], width: usize) -> Vec<f32> {
    let mut lengths = Vec::new();
    for at in 0..rows.len() / width {
        let (done, rest) = rows.split_at_mut(at * width);
        let row = &mut rest[..width];
        for other in done.chunks(width) {
            let along: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length.max(f32::MIN_POSITIVE));
        lengths.push(length);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_axes_of_an_ellipse() {
        let device = Device::flex();
        // Variances 8 along (1, 1, 0) and 0.5 along (0, 0, 1), nothing else.
        let rows =
            vec![2.0f32, 2.0, 1.0, -2.0, -2.0, 1.0, 2.0, 2.0, -1.0, -2.0, -2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let rows = Tensor::<2>::from_data(TensorData::new(rows, [6, 3]), &device);
        let found = numbers(Basis::of(rows, 2, &device).scaled);
        let expected = [(8.0f32 / 3.0).sqrt(), (8.0f32 / 3.0).sqrt(), 0.0, 0.0, 0.0, (2.0f32 / 3.0).sqrt()];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.abs() - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }
}
