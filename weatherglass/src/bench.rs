//! `weatherglass bench`: speed, always beside a reference measured in the same run.

mod inference;
mod latency;
mod pipeline;

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
}

/// Runs one of them.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Latency(args) => latency::run(args).await,
        What::Pipeline(args) => Box::pin(pipeline::run(args)).await,
        What::Inference(args) => tokio::task::spawn_blocking(move || inference::run(&args)).await?,
    }
}
