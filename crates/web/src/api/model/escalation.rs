//! Escalation in the API: who was paged, who will be, and why nobody is.

use crate::api::incidents::story::{Ahead, Outlook, Stands};
use crate::api::model::NamedOut;
use jiff::Timestamp;
use serde::Serialize;
use trackside_core::decision::PageRecord;
use trackside_core::effect::Action;
use trackside_core::event::Severity;
use trackside_core::incident::Suppression;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::Target;
use trackside_store::outbox::DeliveryState;
use trackside_store::pages::FiredAlert;
use trackside_store::timeline::Sent;
use utoipa::ToSchema;
use uuid::Uuid;

/// Why nobody is told of an incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suppression)]
pub(crate) struct SuppressionOut {
    /// `maintenance`, `silence`, `inhibition` or `storm`.
    #[schema(example = "maintenance")]
    by: &'static str,
    /// For people.
    #[schema(example = "in maintenance `warehouse upgrade` until 2026-12-06T01:00:00Z")]
    reason: String,
    /// When it ends, of a maintenance window or silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<Uuid>,
    /// The incident that holds it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Uuid>,
}

impl From<&Suppression> for SuppressionOut {
    fn from(suppression: &Suppression) -> Self {
        let (by, until, silence, incident) = match suppression {
            Suppression::Maintenance { until, .. } => ("maintenance", Some(*until), None, None),
            Suppression::Silence { silence, until } => ("silence", Some(*until), Some(*silence), None),
            Suppression::Inhibition { incident, .. } => ("inhibition", None, None, Some(incident.0)),
            Suppression::Storm { incident } => ("storm", None, None, Some(incident.0)),
        };
        Self { by, reason: suppression.reason(), until, silence, incident }
    }
}

/// Where the escalation of an incident stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Course)]
pub(crate) struct CourseOut {
    /// Name of the policy; its steps are those of the moment when the escalation began.
    #[schema(example = "payments-oncall")]
    policy: String,
    /// `running`, `acknowledged`, `snoozed`, `suspended`, `finished` or `over`.
    #[schema(value_type = String)]
    stands: Stands,
    /// When it starts again by itself: an acknowledgement times out, or a snooze ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<Timestamp>,
    /// Steps to come if nobody does anything, with those who are on call then as things are planned now.
    to_come: Vec<AheadOut>,
}

/// A step that will be taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepAhead)]
pub(crate) struct AheadOut {
    /// When.
    due: Timestamp,
    /// Step of the policy, from 1.
    step: usize,
    /// Repetition of the policy, from 0.
    cycle: u32,
    /// Whom it is for.
    targets: Vec<TargetOut>,
}

/// Whom a step is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Target)]
pub(crate) struct TargetOut {
    /// `person:NAME`, `oncall:SCHEDULE`, `team:NAME` or `channel:CONNECTION`.
    #[schema(value_type = String, example = "oncall:primary")]
    target: Target,
    /// The people it reaches; none for a team or channel, and where nobody is on call.
    people: Vec<NamedOut>,
}

impl CourseOut {
    /// The course as it stands.
    pub(crate) fn new(outlook: &Outlook, ruleset: &Ruleset) -> Self {
        let target = |(target, people): &(Target, Vec<String>)| TargetOut {
            target: target.clone(),
            people: NamedOut::all(ruleset, people),
        };
        let ahead = |ahead: &Ahead| AheadOut {
            due: ahead.due,
            step: ahead.step + 1,
            cycle: ahead.cycle,
            targets: ahead.targets.iter().map(target).collect(),
        };
        Self {
            policy: outlook.policy.clone(),
            stands: outlook.stands,
            restarts: outlook.restarts,
            to_come: outlook.to_come.iter().map(ahead).collect(),
        }
    }
}

/// Somebody was paged, or nobody was there to be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct PagedOut {
    /// When it was decided.
    pub(crate) at: Timestamp,
    /// When it was due.
    pub(crate) due: Timestamp,
    /// How late it was, in seconds, when nothing was running when it was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) late_s: Option<i64>,
    /// Step of the policy, from 1.
    pub(crate) step: u32,
    /// Repetition of the policy, from 0.
    pub(crate) cycle: u32,
    /// Which life of the incident, from 0.
    pub(crate) life: u32,
    /// Whom the step is for.
    #[schema(example = "oncall:primary")]
    pub(crate) target: String,
    /// The person, when one was paged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// True when this was outside the person's working hours.
    pub(crate) out_of_hours: bool,
    /// Messages that carry it.
    pub(crate) deliveries: Vec<Uuid>,
    /// Why nobody was reached, or what else there is to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl From<&PageRecord> for PagedOut {
    fn from(page: &PageRecord) -> Self {
        let late = page.at.duration_since(page.due);
        Self {
            at: page.at,
            due: page.due,
            late_s: (late > trackside_core::limits::LATE_AFTER).then_some(late.as_secs()),
            step: page.step + 1,
            cycle: page.cycle,
            life: page.life,
            target: page.target.clone(),
            person: page.person.clone(),
            out_of_hours: page.out_of_hours,
            deliveries: page.deliveries.iter().map(|id| id.0).collect(),
            note: page.note.clone(),
        }
    }
}

/// A message in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sent)]
pub(crate) struct SentOut {
    /// The delivery.
    pub(crate) id: Uuid,
    /// Connection.
    pub(crate) connection: String,
    /// Address that replaced the connection's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// `trigger`, `update`, `remind`, `acknowledge` or `resolve`.
    #[schema(value_type = String)]
    pub(crate) action: Action,
    /// `pending`, `sending`, `delivered`, `dead` or `superseded`.
    #[schema(value_type = String)]
    pub(crate) state: DeliveryState,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Timestamp>,
    /// Latest error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl From<&Sent> for SentOut {
    fn from(sent: &Sent) -> Self {
        Self {
            id: sent.id.0,
            connection: sent.connection.clone(),
            to: sent.to.clone(),
            action: sent.action,
            state: sent.state,
            attempts: sent.attempts,
            done: sent.done,
            error: sent.error.clone(),
        }
    }
}

/// An alert that began to fire, also when it is over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FiredAlert)]
pub(crate) struct FiredAlertOut {
    /// When.
    pub(crate) at: Timestamp,
    /// Rule that raised it.
    pub(crate) rule: String,
    /// Source of the pipeline.
    pub(crate) source: String,
    /// Pipeline it is about.
    pub(crate) pipeline: String,
    /// Task or report key; empty for the pipeline itself.
    pub(crate) subject: String,
    /// How bad it was then.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
}

impl From<&FiredAlert> for FiredAlertOut {
    fn from(fired: &FiredAlert) -> Self {
        Self {
            at: fired.at,
            rule: fired.key.rule.to_string(),
            source: fired.key.pipeline.source.to_string(),
            pipeline: fired.key.pipeline.name.to_string(),
            subject: fired.key.subject.to_string(),
            severity: fired.severity,
        }
    }
}
