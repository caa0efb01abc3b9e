//! Alerts and incidents as values.
//!
//! An alert is (rule, pipeline, task or report key), never a run. An incident is what people acknowledge: the open
//! alerts of one (owner, pipeline). Invariants: an incident is open exactly while at least one of its alerts fires;
//! its id is the far ends' deduplication key. How they open and close is in [`crate::engine`].

use crate::event::Severity;
use crate::ids::{IncidentId, Seq};
use crate::run::{Name, PipelineKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Identity of an alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// Pipeline it is about (for reports: source and component or key).
    pub pipeline: PipelineKey,
    /// Rule that raises it.
    pub rule: Name,
    /// Task (with `[map index]`) or report key; empty for the pipeline itself.
    pub subject: Name,
}

/// An alert that fires or has a streak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity.
    pub key: AlertKey,
    /// The incident it fires in; absent while the streak is below the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Counted failures in a row.
    pub streak: u32,
    /// How bad.
    pub severity: Severity,
    /// When it began to fire (or the streak began).
    pub since: Timestamp,
    /// Latest failure, by the far end's clock.
    pub last: Timestamp,
    /// Run that showed it last (absent for rules about time and for reports).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Name>,
    /// One line for people.
    pub summary: Name,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Open, nobody has it.
    Triggered,
    /// Open, somebody has it.
    Acknowledged,
    /// Over.
    Resolved,
}

impl IncidentState {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Identity, derived from its cause.
    pub id: IncidentId,
    /// Number for people.
    pub number: u64,
    /// Where it stands.
    pub state: IncidentState,
    /// Owning team when it opened.
    pub owner: Name,
    /// Why that team, for people.
    pub owner_because: Name,
    /// What it is about.
    pub pipeline: PipelineKey,
    /// One line.
    pub title: Name,
    /// Highest severity it has had.
    pub severity: Severity,
    /// Opened.
    pub opened: Timestamp,
    /// Log entry that opened it.
    pub opened_by: Seq,
    /// Last change.
    pub updated: Timestamp,
    /// Resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// Who acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Timestamp>,
    /// Failures seen since it opened.
    pub occurrences: u32,
    /// Connections that were told; they are told of the end too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Name>,
}
