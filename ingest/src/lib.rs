//! Every door an observation comes in by: read, check, flag, and answer once Redis has it.
//!
//! `http.rs` is the door, `dialect.rs` its language (`pieces.rs` takes broken JSON apart), `accept.rs` what happens to every
//! observation whichever door it came by.

pub mod accept;
mod auth;
mod config;
mod dialect;
mod http;
pub mod metrics;
mod pieces;
mod problem;

pub use config::Config;

use anyhow::Context;
use streams::{Appender, Redis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Serves the ingest door on `listener` until `shutdown`, then drains.
///
/// # Errors
/// When Redis can't be reached at the start, the key file can't be read, or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let keys = config.keys()?;
    let redis = Redis::connect(&config.redis)
        .await
        .with_context(|| format!("ingest can't use Redis at {}", config.redis.address()))?;
    metrics::describe();
    let address = listener.local_addr()?;
    if keys.is_none() {
        warn!(%address, "anyone who reaches this port may post observations: --auth asks for a key");
    }
    info!(%address, partitions = redis.keys().partitions(), "ingest is ready");
    let door = accept::Door::new(redis.clone(), Appender::new(redis), config.admission());
    http::serve(listener, http::router(door, keys, &config), shutdown).await
}
