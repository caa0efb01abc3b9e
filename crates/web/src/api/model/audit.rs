//! A row of the audit as the API shows it.

use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use trackside_store::audit::AuditRow;
use utoipa::ToSchema;
use uuid::Uuid;

/// One row of the audit trail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditOut {
    /// Position in the trail.
    pub(crate) position: u64,
    /// Log entry that caused it, for rows of decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// When it ended.
    pub(crate) at: Timestamp,
    /// When it began, for what took time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<Timestamp>,
    /// Who.
    pub(crate) subject: String,
    /// How they came in: `token`, `jwt`, `introspection`, `certificate`, `session`, `slack`, `rules`, `cli`.
    pub(crate) via: String,
    /// Which credential: name of an API token, `jti` of a foreign one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// On whose behalf, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) behalf: Vec<String>,
    /// What.
    pub(crate) action: String,
    /// One line for people.
    pub(crate) summary: String,
    /// What it is about: `route:orders`, `job:load_orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    /// What came of it: `done`, `refused`, `failed`, `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    /// Why it was allowed or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<String>,
    /// Policies that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<String>,
    /// SHA-256 of what was changed, as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    /// SHA-256 of what was changed, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// Further facts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) facts: BTreeMap<String, String>,
    /// Incident it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<Uuid>,
    /// Event that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Uuid>,
    /// Delivery it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<Uuid>,
    /// Run of a job it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<Uuid>,
    /// Approval it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<Uuid>,
}

impl From<&AuditRow> for AuditOut {
    fn from(row: &AuditRow) -> Self {
        let (caller, detail) = (row.caller.clone(), row.detail.clone());
        Self {
            position: row.position,
            seq: row.decided.map(|(seq, _)| seq),
            at: row.at,
            begun: detail.begun,
            subject: caller.subject,
            via: caller.via,
            token: caller.token,
            behalf: caller.behalf,
            action: row.action.clone(),
            summary: row.summary.clone(),
            resource: detail.resource,
            outcome: detail.outcome,
            because: detail.because,
            policies: detail.policies,
            before: detail.before,
            after: detail.after,
            facts: detail.facts,
            incident: row.incident.map(|id| id.0),
            event: row.event.map(|id| id.0),
            delivery: row.delivery.map(|id| id.0),
            job: row.job,
            approval: detail.approval,
        }
    }
}
