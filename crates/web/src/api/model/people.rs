//! People and teams in the API.

use crate::api::model::{NamedOut, OnCallOut};
use serde::Serialize;
use serde_json::Value;
use trackside_core::event::Severity;
use trackside_core::ruleset::people::{Contact, Policy};
use trackside_core::ruleset::{Notify, Span};
use utoipa::ToSchema;

/// Somebody who can be on call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub(crate) struct PersonOut {
    /// Name in the configuration.
    pub(crate) name: String,
    /// Name for people.
    pub(crate) title: String,
    /// Where they live.
    #[schema(example = "Europe/Berlin")]
    pub(crate) zone: String,
    /// What time it is there.
    #[schema(format = "date-time", example = "2026-11-19T03:14:00+01:00")]
    pub(crate) local_time: String,
    /// By what far ends know them.
    pub(crate) aliases: Vec<String>,
    /// How they are reached, in order.
    pub(crate) contacts: Vec<ContactOut>,
    /// When they are left alone by what is not severe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quiet: Option<QuietOut>,
    /// Teams they are a member of.
    pub(crate) teams: Vec<String>,
    /// Schedules in which they are on call now.
    pub(crate) on_call: Vec<String>,
    /// Their next time on call within sixty days, the present one not counted; times in their zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<DutyOut>,
    /// What says that they have left, when something does; then nothing pages them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<String>,
}

/// A time on call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Duty)]
pub(crate) struct DutyOut {
    /// In which schedule.
    pub(crate) schedule: String,
    /// From, inclusive.
    #[schema(format = "date-time")]
    pub(crate) start: String,
    /// Until, exclusive.
    #[schema(format = "date-time")]
    pub(crate) end: String,
}

/// One way to reach a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
pub(crate) struct ContactOut {
    /// Connection.
    via: String,
    /// Address that replaces the connection's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// How long after the page, if nobody has acknowledged by then.
    #[schema(value_type = String, example = "5m")]
    after: Span,
    /// Only incidents of at least this severity.
    #[schema(value_type = String)]
    min_severity: Severity,
}

impl From<&Contact> for ContactOut {
    fn from(contact: &Contact) -> Self {
        Self {
            via: contact.via.clone(),
            to: contact.to.clone(),
            after: contact.after,
            min_severity: contact.min_severity,
        }
    }
}

/// Quiet hours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quiet)]
pub(crate) struct QuietOut {
    /// When, in the shape of Alertmanager's time intervals; in the person's zone where none is named.
    #[schema(value_type = Vec<Object>)]
    pub(crate) during: Value,
    /// What is below this waits until they end.
    #[schema(value_type = String)]
    pub(crate) below: Severity,
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Team)]
pub(crate) struct TeamOut {
    /// Name.
    pub(crate) name: String,
    /// Other names by which far ends know it.
    pub(crate) aliases: Vec<String>,
    /// Its people.
    pub(crate) members: Vec<NamedOut>,
    /// What is told at once.
    pub(crate) notify: Vec<NotifyOut>,
    /// The escalation that begins when an incident opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) escalation: Option<PolicyOut>,
    /// Only incidents of at least this severity are escalated.
    #[schema(value_type = String)]
    pub(crate) escalate_from: Severity,
    /// Who is on call in the schedules of its escalation.
    pub(crate) on_call: Vec<OnCallOut>,
    /// True for the team that owns what nobody else owns.
    pub(crate) default: bool,
    /// Its people as the directory says (SCIM), when it says something of the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<Vec<String>>,
}

/// One way to tell a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notify)]
pub(crate) struct NotifyOut {
    /// Connection.
    via: String,
    /// Only incidents of at least this severity.
    #[schema(value_type = String)]
    min_severity: Severity,
    /// Only incidents of at most this severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    max_severity: Option<Severity>,
}

impl From<&Notify> for NotifyOut {
    fn from(notify: &Notify) -> Self {
        Self { via: notify.via.clone(), min_severity: notify.min_severity, max_severity: notify.max_severity }
    }
}

/// Who is paged when, as long as nobody has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub(crate) struct PolicyOut {
    /// Name.
    pub(crate) name: String,
    /// Steps, by their offset from the opening.
    pub(crate) steps: Vec<PolicyStepOut>,
    /// How often it goes through the steps again.
    pub(crate) repeat_times: u32,
    /// Time between the last step and the first one again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) repeat_every: Option<Span>,
    /// An acknowledged incident that is not resolved by then starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) ack_timeout: Option<Span>,
}

/// One step of a policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyStep)]
pub(crate) struct PolicyStepOut {
    /// Offset from the opening.
    #[schema(value_type = String, example = "15m")]
    after: Span,
    /// Whom it pages: `person:NAME`, `oncall:SCHEDULE`, `team:NAME`, `channel:CONNECTION`.
    #[schema(example = json!(["oncall:primary"]))]
    targets: Vec<String>,
}

impl PolicyOut {
    /// A policy by its name.
    pub(crate) fn new(name: &str, policy: &Policy) -> Self {
        let step = |step: &trackside_core::ruleset::people::Step| PolicyStepOut {
            after: step.after,
            targets: step.targets.iter().map(ToString::to_string).collect(),
        };
        Self {
            name: name.to_owned(),
            steps: policy.steps.iter().map(step).collect(),
            repeat_times: policy.repeat.map_or(0, |repeat| repeat.times),
            repeat_every: policy.repeat.map(|repeat| repeat.every),
            ack_timeout: policy.ack_timeout,
        }
    }
}
