//! Tails the streams; REST and WebSocket fan-out; serves the dashboard.
//!
//! `tail.rs` follows Redis and feeds `hub.rs`, which holds the latest state of every station and
//! puts each update into the `outbox.rs` of the sessions that want it; `session.rs` writes it out.
//! `rest.rs` reads the same hub. `shape.rs` has the JSON that both speak.

pub mod config;
mod contacts;
mod frames;
mod health;
mod hub;
mod interest;
mod live;
pub mod metrics;
mod outbox;
mod problem;
mod record;
mod recover;
mod removals;
mod rest;
mod routes;
mod session;
mod shape;
mod snapshot;
mod subscribe;
mod tail;
mod web;

pub use config::Config;
pub use routes::openapi;

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use futures_util::future::try_join_all;
use streams::Redis;
use tokio::net::TcpListener;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Serves the api on `listener` until `shutdown`, then drains within [`config::Limits::drain`].
///
/// # Errors
/// When Redis can't be reached at the start, or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    serve_on(config, vec![listener], shutdown).await
}

/// [`run`] on several listeners: one hub, one tail, the same routes.
///
/// # Errors
/// As [`run`].
pub async fn serve_on(config: Config, listeners: Vec<TcpListener>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let redis = Box::pin(Redis::connect(&config.redis))
        .await
        .with_context(|| format!("the api can't use Redis at {}", config.redis.address()))?;
    metrics::describe();
    let hub = Arc::new(hub::Hub::default());
    let health = Arc::new(health::Health::default());
    let live = Arc::new(live::Live::new(hub.clone(), redis.clone(), config.limits, shutdown.clone()));
    let sources = rest::Sources {
        hub: hub.clone(),
        redis: redis.clone(),
        health: health.clone(),
        lists: contacts::Lists::default(),
    };
    let router = routes::router(sources, live.clone(), &web::Web::new(&config.web));

    let background = async {
        tokio::join!(
            Box::pin(tail::follow(redis, &hub, &health, shutdown.clone())),
            sweep(&hub, config.limits.sweep, shutdown.clone())
        );
        Ok(())
    };
    let serving = async {
        let servers = listeners.into_iter().map(|listener| serve(listener, router.clone(), shutdown.clone()));
        let drained = async {
            shutdown.cancelled().await;
            live.sessions.close();
            live.sessions.wait().await;
            Ok(())
        };
        tokio::try_join!(try_join_all(servers), drained)?;
        anyhow::Ok(())
    };
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(config.limits.drain).await;
    };
    tokio::select! {
        result = async { tokio::try_join!(background, serving) } => result.map(|_| ()),
        () = deadline => {
            warn!(seconds = config.limits.drain.as_secs_f64(), "the api stopped before every connection had ended");
            Ok(())
        }
    }
}

async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    info!(address = %listener.local_addr()?, "the api listens");
    // A frame must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it began");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .context("the api's listener failed")
}

async fn sweep(hub: &hub::Hub, every: std::time::Duration, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(every);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        hub.sweep(weather::Time::now());
    }
}
