//! What training minimises.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use weather::{LEADS, QUANTILES};

use crate::batch::{RAIN, TARGETS, WEIGHTS, WIND};
use crate::features::ANCHORED;
use crate::network::{LEVELS, Output, SINGLES};

/// The share of each level of [`QUANTILES`]: the width of the interval of ranks that is nearest to
/// it, so that twice the weighted pinball loss approximates the CRPS.
pub(crate) const SHARES: [f32; LEVELS] = [0.075, 0.1, 0.2, 0.25, 0.2, 0.1, 0.075];

/// The weighted sum of pinball losses, of absolute errors of the wind's components and of the
/// cross-entropy of precipitation. `targets` is `[batch, LEADS, TARGETS]`, with weights.
pub(crate) fn total(output: Output, targets: Tensor<3>) -> Tensor<1> {
    let device = targets.device();
    let [batch, _, _] = targets.dims();
    let rows = batch * LEADS;
    let targets = targets.reshape([rows, TARGETS]);
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

/// Pinball loss of `errors`, `[rows, n, LEVELS]` observation minus quantile, at weights `[rows, n, 1]`.
fn pinball(errors: Tensor<3>, weights: Tensor<3>, device: &Device) -> Tensor<1> {
    let row = |values: Vec<f32>| Tensor::<3>::from_data(TensorData::new(values, [1, 1, LEVELS]), device);
    let below: Vec<f32> = QUANTILES.iter().zip(SHARES).map(|(level, share)| level * share).collect();
    // max(τe, (τ-1)e) = τe + max(0, -e)
    let losses = errors.clone() * row(below) + relu(errors * -1.0) * row(SHARES.to_vec());
    (losses.sum_dim(2) * weights).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert!((SHARES.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn pinball_of_the_reference_values() {
        // domain: (τ, q, y) = (.5, 10, 12) -> 1, (.1, 10, 9) -> .9, (.9, 10, 12) -> 1.8
        let device = Device::flex();
        for (level, error, expected) in [(3, 2.0, 1.0), (1, -1.0, 0.9), (5, 2.0, 1.8f32)] {
            let mut errors = vec![0.0f32; LEVELS];
            errors[level] = error;
            let errors = Tensor::<3>::from_data(TensorData::new(errors, [1, 1, LEVELS]), &device);
            let weights = Tensor::<3>::from_data(TensorData::new(vec![1.0f32], [1, 1, 1]), &device);
            let loss: f32 = pinball(errors, weights, &device).into_scalar();
            assert!((loss - expected * SHARES[level]).abs() < 1e-6);
        }
    }
}
