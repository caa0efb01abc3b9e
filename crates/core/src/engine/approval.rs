//! Approvals: asked for, spoken to, decided, expired; grants that end.

use super::turn::Turn;
use crate::approval::request::ApprovalAsk;

impl Turn<'_> {
    /// Somebody asks for agreement, or gives or refuses it.
    pub(super) fn on_approval(&mut self, ask: &ApprovalAsk) {
        let _ = ask;
    }
}
