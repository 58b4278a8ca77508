//! The small network that learns what the linear model leaves over.
//!
//! There is less than a year to learn from, so nearly everything here is against learning too
//! much: few directions of the output, dropped inputs, errors that count less where they are rare,
//! averaged weights, and the step that validated best.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear as Layer, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Problem;
use super::basis::Basis;
use super::linear::{Linear, rows_together, tensor};
use super::ridge::{CHUNK, numbers};
use super::table::CHANNELS;
use crate::ema::Average;

/// Steps ahead at which the network speaks; between them its word is interpolated.
const KNOTS: usize = 48;
/// Directions of the output that it learns, the ones that vary most.
const DIRECTIONS: usize = 128;
/// Windows of the training part that it sees: every third, as the linear model.
const STRIDE: usize = 3;
/// Every fourth validation window says when to stop.
const CHOOSING: usize = 4;
const HIDDEN: usize = 256;
const BATCH: usize = 256;
const VALIDATED: usize = 20;
const WARM_UP: usize = 60;
const RATE: f64 = 4e-4;

/// Two layers and an output.
#[derive(Module, Debug)]
struct Layers {
    inputs: Dropout,
    first: Layer,
    second: Layer,
    output: Layer,
    hidden: Dropout,
}

impl Layers {
    fn new(width: usize, directions: usize, device: &Device) -> Self {
        Self {
            inputs: DropoutConfig::new(0.3).init(),
            first: LinearConfig::new(width, HIDDEN).init(device),
            second: LinearConfig::new(HIDDEN, HIDDEN).init(device),
            output: LinearConfig::new(HIDDEN, directions).init(device),
            hidden: DropoutConfig::new(0.4).init(),
        }
    }

    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let first = self.hidden.forward(relu(self.first.forward(self.inputs.forward(rows))));
        let second = self.hidden.forward(relu(self.second.forward(first.clone())));
        // A tenth at first: training starts near the linear model.
        self.output.forward(first + second) * 0.1
    }
}

/// What networks of all seeds are trained and stopped on.
pub(crate) struct Samples {
    rows: Tensor<2>,
    errors: Tensor<2>,
    choosing_rows: Tensor<2>,
    choosing_errors: Tensor<2>,
    basis: Tensor<2>,
}

/// A trained network.
pub(crate) struct Network {
    layers: Layers,
    basis: Tensor<2>,
}

impl Samples {
    pub(crate) fn new(problem: &Problem<'_>, linear: &Linear, device: &Device) -> Self {
        let train: Vec<usize> = problem.train.clone().step_by(STRIDE).collect();
        let choosing: Vec<usize> = problem.validation.clone().step_by(CHOOSING).collect();
        let errors = left_over(problem, linear, &train, device);
        let basis = Basis::of(errors.clone(), DIRECTIONS, device);
        Self {
            rows: linear.centred(rows_together(problem, &train), device),
            errors,
            choosing_rows: linear.centred(rows_together(problem, &choosing), device),
            choosing_errors: left_over(problem, linear, &choosing, device),
            basis: basis.scaled,
        }
    }
}

impl Network {
    /// Trains with this seed; the weights are those of the step that validated best.
    pub(crate) fn train(samples: &Samples, seed: u64, steps: usize) -> anyhow::Result<Self> {
        let (flex, device) = (Device::flex(), Device::flex().autodiff());
        device.seed(seed);
        let mut random = StdRng::seed_from_u64(seed);
        let [windows, width] = samples.rows.dims();
        let mut layers = Layers::new(width, samples.basis.dims()[0], &device);
        let mut optimiser = AdamWConfig::new()
            .with_weight_decay(0.02)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
            .init();
        let basis = Tensor::<2>::from_data(samples.basis.clone().into_data(), &device);
        let mut average = Average::default();
        let mut best: (f32, Option<Layers>) = (f32::INFINITY, None);
        for step in 1..=steps {
            let picked: Vec<i32> = (0..BATCH).map(|_| random.random_range(0..index(windows))).collect();
            let picked = Tensor::<1, Int>::from_data(TensorData::new(picked, [BATCH]), &flex);
            let on = |tensor: &Tensor<2>| {
                Tensor::<2>::from_data(tensor.clone().select(0, picked.clone()).into_data(), &device)
            };
            let errors = on(&samples.errors) - layers.forward(on(&samples.rows)).matmul(basis.clone());
            let loss = robust(errors);
            let gradients = GradientsParams::from_grads(loss.backward(), &layers);
            let value: f32 = loss.into_scalar();
            anyhow::ensure!(value.is_finite(), "the loss is {value} at step {step}");
            layers = optimiser.step(rate(step, steps), layers, gradients);
            average.update(&layers);
            if step.is_multiple_of(VALIDATED) || step == steps {
                let smooth = average.network(layers.valid(), &flex);
                let forecast = smooth.forward(samples.choosing_rows.clone()).matmul(samples.basis.clone());
                // By the loss itself: the mean square of the validation part is a few showers'.
                let loss: f32 = robust(samples.choosing_errors.clone() - forecast).into_scalar();
                if loss < best.0 {
                    best = (loss, Some(smooth));
                }
            }
        }
        let layers = best.1.unwrap_or_else(|| layers.valid());
        Ok(Self { layers, basis: samples.basis.clone() })
    }

    /// Adds this network's word, times `share`, to forecasts of the linear model.
    #[allow(clippy::cast_precision_loss)] // steps
    pub(crate) fn add(&self, problem: &Problem<'_>, rows: Tensor<2>, share: f32, forecasts: &mut [f32]) {
        let knots = knots(problem.inputs.horizon);
        let said = numbers(self.layers.forward(rows).matmul(self.basis.clone()));
        for (window, said) in said.chunks(knots.len() * CHANNELS).enumerate() {
            let forecasts = &mut forecasts[window * problem.outputs()..][..problem.outputs()];
            for (step, forecasts) in forecasts.chunks_mut(CHANNELS).enumerate() {
                let after = knots.partition_point(|knot| *knot <= step).min(knots.len() - 1);
                let before = after.saturating_sub(1);
                let gap = (knots[after] - knots[before]).max(1) as f32;
                let part = (step.saturating_sub(knots[before]) as f32 / gap).min(1.0);
                for (channel, forecast) in forecasts.iter_mut().enumerate() {
                    let at = |knot: usize| said[knot * CHANNELS + channel];
                    *forecast += share * (at(before) * (1.0 - part) + at(after) * part);
                }
            }
        }
    }
}

/// Square where small, absolute where large, so that the few showers do not outvote the rest.
fn robust(errors: Tensor<2>) -> Tensor<1> {
    ((errors.clone() * errors + 1.0).sqrt() - 1.0).mean()
}

/// The middles of equal parts of the horizon.
fn knots(horizon: usize) -> Vec<usize> {
    let gap = (horizon / KNOTS).max(1);
    (gap / 2..horizon).step_by(gap).collect()
}

/// Targets less what the linear model says, at the knots.
fn left_over(problem: &Problem<'_>, linear: &Linear, origins: &[usize], device: &Device) -> Tensor<2> {
    let knots = knots(problem.inputs.horizon);
    let mut errors = Vec::with_capacity(origins.len() * knots.len() * CHANNELS);
    for chunk in origins.chunks(CHUNK) {
        let (forecasts, targets) = (numbers(linear.forward(problem, chunk, device)), problem.targets(chunk));
        for (forecast, target) in forecasts.chunks(problem.outputs()).zip(targets.chunks(problem.outputs())) {
            for knot in &knots {
                let at = knot * CHANNELS..(knot + 1) * CHANNELS;
                errors.extend(target[at.clone()].iter().zip(&forecast[at]).map(|(target, forecast)| target - forecast));
            }
        }
    }
    tensor(errors, origins.len(), device)
}

/// A short rise, then half a cosine.
#[allow(clippy::cast_precision_loss)] // steps
fn rate(step: usize, steps: usize) -> f64 {
    let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
    RATE * (step as f64 / WARM_UP as f64).min(1.0) * (0.02 + 0.98 * fall)
}

/// Burn indexes by `i32`; there are fewer windows than rows in the file.
fn index(windows: usize) -> i32 {
    i32::try_from(windows).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_lie_within_every_published_horizon() {
        assert_eq!(knots(96)[..3], [1, 3, 5]);
        for horizon in crate::benchmark::HORIZONS {
            let knots = knots(horizon);
            assert!(knots.len() >= KNOTS && knots.iter().all(|knot| *knot < horizon), "{horizon}: {knots:?}");
        }
        assert_eq!(knots(5), [0, 1, 2, 3, 4]);
    }
}
