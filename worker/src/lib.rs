//! From observations in the stream to committed forecasts.
//!
//! A batch goes `source` -> `windows` -> `neighbours` -> `infer` -> `commit`; what can't be processed goes to
//! `dead_letter`; `ownership` says whose partitions these are, `share` how many.

mod commit;
mod config;
mod dead_letter;
mod health;
mod housekeeping;
mod infer;
pub mod metrics;
mod neighbours;
mod ownership;
mod pipeline;
mod share;
mod source;
mod tally;
mod versions;
mod windows;

pub use config::Config;
pub use health::Health;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use streams::Redis;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::versions::Versions;

/// Processes observations until `shutdown`; a batch in progress is committed first.
///
/// # Errors
/// When no model can be loaded, Redis can't be reached at the start, or inference has stopped.
pub async fn run(config: Config, health: Arc<Health>, shutdown: CancellationToken) -> anyhow::Result<()> {
    metrics::describe();
    let networks = config.networks()?;
    let (forecaster, versions) = Versions::first(&config).await?;
    let model = forecaster.id().clone();
    let redis = Redis::connect(&config.redis)
        .await
        .with_context(|| format!("worker can't use Redis at {}", config.redis.address()))?;
    let name = config.name();
    let consumer = consumer(&name);
    let (reads, read) = watch::channel(BTreeSet::new());
    let (leases, ownership) = ownership::start(redis.clone(), consumer.clone(), config.lease(), read, shutdown.clone());
    let housekeeping = tokio::spawn(housekeeping::run(
        redis.clone(),
        leases.clone(),
        config.retention(),
        Arc::clone(&health),
        shutdown.clone(),
    ));
    info!(worker = name, model = %format!("{} {}", model.name, model.version), backend = %config.backend, "worker is ready");
    let source = source::Source::open(redis.clone(), &consumer, leases, reads, config.batch).await?;
    let inference = infer::start(forecaster, config.backend.to_string(), Arc::clone(&health))?;
    let watching = tokio::spawn(versions.watch(inference.clone(), config.poll(), config.look, shutdown.clone()));
    let networks = Arc::new(networks);
    let moved = Arc::new(Notify::new());
    let (places, placed) = watch::channel(Arc::default());
    let looking = tokio::spawn(neighbours::watch_places(redis.clone(), places, Arc::clone(&moved), shutdown.clone()));
    let windows = windows::Windows::new(config.cached_stations, Arc::clone(&networks), moved);
    let neighbours = neighbours::Neighbours::new(placed, networks);
    let pipeline = pipeline::Pipeline::new(redis, inference, windows, neighbours);
    let outcome = pipeline.run(source, &health, &shutdown).await;
    // Leases are given back only now: until the last commit nobody else may own the partitions.
    shutdown.cancel();
    ownership.await.context("the ownership task failed")?;
    housekeeping.await.context("the housekeeping task failed")?;
    looking.await.context("the task that looks where stations are failed")?;
    watching.await.context("the task that watches for model versions failed")?;
    info!("worker has stopped");
    outcome
}

/// A name of this process alone, also where a restarted container has its predecessor's name: what
/// was pending with a consumer of another name was in the hands of a process that is gone.
fn consumer(worker: &str) -> String {
    format!("{worker}#{:x}", jiff::Timestamp::now().as_millisecond())
}
