//! The network: an encoder of the window and one decoder that every lead shares; a version is the
//! average of a few of them that began from different numbers.
//!
//! Matrix products and one-line activations only: on a CPU without fusion every pass over memory
//! costs, and this shape makes the fewest.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use weather::{LEADS, QUANTILES};

use crate::features::{ANCHORED, DAYS, ENCODER, LEAD, RECALLED};

/// Served quantile levels.
pub(crate) const LEVELS: usize = QUANTILES.len();
/// Quantile levels that are learnt: the midpoints (i + ½) / 19, whose mean pinball loss is half the
/// CRPS. The served ones lie between them.
pub(crate) const LEARNT: usize = 19;
/// Distributions per lead: the anchored quantities, and the amount of precipitation if there is any.
pub(crate) const DISTRIBUTIONS: usize = ANCHORED + 1;
/// Single numbers per lead: wind components and the logit of precipitation.
pub(crate) const SINGLES: usize = 3;
/// Numbers per lead that the window also reaches directly.
const DIRECT: usize = DISTRIBUTIONS + SINGLES;
/// Leads that the encoder reaches directly, too: the next hours hang on small things in the window that a
/// decoder of all leads has no room for.
const NEAR: usize = 12;
/// Numbers per lead.
pub(crate) const OUTPUTS: usize = DISTRIBUTIONS * (1 + LEARNT) + SINGLES;
/// The kind of network, as the manifest names it.
pub(crate) const KIND: &str = "mlp-encoder-shared-lead-decoder-direct-near-ensemble";

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
    /// Networks that are averaged.
    pub(crate) members: usize,
}

impl Architecture {
    pub(crate) fn new(hidden: usize, latent: usize, members: usize) -> Self {
        let (encoder_inputs, lead_inputs, outputs) = (ENCODER, LEAD, OUTPUTS);
        Self { kind: KIND.to_owned(), encoder_inputs, lead_inputs, outputs, hidden, latent, members }
    }
}

impl Architecture {
    /// Whether a weights file of so many bytes can be of these sizes: each member has its encoder and its
    /// leads, and more.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        let Self { encoder_inputs, hidden, latent, members, .. } = *self;
        let encoder = hidden.checked_mul(encoder_inputs.saturating_add(hidden));
        let numbers = encoder.and_then(|n| n.checked_add(latent.checked_mul(LEADS.saturating_add(latent))?));
        let total = numbers.and_then(|n| n.checked_mul(members)).and_then(|n| n.checked_mul(4));
        hidden > 0 && latent > 0 && members > 0 && total.is_some_and(|total| total <= bytes)
    }
}

/// The forecaster's networks. Their numbers are changes from the anchors, in units of their scales.
#[derive(Module, Debug)]
pub(crate) struct Ensemble {
    members: Vec<Network>,
}

impl Ensemble {
    pub(crate) fn new(architecture: &Architecture, device: &Device) -> Self {
        Self { members: (0..architecture.members).map(|_| Network::new(architecture, device)).collect() }
    }

    /// The members of several, together.
    pub(crate) fn of(parts: impl Iterator<Item = Self>) -> Self {
        Self { members: parts.flat_map(|part| part.members).collect() }
    }

    /// How many are averaged.
    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Each member's learnt levels.
    ///
    /// `dropped` is the share of the encoder's numbers that are left out, each time others, so that the
    /// network can't learn the days of the training by heart; 0 to validate.
    pub(crate) fn learn(&self, window: &Tensor<2>, leads: &Tensor<3>, dropped: f64) -> impl Iterator<Item = Output> {
        let spread = Tensor::<2>::from_data(cumulate(), &window.device());
        self.members.iter().map(move |member| member.forward(window, leads, &spread, dropped))
    }

    /// The served levels, averaged over the members level by level.
    pub(crate) fn forward(&self, window: &Tensor<2>, leads: &Tensor<3>) -> Output {
        let spread = Tensor::<2>::from_data(served(), &window.device());
        let outputs = self.members.iter().map(|member| member.forward(window, leads, &spread, 0.0));
        let sum = outputs.reduce(|sum, next| Output {
            quantiles: sum.quantiles + next.quantiles,
            singles: sum.singles + next.singles,
        });
        #[allow(clippy::cast_precision_loss)] // a handful
        let share = 1.0 / self.members.len().max(1) as f32;
        let none = || Output {
            quantiles: Tensor::zeros([leads.dims()[0] * LEADS, DISTRIBUTIONS, LEVELS], &window.device()),
            singles: Tensor::zeros([leads.dims()[0] * LEADS, SINGLES], &window.device()),
        };
        let Output { quantiles, singles } = sum.unwrap_or_else(none);
        if self.members.len() < 2 {
            return Output { quantiles, singles };
        }
        Output { quantiles: quantiles * share, singles: singles * share }
    }
}

/// One network.
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
    turn: Linear,
    /// One head each, so that no output has to be copied apart.
    median: Linear,
    widths: Linear,
    singles: Linear,
    /// From the window straight to the medians and singles of every lead, beginning at nothing: what is
    /// linear in the newest hours, as most of the next hour is, need not pass through the decoder.
    direct: Linear,
    /// From the encoder to those of the next hours, beginning at nothing.
    near: Linear,
    /// `[1, LEADS, DISTRIBUTIONS, DAYS]`: how much of the change since the same hour of the last days
    /// each lead takes over.
    recall: Param<Tensor<4>>,
}

/// What a network says, `n` being batch × leads.
pub(crate) struct Output {
    /// `[n, DISTRIBUTIONS, levels]`, never crossing.
    pub(crate) quantiles: Tensor<3>,
    /// `[n, SINGLES]`.
    pub(crate) singles: Tensor<2>,
}

impl Network {
    fn new(architecture: &Architecture, device: &Device) -> Self {
        let (hidden, latent) = (architecture.hidden, architecture.latent);
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let place = vec![0.0f32; LEADS * latent];
        let silent = |from, to| LinearConfig::new(from, to).with_initializer(Initializer::Zeros).init(device);
        Self {
            window: linear(architecture.encoder_inputs, hidden),
            widen: linear(hidden, hidden),
            narrow: linear(hidden, hidden),
            latent: linear(hidden, latent),
            lead: linear(architecture.lead_inputs, latent),
            place: Param::from_tensor(Tensor::from_data(TensorData::new(place, [1, LEADS, latent]), device)),
            mix: linear(latent, latent),
            turn: linear(latent, latent),
            median: linear(latent, DISTRIBUTIONS),
            widths: linear(latent, DISTRIBUTIONS * LEARNT),
            singles: linear(latent, SINGLES),
            direct: silent(architecture.encoder_inputs, LEADS * DIRECT),
            near: silent(hidden, NEAR * DIRECT),
            recall: Param::from_tensor(Tensor::from_data(recall(), device)),
        }
    }

    /// `window` is `[batch, ENCODER]` or has rows to spare, `leads` is `[batch, LEADS, LEAD]`, `spread`
    /// is `[LEARNT, levels]`.
    fn forward(&self, window: &Tensor<2>, leads: &Tensor<3>, spread: &Tensor<2>, dropped: f64) -> Output {
        let [batch, _, _] = leads.dims();
        let [_, levels] = spread.dims();
        let rows = batch * LEADS;
        let recalled = leads.clone().narrow(2, 0, RECALLED).reshape([batch, LEADS, DISTRIBUTIONS, DAYS]);
        let recalled = (recalled * self.recall.val()).sum_dim(3).reshape([rows, DISTRIBUTIONS]);

        let first = thin(relu(self.window.forward(window.clone())), dropped);
        let second = first.clone() + self.narrow.forward(thin(relu(self.widen.forward(first)), dropped));
        let second = thin(relu(second), dropped);
        let near = self.near.forward(second.clone());
        let latent = self.latent.forward(second);
        let latent = if latent.dims()[0] > batch { latent.narrow(0, 0, batch) } else { latent };
        let latent = latent.unsqueeze_dim::<3>(1);

        let hidden = relu(self.lead.forward(leads.clone()) + (latent + self.place.val()));
        let hidden = hidden.clone() + relu(self.mix.forward(hidden));
        let hidden = hidden.clone() + relu(self.turn.forward(hidden));
        let [_, _, width] = hidden.dims();
        let hidden = hidden.reshape([rows, width]);

        let rest = Tensor::zeros([near.dims()[0], (LEADS - NEAR) * DIRECT], &near.device());
        let direct = self.direct.forward(window.clone()) + Tensor::cat(vec![near, rest], 1);
        let direct = if direct.dims()[0] > batch { direct.narrow(0, 0, batch) } else { direct };
        let direct = direct.reshape([rows, DIRECT]);
        let recalled = recalled + direct.clone().narrow(1, 0, DISTRIBUTIONS);
        let median = (self.median.forward(hidden.clone()) + recalled).reshape([rows, DISTRIBUTIONS, 1]);
        let widths = positive(self.widths.forward(hidden.clone()).reshape([rows * DISTRIBUTIONS, LEARNT]));
        let offsets = widths.matmul(spread.clone()).reshape([rows, DISTRIBUTIONS, levels]);
        let singles = self.singles.forward(hidden) + direct.narrow(1, DISTRIBUTIONS, SINGLES);
        Output { quantiles: offsets + median, singles }
    }
}

/// Dropout: a random share becomes 0, the rest makes up for it.
fn thin(x: Tensor<2>, share: f64) -> Tensor<2> {
    if share <= 0.0 {
        return x;
    }
    let kept = x.random_like(Distribution::Bernoulli(1.0 - share));
    x * (kept * (1.0 / (1.0 - share)))
}

/// Never negative, and smooth: (x + 1)². An exponential or a root costs more than the rest of the
/// decoder's activations together, and its gradient more again.
fn positive(x: Tensor<2>) -> Tensor<2> {
    let x = x + 1.0;
    x.clone() * x
}

/// Adds up the widths between neighbouring levels outward from the median, `[LEARNT, LEARNT]`.
fn cumulate() -> TensorData {
    let columns: Vec<Vec<f32>> = (0..LEARNT).map(column).collect();
    matrix(&columns)
}

/// The same, and on to the served levels, `[LEARNT, LEVELS]`: straight between the learnt ones.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 18
pub(crate) fn served() -> TensorData {
    let between = |level: f32| {
        let place = level * LEARNT as f32 - 0.5;
        let below = (place.floor() as usize).min(LEARNT - 2);
        let share = place - below as f32;
        column(below).iter().zip(column(below + 1)).map(|(a, b)| a * (1.0 - share) + b * share).collect()
    };
    let columns: Vec<Vec<f32>> = QUANTILES.into_iter().map(between).collect();
    matrix(&columns)
}

/// How much each width counts for a learnt level.
fn column(level: usize) -> Vec<f32> {
    let middle = LEARNT / 2;
    let counts = |width: usize| match () {
        () if width > middle && level >= width => WIDTH,
        () if width < middle && level <= width => -WIDTH,
        () => 0.0,
    };
    (0..LEARNT).map(counts).collect()
}

/// So that neighbouring levels start about as far apart as errors of half a unit have them.
const WIDTH: f32 = 0.1;

fn matrix(columns: &[Vec<f32>]) -> TensorData {
    let rows = (0..LEARNT).flat_map(|width| columns.iter().map(move |column| column[width]));
    TensorData::new(rows.collect::<Vec<f32>>(), [LEARNT, columns.len()])
}

/// Training starts from the diurnal cycle: the further ahead, the more of yesterday's.
#[allow(clippy::cast_precision_loss)] // 1 to 48
fn recall() -> TensorData {
    let mut start = vec![0.0f32; LEADS * RECALLED];
    for lead in 0..LEADS {
        let ramp = ((lead + 1) as f32 / 12.0).min(1.0);
        for quantity in 0..DISTRIBUTIONS {
            let weights = if quantity < 2 { [0.4, 0.2, 0.1, 0.1] } else { [0.1; DAYS] };
            for (day, weight) in weights.into_iter().enumerate() {
                start[(lead * DISTRIBUTIONS + quantity) * DAYS + day] = ramp * weight;
            }
        }
    }
    TensorData::new(start, [1, LEADS, DISTRIBUTIONS, DAYS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_levels_lie_between_the_learnt_ones() {
        let widths: Vec<f32> = (0..LEARNT).map(|w| 1.0 + w as f32).collect();
        let at = |data: TensorData, columns: usize| -> Vec<f32> {
            let matrix: Vec<f32> = data.try_into_vec().unwrap();
            (0..columns).map(|c| (0..LEARNT).map(|w| widths[w] * matrix[w * columns + c]).sum()).collect()
        };
        let (learnt, served) = (at(cumulate(), LEARNT), at(served(), LEVELS));
        assert!(learnt.is_sorted() && learnt[9] == 0.0 && served[3].abs() < 1e-6);
        // 0.05 lies 0.45 of the way from 0.5/19 to 1.5/19.
        assert!((served[0] - (learnt[0] * 0.55 + learnt[1] * 0.45)).abs() < 1e-5, "{served:?} {learnt:?}");
        assert!((served[5] - (learnt[16] * 0.4 + learnt[17] * 0.6)).abs() < 1e-5);
    }
}
