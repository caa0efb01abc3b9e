//! Incidents and their alerts in the API.

use crate::api::incidents::story::Story;
use crate::api::model::{AuditOut, CourseOut, DeliveryOut, ExplanationOut, PagedOut, SuppressionOut};
use jiff::Timestamp;
use serde::Serialize;
use trackside_core::event::Severity;
use trackside_core::incident::{Affected, Alert, Incident, IncidentState};
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::Target;
use utoipa::ToSchema;
use uuid::Uuid;

/// What people acknowledge: the open alerts of one (owner, pipeline).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentOut {
    /// Identity; the deduplication key at far ends.
    pub(crate) id: Uuid,
    /// Number for people.
    pub(crate) number: u64,
    /// `triggered`, `acknowledged`, `snoozed` or `resolved`.
    #[schema(value_type = String)]
    pub(crate) state: IncidentState,
    /// `info`, `warning`, `error` or `critical`; the highest it has had.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
    /// One line.
    pub(crate) title: String,
    /// Owning team.
    pub(crate) owner: String,
    /// Why that team.
    pub(crate) owner_because: String,
    /// Source of the pipeline.
    pub(crate) source: String,
    /// Pipeline it is about.
    pub(crate) pipeline: String,
    /// When it opened.
    pub(crate) opened: Timestamp,
    /// Log entry that opened it.
    pub(crate) opened_by: u64,
    /// Last change.
    pub(crate) updated: Timestamp,
    /// Who acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged_by: Option<String>,
    /// When it was acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Timestamp>,
    /// When it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolved: Option<Timestamp>,
    /// Failures seen since it opened.
    pub(crate) occurrences: u32,
    /// Who was told: connections, or addresses behind them.
    pub(crate) told: Vec<String>,
    /// Why nobody is told of it now; empty when everybody may be.
    pub(crate) suppressed_by: Vec<SuppressionOut>,
    /// Until when it is put off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snoozed_until: Option<Timestamp>,
    /// Who was made responsible by hand: `person:NAME`, `oncall:SCHEDULE`, `team:NAME` or `channel:CONNECTION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) assigned: Option<Target>,
    /// How often it was opened again after it was resolved.
    pub(crate) reopened: u32,
    /// When it was opened last, if again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reopened_at: Option<Timestamp>,
    /// The storm it is part of, or the incident it was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Uuid>,
    /// How many pipelines fail because this one does.
    pub(crate) affected_count: usize,
}

impl From<&Incident> for IncidentOut {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.0,
            number: incident.number,
            state: incident.state,
            severity: incident.severity,
            title: incident.title.to_string(),
            owner: incident.owner.to_string(),
            owner_because: incident.owner_because.to_string(),
            source: incident.pipeline.source.to_string(),
            pipeline: incident.pipeline.name.to_string(),
            opened: incident.opened,
            opened_by: incident.opened_by,
            updated: incident.updated,
            acknowledged_by: incident.acknowledged_by.as_deref().map(str::to_owned),
            acknowledged: incident.acknowledged,
            resolved: incident.resolved,
            occurrences: incident.occurrences,
            told: incident.told.iter().map(|name| name.to_string()).collect(),
            suppressed_by: incident.suppressed_by.iter().map(SuppressionOut::from).collect(),
            snoozed_until: incident.snoozed_until,
            assigned: incident.assigned.clone(),
            reopened: incident.reopened,
            reopened_at: incident.reopened_at,
            parent: incident.parent.map(|id| id.0),
            affected_count: incident.affected.len(),
        }
    }
}

/// An incident with everything that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentDetail)]
pub(crate) struct IncidentDetailOut {
    /// The incident.
    #[serde(flatten)]
    pub(crate) incident: IncidentOut,
    /// Alerts that fire in it now.
    pub(crate) alerts: Vec<AlertOut>,
    /// Pipelines that fail because this one does.
    pub(crate) affected: Vec<AffectedOut>,
    /// Where its escalation stands and how it goes on; absent when none has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) course: Option<CourseOut>,
    /// Who was paged, oldest first.
    pub(crate) pages: Vec<PagedOut>,
    /// Incidents that are part of it, latest first.
    pub(crate) members: Vec<LinkedOut>,
    /// The storm it is part of, or the incident it was merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part_of: Option<LinkedOut>,
    /// Past incidents that may help.
    pub(crate) related: RelatedOut,
    /// Messages about it, oldest first.
    pub(crate) deliveries: Vec<DeliveryOut>,
    /// What was done and by whom, oldest first.
    pub(crate) audit: Vec<AuditOut>,
    /// Why it opened, grew and ended.
    pub(crate) explanations: Vec<ExplanationOut>,
}

impl IncidentDetailOut {
    /// The story of an incident, people by their names in these rules.
    pub(crate) fn new(story: &Story, ruleset: &Ruleset) -> Self {
        let detail = &story.detail;
        Self {
            incident: IncidentOut::from(&detail.incident),
            alerts: detail.alerts.iter().map(AlertOut::from).collect(),
            affected: detail.incident.affected.iter().map(AffectedOut::from).collect(),
            course: story.outlook.as_ref().map(|outlook| CourseOut::new(outlook, ruleset)),
            pages: story.pages.iter().map(PagedOut::from).collect(),
            members: story.members.iter().map(LinkedOut::from).collect(),
            part_of: story.parent.as_ref().map(LinkedOut::from),
            related: RelatedOut {
                same_pipeline: story.related.iter().map(LinkedOut::from).collect(),
                same_rule: story.alike.iter().map(LinkedOut::from).collect(),
            },
            deliveries: detail.deliveries.iter().map(DeliveryOut::from).collect(),
            audit: detail.audit.iter().map(AuditOut::from).collect(),
            explanations: detail.explanations.iter().map(ExplanationOut::from).collect(),
        }
    }
}

/// Past incidents that may help with one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelatedIncidents)]
pub(crate) struct RelatedOut {
    /// Earlier ones of the same pipeline, latest first.
    same_pipeline: Vec<LinkedOut>,
    /// Those of other pipelines in which one of its rules fired of late, latest first.
    same_rule: Vec<LinkedOut>,
}

/// Another incident, in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkedIncident)]
pub(crate) struct LinkedOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// Number for people.
    pub(crate) number: u64,
    /// Where it stands.
    #[schema(value_type = String)]
    pub(crate) state: IncidentState,
    /// How bad.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
    /// One line.
    pub(crate) title: String,
    /// When it opened.
    pub(crate) opened: Timestamp,
    /// When it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolved: Option<Timestamp>,
    /// Who acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged_by: Option<String>,
}

impl From<&Incident> for LinkedOut {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.0,
            number: incident.number,
            state: incident.state,
            severity: incident.severity,
            title: incident.title.to_string(),
            opened: incident.opened,
            resolved: incident.resolved,
            acknowledged_by: incident.acknowledged_by.clone(),
        }
    }
}

/// A pipeline that fails because another does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Affected)]
pub(crate) struct AffectedOut {
    /// Source it runs in.
    pub(crate) source: String,
    /// Its name.
    pub(crate) pipeline: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// How it depends.
    #[schema(example = "reads warehouse/orders, which load_orders writes")]
    pub(crate) because: String,
}

impl From<&Affected> for AffectedOut {
    fn from(affected: &Affected) -> Self {
        Self {
            source: affected.pipeline.source.to_string(),
            pipeline: affected.pipeline.name.to_string(),
            since: affected.since,
            because: affected.because.clone(),
        }
    }
}

/// An alert that fires.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertOut {
    /// Rule that raises it.
    pub(crate) rule: String,
    /// Task or report key; empty for the pipeline itself.
    pub(crate) subject: String,
    /// Failures in a row.
    pub(crate) streak: u32,
    /// How bad.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Latest failure.
    pub(crate) last: Timestamp,
    /// One line.
    pub(crate) summary: String,
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        Self {
            rule: alert.key.rule.to_string(),
            subject: alert.key.subject.to_string(),
            streak: alert.streak,
            severity: alert.severity,
            since: alert.since,
            last: alert.last,
            summary: alert.summary.to_string(),
        }
    }
}
