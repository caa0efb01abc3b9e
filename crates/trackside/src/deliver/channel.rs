//! One connection's channel: how many requests may be in flight, how fast, and whether the far end is well.

use jiff::{SignedDuration, Timestamp};
use trackside_connect::connection::{ConnectionConfig, DeliveryPolicy};
use trackside_core::delivery::{Breaker, Bucket};

/// Most requests in flight per connection.
pub(super) const IN_FLIGHT: usize = 16;

/// Health and pace of one connection.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    policy: Option<DeliveryPolicy>,
    breaker: Breaker,
    bucket: Bucket,
    in_flight: usize,
}

impl Channel {
    /// A healthy channel. Without a configuration (the connection is gone) everything passes, to be refused at once.
    #[must_use]
    pub(super) fn new(config: Option<&ConnectionConfig>, now: Timestamp) -> Self {
        let policy = config.map(ConnectionConfig::delivery);
        let bucket = match &policy {
            Some(policy) => Bucket::new(policy.rate_per_second, f64::from(policy.burst), now),
            None => Bucket::new(1_000.0, 1_000.0, now),
        };
        Self { policy, breaker: Breaker::default(), bucket, in_flight: 0 }
    }

    /// How many requests may start now.
    pub(super) fn slots(&mut self, now: Timestamp) -> usize {
        let free = IN_FLIGHT.saturating_sub(self.in_flight).min(self.bucket.available(now));
        self.breaker.allows(now, free)
    }

    /// When a slot will be free that is not free now; `None` when only a finished request frees one.
    #[must_use]
    pub(super) fn free_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.in_flight >= IN_FLIGHT {
            return None;
        }
        match self.breaker.next() {
            Some(next) if next > now => Some(next),
            Some(_) => None,
            None => Some(self.bucket.next()),
        }
    }

    pub(super) fn start(&mut self, now: Timestamp) {
        self.bucket.take(now);
        self.breaker.started();
        self.in_flight += 1;
    }

    pub(super) fn finished(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn answered(&mut self) {
        self.breaker.answered();
    }

    pub(super) fn failed(&mut self, now: Timestamp, not_before: Option<Timestamp>, jitter: f64) -> Timestamp {
        self.breaker.failed(now, not_before, jitter)
    }

    pub(super) fn timeout(&self) -> SignedDuration {
        self.policy.as_ref().map_or(SignedDuration::ZERO, |policy| {
            SignedDuration::try_from(policy.timeout).unwrap_or(SignedDuration::MAX)
        })
    }

    /// Whether a row that was tried this often and is this old is given up.
    pub(super) fn gives_up(&self, attempts: u32, created: Timestamp, now: Timestamp) -> bool {
        self.policy.as_ref().is_none_or(|policy| {
            let age = SignedDuration::try_from(policy.give_up_after).unwrap_or(SignedDuration::MAX);
            attempts >= policy.max_attempts || now.duration_since(created) >= age
        })
    }
}
