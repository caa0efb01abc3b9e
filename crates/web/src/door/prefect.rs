//! Prefect's HTTP surface as its client needs it to send events: `POST /api/events` and the calls before it.
//!
//! Only the event doors are here: flow-run states never travel over them (they are read from a Prefect server by a
//! connection of kind `prefect`). Facts: Prefect 3.8, `prefect/events/clients.py`, `prefect/client/orchestration`.

use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, json};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json as value;
use trackside_connect::prefect::door::parse;

/// The version of the protocol that is spoken; clients refuse another major version.
const PREFECT_VERSION: &str = "3.8.8";

/// Takes Prefect events, an array or one.
#[utoipa::path(post, path = "/api/events", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 204, description = "Stored and durable"), (status = 422, description = "As Prefect says it"),
        (status = 503, body = Problem, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn events(State(state): State<AppState>, request: Request) -> Response {
    let visit = Visit::new(&state, Door::Prefect);
    let (parts, body) = request.into_parts();
    let taken = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = parse(&call.delivered())?;
        visit.append(&events).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    let taken = taken.await;
    visit.end(taken, words)
}

/// `GET /api/admin/version`: clients ask it first.
pub(crate) async fn version() -> Json<&'static str> {
    Json(PREFECT_VERSION)
}

/// `GET /api/csrf-token`: 422 tells the client that this server needs none.
pub(crate) async fn csrf_token() -> Response {
    let body = value!({"detail": "CSRF protection is disabled."});
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

/// `GET /api/health`: what the client's health check expects.
pub(crate) async fn health() -> Json<bool> {
    Json(true)
}

/// `GET /api/ready`: what its orchestration asks, in its words.
pub(crate) async fn ready(state: State<AppState>) -> Response {
    match crate::api::health::ready(state).await {
        Ok(_) => Json(value!({"message": "OK"})).into_response(),
        Err(problem) => (problem.status, Json(value!({"message": problem.detail}))).into_response(),
    }
}

/// A refusal as Prefect's server words it.
pub(crate) fn words(refusal: &Refusal) -> Response {
    let place: Vec<&str> =
        std::iter::once("body").chain(refusal.at.split('/').filter(|part| !part.is_empty())).collect();
    let message = match refusal.status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::UNPROCESSABLE_ENTITY => "Invalid request received.",
        _ => "The events were not stored.",
    };
    let body = value!({
        "exception_message": message,
        "exception_detail": [{"loc": place, "msg": refusal.problem}],
    });
    json(refusal.status, body.to_string())
}
