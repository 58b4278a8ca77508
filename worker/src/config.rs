//! Settings of the worker.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use models::BackendKind;
use streams::RedisConfig;
use tokio::sync::Notify;
use weather::quality::limits::{Networks, Overrides};

/// What the worker can be told. The metrics address is the caller's.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub redis: RedisConfig,
    /// Folder of model versions; the highest one that passes its checks serves.
    #[arg(long, env = "WEATHERGLASS_MODELS", default_value = "models/weights", value_name = "DIR")]
    pub models: PathBuf,
    /// Serve this version and no other.
    #[arg(long, env = "WEATHERGLASS_MODEL_VERSION", value_name = "VERSION")]
    pub model_version: Option<String>,
    /// Seconds between looks for a higher version, which takes over without a stop; 0 for never.
    #[arg(long, env = "WEATHERGLASS_MODEL_POLL", default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub model_poll: u64,
    /// Notified by the caller, who hears signals: look for a higher version at once.
    #[arg(skip)]
    pub look: Arc<Notify>,
    /// What computes: flex or ndarray.
    #[arg(long, env = "WEATHERGLASS_BACKEND", default_value = "flex")]
    pub backend: BackendKind,
    /// This worker's name; it must differ from the other workers'.
    #[arg(long, env = "WEATHERGLASS_WORKER", value_name = "NAME")]
    pub worker: Option<String>,
    /// Seconds after which the partitions of a worker that died are free.
    #[arg(long, env = "WEATHERGLASS_LEASE", default_value_t = 6, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub lease: u64,
    /// Most entries read of one partition at a time.
    #[arg(long, env = "WEATHERGLASS_BATCH", default_value_t = 256, value_name = "ENTRIES", value_parser = parse_batch)]
    pub batch: usize,
    /// Hours that acknowledged observations and issued forecasts stay in the streams.
    #[arg(long, env = "WEATHERGLASS_STREAM_RETENTION", default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=24 * 366))]
    pub stream_retention: u64,
    /// Stations whose windows are kept in memory; the others are read from Redis when they report.
    #[arg(long, env = "WEATHERGLASS_CACHED_STATIONS", default_value_t = 200_000, value_name = "STATIONS")]
    pub cached_stations: usize,
    /// TOML file of quality control's limits by network, where they differ from the built-in table.
    #[arg(long, env = "WEATHERGLASS_QUALITY", value_name = "FILE")]
    pub quality: Option<PathBuf>,
}

fn parse_batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=10_000) => Ok(size),
        _ => Err("1 to 10000 entries".to_owned()),
    }
}

impl Config {
    /// The configured name, or host and process ID: two workers on one machine differ too.
    #[must_use]
    pub fn name(&self) -> String {
        self.worker.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
            let host = host.trim();
            format!("{}-{}", if host.is_empty() { "worker" } else { host }, std::process::id())
        })
    }

    /// The limits of quality control.
    pub(crate) fn networks(&self) -> anyhow::Result<Networks> {
        let Some(file) = &self.quality else { return Ok(Networks::default()) };
        let named = || format!("WEATHERGLASS_QUALITY {}", file.display());
        let text = std::fs::read_to_string(file).with_context(named)?;
        let overrides: Overrides = toml::from_str(&text).with_context(named)?;
        Networks::new(&overrides).with_context(named)
    }

    /// The time between looks for a higher version; none for never.
    pub(crate) fn poll(&self) -> Option<Duration> {
        (self.model_poll > 0).then(|| Duration::from_secs(self.model_poll))
    }

    pub(crate) const fn lease(&self) -> Duration {
        Duration::from_secs(self.lease)
    }

    pub(crate) const fn retention(&self) -> Duration {
        Duration::from_secs(self.stream_retention * 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::Variable;

    #[test]
    fn the_example_of_limits_is_one() {
        let text = include_str!("../../docs/quality.example.toml");
        let networks = Networks::new(&toml::from_str(text).unwrap()).unwrap();
        let limits = networks.of("MESO-7");
        assert_eq!(limits.of(Variable::Temperature).usual, Some((-20.0, 45.0)));
        assert_eq!((limits.of(Variable::WindGust).stuck, limits.spatial.radius), (None, 20_000.0));
    }
}
