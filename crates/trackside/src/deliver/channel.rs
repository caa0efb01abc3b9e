//! One connection's channel: how many requests may be in flight, how fast, and whether the far end is well.

use jiff::{SignedDuration, Timestamp};
use trackside_connect::connection::DeliveryPolicy;
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
    /// A healthy channel. Without a policy (there is no such connection) everything passes, to be refused at once.
    #[must_use]
    pub(super) fn new(policy: Option<DeliveryPolicy>, now: Timestamp) -> Self {
        Self { policy, breaker: Breaker::default(), bucket: bucket(policy, now), in_flight: 0 }
    }

    /// Uses another pace from now on, when it is another one: a block was edited, made or deleted.
    pub(super) fn follow(&mut self, policy: Option<DeliveryPolicy>, now: Timestamp) {
        if self.policy != policy {
            self.policy = policy;
            self.bucket = bucket(policy, now);
        }
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

    /// Whether a row that was tried this often and is this old is given up.
    pub(super) fn gives_up(&self, attempts: u32, created: Timestamp, now: Timestamp) -> bool {
        self.policy.as_ref().is_none_or(|policy| {
            let age = SignedDuration::try_from(policy.give_up_after).unwrap_or(SignedDuration::MAX);
            attempts >= policy.max_attempts || now.duration_since(created) >= age
        })
    }
}

fn bucket(policy: Option<DeliveryPolicy>, now: Timestamp) -> Bucket {
    match policy {
        Some(policy) => Bucket::new(policy.rate_per_second, f64::from(policy.burst), now),
        None => Bucket::new(1_000.0, 1_000.0, now),
    }
}
