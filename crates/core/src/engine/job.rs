//! Runs of jobs: started, carried out through the outbox, ended.

use super::turn::Turn;
use crate::input::JobAsk;
use uuid::Uuid;

impl Turn<'_> {
    /// Somebody wants a run to start or to end.
    pub(super) fn on_job(&mut self, ask: &JobAsk) {
        let _ = ask;
    }

    /// Enough have agreed to a run that waited for it.
    pub(super) fn job_approved(&mut self, run: Uuid) {
        let _ = run;
    }

    /// A run that waited for agreement does not get it, and why, for people.
    pub(super) fn job_denied(&mut self, run: Uuid, why: &str) {
        let _ = (run, why);
    }
}
