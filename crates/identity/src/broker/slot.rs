//! One place for one token: who fetches it, how long it is used, how long a refusal holds.
//!
//! Invariants: at most one fetch is under way for a slot; a token is used until shortly before its end whatever happens
//! meanwhile; while a refusal holds, the far end is not asked. A caller who goes away in the middle of a fetch leaves the
//! slot as it was.

use super::failure::Failure;
use super::grant::{Granted, Proof};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A token that was rejected is dropped only when it is older than this: one that is younger would be no better anew.
const REJECTED_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// A place for a token.
#[derive(Debug, Default)]
pub(super) struct Slot {
    record: Mutex<Record>,
    /// Held by whoever fetches.
    pub(super) fetching: tokio::sync::Mutex<()>,
}

/// What is known of a slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// The token.
    pub(super) granted: Option<Granted<Proof>>,
    /// When it is renewed.
    pub(super) renew_at: Option<Timestamp>,
    /// Why the last fetch failed, and when; none after one that did not.
    pub(super) failed: Option<(Failure, Timestamp)>,
    /// Fetches that gave a token, and those that did not.
    pub(super) fetched: u64,
    pub(super) failures: u64,
}

/// What a slot has for somebody who wants a token now.
#[derive(Debug)]
pub(super) enum Offer {
    /// Use this one.
    Use(Box<Granted<Proof>>),
    /// Use this one; whoever is first renews it.
    Renew(Box<Granted<Proof>>),
    /// None is there, and nobody needs to ask until then.
    Refused(Failure, Timestamp),
    /// None is there; fetch one.
    Fetch,
}

impl Slot {
    pub(super) fn offer(&self, now: Timestamp) -> Offer {
        let record = self.lock();
        let held = record.held_until().filter(|until| now < *until);
        let usable = record.granted.as_ref().filter(|granted| now < granted.usable_until());
        match (usable, &record.failed, held) {
            (Some(granted), _, None) if record.renew_at.is_some_and(|at| now >= at) => {
                Offer::Renew(Box::new(granted.clone()))
            }
            (Some(granted), _, _) => Offer::Use(Box::new(granted.clone())),
            (None, Some((failure, _)), Some(until)) => Offer::Refused(failure.clone(), until),
            (None, _, _) => Offer::Fetch,
        }
    }

    /// Keeps what a fetch gave; `jitter` in `[0, 1)` spreads the renewals.
    pub(super) fn keep(&self, outcome: &Result<Granted<Proof>, Failure>, now: Timestamp, jitter: f64) {
        let mut record = self.lock();
        match outcome {
            Ok(granted) => {
                record.renew_at = Some(granted.renew_at(jitter));
                record.granted = Some(granted.clone());
                record.failed = None;
                record.fetched += 1;
            }
            Err(failure) => {
                record.failed = Some((failure.clone(), now));
                record.failures += 1;
            }
        }
    }

    /// The far end did not take the token. Gives whether it was dropped.
    pub(super) fn reject(&self, now: Timestamp) -> bool {
        let mut record = self.lock();
        let old = record.granted.as_ref().is_some_and(|granted| now.duration_since(granted.issued) >= REJECTED_AFTER);
        if old {
            record.granted = None;
            record.renew_at = None;
        }
        old
    }

    pub(super) fn record(&self) -> Record {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Until when the far end is not asked.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        let (failure, at) = self.failed.as_ref()?;
        let hold = SignedDuration::try_from(failure.hold()).unwrap_or(SignedDuration::from_mins(1));
        at.saturating_add(hold).ok()
    }
}
