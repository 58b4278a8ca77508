//! What training minimises.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use weather::LEADS;

use crate::batch::{RAIN, TARGETS, WEIGHTS, WIND};
use crate::features::ANCHORED;
use crate::network::{LEARNT, Output, SINGLES};

/// The weighted sum of pinball losses, of absolute errors of the wind's components and of the
/// cross-entropy of precipitation. `targets` is `[batch, LEADS, TARGETS]`, with weights.
pub(crate) fn total(output: Output, targets: &Tensor<3>) -> Tensor<1> {
    let device = targets.device();
    let [batch, _, _] = targets.dims();
    let rows = batch * LEADS;
    let targets = targets.clone().reshape([rows, TARGETS]);
    let column = |at: usize, width: usize| targets.clone().narrow(1, at, width);

    let anchored = output.quantiles.clone().narrow(1, 0, ANCHORED);
    let wanted = column(0, ANCHORED).reshape([rows, ANCHORED, 1]);
    let weights = column(WEIGHTS, ANCHORED).reshape([rows, ANCHORED, 1]);
    let changes = pinball(wanted - anchored, weights, &device);

    let amounts = output.quantiles.narrow(1, ANCHORED, 1);
    let wanted = column(RAIN + 2, 1).reshape([rows, 1, 1]);
    let weights = column(RAIN + 3, 1).reshape([rows, 1, 1]);
    let amount = pinball(wanted - amounts, weights, &device);

    let wind = output.singles.clone().narrow(1, 0, 2);
    let wind = ((column(WIND, 2) - wind).abs() * column(WIND + 2, 1)).sum();

    let logit = output.singles.narrow(1, SINGLES - 1, 1);
    let softplus = ((logit.clone().abs() * -1.0).exp() + 1.0).log() + relu(logit.clone());
    let chance = ((softplus - logit * column(RAIN, 1)) * column(RAIN + 1, 1)).sum();

    changes + amount + wind + chance
}

/// Mean pinball loss over the learnt levels of `errors`, `[rows, n, LEARNT]` observation minus
/// quantile, at weights `[rows, n, 1]`.
fn pinball(errors: Tensor<3>, weights: Tensor<3>, device: &Device) -> Tensor<1> {
    let [rows, quantities, _] = errors.dims();
    let errors = errors.reshape([rows * quantities, LEARNT]);
    let column = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [LEARNT, 1]), device);
    #[allow(clippy::cast_precision_loss)] // 0 to 18
    let level = |index: usize| (index as f32 + 0.5) / LEARNT as f32;
    // max(τe, (τ-1)e) = τe + max(0, -e); the sums over the levels are matrix products.
    let slopes = column((0..LEARNT).map(|index| level(index) / LEARNT as f32).collect());
    let means = column(vec![1.0 / LEARNT as f32; LEARNT]);
    let losses = errors.clone().matmul(slopes) + relu(errors * -1.0).matmul(means);
    (losses * weights.reshape([rows * quantities, 1])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_of_the_median_and_of_the_outermost_levels() {
        let device = Device::flex();
        // (level, error, expected): τ = .5 of an error of 2 is 1; τ = .5/19 of -1 is .97368.
        for (level, error, expected) in [(9, 2.0, 1.0), (0, -1.0, 1.0 - 0.5 / 19.0), (18, 2.0, 2.0 * 18.5 / 19.0f32)] {
            let mut errors = vec![0.0f32; LEARNT];
            errors[level] = error;
            let errors = Tensor::<3>::from_data(TensorData::new(errors, [1, 1, LEARNT]), &device);
            let weights = Tensor::<3>::from_data(TensorData::new(vec![1.0f32], [1, 1, 1]), &device);
            let loss: f32 = pinball(errors, weights, &device).into_scalar();
            assert!((loss - expected / LEARNT as f32).abs() < 1e-6);
        }
    }
}
