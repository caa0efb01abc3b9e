//! Incidents in the API: look at them, acknowledge, resolve, comment.

use crate::api::model::{IncidentDetailOut, IncidentOut, PageOut};
use crate::api::{JsonBody, PAGE_DEFAULT, Params, Segments, filled, word};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use trackside_core::caller::Caller;
use trackside_core::ids::IncidentId;
use trackside_core::incident::IncidentState;
use trackside_core::input::Command;
use trackside_store::incidents::{IncidentDetail, IncidentFilter, IncidentStates};
use utoipa::{IntoParams, ToSchema};

/// Longest note, in bytes.
const NOTE_BYTES: usize = 4_000;

/// Which incidents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentQuery {
    /// `open`, `triggered`, `acknowledged` or `resolved`.
    pub(crate) state: Option<String>,
    /// Only of this team.
    pub(crate) owner: Option<String>,
    /// Only of this source.
    pub(crate) source: Option<String>,
    /// Only about this pipeline.
    pub(crate) pipeline: Option<String>,
    /// Only numbers below this (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
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
            source: filled(self.source.clone()),
            pipeline: filled(self.pipeline.clone()),
            before: self.before,
            limit: self.limit.unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// A remark.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NoteIn {
    /// At most 4,000 bytes.
    pub(crate) text: String,
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

/// One incident with its alerts, messages, audit and reasons.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<IncidentDetailOut>, Problem> {
    Ok(Json(IncidentDetailOut::from(&find(&state, &text).await?)))
}

/// "I have it": whoever was told of the incident is told this too.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/acknowledge", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn acknowledge(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<(StatusCode, Json<IncidentDetailOut>), Problem> {
    let done = act(&state, &who.caller, &text, |incident| Command::Acknowledge { incident }).await?;
    answer(&state, &text, done).await
}

/// "It is over": whoever was told of the incident is told this too.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/resolve", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn resolve(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<(StatusCode, Json<IncidentDetailOut>), Problem> {
    let done = act(&state, &who.caller, &text, |incident| Command::Resolve { incident }).await?;
    answer(&state, &text, done).await
}

/// A remark for the timeline.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/note", tag = "incidents", request_body = NoteIn,
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem)))]
pub(crate) async fn note(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(note): JsonBody<NoteIn>,
) -> Result<(StatusCode, Json<IncidentDetailOut>), Problem> {
    let done = add_note(&state, &who.caller, &text, &note.text).await?;
    answer(&state, &text, done).await
}

async fn answer(
    state: &AppState,
    text: &str,
    effect: Effect,
) -> Result<(StatusCode, Json<IncidentDetailOut>), Problem> {
    let status = match effect {
        Effect::Decided => StatusCode::OK,
        Effect::Accepted => StatusCode::ACCEPTED,
    };
    Ok((status, Json(IncidentDetailOut::from(&find(state, text).await?))))
}

/// Asks for something about an incident that is open.
pub(crate) async fn act(
    state: &AppState,
    caller: &Caller,
    text: &str,
    command: impl FnOnce(IncidentId) -> Command,
) -> Result<Effect, Problem> {
    let incident = find(state, text).await?.incident;
    if incident.state == IncidentState::Resolved {
        let detail = format!("incident #{} is resolved already", incident.number);
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(state.command(caller.clone(), command(incident.id)).await?.effect)
}

/// Adds a remark, also to an incident that is over.
pub(crate) async fn add_note(state: &AppState, caller: &Caller, text: &str, note: &str) -> Result<Effect, Problem> {
    let note = note.trim();
    if note.is_empty() || note.len() > NOTE_BYTES {
        return Err(Problem::bad("text", format!("a note has 1 to {NOTE_BYTES} bytes; this one has {}", note.len())));
    }
    let incident = find(state, text).await?.incident.id;
    let command = Command::Note { incident, text: note.to_owned() };
    Ok(state.command(caller.clone(), command).await?.effect)
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
