//! The audit trail in the API.

pub(crate) mod export;

use crate::api::model::{AuditOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, filled, id};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use trackside_store::audit::AuditFilter;
use utoipa::IntoParams;

/// Which rows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only what this caller did.
    pub(crate) subject: Option<String>,
    /// Only actions that begin with this, for example `incident.`.
    pub(crate) action: Option<String>,
    /// Only this incident.
    pub(crate) incident: Option<String>,
    /// Only what this event caused.
    pub(crate) event: Option<String>,
    /// Only this delivery.
    pub(crate) delivery: Option<String>,
    /// Only this run of a job.
    pub(crate) job: Option<String>,
    /// Only what is about this, for example `route:orders` or `token:airflow`.
    pub(crate) resource: Option<String>,
    /// Only what came out so: `done`, `refused`, `failed`, `unknown`.
    pub(crate) outcome: Option<String>,
    /// Only what ended at or after this time.
    pub(crate) since: Option<String>,
    /// Only what ended before this time.
    pub(crate) until: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

impl AuditQuery {
    /// The store's filter.
    pub(crate) fn filter(&self) -> Result<AuditFilter, Problem> {
        let given = |text: &Option<String>| filled(text.clone());
        Ok(AuditFilter {
            subject: given(&self.subject),
            action_prefix: given(&self.action),
            incident: given(&self.incident).map(|text| id("an incident", &text)).transpose()?,
            event: given(&self.event).map(|text| id("an event", &text)).transpose()?,
            delivery: given(&self.delivery).map(|text| id("a delivery", &text)).transpose()?,
            job: given(&self.job).map(|text| id("a run of a job", &text)).transpose()?,
            resource: given(&self.resource),
            outcome: given(&self.outcome),
            since: moment("since", given(&self.since))?,
            until: moment("until", given(&self.until))?,
            before: self.before,
            limit: self.limit.unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// A time in a parameter.
fn moment(at: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    // A browser's date field gives a day, or a minute without a zone.
    let parsed = text.parse::<Timestamp>().or_else(|_| {
        let civil = text.parse::<jiff::civil::DateTime>()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    parsed
        .map(Some)
        .map_err(|error| Problem::bad(at, format!("`{text}` is not a time such as 2026-01-31T08:00:00Z: {error}")))
}

/// Who did what and why, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = PageOut<AuditOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<PageOut<AuditOut>>, Problem> {
    Ok(Json(PageOut::of(&state.store.audit(&query.filter()?).await?)))
}
