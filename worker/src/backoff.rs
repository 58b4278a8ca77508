//! How long to wait before the next try.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential backoff with full jitter, so that workers that lost Redis together don't return together.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) const fn reset(&mut self) {
        self.0 = 0;
    }

    fn next(&mut self) -> Duration {
        let ceiling = LONGEST.min(FIRST.saturating_mul(1 << self.0.min(10)));
        self.0 += 1;
        ceiling.mul_f64(0.5 + 0.5 * rand::random::<f64>())
    }

    /// Waits, or returns at once when shutting down.
    pub(crate) async fn wait(&mut self, shutdown: &CancellationToken) {
        let time = self.next();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[20..].iter().all(|w| *w >= LONGEST / 2 && *w <= LONGEST));
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
