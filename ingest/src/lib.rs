//! Every door an observation comes in by: read, check, flag, and answer once it is safe.
//!
//! `http.rs` is the door, `dialect.rs` its language (`pieces.rs` takes broken JSON apart), `accept.rs`
//! what happens to every observation whichever door it came by. While Redis (`link.rs`) can't take
//! them they wait in `spool.rs`, which `drain.rs` empties.

pub mod accept;
mod auth;
mod config;
pub mod decode;
mod dialect;
mod drain;
pub mod files;
mod ghcnh;
mod http;
mod iem;
mod isd_lite;
mod link;
pub mod metrics;
mod pieces;
mod problem;
mod spool;
mod table;

pub use config::Config;
pub use isd_lite::station_of as isd_lite_station;
pub use spool::SpoolError;

use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::link::Link;
use crate::spool::Spool;

/// How long the batch that is on its way from the spool to Redis may take after shutdown.
const LAST_BATCH: Duration = Duration::from_secs(6);

/// Serves the ingest door on `listener` until `shutdown`, then drains.
///
/// # Errors
/// When Redis can't be reached at the start and there is no spool, the spool or the key file can't be
/// used, Redis comes back with another number of partitions, or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let keys = config.keys()?;
    metrics::describe();
    let spool = config.spool.as_deref().map(|folder| Spool::open(folder, config.spool_limit << 20)).transpose()?;
    let link = Link::open(&config.redis, spool.is_some()).await?;
    let address = listener.local_addr()?;
    if keys.is_none() {
        warn!(%address, "anyone who reaches this port may post observations: --auth asks for a key");
    }
    info!(%address, spool = spool.is_some(), "ingest is ready");
    let mut tasks = JoinSet::new();
    tasks.spawn(link.clone().watch(shutdown.clone()));
    if let Some(spool) = spool.clone() {
        tasks.spawn(drain::drain(spool, link.clone(), shutdown.clone()));
    }
    let door = accept::Door::new(link, spool.clone(), config.admission());
    let outcome = tokio::select! {
        served = http::serve(listener, http::router(door, keys, &config), shutdown) => served,
        error = failed(&mut tasks) => Err(error),
    };
    if outcome.is_ok() {
        let _ = tokio::time::timeout(LAST_BATCH, async { while tasks.join_next().await.is_some() {} }).await;
    }
    if let Some(spool) = spool {
        spool.close().await;
    }
    outcome
}

/// The failure of the first task that fails.
async fn failed(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended.context("a part of ingest broke off").and_then(|outcome| outcome) {
            return error;
        }
    }
    std::future::pending().await
}
