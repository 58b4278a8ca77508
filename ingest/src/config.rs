//! Settings of ingest.

use std::path::PathBuf;

use anyhow::Context;
use streams::{RedisConfig, Registration};
use weather::Admission;

use crate::auth::Keys;
use crate::registry;

/// What ingest can be told. Listening addresses are the caller's.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub redis: RedisConfig,
    /// Hours that an observation may be old.
    #[arg(long, env = "WEATHERGLASS_RETENTION", default_value_t = 96, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=weather::WINDOW_HOURS))]
    pub retention: i64,
    /// Largest request body, bytes after decompression.
    #[arg(long, env = "WEATHERGLASS_BODY_LIMIT", default_value_t = 8 * 1024 * 1024, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..))]
    pub body_limit: u32,
    /// Seconds a request may take.
    #[arg(long, env = "WEATHERGLASS_REQUEST_TIMEOUT", default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: u64,
    /// Ask for a bearer key.
    #[arg(long, env = "WEATHERGLASS_AUTH", default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    pub auth: bool,
    /// File of keys, one a line: `KEY` for any station, or `KEY STATION` for one (a trailing * matches a network);
    /// beside those of `weatherglass stations key`.
    #[arg(long, env = "WEATHERGLASS_KEYS_FILE", value_name = "FILE")]
    pub keys_file: Option<PathBuf>,
    /// Folder in which observations wait while Redis can't take them; without it the answer is 503.
    #[arg(long, env = "WEATHERGLASS_SPOOL", value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// MiB of observations that the spool may hold.
    #[arg(long, env = "WEATHERGLASS_SPOOL_LIMIT", default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub spool_limit: u64,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub registry: registry::Settings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub poll: crate::poll::PollSettings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub consoles: crate::console::Settings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub limits: crate::limits::Settings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub tls: crate::tls::Settings,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub mqtt: crate::mqtt::Args,
}

impl Config {
    /// The bounds on an observation's time.
    #[must_use]
    pub fn admission(&self) -> Admission {
        Admission { retention: self.retention * weather::time::HOUR, ..Admission::default() }
    }

    /// The keys of the file that may post; none when there is no file, or nobody is asked.
    pub(crate) fn keys(&self) -> anyhow::Result<Option<Keys>> {
        let Some(file) = self.keys_file.as_ref().filter(|_| self.auth) else { return Ok(None) };
        let text =
            std::fs::read_to_string(file).with_context(|| format!("WEATHERGLASS_KEYS_FILE {}", file.display()))?;
        Ok(Some(Keys::parse(&text).with_context(|| format!("WEATHERGLASS_KEYS_FILE {}", file.display()))?))
    }

    /// What becomes of stations that nobody has registered. Whoever reaches a door that asks for no key could
    /// register them anyway.
    pub(crate) fn registration(&self) -> Registration {
        let by_default = if self.auth { Registration::Confirm } else { Registration::Open };
        self.registry.registration.unwrap_or(by_default)
    }
}
