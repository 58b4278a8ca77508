//! One service as a process of its own: listeners, signals, metrics, and its `run`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::telemetry;

/// `weatherglass ingest`.
#[derive(clap::Args)]
pub(crate) struct IngestArgs {
    /// Address of the door.
    #[arg(long, env = "WEATHERGLASS_LISTEN", default_value = "0.0.0.0:8001")]
    listen: SocketAddr,
    /// Address of /metrics.
    #[arg(long, env = "WEATHERGLASS_METRICS_LISTEN", default_value = "0.0.0.0:9101")]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    config: ingest::Config,
}

/// `weatherglass worker`.
#[derive(clap::Args)]
pub(crate) struct WorkerArgs {
    /// Address of /metrics, /healthz and /readyz.
    #[arg(long, env = "WEATHERGLASS_METRICS_LISTEN", default_value = "0.0.0.0:9102")]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    config: worker::Config,
}

/// `weatherglass api`.
#[derive(clap::Args)]
pub(crate) struct ApiArgs {
    /// Address of the dashboard and the API.
    #[arg(long, env = "WEATHERGLASS_LISTEN", default_value = "0.0.0.0:8000")]
    listen: SocketAddr,
    /// Address of /metrics.
    #[arg(long, env = "WEATHERGLASS_METRICS_LISTEN", default_value = "0.0.0.0:9103")]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    config: api::Config,
}

#[derive(Parser)]
struct Settings<C: clap::Args> {
    #[command(flatten)]
    config: C,
}

/// A service's settings by its flags' defaults and environment variables, for processes that run
/// several services.
pub(crate) fn settings<C: clap::Args>() -> anyhow::Result<C> {
    Ok(Settings::<C>::try_parse_from(["weatherglass"])?.config)
}

/// The runtime of every asynchronous subcommand.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime did not start")
}

/// Runs the door until it is told to stop.
pub(crate) async fn ingest(args: IngestArgs) -> anyhow::Result<()> {
    let shutdown = stop_on_signal()?;
    let listener = listen(args.listen, "WEATHERGLASS_LISTEN").await?;
    let metrics = start_metrics(args.metrics_listen, None, &shutdown).await?;
    finish(ingest::run(args.config, listener, shutdown.clone()).await, &shutdown, metrics).await
}

/// Runs the worker until it is told to stop.
pub(crate) async fn worker(args: WorkerArgs) -> anyhow::Result<()> {
    let shutdown = stop_on_signal()?;
    look_on_hangup(&args.config.look)?;
    let health = Arc::new(worker::Health::default());
    let metrics = start_metrics(args.metrics_listen, Some(Arc::clone(&health)), &shutdown).await?;
    finish(worker::run(args.config, health, shutdown.clone()).await, &shutdown, metrics).await
}

/// Runs the API until it is told to stop.
pub(crate) async fn api(args: ApiArgs) -> anyhow::Result<()> {
    let shutdown = stop_on_signal()?;
    let listener = listen(args.listen, "WEATHERGLASS_LISTEN").await?;
    let metrics = start_metrics(args.metrics_listen, None, &shutdown).await?;
    finish(api::run(args.config, listener, shutdown.clone()).await, &shutdown, metrics).await
}

/// SIGHUP has the worker look for a higher model version at once. On a terminal it keeps its
/// meaning, that the terminal is gone.
fn look_on_hangup(look: &Arc<Notify>) -> anyhow::Result<()> {
    if std::io::stderr().is_terminal() {
        return Ok(());
    }
    let (mut hangup, look) = (signal(SignalKind::hangup())?, Arc::clone(look));
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            look.notify_one();
        }
    });
    Ok(())
}

type Metrics = tokio::task::JoinHandle<anyhow::Result<()>>;

async fn start_metrics(
    address: SocketAddr,
    health: Option<Arc<worker::Health>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Metrics> {
    let listener = listen(address, "WEATHERGLASS_METRICS_LISTEN").await?;
    info!(address = %listener.local_addr()?, "metrics are served");
    let handle = telemetry::start_metrics()?;
    Ok(tokio::spawn(telemetry::serve_metrics(listener, handle, health, shutdown.clone())))
}

async fn finish(outcome: anyhow::Result<()>, shutdown: &CancellationToken, metrics: Metrics) -> anyhow::Result<()> {
    shutdown.cancel();
    let served = metrics.await.context("the metrics server failed")?;
    outcome.and(served)
}

/// Binds `address`, or says in one line which setting to change.
pub(crate) async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}: stop what does, or set {setting} to another address"))
}

/// A token that is cancelled at the first SIGINT or SIGTERM; the second ends the process at once.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked {
                std::process::exit(130);
            }
            asked = true;
            // First: where standard error is gone, the line below would end this task.
            shutdown.cancel();
            info!("stopping; once more to stop at once");
        }
    });
    Ok(token)
}
