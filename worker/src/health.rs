//! What the worker says of itself when asked whether it is ready.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use weather::ModelId;

/// How long the oldest entry may wait before the worker calls itself behind, seconds.
const BEHIND: i64 = 60;

/// Shared with whoever serves `/readyz`.
#[derive(Debug, Default)]
pub struct Health {
    reading: AtomicBool,
    oldest_seconds: AtomicI64,
    model: Mutex<Option<ModelId>>,
}

impl Health {
    /// Whether it processes observations and keeps up.
    ///
    /// # Errors
    /// The reason, in one line, when not.
    pub fn ready(&self) -> Result<(), String> {
        if !self.reading.load(Ordering::Relaxed) {
            return Err("the worker does not read from Redis".to_owned());
        }
        match self.oldest_seconds.load(Ordering::Relaxed) {
            age if age > BEHIND => Err(format!("the oldest unprocessed observation has waited {age} s")),
            _ => Ok(()),
        }
    }

    /// The model version that serves; none before one does.
    #[must_use]
    pub fn model(&self) -> Option<ModelId> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_model(&self, model: &ModelId) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.clone());
    }

    pub(crate) fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
    }

    pub(crate) fn set_oldest(&self, seconds: i64) {
        self.oldest_seconds.store(seconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_needs_reading_and_keeping_up() {
        let health = Health::default();
        assert!(health.ready().is_err());
        health.set_reading(true);
        assert!(health.ready().is_ok());
        health.set_oldest(61);
        assert!(health.ready().unwrap_err().contains("61 s"));
    }
}
