//! `weatherglass train`: a new version of the forecaster from files of observations.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use models::{Budget, TrainOptions};

/// Train a new version of the forecaster.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Folder of NAME.parquet (or .csv) files, each with a NAME_stations.csv beside it, or with
    /// these in its `tables` folder.
    #[arg(long, env = "WEATHERGLASS_DATA")]
    data: PathBuf,
    /// The weights folder; the version is written to OUT/NAME/VERSION.
    #[arg(long, default_value = "models/weights")]
    out: PathBuf,
    /// The model's name.
    #[arg(long, default_value = models::DEFAULT_MODEL)]
    name: String,
    /// The new version, such as 0.2.0; it must not exist yet.
    #[arg(long)]
    version: String,
    /// One line about it, for listings.
    #[arg(long, default_value = "Global station forecaster, hourly window of 72 h, 48 leads")]
    description: String,
    /// Train for about so many minutes (the steps that fit are measured first).
    #[arg(long, default_value_t = 30.0, conflicts_with = "steps")]
    minutes: f64,
    /// Train for exactly so many steps: the same data, seed and steps give the same weights.
    #[arg(long)]
    steps: Option<u64>,
    /// Train only on what most stations reported before this moment (RFC 3339), so that the others
    /// can judge the version after it; on everything when absent.
    #[arg(long, value_name = "TIME")]
    cut: Option<String>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Windows per step.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Width of the encoder.
    #[arg(long, default_value_t = 256)]
    hidden: usize,
    /// Width of the decoder.
    #[arg(long, default_value_t = 96)]
    latent: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 1.5e-3)]
    learning_rate: f64,
}

/// Trains until the budget is used up or Ctrl-C; either way the version is written and evaluated.
pub(crate) fn run(args: TrainArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.minutes > 0.0 && args.batch > 0, "--minutes and --batch must be positive");
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop, "stopping; the version is written with what it has learnt")?;
    let options = TrainOptions {
        data: args.data,
        out: args.out,
        name: args.name,
        version: args.version,
        description: args.description,
        cut: args.cut.as_deref().map(cut).transpose()?,
        seed: args.seed,
        budget: args.steps.map_or_else(|| Budget::Time(Duration::from_secs_f64(args.minutes * 60.0)), Budget::Steps),
        batch: args.batch,
        hidden: args.hidden,
        latent: args.latent,
        learning_rate: args.learning_rate,
    };
    let folder = models::train(&options, &stop)?;
    println!("{}", folder.display());
    Ok(())
}

fn cut(text: &str) -> anyhow::Result<weather::Time> {
    weather::Time::parse(text).with_context(|| format!("--cut is {text}: give a time like 2024-03-01T00:00:00Z"))
}

/// The first Ctrl-C sets the flag and says so; a second one ends the process.
pub(crate) fn stop_on_interrupt(stop: &Arc<AtomicBool>, says: &'static str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("{says}");
                stop.store(true, Ordering::Relaxed);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    })?;
    Ok(())
}
