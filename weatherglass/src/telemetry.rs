//! Logs and metrics of a process, and the small server that shows them.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use clap::ValueEnum;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use worker::Health;

/// How logs look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What is logged: a level, or levels by module as `info,worker=debug`.
    #[arg(long, env = "WEATHERGLASS_LOG", global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How it is written.
    #[arg(long, env = "WEATHERGLASS_LOG_FORMAT", default_value = "text", global = true)]
    log_format: Format,
}

/// Starts logging to standard error. `quiet` commands show their own progress and log warnings only.
pub(crate) fn start_logging(options: &Options, quiet: bool) -> anyhow::Result<()> {
    let default = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_new(options.log.as_deref().unwrap_or(default))
        .context("WEATHERGLASS_LOG is not a filter such as info or info,worker=debug")?;
    let colours = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match options.log_format {
        Format::Text => logs.with_target(false).init(),
        Format::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Seconds: from a tenth of a millisecond, which one inference takes, to ten seconds, which nobody waits.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const ENTRIES: [f64; 9] = [1.0, 2.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

/// Starts recording; histograms have buckets, so that they can be added up over processes.
pub(crate) fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_entries".to_owned()), &ENTRIES)?
        .install_recorder()
        .context("metrics can't be recorded")
}

/// Serves `/metrics`, and `/healthz` and `/readyz` for a service without a door of its own.
pub(crate) async fn serve_metrics(
    listener: TcpListener,
    metrics: PrometheusHandle,
    health: Option<Arc<Health>>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let upkeep = metrics.clone();
    let render =
        move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) };
    let ready = move || async move {
        match health.as_ref().map_or(Ok(()), |h| h.ready()) {
            Ok(()) => {
                let model = health.and_then(|h| h.model()).map(|m| format!("model {} {}\n", m.name, m.version));
                format!("ready\n{}", model.unwrap_or_default()).into_response()
            }
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
        }
    };
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    let upkeep = async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    };
    tokio::select! {
        served = axum::serve(listener, router) => served.context("the metrics listener failed"),
        () = upkeep => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}
