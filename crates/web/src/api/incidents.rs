//! Incidents in the API: listing, one with its whole story.
//!
//! - [`action`]: what people do about them
//! - [`story`]: everything that belongs to one; [`timeline`]: the same as a document, for afterwards

pub(crate) mod action;
pub(crate) mod story;
pub(crate) mod timeline;

use crate::api::model::{IncidentDetailOut, IncidentOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, word};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use trackside_core::event::Severity;
use trackside_core::incident::IncidentState;
use trackside_store::incidents::{IncidentDetail, IncidentFilter, IncidentStates};
use utoipa::IntoParams;

/// Which incidents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentQuery {
    /// `open`, `triggered`, `acknowledged`, `snoozed` or `resolved`.
    pub(crate) state: Option<String>,
    /// Only of this team.
    pub(crate) owner: Option<String>,
    /// Only of this severity: `info`, `warning`, `error` or `critical`.
    pub(crate) severity: Option<String>,
    /// Only those that nobody is told of now (`true`), or only the others (`false`).
    #[serde(default, deserialize_with = "filled_in")]
    #[param(value_type = Option<bool>)]
    pub(crate) suppressed: Option<bool>,
    /// Only of this source.
    pub(crate) source: Option<String>,
    /// Only about this pipeline.
    pub(crate) pipeline: Option<String>,
    /// Only numbers below this (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// The fields of a form are sent also when nothing is chosen.
fn filled_in<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    match text.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| serde::de::Error::custom("`suppressed` is true or false")),
    }
}

impl IncidentQuery {
    /// The store's filter.
    pub(crate) fn filter(&self) -> Result<IncidentFilter, Problem> {
        let states = match self.state.as_deref() {
            Some("open") => Some(IncidentStates::Open),
            state => word::<IncidentState>("state", state)?.map(IncidentStates::Only),
        };
        Ok(IncidentFilter {
            states,
            owner: filled(self.owner.clone()),
            severity: word::<Severity>("severity", self.severity.as_deref())?,
            suppressed: self.suppressed,
            source: filled(self.source.clone()),
            pipeline: filled(self.pipeline.clone()),
            before: self.before,
            limit: self.limit.unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// Incidents, latest first.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, body = PageOut<IncidentOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<IncidentQuery>,
) -> Result<Json<PageOut<IncidentOut>>, Problem> {
    Ok(Json(PageOut::of(&state.store.incidents(&query.filter()?).await?)))
}

/// One incident with its alerts, escalation, messages, audit and reasons.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<IncidentDetailOut>, Problem> {
    let story = story::read(&state, &text).await?;
    Ok(Json(IncidentDetailOut::new(&story, &state.configured().ruleset)))
}

/// The incident of this id or number.
pub(crate) async fn find(state: &AppState, text: &str) -> Result<IncidentDetail, Problem> {
    let missing = || Problem::missing("incident", text);
    let id = match text.parse::<u64>() {
        Ok(number) => state.store.incident_numbered(number).await?.ok_or_else(missing)?.id,
        Err(_) => crate::api::id("an incident", text)?,
    };
    state.store.incident(id).await?.ok_or_else(missing)
}
