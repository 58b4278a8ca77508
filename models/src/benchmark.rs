//! The public "weather" benchmark of long-term forecasting (one year of Jena, 21 channels, every ten
//! minutes), trained and scored by the published protocol.

mod basis;
mod cholesky;
mod inputs;
mod linear;
mod network;
mod report;
mod ridge;
mod score;
mod table;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use inputs::{Inputs, Series};
use linear::{Linear, rows_together};
use network::{Network, Samples};
pub use report::{BenchmarkReport, BenchmarkRow};
use ridge::{CHUNK, numbers};
pub use score::BenchmarkScore;
use score::Errors;
use table::{CHANNELS, Split, Table};

/// The published horizons, steps.
pub const HORIZONS: [usize; 4] = [96, 192, 336, 720];
/// The published lookback, and the longer one that validated best.
pub const LOOKBACKS: [usize; 2] = [96, 336];
/// What the networks' randomness follows from.
pub const SEEDS: [u64; 3] = [1, 2, 3];
/// The file, below the data folder.
const FILE: &str = "benchmarks/ltsf_weather.csv.gz";

/// What to run.
#[derive(Clone, Debug)]
pub struct BenchmarkOptions {
    /// The folder with `benchmarks/ltsf_weather.csv.gz`.
    pub data: PathBuf,
    /// One model per lookback, horizon and seed.
    pub lookbacks: Vec<usize>,
    /// Steps ahead.
    pub horizons: Vec<usize>,
    /// Everything random follows from them.
    pub seeds: Vec<u64>,
}

/// One lookback and horizon: what is seen, and which windows train, choose and judge.
pub(crate) struct Problem<'a> {
    series: &'a Series,
    inputs: Inputs,
    train: Range<usize>,
    validation: Range<usize>,
    test: Range<usize>,
    /// Per channel what turns the models' units into the published ones.
    units: Units<'a>,
}

/// The published standardisation counts the file's -9999 into the deviations, as it must to be
/// comparable. Models see channels in units of the deviation of what was measured; targets are in
/// published units.
struct Units<'a> {
    /// The rows in published units, absent values included.
    published: &'a [f32],
    factor: Vec<f32>,
    offset: Vec<f32>,
}

impl Problem<'_> {
    fn outputs(&self) -> usize {
        self.inputs.horizon * CHANNELS
    }

    /// What models learn: changes from the anchors, absent values filled, in published units.
    fn targets(&self, origins: &[usize]) -> Vec<f32> {
        let mut targets = Vec::with_capacity(origins.len() * self.outputs());
        for origin in origins {
            let anchor = self.inputs.anchor(self.series, *origin);
            let rows = &self.series.values[origin * CHANNELS..][..self.outputs()];
            targets.extend(rows.iter().enumerate().map(|(at, value)| {
                let channel = at % CHANNELS;
                (value - anchor[channel]) * self.units.factor[channel]
            }));
        }
        targets
    }

    /// Adds the errors of forecast changes from the anchors, against the rows as published.
    fn judge(&self, origins: &[usize], changes: &[f32], errors: &mut Errors) {
        for (origin, changes) in origins.iter().zip(changes.chunks(self.outputs())) {
            let anchor = self.inputs.anchor(self.series, *origin);
            let start: [f32; CHANNELS] =
                std::array::from_fn(|at| anchor[at] * self.units.factor[at] + self.units.offset[at]);
            let truths = &self.units.published[origin * CHANNELS..][..self.outputs()];
            for (at, (change, truth)) in changes.iter().zip(truths).enumerate() {
                errors.add(start[at % CHANNELS] + change, *truth);
            }
        }
    }
}

/// Trains and scores a model for every lookback, horizon and seed. `told` hears of each as it ends.
///
/// # Errors
/// When the file is missing or not the published one.
pub fn benchmark(options: &BenchmarkOptions, told: impl FnMut(&BenchmarkRow)) -> anyhow::Result<BenchmarkReport> {
    let table = Table::read(&options.data.join(FILE))?;
    run(&table, options, told)
}

fn run(
    table: &Table,
    options: &BenchmarkOptions,
    mut told: impl FnMut(&BenchmarkRow),
) -> anyhow::Result<BenchmarkReport> {
    let split = Split::of(table.rows());
    let standards = table::standards(&table.values, &split.train);
    let published = table::standardised(&table.values, &standards);
    let filled = table.filled();
    let measured = table::standards(&filled, &split.train);
    let series = Series::new(&table.times, table::standardised(&filled, &measured));
    let mut rows = Vec::new();
    for &lookback in &options.lookbacks {
        for &horizon in &options.horizons {
            let origins = |part| table::origins(part, lookback, horizon);
            let problem = Problem {
                series: &series,
                inputs: Inputs::new(lookback, horizon),
                train: origins(&split.train),
                validation: origins(&split.validation),
                test: origins(&split.test),
                units: units(&published, &standards, &measured),
            };
            anyhow::ensure!(
                !problem.train.is_empty() && !problem.validation.is_empty() && !problem.test.is_empty(),
                "lookback {lookback} and horizon {horizon} leave no windows"
            );
            solve(&problem, &options.seeds, |row| {
                told(&row);
                rows.push(row);
            })?;
        }
    }
    Ok(BenchmarkReport { rows })
}

#[allow(clippy::cast_possible_truncation)] // back to the precision of the values
fn units<'a>(published: &'a [f32], standards: &[table::Standard], measured: &[table::Standard]) -> Units<'a> {
    let both = || standards.iter().zip(measured);
    Units {
        published,
        factor: both().map(|(published, ours)| (ours.deviation / published.deviation) as f32).collect(),
        offset: both().map(|(published, ours)| ((ours.mean - published.mean) / published.deviation) as f32).collect(),
    }
}

/// The models of one lookback and horizon: the linear one, a network for each seed, and the mean of
/// these if there are several.
fn solve(problem: &Problem<'_>, seeds: &[u64], mut done: impl FnMut(BenchmarkRow)) -> anyhow::Result<()> {
    let device = Device::flex();
    let started = Instant::now();
    let linear = Linear::fit(problem, &device)?;
    let mut models = vec![("linear", None, started.elapsed().as_secs_f64())];
    let mut networks = Vec::new();
    if !seeds.is_empty() {
        let samples = Samples::new(problem, &linear, &device);
        for &seed in seeds {
            let started = Instant::now();
            networks.push(Network::train(&samples, seed)?);
            models.push(("network", Some(seed), started.elapsed().as_secs_f64()));
        }
    }
    if networks.len() > 1 {
        models.push(("mean of seeds", None, models.iter().map(|(_, _, seconds)| seconds).sum()));
    }
    let validation = scores(problem, &problem.validation, &linear, &networks, &device);
    let test = scores(problem, &problem.test, &linear, &networks, &device);
    for (((model, seed, seconds), validation), test) in models.into_iter().zip(validation).zip(test) {
        let (lookback, horizon) = (problem.inputs.lookback, problem.inputs.horizon);
        let (model, windows) = (model.to_owned(), problem.test.len());
        done(BenchmarkRow { lookback, horizon, model, seed, windows, validation, test, seconds });
    }
    Ok(())
}

/// What the linear model, each network and their mean score on a part.
#[allow(clippy::cast_precision_loss)] // a handful of networks
fn scores(
    problem: &Problem<'_>,
    part: &Range<usize>,
    linear: &Linear,
    networks: &[Network],
    device: &Device,
) -> Vec<BenchmarkScore> {
    let origins: Vec<usize> = part.clone().collect();
    let mut errors = vec![Errors::default(); networks.len() + 2];
    for chunk in origins.chunks(CHUNK) {
        let base = numbers(linear.forward(problem, chunk, device));
        problem.judge(chunk, &base, &mut errors[0]);
        let rows = linear.centred(rows_together(problem, chunk), device);
        let mut mean = base.clone();
        for (at, network) in networks.iter().enumerate() {
            let mut forecasts = base.clone();
            network.add(problem, rows.clone(), 1.0, &mut forecasts);
            problem.judge(chunk, &forecasts, &mut errors[at + 1]);
            network.add(problem, rows.clone(), 1.0 / networks.len() as f32, &mut mean);
        }
        if networks.len() > 1 {
            problem.judge(chunk, &mean, &mut errors[networks.len() + 1]);
        }
    }
    errors.iter().map(Errors::score).collect()
}
