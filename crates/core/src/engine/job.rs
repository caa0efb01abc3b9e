//! Runs of jobs: started, carried out through the outbox, ended.

use super::turn::Turn;
use crate::input::JobAsk;

impl Turn<'_> {
    /// Somebody wants a run to start or to end.
    pub(super) fn on_job(&mut self, ask: &JobAsk) {
        let _ = ask;
    }
}
