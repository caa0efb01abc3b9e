//! Incidents and their alerts in the API.

use crate::api::model::{AuditOut, DeliveryOut, ExplanationOut};
use jiff::Timestamp;
use serde::Serialize;
use trackside_core::event::Severity;
use trackside_core::incident::{Alert, Incident, IncidentState};
use trackside_store::incidents::IncidentDetail;
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
    /// `triggered`, `acknowledged` or `resolved`.
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
    /// Connections that were told.
    pub(crate) told: Vec<String>,
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
    /// Messages about it, oldest first.
    pub(crate) deliveries: Vec<DeliveryOut>,
    /// What was done and by whom, oldest first.
    pub(crate) audit: Vec<AuditOut>,
    /// Why it opened, grew and ended.
    pub(crate) explanations: Vec<ExplanationOut>,
}

impl From<&IncidentDetail> for IncidentDetailOut {
    fn from(detail: &IncidentDetail) -> Self {
        Self {
            incident: IncidentOut::from(&detail.incident),
            alerts: detail.alerts.iter().map(AlertOut::from).collect(),
            deliveries: detail.deliveries.iter().map(DeliveryOut::from).collect(),
            audit: detail.audit.iter().map(AuditOut::from).collect(),
            explanations: detail.explanations.iter().map(ExplanationOut::from).collect(),
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
