//! What arrived at the far ends, in order, and a way to wait for it without sleeping.
//!
//! Invariant: an arrival is journalled before its sender gets an answer. Something that arrives again under the same
//! identity is counted, not listed twice.

use jiff::Timestamp;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most arrivals kept; the oldest go first.
const KEPT: usize = 10_000;

/// Something that a far end took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// When it came first.
    pub at: Timestamp,
    /// Name of the far end.
    pub far_end: &'static str,
    /// What makes a repeat recognisable: delivery id, message id, or key, action and text.
    pub identity: String,
    /// The far end's own key: `dedup_key`, `channel:ts`, `webhook-id`, thread.
    pub key: String,
    /// What it asks for: `trigger`, `resolve`, `chat.update`, …
    pub action: String,
    /// One line.
    pub summary: String,
    /// The body as it came.
    pub body: String,
    /// How many times it came.
    pub times: u32,
}

/// A piece of news for the journal.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) identity: String,
    pub(crate) key: String,
    pub(crate) action: String,
    pub(crate) summary: String,
    pub(crate) body: String,
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The shared list of arrivals. Clones share it.
#[derive(Clone)]
pub struct Journal {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    changes: watch::Sender<u64>,
    clock: Clock,
}

impl Journal {
    /// A journal whose times come from `clock`.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { arrivals: Arc::default(), changes: watch::Sender::new(0), clock: Arc::new(clock) }
    }

    /// A journal with the computer's clock.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the far ends play other computers, which have clocks")]
    pub fn wall_clock() -> Self {
        Self::new(Timestamp::now)
    }

    /// Everything that arrived, in order of first arrival.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().clone()
    }

    /// Waits until the arrivals satisfy `enough` and gives them; the caller sets the limit of time.
    pub async fn wait_for(&self, mut enough: impl FnMut(&[Arrival]) -> bool) -> Vec<Arrival> {
        let mut changes = self.changes.subscribe();
        loop {
            // Marked as seen before looking, so that a change in between wakes the wait below.
            changes.borrow_and_update();
            {
                let arrivals = self.lock();
                if enough(&arrivals) {
                    return arrivals.clone();
                }
            }
            if changes.changed().await.is_err() {
                // The sender lives in `self`; this cannot be.
                return self.arrivals();
            }
        }
    }

    /// Follows changes: the value grows with each arrival.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn record(&self, far_end: &'static str, entry: Entry) {
        let at = self.now();
        {
            let mut arrivals = self.lock();
            let known = arrivals.iter_mut().rev().find(|a| a.far_end == far_end && a.identity == entry.identity);
            if let Some(known) = known {
                known.times = known.times.saturating_add(1);
            } else {
                if arrivals.len() == KEPT {
                    arrivals.remove(0);
                }
                let Entry { identity, key, action, summary, body } = entry;
                arrivals.push(Arrival { at, far_end, identity, key, action, summary, body, times: 1 });
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("arrivals", &self.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(identity: &str) -> Entry {
        let text = identity.to_owned();
        Entry {
            identity: text.clone(),
            key: text.clone(),
            action: "post".to_owned(),
            summary: text,
            body: String::new(),
        }
    }

    #[tokio::test]
    async fn repeats_are_counted_and_waiting_needs_no_sleep() {
        let journal = Journal::new(|| Timestamp::UNIX_EPOCH);
        journal.record("slack", entry("a"));
        journal.record("slack", entry("a"));
        journal.record("mail", entry("a"));
        let writer = journal.clone();
        let (arrivals, ()) = tokio::join!(journal.wait_for(|arrivals| arrivals.len() == 3), async move {
            tokio::task::yield_now().await;
            writer.record("slack", entry("b"));
        });
        let seen: Vec<_> = arrivals.iter().map(|a| (a.far_end, a.identity.as_str(), a.times)).collect();
        assert_eq!(seen, [("slack", "a", 2), ("mail", "a", 1), ("slack", "b", 1)]);
    }
}
