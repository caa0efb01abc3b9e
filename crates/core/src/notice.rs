//! What a message can say: the context of every message template and the value the pages show as "Why".
//!
//! Invariant: complete. A template needs nothing beyond this; rendering reads no database and no clock.

use crate::event::{Link, Severity};
use crate::ids::IncidentId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The context of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// One line: what is wrong ("customer_orders_daily failed 3 times").
    pub title: String,
    /// What happened last, one line ("Task load_to_warehouse failed: connection refused").
    pub summary: String,
    /// How bad.
    pub severity: Severity,
    /// When the cause happened.
    pub at: Timestamp,
    /// The incident, absent for plain messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentView>,
    /// What is affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineView>,
    /// The run that showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
    /// Alerts in the incident that are not over, first `limits::ALERTS_IN_NOTICE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertView>,
    /// Alerts beyond the list.
    #[serde(default)]
    pub more_alerts: usize,
    /// Where to look, beyond the run and its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Labels or details of a report.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Who owns it, and by which rule.
    pub owner: OwnerView,
    /// The question for agreement that this message is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// The page this message is, when a step of an escalation sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageView>,
    /// A message to pass on as it came (Slack-compatible doors): text and blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passthrough: Option<crate::event::Message>,
}

impl Notice {
    /// A message that belongs to no incident.
    #[must_use]
    pub fn plain(title: String, summary: String, severity: Severity, at: Timestamp, owner: OwnerView) -> Self {
        Self {
            title,
            summary,
            severity,
            at,
            incident: None,
            pipeline: None,
            run: None,
            alerts: Vec::new(),
            more_alerts: 0,
            links: Vec::new(),
            details: BTreeMap::new(),
            owner,
            approval: None,
            page: None,
            passthrough: None,
        }
    }
}

/// The incident in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// Identity; the far end's deduplication key.
    pub id: IncidentId,
    /// Number for people, counted per workspace.
    pub number: u64,
    /// Where it stands: `triggered`, `acknowledged`, `resolved`.
    pub state: String,
    /// When it opened.
    pub opened: Timestamp,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// Who acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// Failures seen since it opened.
    pub occurrences: u32,
    /// How often it was opened again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
    /// Until when it is put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// Pipelines that fail because of it, first `limits::ALERTS_IN_NOTICE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<String>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// The question for agreement in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Identity.
    pub id: Uuid,
    /// Number for people.
    pub number: u64,
    /// Where it stands: `open`, `approved`, `denied`, `expired`, `withdrawn`.
    pub state: String,
    /// What it is about (`job reload`).
    pub about: String,
    /// Who asks.
    pub requester: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// When it is denied if nothing is decided.
    pub expires: Timestamp,
    /// Who is missing (`1 of dba`).
    pub missing: String,
    /// Who said what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voices: Vec<String>,
}

/// The page in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView {
    /// Whom the step is for, for people ("Ana, on call for primary").
    pub whom: String,
    /// The person who is paged; buttons and links act in their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Step of the policy, from 1.
    pub step: u32,
    /// Steps of the policy.
    pub steps: u32,
    /// Repetition of the policy, from 0.
    pub cycle: u32,
    /// How late it is, in seconds, when nothing was running when it was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<i64>,
    /// What happens next if nobody acts ("in 15 min: team lead").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The pipeline in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineView {
    /// Source it runs in.
    pub source: String,
    /// Name in the source.
    pub name: String,
    /// Name of the system, for people.
    pub system: String,
    /// Tier, 1 is the most important.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where to start: runbook link or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// Failures in a row, this one included.
    pub streak: u32,
    /// Mean duration of recent successes in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_duration_s: Option<f64>,
}

/// The run in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Name of the run.
    pub id: String,
    /// Task, when one task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Try of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_number: Option<u32>,
    /// Page of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Page of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// Start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Duration in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Error text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One alert in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// Rule that made it.
    pub rule: String,
    /// What it is about: task, or empty for the pipeline.
    pub subject: String,
    /// One line.
    pub summary: String,
    /// Since when.
    pub since: Timestamp,
}

/// The owner in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerView {
    /// Team.
    pub team: String,
    /// The rule that decided it, for people ("tag team:payments on the pipeline").
    pub because: String,
}
