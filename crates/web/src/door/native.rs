//! Trackside's own door and CloudEvents: `POST /api/v1/events`, `POST /api/v1/cloudevents`.
//!
//! Answers 202 with the position of each event; refusals are problem details (RFC 9457).

use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, json};
use crate::problem::Problem;
use crate::state::AppState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::fmt::Write as _;
use trackside_connect::{cloudevents, native};
use trackside_core::event::Event;
use trackside_store::log::{Appended, Arrival};

/// Takes events in Trackside's own format, one or an array.
#[utoipa::path(post, path = "/api/v1/events", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 202, description = "Stored and durable"), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn events(State(state): State<AppState>, request: Request) -> Response {
    let visit = Visit::new(&state, Door::Native);
    let (parts, body) = request.into_parts();
    let answered = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = native::parse(&call.delivered(), state.new_id())?;
        let appended = visit.append(&events).await?;
        Ok(accepted(&events, &appended))
    };
    let answered = answered.await;
    visit.end(answered, problem)
}

/// Takes CloudEvents 1.0: binary, structured or a batch.
#[utoipa::path(post, path = "/api/v1/cloudevents", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/cloudevents+json"),
    responses((status = 202, description = "Stored and durable"), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn cloudevents(State(state): State<AppState>, request: Request) -> Response {
    let visit = Visit::new(&state, Door::CloudEvents);
    let (parts, body) = request.into_parts();
    let answered = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = cloudevents::parse(&call.delivered())?;
        let appended = visit.append(&events).await?;
        Ok(accepted(&events, &appended))
    };
    let answered = answered.await;
    visit.end(answered, problem)
}

/// `{"accepted":1,"events":[{"id":"…","seq":7,"duplicate":false}]}`, written directly: every field is plain.
fn accepted(events: &[Event], appended: &[Appended]) -> Response {
    let mut body = String::with_capacity(40 + 90 * events.len());
    let _ = write!(body, "{{\"accepted\":{},\"events\":[", events.len());
    for (index, (event, appended)) in events.iter().zip(appended).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let duplicate = appended.arrival == Arrival::Duplicate;
        let _ = write!(body, "{comma}{{\"id\":\"{}\",\"seq\":{},\"duplicate\":{duplicate}}}", event.id, appended.seq);
    }
    body.push_str("]}");
    json(StatusCode::ACCEPTED, Body::from(body))
}

/// A refusal as problem details.
pub(crate) fn problem(refusal: &Refusal) -> Response {
    let problem = Problem::new(refusal.status, refusal.problem.clone());
    if refusal.at.is_empty() { problem } else { problem.at(refusal.at.clone()) }.into_response()
}
