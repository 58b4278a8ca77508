//! The one command of Weatherglass.

mod backfill;
mod bench;
mod dead_letters;
mod decode;
mod demo;
mod evaluate;
mod healthcheck;
mod models;
mod poster;
mod predict;
mod replay;
mod service;
mod simulate;
mod stations;
mod telemetry;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

// The model allocates and frees its buffers at every call; the system's allocator gives the pages
// back each time and half of the inference would be page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Live, site-specific, probabilistic forecasts from your own weather stations.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    telemetry: telemetry::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything in one process, beside a redis-server, with a small simulated network.
    Demo(Box<demo::Args>),
    /// The door: receives observations over HTTP and writes them to Redis.
    Ingest(Box<service::IngestArgs>),
    /// The forecaster: reads observations, runs the model, commits forecasts.
    Worker(Box<service::WorkerArgs>),
    /// The dashboard, REST and WebSocket.
    Api(Box<service::ApiArgs>),
    /// Lists, shows, replays or drops entries that could not be processed.
    DeadLetters(Box<dead_letters::Args>),
    /// Lists, registers, accepts or removes stations, and makes or revokes their keys.
    Stations(Box<stations::Args>),
    /// Reads raw messages, one a line, and prints what the doors make of them.
    Decode(decode::Args),
    /// Posts files of observations to a running door, and what is added to them.
    Backfill(Box<backfill::Args>),
    /// Plays recorded observations through the door.
    Replay(replay::Args),
    /// Posts the observations of a made-up network to a running door.
    Simulate(Box<simulate::post::Args>),
    /// Trains a model version on recorded observations.
    Train(train::TrainArgs),
    /// Scores a model version beside its baselines.
    Evaluate(evaluate::EvaluateArgs),
    /// The forecasts that would have been issued at moments of a recording.
    Predict(predict::PredictArgs),
    /// Lists the model versions.
    Models(models::ModelsArgs),
    /// Measures speed.
    Bench(bench::Args),
    /// Prints the API's OpenAPI document.
    Openapi,
    /// Asks a URL and succeeds if it answers well: for container health checks.
    Healthcheck(healthcheck::Args),
}

fn main() -> ExitCode {
    // For every TLS connection of the process; it fails only where one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Before the first client: our HTTP client brings none of its own. It fails only if there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: the context first, then each cause.
            eprintln!("weatherglass: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    let quiet = matches!(cli.command, Command::Demo(_) | Command::Bench(_));
    telemetry::start_logging(&cli.telemetry, quiet)?;
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Models(args) => models::run(args),
        Command::Decode(args) => decode::run(&args),
        Command::Openapi => {
            println!("{}", api::openapi());
            Ok(())
        }
        other => service::runtime()?.block_on(run_async(other, matches)),
    }
}

async fn run_async(command: Command, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => {
            let named = matches.subcommand_matches("demo").is_some_and(demo::redis_is_named);
            Box::pin(demo::run(*args, named)).await
        }
        Command::Ingest(args) => service::ingest(*args).await,
        Command::Worker(args) => service::worker(*args).await,
        Command::Api(args) => service::api(*args).await,
        Command::DeadLetters(args) => dead_letters::run(*args).await,
        Command::Stations(args) => Box::pin(stations::run(*args)).await,
        Command::Backfill(args) => Box::pin(backfill::run(*args)).await,
        Command::Replay(args) => Box::pin(replay::run(args)).await,
        Command::Simulate(args) => simulate::post::run(*args).await,
        Command::Bench(args) => Box::pin(bench::run(args)).await,
        Command::Healthcheck(args) => healthcheck::run(args).await,
        Command::Train(_)
        | Command::Evaluate(_)
        | Command::Predict(_)
        | Command::Models(_)
        | Command::Decode(_)
        | Command::Openapi => Ok(()),
    }
}
