//! Settings of the api.

use std::path::PathBuf;
use std::time::Duration;

use streams::RedisConfig;

/// What the api can be told. Listening addresses are the caller's.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub redis: RedisConfig,
    /// Folder of the built dashboard.
    #[arg(long, env = "WEATHERGLASS_WEB", default_value = "web/dist", value_name = "FOLDER")]
    pub web: PathBuf,
    /// Bounds of live sessions.
    #[arg(skip)]
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self { redis: RedisConfig::default(), web: PathBuf::from("web/dist"), limits: Limits::default() }
    }
}

/// Bounds of live sessions. Not settings: tests shorten the waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Updates that wait for a session before they are conflated.
    pub queued_updates: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// A peer that takes nothing, or from which nothing is heard, for this long is given up.
    pub stall: Duration,
    /// Between pings.
    pub ping: Duration,
    /// Largest client frame, bytes.
    pub client_frame: usize,
    /// Bytes of stations in one frame of a snapshot. Clients' libraries close at a frame too large
    /// for them, Python's `websockets` at 1 MiB.
    pub snapshot_frame: usize,
    /// Subscriptions of one session.
    pub subscriptions: usize,
    /// Station names in one subscription.
    pub stations: usize,
    /// Entries that a returning client may have missed; beyond them it gets a snapshot.
    pub recovered: usize,
    /// Between looks at which stations have gone stale or down.
    pub sweep: Duration,
    /// For open requests and sessions to end at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queued_updates: 1024,
            queued_bytes: 256 * 1024,
            stall: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            client_frame: 64 * 1024,
            snapshot_frame: 512 * 1000,
            subscriptions: 32,
            stations: 10_000,
            recovered: 5_000,
            sweep: Duration::from_secs(5),
            drain: Duration::from_secs(5),
        }
    }
}
