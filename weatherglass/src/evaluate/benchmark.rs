//! `weatherglass evaluate --benchmark`: our own training on a public benchmark, beside its records.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use models::{BenchmarkOptions, BenchmarkReport, BenchmarkRow};

/// The benchmarks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Benchmark {
    /// The "weather" set of the long-term forecasting papers: DATA/benchmarks/ltsf_weather.csv.gz.
    LtsfWeather,
}

/// What only benchmarks have.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchmarkArgs {
    /// Train on a public benchmark and score by its protocol, instead of scoring a version; the
    /// report goes to models/BENCHMARK.md and .json unless --report says otherwise.
    #[arg(long, value_enum)]
    pub(crate) benchmark: Option<Benchmark>,
    /// Steps that the benchmark's models see.
    #[arg(long, value_delimiter = ',', default_values_t = models::LOOKBACKS, requires = "benchmark")]
    lookbacks: Vec<usize>,
    /// Steps that they forecast.
    #[arg(long, value_delimiter = ',', default_values_t = models::HORIZONS, requires = "benchmark")]
    horizons: Vec<usize>,
    /// Everything random follows from these; every one is reported.
    #[arg(long, value_delimiter = ',', default_values_t = models::SEEDS, requires = "benchmark")]
    seeds: Vec<u64>,
    /// Steps of a network's training, of which the one that validates best is kept.
    #[arg(long, default_value_t = models::STEPS, requires = "benchmark")]
    steps: usize,
}

/// Trains, prints each score as it comes, and writes the report beside its numbers as JSON.
pub(crate) fn run(args: BenchmarkArgs, data: PathBuf, report: Option<PathBuf>) -> anyhow::Result<()> {
    let BenchmarkArgs { lookbacks, horizons, seeds, steps, .. } = args;
    anyhow::ensure!(
        lookbacks.iter().chain(&horizons).chain([&steps]).all(|number| *number > 0),
        "--lookbacks, --horizons and --steps must be positive"
    );
    let options = BenchmarkOptions { data, lookbacks, horizons, seeds, steps };
    let report = report.unwrap_or_else(|| PathBuf::from("models/BENCHMARK.md"));
    let mut told = 0;
    models::benchmark(&options, |found| {
        found.rows.iter().skip(told).for_each(tell);
        told = found.rows.len();
        write(&report, &found.markdown(&options))?;
        write(&report.with_extension("json"), &json(found)?)
    })?;
    eprintln!("written to {}", report.display());
    Ok(())
}

fn tell(row: &BenchmarkRow) {
    let seed = row.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    let BenchmarkRow { lookback, horizon, model, validation, test, seconds, .. } = row;
    println!(
        "lookback {lookback}, horizon {horizon}, {model}{seed}: validation {:.4} {:.4}, test {:.4} {:.4} ({seconds:.0} s)",
        validation.mse, validation.mae, test.mse, test.mae
    );
}

fn json(found: &BenchmarkReport) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(found)? + "\n")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
