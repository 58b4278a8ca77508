//! Every door an observation comes in by: read, check, flag, and answer once it is safe.
//!
//! `poll.rs` asks sources on the web (`aviation_weather.rs`, `nws.rs`, `open_meteo.rs`); `metar.rs` reads
//! airports' reports. `serve.rs` takes connections (`tls.rs` the secure ones, `limits.rs` says how many and how often), `http.rs`
//! is the door, `dialect.rs` its language (`pieces.rs` takes broken JSON apart). Consoles come in by
//! `console.rs` in the languages of `wunderground.rs`, `ecowitt.rs` and `ambient.rs`; `rain.rs` makes rain of
//! their counters. `accept.rs` is what happens to every observation whichever door it came by. While Redis (`link.rs`) can't take
//! them they wait in `spool.rs`, which `drain.rs` empties. `contact.rs` remembers what each station sent
//! last, and `registry.rs` registers the stations of a file.

pub mod accept;
mod ambient;
mod auth;
pub mod aviation_weather;
mod config;
mod console;
mod contact;
pub mod decode;
mod dialect;
mod drain;
mod ecowitt;
pub mod files;
mod ghcnh;
mod http;
mod iem;
mod isd_lite;
mod limits;
mod link;
pub mod metar;
pub mod metrics;
mod mqtt;
pub mod nws;
pub mod open_meteo;
mod pieces;
pub mod poll;
mod problem;
mod rain;
mod redact;
pub mod registry;
mod serve;
mod spool;
mod table;
mod tls;
mod units;
mod wunderground;

pub use config::Config;
pub use isd_lite::station_of as isd_lite_station;
pub use mqtt::Args as MqttArgs;
pub use spool::SpoolError;

use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::auth::Gate;
use crate::contact::Recorder;
use crate::link::Link;
use crate::spool::Spool;

/// How long the batch that is on its way from the spool to Redis may take after shutdown.
const LAST_BATCH: Duration = Duration::from_secs(6);

/// How long writing the last contacts may take after shutdown.
const LAST_CONTACTS: Duration = Duration::from_secs(1);

/// Serves the ingest door on `listener` until `shutdown`, then drains.
///
/// # Errors
/// When Redis can't be reached at the start and there is no spool, the spool, the key file or the stations file
/// can't be used, Redis comes back with another number of partitions, or the listener fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let keys = config.keys()?;
    let declared = config.registry.declared()?;
    let registration = config.registration();
    let consoles = console::identity::Consoles::open(&config.consoles)?;
    let secure = tls::Tls::open(&config.tls).await?;
    let mqtt = config.mqtt.open()?;
    metrics::describe();
    let spool = config.spool.as_deref().map(|folder| Spool::open(folder, config.spool_limit << 20)).transpose()?;
    let link = Link::open(&config.redis, registration, spool.is_some()).await?;
    let address = listener.local_addr()?;
    let gate = if config.auth { Gate::asking(keys, link.clone()) } else { Gate::open() };
    if !gate.asks() {
        warn!(%address, ?registration, "anyone who reaches this port may post observations: --auth asks for a key");
    }
    info!(%address, ?registration, spool = spool.is_some(), "ingest is ready");
    let contacts = Recorder::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(link.clone().watch(shutdown.clone()));
    if let Some(spool) = spool.clone() {
        tasks.spawn(drain::drain(spool, link.clone(), contacts.clone(), shutdown.clone()));
    }
    tasks.spawn(contacts.clone().keep_writing(link.clone(), shutdown.clone()));
    tasks.spawn(registry::register(declared, link.clone(), shutdown.clone()));
    if let Some((_, tls)) = &secure {
        tasks.spawn(tls.clone().watch(Duration::from_secs(config.tls.tls_reload), shutdown.clone()));
    }
    let gauges = rain::Gauges::new(link.clone());
    let door = accept::Door::new(link.clone(), spool.clone(), config.admission(), contacts.clone());
    poll::start(&config.poll, &door, &shutdown, &mut tasks)?;
    mqtt.map(|mqtt| tasks.spawn(mqtt.run(door.clone(), gauges.clone(), shutdown.clone())));
    let router = http::router(door, gate, (consoles, gauges), &config);
    let server = serve::Server::new(router, &config.limits, shutdown);
    let outcome = tokio::select! {
        () = server.run(listener, secure, http::DRAIN) => Ok(()),
        error = failed(&mut tasks) => Err(error),
    };
    if outcome.is_ok() {
        let _ = tokio::time::timeout(LAST_BATCH, async { while tasks.join_next().await.is_some() {} }).await;
    }
    // What the last requests left.
    let _ = tokio::time::timeout(LAST_CONTACTS, contacts.write(&link)).await;
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
