//! The limits of a route: requests per caller, requests at a time.
//!
//! Limits live as long as their route is configured the same way, so that a reload does not give everybody a fresh
//! start.

use crate::config::route::RateLimit;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The limits of one route.
#[derive(Debug, Default)]
pub struct Limits {
    rate: Option<DefaultKeyedRateLimiter<String>>,
    most: Option<u32>,
    running: AtomicU32,
}

/// A place among the running requests; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Limits>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Limits {
    /// Limits as configured.
    #[must_use]
    pub fn new(rate: Option<RateLimit>, concurrency: Option<u32>) -> Self {
        let quota =
            rate.map(|limit| Quota::per_second(limit.per_second).allow_burst(limit.burst.unwrap_or(limit.per_second)));
        Self { rate: quota.map(RateLimiter::keyed), most: concurrency, running: AtomicU32::new(0) }
    }

    /// Counts a request of a caller; `Err` says when the next one would be let in.
    ///
    /// # Errors
    /// When the caller sent too many.
    pub fn count(&self, subject: &String) -> Result<(), Duration> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check_key(subject).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// A place for a request; `None` when all are taken.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(self));
        self.most.is_none_or(|most| before < most).then_some(place)
    }

    /// Requests running now.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    /// Forgets callers who could send their whole burst again.
    pub fn tidy(&self) {
        if let Some(rate) = &self.rate {
            rate.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_apart() {
        let two = std::num::NonZeroU32::new(2).expect("two");
        let limits = Limits::new(Some(RateLimit { per_second: two, burst: None }), None);
        let (ana, bob) = ("ana".to_owned(), "bob".to_owned());
        assert!(limits.count(&ana).is_ok() && limits.count(&ana).is_ok());
        assert!(limits.count(&ana).is_err_and(|wait| wait <= Duration::from_secs(1)));
        assert!(limits.count(&bob).is_ok());
    }

    #[test]
    fn places_are_given_back() {
        let limits = Arc::new(Limits::new(None, Some(1)));
        let place = limits.enter().expect("a place");
        assert!(limits.enter().is_none());
        drop(place);
        assert!(limits.enter().is_some());
        assert_eq!(limits.running(), 0);
    }
}
