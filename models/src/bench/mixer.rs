//! The reference: a mixer of 177,474 parameters with random weights. What it computes means nothing;
//! what it costs is what a common small network for such windows costs in Burn on this machine.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use crate::backend::BackendKind;

const WINDOW: usize = 72;
const INPUTS: usize = 10;
const WIDTH: usize = 96;
const HIDDEN: usize = 192;
const BLOCKS: usize = 4;
const LEADS: usize = 48;
/// Six quantities, three levels each.
const OUTPUTS: usize = 6 * 3;

#[derive(Module, Debug)]
struct Network {
    embed: Linear,
    blocks: Vec<Block>,
    leads: Linear,
    output: Linear,
}

/// Mixes along time, then along channels.
#[derive(Module, Debug)]
struct Block {
    before_time: LayerNorm,
    time: Linear,
    before_channels: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mixed = relu(self.time.forward(self.before_time.forward(x.clone()).swap_dims(1, 2)));
        let x = x + mixed.swap_dims(1, 2);
        let mixed = self.narrow.forward(relu(self.widen.forward(self.before_channels.forward(x.clone()))));
        x + mixed
    }
}

/// The reference network, ready to run.
pub struct Mixer {
    network: Network,
    device: Device,
}

impl Mixer {
    /// With random weights.
    #[must_use]
    pub fn new(backend: BackendKind) -> Self {
        let device = backend.device();
        let linear = |from, to| LinearConfig::new(from, to).init(&device);
        let block = |_| Block {
            before_time: LayerNormConfig::new(WIDTH).init(&device),
            time: linear(WINDOW, WINDOW),
            before_channels: LayerNormConfig::new(WIDTH).init(&device),
            widen: linear(WIDTH, HIDDEN),
            narrow: linear(HIDDEN, WIDTH),
        };
        let network = Network {
            embed: linear(INPUTS, WIDTH),
            blocks: (0..BLOCKS).map(block).collect(),
            leads: linear(WINDOW, LEADS),
            output: linear(WIDTH, OUTPUTS),
        };
        Self { network, device }
    }

    /// Its weights.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// The time from `batch` windows to the outputs, as numbers.
    #[must_use]
    pub fn time(&self, batch: usize) -> Duration {
        let numbers: Vec<f32> = (0..batch * WINDOW * INPUTS).map(|n| ((n % 97) as f32 / 48.0) - 1.0).collect();
        let begun = Instant::now();
        let window = Tensor::from_data(TensorData::new(numbers, [batch, WINDOW, INPUTS]), &self.device);
        let mut x = self.network.embed.forward(window);
        for block in &self.network.blocks {
            x = block.forward(x);
        }
        let x = self.network.leads.forward(x.swap_dims(1, 2)).swap_dims(1, 2);
        let output: Vec<f32> = self.network.output.forward(x).into_data().try_into_vec().unwrap_or_default();
        let taken = begun.elapsed();
        debug_assert_eq!(output.len(), batch * LEADS * OUTPUTS);
        drop(std::hint::black_box(output));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_the_size_that_was_measured() {
        assert_eq!(Mixer::new(BackendKind::Flex).parameters(), 177_474);
    }
}
