//! Training: Burn's autodiff on the CPU, batches drawn on the fly by another thread.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use indicatif::{ProgressBar, ProgressStyle};
use weather::{LEADS, QUANTILES, Quantity, Time};

use crate::backend::BackendKind;
use crate::batch::{Batch, Source, TARGETS};
use crate::dataset::{self, Network as Stations, Split, Want};
use crate::ema::Average;
use crate::evaluate;
use crate::features::{self, ENCODER, LEAD, PAST, SCALES, WIND_SCALE};
use crate::forecaster::Forecaster;
use crate::hygiene::FileReport;
use crate::losses;
use crate::network::{Architecture, Network};
use crate::version::{self, DataFacts, Files, Manifest, Normalisation, Training, WindowFacts};

/// The file of a version that says what was found in its training data, by station.
const DATA_REPORT: &str = "data-report.txt";

/// How long to train.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// This many steps: reproducible.
    Steps(u64),
    /// As many steps as fit, measured on the first ones. The manifest says how many it were.
    Time(Duration),
}

/// What to train, on what, and where to put it.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// A folder of `NAME.parquet` and `NAME_stations.csv`, or one that has them in `tables/`.
    pub data: PathBuf,
    /// The weights folder; the version goes to `<out>/<name>/<version>/`.
    pub out: PathBuf,
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line about it.
    pub description: String,
    /// Train only on what most stations reported before this moment, so that the rest can judge;
    /// on everything when absent.
    pub cut: Option<Time>,
    /// Everything random follows from it.
    pub seed: u64,
    /// How long.
    pub budget: Budget,
    /// Windows per step.
    pub batch: usize,
    /// Width of the encoder.
    pub hidden: usize,
    /// Width of the decoder.
    pub latent: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
}

/// Steps that are measured before a time budget becomes a number of steps.
const MEASURED: u64 = 40;
/// The share of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Steps between updates of the averaged weights.
const AVERAGED: u64 = 5;
/// Steps between validations, and the batches of one.
const VALIDATED: u64 = 500;
const VALIDATION: u64 = 8;

/// Trains, writes the version folder, evaluates it and records the scores in its manifest.
///
/// When `stop` becomes true the training ends early and the version is written all the same.
///
/// # Errors
/// When the data can't be read, holds nothing to train on, or the folder can't be written.
pub fn train(options: &TrainOptions, stop: &AtomicBool) -> anyhow::Result<PathBuf> {
    let folder = options.out.join(&options.name).join(&options.version);
    anyhow::ensure!(!folder.exists(), "{} exists: choose another --version", folder.display());
    let split = options.cut.map_or(Split::TrainAll, Split::At);
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let networks = dataset::read(&options.data, split, Want::All, |name| bar.set_message(format!("reading {name}")))?;
    bar.finish_and_clear();
    for network in &networks {
        network.reports.iter().for_each(|report| eprintln!("{}", report.summary()));
    }
    let started = Instant::now();
    let (network, facts) = fit(options, &networks, stop)?;
    let mut manifest = manifest(options, &networks, Training { seconds: started.elapsed().as_secs(), ..facts });
    version::write(&folder, &mut manifest, &network, &Device::flex())?;
    let found: String = networks.iter().flat_map(|n| &n.reports).map(FileReport::full).collect();
    let path = folder.join(DATA_REPORT);
    fs::write(&path, found).with_context(|| format!("cannot write {}", path.display()))?;
    if options.cut.is_some() {
        let mut forecaster = Forecaster::load(&folder, BackendKind::Flex)?;
        let evaluation = evaluate::networks(&networks, &mut forecaster, evaluate::PER_STATION);
        manifest.scores = evaluation.lines;
        version::write_manifest(&folder, &manifest)?;
    }
    Ok(folder)
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

fn fit(options: &TrainOptions, networks: &[Stations], stop: &AtomicBool) -> anyhow::Result<(Network, Training)> {
    let source = Source::new(networks, options.batch);
    anyhow::ensure!(!source.is_empty(), "{}: no station has enough history to train on", options.data.display());
    let unseen = Source::later(networks, options.batch);
    let validation: Vec<Batch> =
        if unseen.is_empty() { Vec::new() } else { (0..VALIDATION).map(|step| unseen.draw(0, step)).collect() };
    std::thread::scope(|scope| {
        // Two batches ahead: the network never waits, memory stays small.
        let (sender, batches) = sync_channel(2);
        scope.spawn({
            let (source, seed) = (&source, options.seed);
            move || (0..).take_while(|step| sender.send(source.draw(seed, *step)).is_ok()).last()
        });
        run(options, &batches, &validation, stop)
    })
}

fn run(
    options: &TrainOptions,
    batches: &Receiver<Batch>,
    validation: &[Batch],
    stop: &AtomicBool,
) -> anyhow::Result<(Network, Training)> {
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let architecture = Architecture::new(options.hidden, options.latent);
    let mut network = Network::new(&architecture, &device);
    let mut optimiser = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(0.01)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let mut average = Average::default();
    let (mut steps, started) = (planned(options.budget), Instant::now());
    let bar = progress(steps);
    let (mut step, mut smoothed, mut validated) = (0, f32::NAN, f32::NAN);
    while step < steps && !stop.load(Ordering::Relaxed) {
        let batch = batches.recv().context("the thread that draws batches has ended")?;
        let (window, leads, targets) = tensors(batch, &device);
        let loss = losses::total(network.forward(window, leads), targets);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let loss: f32 = loss.into_scalar();
        anyhow::ensure!(loss.is_finite(), "the loss is {loss} at step {step}: lower the learning rate");
        network = optimiser.step(rate(options.learning_rate, step, steps), network, gradients);
        smoothed = if smoothed.is_nan() { loss } else { 0.98 * smoothed + 0.02 * loss };
        step += 1;
        if step.is_multiple_of(AVERAGED) {
            average.update(&network);
        }
        if step == MEASURED
            && let Budget::Time(time) = options.budget
        {
            steps = fitting(time, started.elapsed());
            bar.set_length(steps);
        }
        if step.is_multiple_of(VALIDATED) {
            let flex = Device::flex();
            validated = validate(&average.network(network.valid(), &flex), validation, &flex);
            eprintln!(
                "step {step} of {steps}, {:.0} s: loss {smoothed:.4}, validation {validated:.4}",
                started.elapsed().as_secs_f32()
            );
        }
        bar.set_position(step);
        bar.set_message(format!("loss {smoothed:.4}, validation {validated:.4}"));
    }
    bar.finish_and_clear();
    let network = average.network(network.valid(), &Device::flex());
    let facts = Training {
        seed: options.seed,
        steps: step,
        batch: options.batch as u64,
        seconds: 0,
        parameters: network.num_params() as u64,
        learning_rate: options.learning_rate,
        final_loss: f64::from(smoothed),
        cut: options.cut.map(|cut| cut.to_string()),
    };
    Ok((network, facts))
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

fn progress(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} {msg}");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn tensors(batch: Batch, device: &Device) -> (Tensor<2>, Tensor<3>, Tensor<3>) {
    let rows = batch.encoder.len() / ENCODER;
    (
        Tensor::from_data(TensorData::new(batch.encoder, [rows, ENCODER]), device),
        Tensor::from_data(TensorData::new(batch.leads, [rows, LEADS, LEAD]), device),
        Tensor::from_data(TensorData::new(batch.targets, [rows, LEADS, TARGETS]), device),
    )
}

/// The mean loss on training stations after the cut. Shown, never used to choose anything.
#[allow(clippy::cast_precision_loss)] // a handful
fn validate(network: &Network, batches: &[Batch], device: &Device) -> f32 {
    let losses = batches.iter().map(|batch| {
        let (window, leads, targets) = tensors(batch.clone(), device);
        losses::total(network.forward(window, leads), targets).into_scalar::<f32>()
    });
    losses.sum::<f32>() / batches.len() as f32
}

fn manifest(options: &TrainOptions, networks: &[Stations], training: Training) -> Manifest {
    let [temperature, dew_point, pressure, wind_speed, wind_gust] = SCALES;
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut outputs: Vec<String> = Quantity::ALL.iter().map(|q| q.name().to_owned()).collect();
    outputs.extend(names(&["wind_direction", "precipitation_probability"]));
    Manifest {
        name: options.name.clone(),
        version: options.version.clone(),
        description: options.description.clone(),
        created: weather::Time::now().to_string(),
        features: features::REVISION.to_owned(),
        architecture: Architecture::new(options.hidden, options.latent),
        window: WindowFacts {
            hours: PAST,
            leads: LEADS,
            inputs: names(&[
                "temperature",
                "dew_point",
                "pressure",
                "wind_speed",
                "wind_gust",
                "wind_u",
                "wind_v",
                "precipitation",
                "solar_radiation",
                "cloud_cover",
                "latitude",
                "elevation",
                "solar elevation",
                "clear-sky radiation",
                "local hour",
            ]),
            outputs,
            quantiles: QUANTILES.to_vec(),
        },
        normalisation: Normalisation {
            temperature,
            dew_point,
            pressure,
            wind_speed,
            wind_gust,
            wind_components: WIND_SCALE,
        },
        files: Files::default(),
        training,
        data: networks.iter().map(facts).collect(),
        scores: Vec::new(),
    }
}

fn facts(network: &Stations) -> DataFacts {
    DataFacts {
        network: network.name.clone(),
        stations: network.series.len(),
        held_out: network.judging().count(),
        from: network.from.to_string(),
        trained_until: network.cut.to_string(),
        licence: dataset::licence(&network.name).to_owned(),
    }
}
