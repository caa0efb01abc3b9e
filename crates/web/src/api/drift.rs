//! Where PagerDuty's teams differ from ours, and when they were last read.

use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What was compared, and what differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DriftReport)]
pub(crate) struct DriftReportOut {
    /// Each connection that is read.
    pub(crate) sources: Vec<DriftSourceOut>,
    /// Every difference, by connection.
    pub(crate) findings: Vec<DriftOut>,
}

/// A connection whose far end is read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DriftSource)]
pub(crate) struct DriftSourceOut {
    /// Connection in the configuration.
    pub(crate) connection: String,
    /// When it was last read whole.
    #[schema(value_type = Option<String>, format = "date-time")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) taken: Option<Timestamp>,
    /// When it was last tried.
    #[schema(value_type = String, format = "date-time")]
    pub(crate) tried: Timestamp,
    /// Why it could not be read since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
}

/// One difference.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub(crate) struct DriftOut {
    /// Connection in the configuration.
    pub(crate) connection: String,
    /// `pages_others`, `no_service`, `no_policy`, `nobody_first`, `disabled`, `missing_there` or `missing_here`.
    pub(crate) kind: String,
    /// Our team that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    /// One line for people.
    #[schema(example = "a failure owned by data-eng would page ML Research")]
    pub(crate) summary: String,
    /// Since when it stands.
    #[schema(value_type = String, format = "date-time")]
    pub(crate) since: Timestamp,
}

/// Differences between teams here and in PagerDuty.
#[utoipa::path(get, path = "/api/v1/drift", tag = "people", responses((status = 200, body = DriftReportOut)))]
pub(crate) async fn drift(State(state): State<AppState>) -> Result<Json<DriftReportOut>, Problem> {
    Ok(Json(report(&state).await?))
}

/// What was compared, and what differs.
pub(crate) async fn report(state: &AppState) -> Result<DriftReportOut, Problem> {
    let sources = state.store.imports().await?.into_iter().map(|import| DriftSourceOut {
        connection: import.connection,
        taken: import.taken,
        tried: import.tried,
        failed: import.failed,
    });
    let findings = state.store.drift().await?.into_iter().map(|found| {
        let text = |name: &str| found.body.get(name).and_then(Value::as_str).map(str::to_owned);
        DriftOut {
            kind: text("kind").unwrap_or_default(),
            team: text("team"),
            summary: text("summary").unwrap_or_default(),
            since: found.since,
            connection: found.connection,
        }
    });
    Ok(DriftReportOut { sources: sources.collect(), findings: findings.collect() })
}
