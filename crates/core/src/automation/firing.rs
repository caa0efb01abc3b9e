//! A firing: that a trigger's condition was met, or cleared, and by what.
//!
//! Invariant: refers to events by id and position; their content stays in the log.

use super::definition::AutomationId;
use crate::ids::{EventId, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventRef {
    /// Its id.
    pub id: EventId,
    /// Its position.
    pub seq: Seq,
}

/// What a trigger did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FiringState {
    /// Its condition was met.
    Triggered,
    /// Its condition no longer holds.
    Resolved,
}

/// One firing of an automation, with the firings of child triggers that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// The automation.
    pub automation: AutomationId,
    /// The trigger within it: empty for the root, `0.1` for the second child of the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trigger: String,
    /// Fired or cleared.
    pub state: FiringState,
    /// When it was decided (Prefect's `triggered`).
    pub at: Timestamp,
    /// When it was due, if that passed while nothing was running: the firing is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// `for_each` labels with the values that state was kept apart by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The event that completed it, or the last one seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRef>,
    /// Firings of child triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
    /// The condition with its values, one line for people ("3 of 3 events within 10m").
    pub because: String,
}

impl Firing {
    /// Every event that took part, in log order, once.
    #[must_use]
    pub fn events(&self) -> Vec<EventRef> {
        let mut events: Vec<EventRef> =
            self.event.into_iter().chain(self.children.iter().flat_map(Self::events)).collect();
        events.sort_by_key(|event| event.seq);
        events.dedup();
        events
    }
}
