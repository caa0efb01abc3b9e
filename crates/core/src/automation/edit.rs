//! Edits of automations, as they enter the log, and the rows that the store keeps.

use super::definition::{Automation, AutomationId};
use super::firing::Firing;
use crate::ids::{DeliveryId, IncidentId, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One edit. Several edits of one input are taken together or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum AutomationEdit {
    /// Makes it, or replaces the one with this id. `created`, `updated` and `version` are set by the decision.
    Put(Box<Automation>),
    /// Goes on evaluating it.
    Resume {
        /// Which.
        id: AutomationId,
    },
    /// Stops evaluating it; its state stays.
    Pause {
        /// Which.
        id: AutomationId,
    },
    /// Removes it with its state.
    Delete {
        /// Which.
        id: AutomationId,
    },
}

/// One piece of the live state of automations; the store keeps it without looking inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The automation it belongs to; absent for what all share.
    pub automation: Option<AutomationId>,
    /// Which piece; unique with the automation.
    pub key: String,
    /// Its value as compact JSON; absent: the piece is gone.
    pub body: Option<String>,
}

/// How late senders are: Prefect's evaluation of missing events is held back by it. Stored with the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderClock {
    /// The newest `occurred` seen, never after the moment it was seen.
    pub occurred: Timestamp,
    /// When the last event was decided.
    pub at: Timestamp,
}

/// What became of one firing, for the automation's page, the API and `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiringRecord {
    /// Log entry that caused it.
    pub seq: Seq,
    /// Its place among the firings of that entry, from 0.
    pub ordinal: u32,
    /// Name of the automation then.
    pub name: String,
    /// The firing.
    pub firing: Firing,
    /// What each action became, one line each.
    pub actions: Vec<String>,
    /// Deliveries that it led to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryId>,
    /// Incident that it opened, joined or resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
}
