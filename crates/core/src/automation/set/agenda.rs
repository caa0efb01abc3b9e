//! When which automation must be looked at next.
//!
//! Two lists, because part of Prefect's evaluation goes by what the senders' clocks have reached, and how far they are
//! behind changes with every event. Invariant: holds exactly the dues that each automation's entry says it holds.

use super::super::definition::AutomationId;
use super::super::prefect::Dues;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The dues of all automations.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    server: BTreeSet<(Timestamp, AutomationId)>,
    senders: BTreeSet<(Timestamp, AutomationId)>,
}

impl Agenda {
    pub(super) fn enter(&mut self, id: AutomationId, dues: Dues) {
        self.server.extend(dues.server.map(|due| (due, id)));
        self.senders.extend(dues.senders.map(|due| (due, id)));
    }

    pub(super) fn leave(&mut self, id: AutomationId, dues: Dues) {
        if let Some(due) = dues.server {
            self.server.remove(&(due, id));
        }
        if let Some(due) = dues.senders {
            self.senders.remove(&(due, id));
        }
    }

    /// The earliest moment of the server's clock at which something is due, if the senders stay `lag` behind.
    pub(super) fn next(&self, lag: SignedDuration) -> Option<Timestamp> {
        let server = self.server.first().map(|(due, _)| *due);
        let senders = self.senders.first().map(|(due, _)| due.saturating_add(lag).unwrap_or(Timestamp::MAX));
        server.into_iter().chain(senders).min()
    }

    /// The automations with something due at `now`, by id.
    pub(super) fn due(&self, now: Timestamp, lag: SignedDuration) -> BTreeSet<AutomationId> {
        let reached = now.saturating_sub(lag).unwrap_or(Timestamp::MIN);
        let server = self.server.iter().take_while(|(due, _)| *due <= now);
        let senders = self.senders.iter().take_while(|(due, _)| *due <= reached);
        server.chain(senders).map(|(_, id)| *id).collect()
    }
}
