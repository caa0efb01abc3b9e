//! The shell's clock and dice: the only place of this crate that reads the time or draws at random.
//!
//! Everything else takes `now` and random values from here, so that a test can put its own in. Invariant: the machine's
//! time is as exact as what is kept of it, so that what is signed or hashed with a time is the same when it was stored.

use jiff::Timestamp;
use std::sync::Arc;

/// Where time and randomness come from.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

impl Clock {
    /// The machine's clock and random numbers.
    #[must_use]
    pub fn system() -> Self {
        #[allow(clippy::disallowed_methods, reason = "this is the shell's clock")]
        Self { now: Arc::new(|| kept(Timestamp::now())), random: Arc::new(rand::random) }
    }

    /// A clock that a test or a simulation moves.
    #[must_use]
    pub fn controlled(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: impl Fn() -> [u8; 32] + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), random: Arc::new(random) }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// 32 random bytes.
    #[must_use]
    pub fn random(&self) -> [u8; 32] {
        (self.random)()
    }

    /// A uniform number in `[0, 1)`.
    #[must_use]
    pub fn jitter(&self) -> f64 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.random()[..4]);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A time as exact as databases keep it: microseconds.
fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// Waits until a time by this clock; returns at once when it has passed. Only the loops of the shell wait.
pub async fn sleep_until(clock: &Clock, at: Timestamp) {
    let wait = std::time::Duration::try_from(at.duration_since(clock.now())).unwrap_or_default();
    #[allow(clippy::disallowed_methods, reason = "the loops of the shell wait here and nowhere else")]
    tokio::time::sleep(wait).await;
}
