//! `weatherglass bench`: speed, always beside a reference measured in the same run.

mod inference;
mod latency;
mod pipeline;
mod quality;

use std::time::Duration;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// From a POST to its forecast's WebSocket frame, under a light load.
    Latency(latency::Args),
    /// What an observation costs on its way through the services, beside redis-benchmark, bare
    /// inference and a Python stack.
    Pipeline(pipeline::Args),
    /// What a forecast costs, beside ONNX Runtime and a reference network.
    Inference(inference::Args),
    /// What quality control finds in recordings and in planted faults, and what it costs beside reading JSON.
    Quality(quality::Args),
}

/// Runs one of them.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Latency(args) => latency::run(args).await,
        What::Pipeline(args) => Box::pin(pipeline::run(args)).await,
        What::Inference(args) => tokio::task::spawn_blocking(move || inference::run(&args)).await?,
        What::Quality(args) => tokio::task::spawn_blocking(move || quality::run(&args)).await?,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time that a share of them stay below, milliseconds.
fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(at).map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0)
}
