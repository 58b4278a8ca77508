//! The linear model: every channel from its own past, then all of them from the last day of all.

use burn::tensor::{Device, Tensor, TensorData};

use super::Problem;
use super::ridge::{Regression, Ridge};
use super::table::CHANNELS;

/// Only every third window is trained on: its neighbours say the same.
const STRIDE: usize = 3;
/// Every fourth validation window chooses the penalties.
const CHOOSING: usize = 4;
/// The penalties tried for a channel alone and for all together.
const ALONE: [f64; 4] = [0.003, 0.01, 0.03, 0.1];
const TOGETHER: [f64; 4] = [0.1, 0.3, 1.0, 3.0];

/// Both stages; the second learns what the first leaves over.
pub(crate) struct Linear {
    alone: Vec<Ridge>,
    together: Ridge,
}

impl Linear {
    pub(crate) fn fit(problem: &Problem<'_>, device: &Device) -> anyhow::Result<Self> {
        let train: Vec<usize> = problem.train.clone().step_by(STRIDE).collect();
        let choosing: Vec<usize> = problem.validation.clone().step_by(CHOOSING).collect();
        let mut alone = Vec::new();
        for channel in 0..CHANNELS {
            let regression = Regression {
                train: &train,
                choosing: &choosing,
                rows: |origins: &[usize]| rows_alone(problem, origins, channel),
                targets: |origins: &[usize]| tensor(problem.targets_alone(origins, channel), origins.len(), device),
                groups: 1,
                penalties: &ALONE,
            };
            alone.push(regression.solve(device)?);
        }
        let regression = Regression {
            train: &train,
            choosing: &choosing,
            rows: |origins: &[usize]| rows_together(problem, origins),
            targets: |origins: &[usize]| {
                tensor(problem.targets(origins), origins.len(), device)
                    - forward_alone(&alone, problem, origins, device)
            },
            groups: CHANNELS,
            penalties: &TOGETHER,
        };
        let together = regression.solve(device)?;
        Ok(Self { alone, together })
    }

    /// Changes from the anchors, `[windows, steps × channels]`.
    pub(crate) fn forward(&self, problem: &Problem<'_>, origins: &[usize], device: &Device) -> Tensor<2> {
        let together = self.together.forward(rows_together(problem, origins), device);
        forward_alone(&self.alone, problem, origins, device) + together
    }

    /// Rows of all channels less their means in training.
    pub(crate) fn centred(&self, rows: Vec<f32>, device: &Device) -> Tensor<2> {
        self.together.centred(rows, device)
    }
}

fn forward_alone(alone: &[Ridge], problem: &Problem<'_>, origins: &[usize], device: &Device) -> Tensor<2> {
    let channel = |(at, ridge): (usize, &Ridge)| ridge.forward(rows_alone(problem, origins, at), device);
    let channels = alone.iter().enumerate().map(channel).collect();
    Tensor::stack::<3>(channels, 2).reshape([origins.len(), problem.outputs()])
}

fn rows_alone(problem: &Problem<'_>, origins: &[usize], channel: usize) -> Vec<f32> {
    let mut rows = Vec::new();
    origins.iter().for_each(|origin| problem.inputs.alone(problem.series, *origin, channel, &mut rows));
    rows
}

pub(crate) fn rows_together(problem: &Problem<'_>, origins: &[usize]) -> Vec<f32> {
    let mut rows = Vec::new();
    origins.iter().for_each(|origin| problem.inputs.together(problem.series, *origin, &mut rows));
    rows
}

pub(crate) fn tensor(numbers: Vec<f32>, rows: usize, device: &Device) -> Tensor<2> {
    let width = numbers.len() / rows.max(1);
    Tensor::from_data(TensorData::new(numbers, [rows, width]), device)
}
