//! PagerDuty Events v2: `POST /v2/enqueue`, `POST /v2/change/enqueue`.
//!
//! The routing key in the body is the API token, because PagerDuty's clients have no other place for one. A key that is
//! unknown is refused with 400 "Invalid routing key", as PagerDuty refuses it.

use crate::door::refusal::Refusal;
use crate::door::{Call, Door, Visit, respond};
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use trackside_connect::door::{Answer, Delivered, Reject};
use trackside_connect::pagerduty::door;
use trackside_core::event::Event;
use uuid::Uuid;

/// Takes an alert event: trigger, acknowledge or resolve.
#[utoipa::path(post, path = "/v2/enqueue", tag = "doors", security(()),
    request_body(content = serde_json::Value, content_type = "application/json", description = "PagerDuty Events API v2"),
    responses((status = 202, description = "Stored and durable; names the `dedup_key`"), (status = 400, description = "As PagerDuty says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn enqueue(State(state): State<AppState>, request: Request) -> Response {
    take(&state, Door::Pagerduty, request, door::parse, door::accepted).await
}

/// Takes a change event.
#[utoipa::path(post, path = "/v2/change/enqueue", tag = "doors", security(()),
    request_body(content = serde_json::Value, content_type = "application/json", description = "PagerDuty change event"),
    responses((status = 202, description = "Stored and durable"), (status = 400, description = "As PagerDuty says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn change(State(state): State<AppState>, request: Request) -> Response {
    take(&state, Door::PagerdutyChange, request, door::parse_change, |_| door::change_accepted()).await
}

async fn take(
    state: &AppState,
    at: Door,
    request: Request,
    parse: fn(&Delivered<'_>, Uuid) -> Result<Vec<Event>, Reject>,
    accepted: fn(&[Event]) -> Answer,
) -> Response {
    let visit = Visit::new(state, at);
    let (parts, body) = request.into_parts();
    let taken = async {
        let (body, memory) = visit.read(&parts.headers, body).await?;
        let key = door::routing_key(&body);
        let identity = visit
            .admit_any(key.iter().map(|key| key.expose_secret()))
            .await
            .map_err(|refusal| invalid_key(&refusal))?;
        let call = Call::new(identity, &parts.headers, body, visit.at(), memory);
        let events = parse(&call.delivered(), state.new_id())?;
        visit.append(&events).await?;
        Ok(respond(accepted(&events)))
    };
    let taken = taken.await;
    visit.end(taken, |refusal| respond(door::refused(&refusal.as_reject())))
}

fn invalid_key(refusal: &Refusal) -> Refusal {
    let problem = match refusal.status {
        StatusCode::FORBIDDEN => "Invalid routing key: this token may not send events; it needs the role `ingest`",
        _ => "Invalid routing key: use a Trackside token of the form `routing-key` as `routing_key`",
    };
    Refusal::new(StatusCode::BAD_REQUEST, problem).at("/routing_key")
}
