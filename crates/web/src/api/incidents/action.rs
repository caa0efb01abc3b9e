//! What people do about incidents: have it, give it back, put it off, page the next one, give it to somebody, note,
//! end it.
//!
//! Every act is a command in the log; the answer leaves when it is decided. What the decision refuses is a 409.

use super::{find, story};
use crate::access::may_respond;
use crate::api::decided::{settled, status};
use crate::api::model::IncidentDetailOut;
use crate::api::span::moment_or_none;
use crate::api::{JsonBody, Segments, names};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use trackside_core::ids::IncidentId;
use trackside_core::incident::{Incident, IncidentState};
use trackside_core::input::Command;
use trackside_core::limits;
use trackside_core::ruleset::Span;
use trackside_core::ruleset::people::Target;
use trackside_identity::directory::Identity;
use utoipa::ToSchema;

/// Longest note, in bytes.
const NOTE_BYTES: usize = 4_000;

/// A remark.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewNote, example = json!({"text": "the disk was full; freed 40 GB"}))]
pub(crate) struct NoteIn {
    /// At most 4,000 bytes.
    pub(crate) text: String,
}

/// For how long an incident is put off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSnooze, example = json!({"for": "1h"}))]
pub(crate) struct SnoozeIn {
    /// How long, such as `30m` or `2d`, at most seven days. Either this or `until`.
    #[serde(default, rename = "for")]
    #[schema(value_type = Option<String>)]
    pub(crate) length: Option<Span>,
    /// Until when. Either this or `for`.
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(crate) until: Option<Timestamp>,
}

/// Whom an incident is given to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAssignment, example = json!({"to": "person:bo"}))]
pub(crate) struct ReassignIn {
    /// `person:NAME`, `oncall:SCHEDULE`, `team:NAME` or `channel:CONNECTION`. A team becomes the owner; anybody else is
    /// paged in place of the first step.
    #[schema(value_type = String)]
    pub(crate) to: Target,
}

/// Where an incident goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMerge, example = json!({"into": "41"}))]
pub(crate) struct MergeIn {
    /// Id or number of the incident that goes on.
    pub(crate) into: String,
}

type Answer = Result<(StatusCode, Json<IncidentDetailOut>), Problem>;

/// "I have it": no step of its escalation is due any more, and whoever was told of the incident is told this too.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/acknowledge", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn acknowledge(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    let done = act(&state, &who, &text, |incident| Command::Acknowledge { incident }).await?;
    answer(&state, &text, done).await
}

/// "Nobody has it after all": its escalation starts again. Ends a snooze as well.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/unacknowledge", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn unacknowledge(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    let done = act(&state, &who, &text, |incident| Command::Unacknowledge { incident }).await?;
    answer(&state, &text, done).await
}

/// "Later": nobody is paged until then; after it the escalation starts again.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/snooze", tag = "incidents", request_body = SnoozeIn,
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn snooze(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(wanted): JsonBody<SnoozeIn>,
) -> Answer {
    let done = put_off(&state, &who, &text, &wanted).await?;
    answer(&state, &text, done).await
}

/// "Page the next one now": later steps keep their distance from it.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/escalate", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Already over, no step is left, or its escalation is not running")))]
pub(crate) async fn escalate(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    let done = act(&state, &who, &text, |incident| Command::Escalate { incident }).await?;
    answer(&state, &text, done).await
}

/// Gives it to somebody else: a team becomes the owner, anybody else is paged first.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/reassign", tag = "incidents", request_body = ReassignIn,
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn reassign(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(wanted): JsonBody<ReassignIn>,
) -> Answer {
    let done = give(&state, &who, &text, wanted.to).await?;
    answer(&state, &text, done).await
}

/// It is the same problem as another one: its alerts go on there, it ends itself.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/merge", tag = "incidents", request_body = MergeIn,
    params(("id" = String, Path, description = "Id or number of the incident that ends")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "One of them is already over")))]
pub(crate) async fn merge(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(wanted): JsonBody<MergeIn>,
) -> Answer {
    let done = join(&state, &who, &text, &wanted.into).await?;
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
) -> Answer {
    let done = add_note(&state, &who, &text, &note.text).await?;
    answer(&state, &text, done).await
}

/// "It is over": whoever was told of the incident is told this too.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/resolve", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident")),
    responses((status = 200, body = IncidentDetailOut), (status = 202, body = IncidentDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Already over")))]
pub(crate) async fn resolve(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    let done = act(&state, &who, &text, |incident| Command::Resolve { incident }).await?;
    answer(&state, &text, done).await
}

async fn answer(state: &AppState, text: &str, effect: Effect) -> Answer {
    let story = story::read(state, text).await?;
    let out = IncidentDetailOut::new(&story, &state.configured().ruleset);
    Ok((status(effect, StatusCode::OK), Json(out)))
}

/// Asks for something about an incident that is open.
pub(crate) async fn act(
    state: &AppState,
    who: &Identity,
    text: &str,
    command: impl FnOnce(IncidentId) -> Command,
) -> Result<Effect, Problem> {
    let incident = open(state, text).await?;
    let caller = may_respond(state, who, &incident).await?;
    settled(state, state.command(caller, command(incident.id)).await?).await
}

/// Puts an incident off for a length or until a time.
pub(crate) async fn put_off(
    state: &AppState,
    who: &Identity,
    text: &str,
    wanted: &SnoozeIn,
) -> Result<Effect, Problem> {
    let (at, length) = match (wanted.length, wanted.until) {
        (Some(length), None) => ("for", length.0),
        (None, Some(until)) => ("until", until.duration_since(state.now())),
        _ => return Err(Problem::bad("for", "write either `for`, a length such as 1h, or `until`, a time")),
    };
    if length < SignedDuration::from_secs(1) || length > limits::SNOOZE {
        let days = limits::SNOOZE.as_hours() / 24;
        return Err(Problem::bad(at, format!("an incident can be put off for 1 second to {days} days")));
    }
    act(state, who, text, |incident| Command::Snooze { incident, length: Span(length) }).await
}

/// Gives an incident to somebody who is known.
pub(crate) async fn give(state: &AppState, who: &Identity, text: &str, to: Target) -> Result<Effect, Problem> {
    let to = names::target(&state.configured().ruleset, "to", to)?;
    act(state, who, text, |incident| Command::Reassign { incident, to }).await
}

/// Merges an incident into another one that is open.
pub(crate) async fn join(state: &AppState, who: &Identity, text: &str, into: &str) -> Result<Effect, Problem> {
    let into = open(state, into.trim()).await.map_err(|problem| problem.at("into"))?;
    may_respond(state, who, &into).await?;
    let into = into.id;
    if open(state, text).await?.id == into {
        return Err(Problem::bad("into", "an incident cannot be merged into itself"));
    }
    act(state, who, text, |incident| Command::Merge { incident, into }).await
}

/// Adds a remark, also to an incident that is over.
pub(crate) async fn add_note(state: &AppState, who: &Identity, text: &str, note: &str) -> Result<Effect, Problem> {
    let note = note.trim();
    if note.is_empty() || note.len() > NOTE_BYTES {
        return Err(Problem::bad("text", format!("a note has 1 to {NOTE_BYTES} bytes; this one has {}", note.len())));
    }
    let incident = find(state, text).await?.incident;
    let caller = may_respond(state, who, &incident).await?;
    let command = Command::Note { incident: incident.id, text: note.to_owned() };
    settled(state, state.command(caller, command).await?).await
}

/// The incident of this id or number, if it is open.
async fn open(state: &AppState, text: &str) -> Result<Incident, Problem> {
    let incident = find(state, text).await?.incident;
    if incident.state == IncidentState::Resolved {
        let detail = format!("incident #{} is resolved already", incident.number);
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(incident)
}
