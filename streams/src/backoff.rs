//! How long to wait before Redis is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential backoff with jitter, so that those who lost Redis together don't come back together.
#[derive(Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// How often it has been tried in vain.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.0
    }

    /// It worked: the next wait is a short one again.
    pub const fn reset(&mut self) {
        self.0 = 0;
    }

    /// It did not: how long to wait now. The caller's wait also waits for shutdown.
    pub fn pause(&mut self) -> Duration {
        let ceiling = LONGEST.min(FIRST.saturating_mul(1 << self.0.min(10)));
        self.0 = self.0.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.pause()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[20..].iter().all(|w| *w >= LONGEST / 2 && *w <= LONGEST));
        backoff.reset();
        assert!(backoff.failures() == 0 && backoff.pause() <= FIRST);
    }
}
