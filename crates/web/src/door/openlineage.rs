//! OpenLineage: `POST /api/v1/lineage` and `/api/v1/lineage/batch` (OpenLineage.yml of the specification).
//!
//! The HTTP transport of OpenLineage retries on 500, 502, 503, 504 and drops the event on everything else, 429 included;
//! its clients ignore the body. The batch answer has the shape of the specification's `BatchResponse`.

use crate::door::native::problem;
use crate::door::{Door, Visit, json};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use trackside_connect::openlineage;

/// Takes one OpenLineage event.
#[utoipa::path(post, path = "/api/v1/lineage", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 201, description = "Stored and durable"), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn one(State(state): State<AppState>, request: Request) -> Response {
    take(&state, Door::OpenLineage, request, |_| StatusCode::CREATED.into_response()).await
}

/// Takes an array of OpenLineage events: all or none.
#[utoipa::path(post, path = "/api/v1/lineage/batch", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 200, description = "All stored and durable"), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn batch(State(state): State<AppState>, request: Request) -> Response {
    let summary = |received: usize| {
        let body = format!(
            "{{\"status\":\"success\",\"summary\":{{\"received\":{received},\"successful\":{received},\
             \"failed\":0,\"retriable\":0,\"non_retriable\":0}},\"failed_events\":[]}}"
        );
        json(StatusCode::OK, body)
    };
    take(&state, Door::OpenLineageBatch, request, summary).await
}

async fn take(state: &AppState, door: Door, request: Request, answer: impl FnOnce(usize) -> Response) -> Response {
    let visit = Visit::new(state, door);
    let (parts, body) = request.into_parts();
    let taken = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = openlineage::parse(&call.delivered())?;
        visit.append(&events).await?;
        Ok(answer(events.len()))
    };
    let taken = taken.await;
    visit.end(taken, problem)
}
