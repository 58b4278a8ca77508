//! Runs the network on filled rows.

use burn::tensor::{Device, Tensor, TensorData};
use weather::LEADS;

use crate::features::{ALL_LEADS, ENCODER, LEAD};
use crate::network::Ensemble;

/// The quantiles, `[batch × LEADS, DISTRIBUTIONS, LEVELS]`, and singles, `[batch × LEADS, SINGLES]`,
/// of a batch of filled rows.
///
/// A matrix product takes another path, with another order of sums, for a single row than for
/// several; a lone window is therefore doubled, so that a forecast does not depend on its company.
/// (Its leads are rows enough.)
pub(crate) fn network(
    network: &Ensemble,
    mut encoder: Vec<f32>,
    leads: Vec<f32>,
    device: &Device,
) -> (Vec<f32>, Vec<f32>) {
    let batch = leads.len() / ALL_LEADS;
    if batch == 0 {
        return (Vec::new(), Vec::new());
    }
    if batch == 1 {
        encoder.extend_from_within(..);
    }
    let rows = encoder.len() / ENCODER;
    let encoder = Tensor::from_data(TensorData::new(encoder, [rows, ENCODER]), device);
    let leads = Tensor::from_data(TensorData::new(leads, [batch, LEADS, LEAD]), device);
    let output = network.forward(&encoder, &leads);
    // A backend that answers in another type has answered nothing: no numbers, no forecast.
    let quantiles = output.quantiles.into_data().try_into_vec().unwrap_or_default();
    let singles = output.singles.into_data().try_into_vec().unwrap_or_default();
    (quantiles, singles)
}
