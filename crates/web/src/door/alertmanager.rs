//! Alertmanager: `POST /api/v2/alerts` as Prometheus sends to it, `POST /api/v1/alertmanager` for its own webhook.

use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, respond};
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::Response;
use trackside_connect::alertmanager as door;
use trackside_connect::door::{Delivered, Reject};
use trackside_core::event::Event;

/// Takes alerts as Prometheus sends them.
#[utoipa::path(post, path = "/api/v2/alerts", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json", description = "Alertmanager API v2, postableAlerts"),
    responses((status = 200, description = "Stored and durable"), (status = 400, description = "As Alertmanager says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn alerts(State(state): State<AppState>, request: Request) -> Response {
    take(&state, Door::Alertmanager, request, door::parse_api).await
}

/// Takes the body of Alertmanager's webhook receiver.
#[utoipa::path(post, path = "/api/v1/alertmanager", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json", description = "Alertmanager webhook, version 4"),
    responses((status = 200, description = "Stored and durable"), (status = 400, description = "As Alertmanager says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn webhook(State(state): State<AppState>, request: Request) -> Response {
    take(&state, Door::AlertmanagerWebhook, request, door::parse_webhook).await
}

async fn take(
    state: &AppState,
    at: Door,
    request: Request,
    parse: fn(&Delivered<'_>) -> Result<Vec<Event>, Reject>,
) -> Response {
    let visit = Visit::new(state, at);
    let (parts, body) = request.into_parts();
    let taken = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = parse(&call.delivered())?;
        visit.append(&events).await?;
        Ok(respond(door::accepted()))
    };
    let taken = taken.await;
    visit.end(taken, |refusal: &Refusal| respond(door::refused(&refusal.as_reject())))
}
