//! The network: an encoder of the window and one decoder that every lead shares.
//!
//! Matrix products and one-line activations only: on a CPU without fusion every pass over memory
//! costs, and this shape makes the fewest.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use weather::{LEADS, QUANTILES};

use crate::features::{ANCHORED, DAYS, ENCODER, LEAD};

/// Quantile levels.
pub(crate) const LEVELS: usize = QUANTILES.len();
/// Distributions per lead: the anchored quantities, and the amount of precipitation if there is any.
pub(crate) const DISTRIBUTIONS: usize = ANCHORED + 1;
/// Single numbers per lead: wind components and the logit of precipitation.
pub(crate) const SINGLES: usize = 3;
/// Numbers per lead.
pub(crate) const OUTPUTS: usize = DISTRIBUTIONS * LEVELS + SINGLES;
/// The kind of network, as the manifest names it.
pub(crate) const KIND: &str = "mlp-encoder-shared-lead-decoder";

/// The sizes that make a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Architecture {
    /// Always [`KIND`].
    pub(crate) kind: String,
    /// Length of the window's row.
    pub(crate) encoder_inputs: usize,
    /// Length of a lead's row.
    pub(crate) lead_inputs: usize,
    /// Numbers per lead.
    pub(crate) outputs: usize,
    /// Width of the encoder.
    pub(crate) hidden: usize,
    /// Width of the decoder.
    pub(crate) latent: usize,
}

impl Architecture {
    pub(crate) fn new(hidden: usize, latent: usize) -> Self {
        let (encoder_inputs, lead_inputs, outputs) = (ENCODER, LEAD, OUTPUTS);
        Self { kind: KIND.to_owned(), encoder_inputs, lead_inputs, outputs, hidden, latent }
    }
}

/// The forecaster's network. Its numbers are changes from the anchors, in units of their scales.
#[derive(Module, Debug)]
pub(crate) struct Network {
    window: Linear,
    widen: Linear,
    narrow: Linear,
    latent: Linear,
    lead: Linear,
    /// `[1, LEADS, latent]`: what is special about each lead.
    place: Param<Tensor<3>>,
    mix: Linear,
    output: Linear,
    /// `[1, LEADS, ANCHORED, DAYS]`: how much of the change since the same hour of the last days
    /// each lead takes over.
    recall: Param<Tensor<4>>,
}

/// What the network says, `n` being batch × leads.
pub(crate) struct Output {
    /// `[n, DISTRIBUTIONS, LEVELS]`, never crossing.
    pub(crate) quantiles: Tensor<3>,
    /// `[n, SINGLES]`.
    pub(crate) singles: Tensor<2>,
}

impl Network {
    pub(crate) fn new(architecture: &Architecture, device: &Device) -> Self {
        let (hidden, latent) = (architecture.hidden, architecture.latent);
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let place = vec![0.0f32; LEADS * latent];
        Self {
            window: linear(architecture.encoder_inputs, hidden),
            widen: linear(hidden, hidden),
            narrow: linear(hidden, hidden),
            latent: linear(hidden, latent),
            lead: linear(architecture.lead_inputs, latent),
            place: Param::from_tensor(Tensor::from_data(TensorData::new(place, [1, LEADS, latent]), device)),
            mix: linear(latent, latent),
            output: linear(latent, architecture.outputs),
            recall: Param::from_tensor(Tensor::from_data(recall(), device)),
        }
    }

    /// `window` is `[batch, ENCODER]`, `leads` is `[batch, LEADS, LEAD]`.
    pub(crate) fn forward(&self, window: Tensor<2>, leads: Tensor<3>) -> Output {
        let [batch, _] = window.dims();
        let rows = batch * LEADS;
        let device = window.device();
        let recalled = leads.clone().narrow(2, 0, ANCHORED * DAYS).reshape([batch, LEADS, ANCHORED, DAYS]);
        let recalled = (recalled * self.recall.val()).sum_dim(3).reshape([rows, ANCHORED, 1]);

        let first = relu(self.window.forward(window));
        let second = first.clone() + self.narrow.forward(relu(self.widen.forward(first)));
        let latent = self.latent.forward(relu(second)).unsqueeze_dim::<3>(1);

        let hidden = relu(self.lead.forward(leads) + (latent + self.place.val()));
        let hidden = hidden.clone() + relu(self.mix.forward(hidden));
        let output = self.output.forward(hidden).reshape([rows, OUTPUTS]);

        let singles = output.clone().narrow(1, DISTRIBUTIONS * LEVELS, SINGLES);
        let raw = output.narrow(1, 0, DISTRIBUTIONS * LEVELS).reshape([rows, DISTRIBUTIONS, LEVELS]);
        let median = raw.clone().narrow(2, LEVELS / 2, 1);
        let anchored = median.clone().narrow(1, 0, ANCHORED) + recalled;
        let median = Tensor::cat(vec![anchored, median.narrow(1, ANCHORED, 1)], 1);
        let widths = positive(raw.reshape([rows * DISTRIBUTIONS, LEVELS]));
        let steps = Tensor::<2>::from_data(steps(), &device);
        let offsets = widths.matmul(steps).reshape([rows, DISTRIBUTIONS, LEVELS]);
        Output { quantiles: offsets + median, singles }
    }
}

/// A smooth positive function, (x + sqrt(x² + 1)) / 2: softplus without exponential and logarithm,
/// which cost more than the rest of the decoder's activations together.
fn positive(x: Tensor<2>) -> Tensor<2> {
    ((x.clone() * x.clone() + 1.0).sqrt() + x) * 0.5
}

/// Adds up the widths between neighbouring levels outward from the median, `[LEVELS, LEVELS]`.
fn steps() -> TensorData {
    let middle = LEVELS / 2;
    let mut matrix = vec![0.0f32; LEVELS * LEVELS];
    for width in 0..LEVELS {
        for level in 0..LEVELS {
            matrix[width * LEVELS + level] = match () {
                () if width > middle && level >= width => 1.0,
                () if width < middle && level <= width => -1.0,
                () => 0.0,
            };
        }
    }
    TensorData::new(matrix, [LEVELS, LEVELS])
}

/// Training starts from the diurnal cycle: the further ahead, the more of yesterday's.
#[allow(clippy::cast_precision_loss)] // 1 to 48
fn recall() -> TensorData {
    let mut start = vec![0.0f32; LEADS * ANCHORED * DAYS];
    for lead in 0..LEADS {
        let ramp = ((lead + 1) as f32 / 12.0).min(1.0);
        for quantity in 0..ANCHORED {
            let weights = if quantity < 2 { [0.4, 0.2, 0.1] } else { [0.1, 0.1, 0.1] };
            for (day, weight) in weights.into_iter().enumerate() {
                start[(lead * ANCHORED + quantity) * DAYS + day] = ramp * weight;
            }
        }
    }
    TensorData::new(start, [1, LEADS, ANCHORED, DAYS])
}
