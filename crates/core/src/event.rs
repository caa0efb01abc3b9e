//! An event: an immutable fact from outside, in one envelope for every system.
//!
//! The envelope is Prefect's (id, occurred, event, resource, related, payload, follows) plus source and received,
//! so that rules written for Prefect match events of any system. `fact` is what the door understood of it: the typed
//! part the engine acts on. Invariant: an event is redacted before it is built (see `trackside-connect`).
//! This module does not parse any wire format.

use crate::ids::EventId;
use crate::limits;
use crate::run::RunUpdate;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of one resource, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// One event as accepted. Serialises to the JSON that the log keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Identity; with `source` the key of idempotent intake.
    pub id: EventId,
    /// Which far end sent it, for example `airflow-prod`. At most [`limits::NAME_BYTES`].
    pub source: String,
    /// When it happened, by the sender's clock. Windows use this.
    pub occurred: Timestamp,
    /// When Trackside accepted it.
    pub received: Timestamp,
    /// Name, for example `prefect.flow-run.Failed` or `airflow.task.failed`.
    pub event: String,
    /// The resource it is about; has `prefect.resource.id`.
    pub resource: Labels,
    /// Other resources involved, in the sender's order; each has `prefect.resource.role`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Labels>,
    /// Free-form content, redacted.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub payload: serde_json::Value,
    /// The event this one follows, as the sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<EventId>,
    /// What the door understood of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
}

/// The typed content of an event that the engine acts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A run or one attempt in it changed state.
    Run(Box<RunUpdate>),
    /// Somebody else's alert (PagerDuty Events v2, Alertmanager): opened, acknowledged or resolved under a key.
    Report(Box<Report>),
    /// A message for people (Slack-compatible doors) that is passed on, not judged.
    Message(Box<Message>),
}

/// An alert made elsewhere that Trackside carries to its owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The sender's deduplication key; the identity of the alert within the source.
    pub key: String,
    /// What the sender asks for.
    pub action: ReportAction,
    /// Severity as sent, mapped to ours.
    pub severity: Severity,
    /// One line for people.
    pub summary: String,
    /// Names to resolve the owner by, in order (team of the routing key, `team`/`owner` label).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// What is affected: host, service or job, as the sender names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Where to look: `(text, href)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Labels or custom details as text, redacted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// When the sender lets the alert end by itself (Alertmanager's `endsAt`); a timer resolves it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
}

/// What a report asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportAction {
    /// The problem exists.
    Trigger,
    /// Somebody has it.
    Acknowledge,
    /// The problem is over.
    Resolve,
}

/// A message that an existing notifier posts in Slack's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Plain text (Slack `mrkdwn`), also when blocks are present.
    pub text: String,
    /// Channel the sender asked for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Slack blocks or attachments as sent, passed on unchanged.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub blocks: serde_json::Value,
    /// Names to resolve the owner by, in order (team of the token).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
}

/// A place to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Text for people.
    pub text: String,
    /// Absolute `http` or `https` address.
    pub href: String,
}

/// How bad it is. Ordered: `Info < Warning < Error < Critical`. The names are PagerDuty's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody must act.
    Info,
    /// Somebody should look in working hours.
    Warning,
    /// Somebody should look today.
    Error,
    /// Somebody must act now.
    Critical,
}

impl Severity {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Why an event is not acceptable. The text says where and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidEvent {
    /// JSON path of the value.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl Event {
    /// Checks the bounds every door shares.
    ///
    /// # Errors
    /// The first field that breaks a limit of [`limits`] or misses `prefect.resource.id`.
    pub fn validate(&self) -> Result<(), InvalidEvent> {
        let invalid = |field: &str, problem: String| Err(InvalidEvent { field: field.to_owned(), problem });
        if self.event.is_empty() || self.event.len() > limits::EVENT_NAME_BYTES {
            return invalid("event", format!("must have 1 to {} bytes", limits::EVENT_NAME_BYTES));
        }
        if self.source.is_empty() || self.source.len() > limits::NAME_BYTES {
            return invalid("source", format!("must have 1 to {} bytes", limits::NAME_BYTES));
        }
        if self.resource.get(RESOURCE_ID).is_none_or(String::is_empty) {
            return invalid("resource", format!("needs a non-empty `{RESOURCE_ID}`"));
        }
        if self.resource.len() > limits::RESOURCE_LABELS {
            return invalid("resource", format!("has more than {} labels", limits::RESOURCE_LABELS));
        }
        if self.related.len() > limits::RELATED_RESOURCES {
            return invalid("related", format!("has more than {} entries", limits::RELATED_RESOURCES));
        }
        for (index, related) in self.related.iter().enumerate() {
            if related.get(RESOURCE_ROLE).is_none_or(String::is_empty) {
                return invalid(&format!("related[{index}]"), format!("needs a non-empty `{RESOURCE_ROLE}`"));
            }
        }
        Ok(())
    }
}

/// Label that names the resource.
pub const RESOURCE_ID: &str = "prefect.resource.id";
/// Label that gives a human name.
pub const RESOURCE_NAME: &str = "prefect.resource.name";
/// Label that gives the role of a related resource.
pub const RESOURCE_ROLE: &str = "prefect.resource.role";
