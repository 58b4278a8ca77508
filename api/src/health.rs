//! Whether the api is alive and ready, and the reason when it is not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A tail that has heard nothing from Redis for this long is not following it.
const QUIET: Duration = Duration::from_secs(8);

/// What the tail last said of itself.
#[derive(Debug)]
pub(crate) struct Health {
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    loaded: bool,
    failure: Option<String>,
    answered: Instant,
}

impl Default for Health {
    fn default() -> Self {
        Self { tail: Mutex::new(Tail { loaded: false, failure: None, answered: Instant::now() }) }
    }
}

impl Health {
    /// Redis answered.
    pub(crate) fn answered(&self) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.failure = None;
        tail.answered = Instant::now();
    }

    /// The hub holds what Redis held.
    pub(crate) fn loaded(&self) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).loaded = true;
        self.answered();
    }

    /// Redis did not answer, or not as it should.
    pub(crate) fn failed(&self, error: &streams::Error) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(error.to_string());
    }

    /// Whether answers are complete and current.
    ///
    /// # Errors
    /// The reason why they may not be, for a person.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        match &tail.failure {
            Some(failure) => Err(failure.clone()),
            None if !tail.loaded => Err("the state is still being loaded from Redis".to_owned()),
            None if tail.answered.elapsed() > QUIET => {
                Err(format!("Redis has not answered for {} s", tail.answered.elapsed().as_secs()))
            }
            None => Ok(()),
        }
    }
}
