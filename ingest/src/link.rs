//! What ingest knows of its Redis: whether it was reached yet, whether it is nearly full, and whether
//! it is still the one that it was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::metrics::gauge;
use anyhow::Context;
use streams::{Appender, Error, Redis, RedisConfig, Registration};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics;

/// Above this share of Redis's memory limit observations wait: workers need the rest, to write what
/// they make of those that it has.
const NEARLY_FULL: f64 = 0.95;
/// How often Redis is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The way to Redis. Clones share it.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    config: RedisConfig,
    registration: Registration,
    redis: OnceLock<(Redis, Appender)>,
    nearly_full: AtomicBool,
}

impl Link {
    /// Connects. A Redis that is away for now is forgiven where there is a spool to fill meanwhile.
    pub(crate) async fn open(
        config: &RedisConfig,
        registration: Registration,
        may_be_away: bool,
    ) -> anyhow::Result<Self> {
        let link = Self(Arc::new(Inner {
            config: config.clone(),
            registration,
            redis: OnceLock::new(),
            nearly_full: AtomicBool::new(false),
        }));
        match link.connect().await {
            Err(error) if may_be_away && error.passes() => {
                warn!(%error, address = config.address(), "Redis is away at the start: observations are spooled");
            }
            connected => connected.with_context(|| format!("ingest can't use Redis at {}", config.address()))?,
        }
        Ok(link)
    }

    async fn connect(&self) -> Result<(), Error> {
        let redis = Redis::connect(&self.0.config).await?;
        info!(partitions = redis.keys().partitions(), "Redis is reached");
        let _ = self.0.redis.set((redis.clone(), Appender::with_registration(redis, self.0.registration)));
        Ok(())
    }

    fn both(&self) -> Result<&(Redis, Appender), Error> {
        self.0.redis.get().ok_or_else(|| Error::Unavailable("it was away when ingest started".into()))
    }

    pub(crate) fn redis(&self) -> Result<&Redis, Error> {
        self.both().map(|(redis, _)| redis)
    }

    pub(crate) fn appender(&self) -> Result<&Appender, Error> {
        self.both().map(|(_, appender)| appender)
    }

    /// Whether Redis is so near its memory limit that observations must wait.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.0.nearly_full.load(Ordering::Relaxed)
    }

    /// Looks at Redis until `shutdown`.
    ///
    /// # Errors
    /// When Redis has come back with another number of partitions or as another deployment. Like at a start, going on would
    /// put observations where nobody looks for them.
    pub(crate) async fn watch(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut told = None;
        loop {
            match self.look().await {
                Ok(()) => told = None,
                Err(error @ (Error::Partitions { .. } | Error::Deployment { .. })) => {
                    return Err(error)
                        .with_context(|| format!("ingest can't use Redis at {}", self.0.config.address()));
                }
                // What passes is counted and told by those whose requests fail.
                Err(error) if error.passes() => {}
                Err(error) if told.as_ref() == Some(&error) => {}
                Err(error) => {
                    warn!(%error, "ingest can't look at Redis");
                    told = Some(error);
                }
            }
            // Not all at once, where several have lost the same Redis.
            let pause = LOOK.mul_f64(0.75 + 0.25 * rand::random::<f64>());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    async fn look(&self) -> Result<(), Error> {
        if self.0.redis.get().is_none() {
            self.connect().await?;
        }
        let redis = self.redis()?;
        // Before the question that a full Redis may refuse.
        let memory = redis.memory().await.inspect_err(|_| self.0.nearly_full.store(false, Ordering::Relaxed))?;
        let nearly_full = memory.share() > NEARLY_FULL;
        gauge!(metrics::MEMORY).set(memory.share());
        if nearly_full != self.0.nearly_full.swap(nearly_full, Ordering::Relaxed) {
            match nearly_full {
                true => warn!(
                    used = memory.used,
                    limit = memory.limit,
                    "Redis is near its memory limit: observations must wait"
                ),
                false => info!(used = memory.used, limit = memory.limit, "Redis has room again"),
            }
        }
        redis.settle_again().await
    }
}
