//! Which model version serves: one at the start, and a higher one when it appears.
//!
//! Loading reads and checks megabytes and runs the golden input: never on the runtime's threads nor
//! on the model's.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use anyhow::Context;
use models::{Forecaster, Haste, Refusal, Shelf};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weather::ModelId;

use crate::config::Config;
use crate::infer::Inference;
use crate::metrics;

/// The versions folder, watched for more than what is running.
pub(crate) struct Versions {
    shelf: Shelf,
    running: ModelId,
    pinned: bool,
}

impl Versions {
    /// Loads what serves first: the pinned version, or the highest that passes its checks.
    pub(crate) async fn first(config: &Config) -> anyhow::Result<(Forecaster, Self)> {
        let (folder, pin) = (config.models.clone(), config.model_version.clone());
        let mut shelf = Shelf::new(&folder, config.backend);
        let pinned = pin.is_some();
        let loaded = spawn_blocking(move || {
            let first = match pin {
                Some(version) => shelf.pinned(&version).map(|forecaster| (forecaster, Vec::new())),
                None => shelf.first(),
            };
            first.map(|(forecaster, refused)| (forecaster, refused, shelf))
        });
        let setting = if pinned { "WEATHERGLASS_MODEL_VERSION" } else { "WEATHERGLASS_MODELS" };
        let (forecaster, refused, shelf) =
            loaded.await?.with_context(|| format!("no usable model in {} ({setting})", folder.display()))?;
        let running = forecaster.id().clone();
        refused.iter().for_each(|refusal| refuse(refusal, &running));
        Ok((forecaster, Self { shelf, running, pinned }))
    }

    /// Looks every `poll` and whenever it is asked to, until shutdown. A pinned version stays.
    pub(crate) async fn watch(
        mut self,
        inference: Inference,
        poll: Option<Duration>,
        asked: Arc<Notify>,
        shutdown: CancellationToken,
    ) {
        if self.pinned {
            return;
        }
        loop {
            let haste = tokio::select! {
                () = wait(poll) => Haste::Settled,
                () = asked.notified() => Haste::Now,
                () = shutdown.cancelled() => return,
            };
            let looked = spawn_blocking(move || {
                let look = self.shelf.look(&self.running, haste);
                (self, look)
            });
            let Ok((versions, look)) = looked.await else {
                warn!("looking for model versions has failed; what serves goes on, and nothing takes its place");
                return;
            };
            self = versions;
            look.refused.iter().for_each(|refusal| refuse(refusal, &self.running));
            if let Some(next) = look.found {
                self.running = next.id().clone();
                tokio::select! {
                    () = inference.swap(next) => {}
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn refuse(refusal: &Refusal, running: &ModelId) {
    counter!(metrics::REFUSED, "reason" => refusal.reason.label()).increment(1);
    warn!(
        version = refusal.id.version,
        reason = refusal.reason.label(),
        error = %refusal.reason,
        serves = running.version,
        "a model version is refused"
    );
}
