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
pub const LOOKBACKS: [usize; 2] = [96, 720];
/// What the networks' randomness follows from.
pub const SEEDS: [u64; 3] = [1, 2, 3];
/// Steps of a network's training, of which the best is kept.
pub const STEPS: usize = 400;
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
    /// Steps of a network's training.
    pub steps: usize,
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

    /// The same of one channel, `[windows, steps]`.
    fn targets_alone(&self, origins: &[usize], channel: usize) -> Vec<f32> {
        let mut targets = Vec::with_capacity(origins.len() * self.inputs.horizon);
        for origin in origins {
            let anchor = self.inputs.anchor_alone(self.series, *origin, channel);
            let rows = &self.series.values[origin * CHANNELS..][..self.outputs()];
            let values = rows.iter().skip(channel).step_by(CHANNELS);
            targets.extend(values.map(|value| (value - anchor) * self.units.factor[channel]));
        }
        targets
    }

    /// The newest row again and again, as changes from the anchors: a protocol is right when this
    /// scores what others publish for it.
    fn persistence(&self, origins: &[usize]) -> Vec<f32> {
        let mut changes = Vec::with_capacity(origins.len() * self.outputs());
        for origin in origins {
            let anchor = self.inputs.anchor(self.series, *origin);
            let newest = &self.series.values[(origin - 1) * CHANNELS..][..CHANNELS];
            let change: [f32; CHANNELS] = std::array::from_fn(|at| (newest[at] - anchor[at]) * self.units.factor[at]);
            (0..self.inputs.horizon).for_each(|_| changes.extend(change));
        }
        changes
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

/// Trains and scores a model for every lookback, horizon and seed. `told` gets what there is after
/// every horizon, so that a run that is broken off leaves the rest.
///
/// # Errors
/// When the file is missing or not the published one, or `told` fails.
pub fn benchmark(
    options: &BenchmarkOptions,
    told: impl FnMut(&BenchmarkReport) -> anyhow::Result<()>,
) -> anyhow::Result<BenchmarkReport> {
    let table = Table::read(&options.data.join(FILE))?;
    run(&table, options, told)
}

fn run(
    table: &Table,
    options: &BenchmarkOptions,
    mut told: impl FnMut(&BenchmarkReport) -> anyhow::Result<()>,
) -> anyhow::Result<BenchmarkReport> {
    let split = Split::of(table.rows());
    let standards = table::standards(&table.values, &split.train);
    let published = table::standardised(&table.values, &standards);
    let filled = table.filled();
    let measured = table::standards(&filled, &split.train);
    let series = Series::new(&table.times, table::standardised(&filled, &measured));
    let mut report = BenchmarkReport { rows: Vec::new() };
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
            report.rows.extend(solve(&problem, options)?);
            told(&report)?;
        }
    }
    Ok(report)
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
fn solve(problem: &Problem<'_>, options: &BenchmarkOptions) -> anyhow::Result<Vec<BenchmarkRow>> {
    let device = Device::flex();
    let started = Instant::now();
    let linear = Linear::fit(problem, &device)?;
    let mut models = vec![("persistence", None, 0.0), ("linear", None, started.elapsed().as_secs_f64())];
    let mut networks = Vec::new();
    if !options.seeds.is_empty() {
        let samples = Samples::new(problem, &linear, &device);
        for &seed in &options.seeds {
            let started = Instant::now();
            networks.push(Network::train(&samples, seed, options.steps)?);
            models.push(("network", Some(seed), started.elapsed().as_secs_f64()));
        }
    }
    if networks.len() > 1 {
        models.push(("mean of seeds", None, models.iter().map(|(_, _, seconds)| seconds).sum()));
    }
    let validation = scores(problem, &problem.validation, &linear, &networks, &device);
    let test = scores(problem, &problem.test, &linear, &networks, &device);
    let scored = models.into_iter().zip(validation.into_iter().zip(test));
    let row = |((model, seed, seconds), (validation, test)): ((&str, _, _), _)| {
        let (lookback, horizon) = (problem.inputs.lookback, problem.inputs.horizon);
        let (model, windows) = (model.to_owned(), problem.test.len());
        BenchmarkRow { lookback, horizon, model, seed, windows, validation, test, seconds }
    };
    Ok(scored.map(row).collect())
}

/// What persistence, the linear model, each network and their mean score on a part.
#[allow(clippy::cast_precision_loss)] // a handful of networks
fn scores(
    problem: &Problem<'_>,
    part: &Range<usize>,
    linear: &Linear,
    networks: &[Network],
    device: &Device,
) -> Vec<BenchmarkScore> {
    let origins: Vec<usize> = part.clone().collect();
    let mut errors = vec![Errors::default(); networks.len() + 3];
    for chunk in origins.chunks(CHUNK) {
        let base = numbers(linear.forward(problem, chunk, device));
        problem.judge(chunk, &problem.persistence(chunk), &mut errors[0]);
        problem.judge(chunk, &base, &mut errors[1]);
        let rows = linear.centred(rows_together(problem, chunk), device);
        let mut mean = base.clone();
        for (at, network) in networks.iter().enumerate() {
            let mut forecasts = base.clone();
            network.add(problem, rows.clone(), 1.0, &mut forecasts);
            problem.judge(chunk, &forecasts, &mut errors[at + 2]);
            network.add(problem, rows.clone(), 1.0 / networks.len() as f32, &mut mean);
        }
        if networks.len() > 1 {
            problem.judge(chunk, &mean, &mut errors[networks.len() + 2]);
        }
    }
    errors.iter().map(Errors::score).collect()
}

#[cfg(test)]
mod tests {
    use weather::Time;

    use super::*;

    /// A year of another place: every channel has a daily cycle of its own, and a little noise.
    fn cycles(rows: usize) -> Table {
        let times = (0..rows).map(|row| Time::from_unix(1_577_833_800 + row as i64 * 600)).collect();
        let value = |at: usize| {
            let (row, channel) = (at / CHANNELS, at % CHANNELS);
            let phase = (row as f32 / 144.0 + channel as f32 / 21.0) * std::f32::consts::TAU;
            let noise = ((at * 7919) % 1009) as f32 / 1009.0 - 0.5;
            10.0 + 5.0 * phase.sin() + 0.2 * noise
        };
        Table { times, values: (0..rows * CHANNELS).map(value).collect() }
    }

    #[test]
    fn a_daily_cycle_is_learnt_and_every_seed_is_reported() {
        let options = BenchmarkOptions {
            data: PathBuf::new(),
            lookbacks: vec![24],
            horizons: vec![12],
            seeds: vec![1, 2],
            steps: 10,
        };
        let mut told = 0;
        let report = run(&cycles(1500), &options, |report| {
            told += report.rows.len();
            Ok(())
        })
        .unwrap();
        let models: Vec<(&str, Option<u64>)> = report.rows.iter().map(|row| (row.model.as_str(), row.seed)).collect();
        assert_eq!(
            models,
            [
                ("persistence", None),
                ("linear", None),
                ("network", Some(1)),
                ("network", Some(2)),
                ("mean of seeds", None)
            ]
        );
        assert_eq!(told, 5);
        // 12 steps are an arc of 30°: persistence is off by up to half a deviation and more.
        assert!(report.rows[0].test.mse > 0.05, "{:?}", report.rows[0]);
        for row in &report.rows[1..] {
            assert_eq!(row.windows, 300 - 12 + 1);
            // A guess of the mean scores 1; the noise alone 0.0003.
            assert!(row.test.mse < 0.01, "{row:?}");
        }
        // The same seeds give the same numbers.
        let again = run(&cycles(1500), &options, |_| Ok(())).unwrap();
        let scores = |report: &BenchmarkReport| report.rows.iter().map(|row| row.test).collect::<Vec<_>>();
        assert_eq!(scores(&again), scores(&report));
    }

    #[test]
    fn too_few_rows_for_a_window_are_refused() {
        let options =
            BenchmarkOptions { data: PathBuf::new(), lookbacks: vec![96], horizons: vec![96], seeds: vec![], steps: 1 };
        let said = run(&cycles(400), &options, |_| Ok(())).unwrap_err().to_string();
        assert_eq!(said, "lookback 96 and horizon 96 leave no windows");
    }
}
