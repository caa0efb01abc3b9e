//! Alerts and incidents as values.
//!
//! An alert is (rule, pipeline, task or report key), never a run. An incident is what people acknowledge: the open
//! alerts of one (owner, pipeline). Invariants: an incident is open exactly while at least one of its alerts fires;
//! its id is the far ends' deduplication key. How they open and close is in [`crate::engine`].

pub mod course;
pub mod labels;
pub mod matchers;
pub mod problem;

use crate::event::Severity;
use crate::ids::{IncidentId, Seq};
use crate::ruleset::people::Target;
use crate::run::{Name, PipelineKey};
use course::Course;
use jiff::Timestamp;
use problem::{Problem, Stand};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Successes in a row since it fires, for rules that want more than one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub successes: u32,
    /// Run whose success was counted last, so that its tasks and itself count once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed_by: Option<Name>,
    /// The pattern of the error that is known to pass by itself, while nobody was told because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient: Option<Name>,
    /// What matchers are asked about beyond the pipeline (labels of a report).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Alert {
    /// What its outcomes in a row have led to.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let stand = if self.incident.is_some() { Stand::Fires } else { Stand::Quiet };
        Problem { failures: self.streak, successes: self.successes, stand }
    }
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Open, nobody has it.
    Triggered,
    /// Open, somebody has it.
    Acknowledged,
    /// Open, put off for a while.
    Snoozed,
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
            Self::Snoozed => "snoozed",
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
    /// Who was told; they are told of the end too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
    /// How often it was opened again after it was resolved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
    /// When it was opened last; news of an earlier life is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_at: Option<Timestamp>,
    /// Until when it is put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// The escalation, when its policy has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Box<Course>>,
    /// Why nobody is told of it now; empty when everybody may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed_by: Vec<Suppression>,
    /// Values of the labels that its alerts share, when these are not the owner and pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// The storm it is part of, or the incident it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<IncidentId>,
    /// Who was made responsible by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Target>,
    /// Pipelines that fail because this one does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
    /// When its messages were last sent, for the interval between updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Incident {
    /// Open in any way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != IncidentState::Resolved
    }

    /// When its present life began.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.reopened_at.unwrap_or(self.opened)
    }
}

/// Somebody who was told of an incident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "ToldForm", into = "ToldForm")]
pub struct Told {
    /// Connection.
    pub via: Name,
    /// Address that replaced the connection's own.
    pub to: Option<Name>,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.to {
            None => f.write_str(&self.via),
            Some(to) => write!(f, "{to} through {}", self.via),
        }
    }
}

/// A connection alone is written as its name, as it was before there were addresses.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ToldForm {
    Connection(Name),
    Address { via: Name, to: Name },
}

impl From<ToldForm> for Told {
    fn from(form: ToldForm) -> Self {
        match form {
            ToldForm::Connection(via) => Self { via, to: None },
            ToldForm::Address { via, to } => Self { via, to: Some(to) },
        }
    }
}

impl From<Told> for ToldForm {
    fn from(told: Told) -> Self {
        match told.to {
            None => Self::Connection(told.via),
            Some(to) => Self::Address { via: told.via, to },
        }
    }
}

/// Why nobody is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Suppression {
    /// A maintenance window.
    Maintenance {
        /// Its name.
        window: String,
        /// When it ends.
        until: Timestamp,
    },
    /// A silence.
    Silence {
        /// Which.
        silence: uuid::Uuid,
        /// When it ends.
        until: Timestamp,
    },
    /// Another problem makes messages about this one needless.
    Inhibition {
        /// Name of the inhibition, or of the rule about the whole scope.
        name: String,
        /// The incident of that problem.
        incident: IncidentId,
    },
    /// It is told as part of a storm.
    Storm {
        /// The storm's incident.
        incident: IncidentId,
    },
}

/// A pipeline that fails because another does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Which.
    pub pipeline: PipelineKey,
    /// Since when.
    pub since: Timestamp,
    /// How it depends, for people ("reads warehouse/orders, which load_orders writes").
    pub because: String,
}
