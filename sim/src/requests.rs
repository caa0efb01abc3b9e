//! When a far end was asked for something, whether it took it or not.

use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Most times kept; the oldest go first.
const KEPT: usize = 100_000;

/// The times of all requests that were read to their end. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests(Arc<Mutex<VecDeque<Timestamp>>>);

impl Requests {
    pub(crate) fn note(&self, at: Timestamp) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() == KEPT {
            times.pop_front();
        }
        times.push_back(at);
    }

    /// Oldest first.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
