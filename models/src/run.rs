//! Runs the network on filled rows.

use burn::tensor::{Device, Tensor, TensorData};
use weather::LEADS;

use crate::features::{ALL_LEADS, ENCODER, LEAD};
use crate::network::Ensemble;

/// The quantiles, `[batch × LEADS, DISTRIBUTIONS, LEVELS]`, and singles, `[batch × LEADS, SINGLES]`,
/// of a batch of filled rows.
///
/// A matrix product takes another path, with another order of sums, for a single row than for
/// several; a lone row is therefore doubled, so that a forecast does not depend on its company.
pub(crate) fn network(
    network: &Ensemble,
    mut encoder: Vec<f32>,
    mut leads: Vec<f32>,
    device: &Device,
) -> (Vec<f32>, Vec<f32>) {
    let batch = encoder.len() / ENCODER;
    let mut rows = batch;
    if batch == 0 {
        return (Vec::new(), Vec::new());
    }
    if batch == 1 {
        encoder.extend_from_within(..);
        leads.extend_from_within(..);
        rows = 2;
    }
    debug_assert_eq!(leads.len(), rows * ALL_LEADS);
    let encoder = Tensor::from_data(TensorData::new(encoder, [rows, ENCODER]), device);
    let leads = Tensor::from_data(TensorData::new(leads, [rows, LEADS, LEAD]), device);
    let output = network.forward(&encoder, &leads);
    // A backend that answers in another type has answered nothing: no numbers, no forecast.
    let mut quantiles: Vec<f32> = output.quantiles.into_data().try_into_vec().unwrap_or_default();
    let mut singles: Vec<f32> = output.singles.into_data().try_into_vec().unwrap_or_default();
    quantiles.truncate(quantiles.len() / rows * batch);
    singles.truncate(singles.len() / rows * batch);
    (quantiles, singles)
}
