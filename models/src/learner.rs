//! The loop that learns: Burn's autodiff, a rising and falling learning rate, averaged weights,
//! validation, checkpoints.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::{ProgressBar, ProgressStyle};
use weather::LEADS;

use crate::batch::{Batch, TARGETS};
use crate::checkpoint::{Checkpoint, Progress};
use crate::ema::Average;
use crate::features::{ENCODER, LEAD};
use crate::losses;
use crate::network::{Architecture, Ensemble};
use crate::train::{Budget, TrainOptions};

/// Steps that are measured before a time budget becomes a number of steps.
const MEASURED: u64 = 40;
/// The share of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Strong on purpose: of all that was tried it did most for stations, seasons and climates that were never
/// trained on, and most of all two days ahead.
const WEIGHT_DECAY: f32 = 1.2;
/// Steps between updates of the averaged weights.
const AVERAGED: u64 = 5;
/// Steps between validations.
const VALIDATED: u64 = 500;
/// Time between checkpoints.
const KEPT: Duration = Duration::from_secs(120);

/// What a training came to.
pub(crate) struct Learnt {
    pub(crate) network: Ensemble,
    pub(crate) steps: u64,
    pub(crate) seconds: u64,
    /// The smoothed loss of the last steps.
    pub(crate) loss: f32,
    /// The best loss in validation.
    pub(crate) validated: Option<f32>,
    /// `step,seconds,learning_rate,loss,validation`, a line per validation.
    pub(crate) curve: String,
}

/// A training in progress.
pub(crate) struct Learner<'a> {
    options: &'a TrainOptions,
    seed: u64,
    device: Device,
    network: Ensemble,
    optimiser: ModuleOptimizer,
    average: Average,
    /// The averaged weights that did best in validation.
    best: Option<Average>,
    progress: Progress,
}

impl<'a> Learner<'a> {
    /// From the start, or from where the checkpoint was made.
    pub(crate) fn new(options: &'a TrainOptions, checkpoint: &Checkpoint) -> anyhow::Result<Self> {
        let device = options.device.device().autodiff();
        device.seed(checkpoint.seed());
        let architecture = Architecture::new(options.hidden, options.latent, 1);
        let network = Ensemble::new(&architecture, &device);
        let optimiser = AdamWConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(WEIGHT_DECAY)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
            .init();
        let fresh = Self {
            options,
            seed: checkpoint.seed(),
            device,
            network,
            optimiser,
            average: Average::default(),
            best: None,
            progress: Progress::new(planned(options.budget)),
        };
        match checkpoint.load()? {
            None => Ok(fresh),
            Some(saved) => Ok(Self {
                network: fresh.network.load_record(saved.network),
                optimiser: fresh.optimiser.from_bytes(saved.optimiser).map_err(|e| anyhow::anyhow!("{e}"))?,
                average: saved.average,
                best: saved.best,
                progress: saved.progress,
                ..fresh
            }),
        }
    }

    /// The next step.
    pub(crate) fn step(&self) -> u64 {
        self.progress.step
    }

    /// Learns until the budget is used up, nothing gets better any more, or `stop` says so.
    pub(crate) fn run(
        mut self,
        batches: &Receiver<Batch>,
        validation: &[Batch],
        checkpoint: &Checkpoint,
        stop: &AtomicBool,
    ) -> anyhow::Result<Learnt> {
        let (begun, before) = (Instant::now(), self.progress.seconds);
        let (first, mut kept) = (self.progress.step, begun);
        let bar = bar(self.progress.steps, first);
        while !self.progress.finished && !stop.load(Ordering::Relaxed) {
            let batch = batches.recv().context("the thread that draws batches has ended")?;
            self.learn(batch)?;
            self.progress.seconds = before + begun.elapsed().as_secs_f64();
            let step = self.progress.step;
            if step == MEASURED
                && let Budget::Time(time) = self.options.budget
            {
                self.progress.steps = fitting(time, Duration::from_secs_f64(self.progress.seconds));
                bar.set_length(self.progress.steps);
            }
            self.progress.finished = step >= self.progress.steps;
            if step.is_multiple_of(VALIDATED) || self.progress.finished {
                bar.suspend(|| self.validate(validation));
                if self.progress.stale >= self.options.patience {
                    bar.suspend(|| eprintln!("step {step}: no better for {} validations", self.progress.stale));
                    self.progress.finished = true;
                }
            }
            if kept.elapsed() >= KEPT {
                self.keep(checkpoint)?;
                kept = Instant::now();
            }
            bar.set_position(step);
            bar.set_message(format!("loss {:.4}, validation {:.4}", self.progress.loss, self.progress.validated));
        }
        bar.finish_and_clear();
        // What is on disk is all of the last step, should the training be stopped or the version not be written.
        self.keep(checkpoint)?;
        Ok(self.finish())
    }

    fn learn(&mut self, batch: Batch) -> anyhow::Result<()> {
        let Progress { step, steps, .. } = self.progress;
        // What is dropped follows from seed and step alone, so that a resumed training drops the same.
        self.device.seed(self.seed.wrapping_mul(0x9E37_79B9).wrapping_add(step));
        let (window, leads, targets) = tensors(batch, &self.device);
        let losses =
            self.network.learn(&window, &leads, self.options.dropped).map(|output| losses::total(output, &targets));
        let loss = losses.reduce(|sum, next| sum + next).context("a model needs at least one member")?;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        let loss: f32 = loss.into_scalar();
        anyhow::ensure!(loss.is_finite(), "the loss is {loss} at step {step}: lower the learning rate");
        let rate = rate(self.options.learning_rate, step, steps);
        self.network = self.optimiser.step(rate, self.network.clone(), gradients);
        let smoothed = self.progress.loss;
        self.progress.loss = if smoothed.is_nan() { loss } else { 0.98 * smoothed + 0.02 * loss };
        self.progress.step += 1;
        if self.progress.step.is_multiple_of(AVERAGED) {
            self.average.update(&self.network);
        }
        Ok(())
    }

    /// The mean loss of the averaged weights on what was kept from training.
    fn validate(&mut self, batches: &[Batch]) {
        let device = self.options.device.device();
        let network = self.average.network(self.network.valid(), &device);
        let losses = batches.iter().map(|batch| {
            let (window, leads, targets) = tensors(batch.clone(), &device);
            let output = network.learn(&window, &leads, 0.0).next();
            output.map_or(f32::NAN, |output| losses::total(output, &targets).into_scalar::<f32>())
        });
        #[allow(clippy::cast_precision_loss)] // a handful
        let validated = losses.sum::<f32>() / batches.len() as f32;
        let Progress { step, steps, seconds, loss, .. } = self.progress;
        let rate = rate(self.options.learning_rate, step, steps);
        // A string takes all.
        let _ = writeln!(self.progress.curve, "{step},{seconds:.0},{rate:.6},{loss:.5},{validated:.5}");
        eprintln!("step {step} of {steps}, {seconds:.0} s: loss {loss:.4}, validation {validated:.4}");
        if self.progress.validated.is_nan() || validated < self.progress.validated {
            self.progress.validated = validated;
            self.progress.stale = 0;
            self.best = (!batches.is_empty()).then(|| self.average.clone());
        } else {
            self.progress.stale += 1;
        }
    }

    fn keep(&self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        let optimiser = self.optimiser.into_bytes().map_err(|e| anyhow::anyhow!("{e}"))?;
        checkpoint.save(&self.network, optimiser, &self.average, self.best.as_ref(), &self.progress)
    }

    fn finish(self) -> Learnt {
        let average = self.best.as_ref().unwrap_or(&self.average);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours
        let seconds = self.progress.seconds as u64;
        Learnt {
            network: average.network(self.network.valid(), &Device::flex()),
            steps: self.progress.step,
            seconds,
            loss: self.progress.loss,
            validated: Some(self.progress.validated).filter(|v| v.is_finite()),
            curve: self.progress.curve,
        }
    }
}

/// The learning rate at `step` of `steps`: a short rise, then half a cosine.
#[allow(clippy::cast_precision_loss)] // step counts
fn rate(highest: f64, step: u64, steps: u64) -> f64 {
    let progress = step as f64 / steps.max(1) as f64;
    if progress < WARM_UP {
        return highest * (progress / WARM_UP).max(0.02);
    }
    let fall = ((progress - WARM_UP) / (1.0 - WARM_UP)).min(1.0);
    highest * (0.005 + 0.995 * 0.5 * (1.0 + (std::f64::consts::PI * fall).cos()))
}

fn planned(budget: Budget) -> u64 {
    match budget {
        Budget::Steps(steps) => steps,
        Budget::Time(_) => u64::MAX,
    }
}

/// How many steps fit into `time` if the first [`MEASURED`] took `taken`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn fitting(time: Duration, taken: Duration) -> u64 {
    let each = taken.as_secs_f64() / MEASURED as f64;
    ((time.as_secs_f64() / each.max(1e-6)) as u64).max(MEASURED)
}

fn bar(steps: u64, first: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} {msg}");
    let bar = ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(first);
    bar.reset_eta();
    bar
}

fn tensors(batch: Batch, device: &Device) -> (Tensor<2>, Tensor<3>, Tensor<3>) {
    let rows = batch.encoder.len() / ENCODER;
    (
        Tensor::from_data(TensorData::new(batch.encoder, [rows, ENCODER]), device),
        Tensor::from_data(TensorData::new(batch.leads, [rows, LEADS, LEAD]), device),
        Tensor::from_data(TensorData::new(batch.targets, [rows, LEADS, TARGETS]), device),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::backend::TrainDevice;
    use crate::checkpoint;

    fn options(seed: u64, resume: bool) -> TrainOptions {
        TrainOptions {
            data: "none".into(),
            out: "none".into(),
            name: "weatherglass".into(),
            version: "1".into(),
            description: String::new(),
            cut: None,
            judged_as: None,
            seed,
            budget: Budget::Steps(12),
            batch: 4,
            hidden: 8,
            latent: 8,
            members: 1,
            only: None,
            learning_rate: 1e-2,
            dropped: 0.3,
            validated: 0.0,
            patience: 9,
            device: TrainDevice::Cpu,
            resume,
        }
    }

    fn batch(seed: u64) -> Batch {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(0.0..1.0)).collect();
        let (encoder, leads) = (numbers(4 * ENCODER), numbers(4 * LEADS * LEAD));
        Batch { encoder, leads, targets: numbers(4 * LEADS * TARGETS) }
    }

    fn weights(learnt: &Learnt) -> Vec<f32> {
        let mut found = Average::default();
        found.update(&learnt.network);
        found.to_bytes()[2..].as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v)).collect()
    }

    fn open(folder: &Path, seed: u64, resume: bool) -> anyhow::Result<Checkpoint> {
        Checkpoint::open(&folder.join("1"), &options(seed, resume), 0)
    }

    fn rest(learner: Learner<'_>, checkpoint: &Checkpoint) -> Learnt {
        let (sender, batches) = sync_channel(20);
        (learner.step()..12).for_each(|step| sender.send(batch(step)).unwrap());
        learner.run(&batches, &[batch(99)], checkpoint, &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn a_training_that_was_cut_off_comes_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 7, false).unwrap();
        let (fresh, resumed) = (options(7, false), options(7, true));
        let whole = rest(Learner::new(&fresh, &first).unwrap(), &first);
        checkpoint::remove(&folder.path().join("1"));

        let mut learner = Learner::new(&fresh, &first).unwrap();
        (0..7).for_each(|step| learner.learn(batch(step)).unwrap());
        learner.keep(&first).unwrap();
        drop(learner);
        assert!(open(folder.path(), 7, false).err().unwrap().to_string().contains("--resume"));
        let other = Learner::new(&options(8, true), &open(folder.path(), 8, true).unwrap()).err().unwrap();
        assert!(other.to_string().contains("other options"), "{other}");

        let again = open(folder.path(), 7, true).unwrap();
        let learner = Learner::new(&resumed, &again).unwrap();
        assert_eq!(learner.step(), 7);
        let went_on = rest(learner, &again);
        assert!(weights(&whole) == weights(&went_on), "the weights differ");
        assert_eq!((whole.steps, whole.loss), (went_on.steps, went_on.loss));
        assert_eq!(whole.curve.lines().count(), went_on.curve.lines().count());
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let rates: Vec<f64> = (0..1000).map(|step| rate(1.0, step, 1000)).collect();
        assert!(rates[0] < 0.05 && rates[30] > 0.99 && rates[999] < 0.01);
        assert!(rates[30..].is_sorted_by(|a, b| a >= b));
    }
}
