//! Slack: `POST /services/{a}/{b}/{token}` (incoming webhook) and `POST /slack/api/chat.postMessage` (Web API).
//!
//! An existing notifier changes its host and puts an API token where Slack's secret was: the last part of the webhook's
//! path, or the bearer token. A message that Slack would refuse is answered as Slack answers it (for the Web API that
//! is 200 with `ok: false`); what Slack has no word for (size, overload) keeps its HTTP status.

use crate::api::Segments;
use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, json, respond, text};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json as value;
use trackside_connect::slack::door;

/// Takes a message as an incoming webhook does.
#[utoipa::path(post, path = "/services/{a}/{b}/{token}", tag = "doors", security(()),
    params(("a" = String, Path, description = "Anything"), ("b" = String, Path, description = "Anything"), ("token" = String, Path, description = "API token")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "Slack message payload"),
    responses((status = 200, description = "`ok`: stored and durable"), (status = 400, description = "As Slack says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn webhook(
    State(state): State<AppState>,
    path: Result<Segments<(String, String, String)>, Problem>,
    request: Request,
) -> Response {
    let (_, _, token) = match path {
        Ok(Segments(path)) => path,
        Err(problem) => return problem.into_response(),
    };
    let visit = Visit::new(&state, Door::SlackWebhook);
    let (parts, body) = request.into_parts();
    let taken = async {
        let identity = visit.admit_any([token.as_str()]).await?;
        let call = visit.receive_from(identity, &parts.headers, body).await?;
        let events = door::parse_webhook(&call.delivered(), state.new_id())?;
        visit.append(&events).await?;
        Ok(respond(door::webhook_accepted()))
    };
    let taken = taken.await;
    visit.end(taken, webhook_words)
}

/// Takes a message as Slack's Web API does.
#[utoipa::path(post, path = "/slack/api/chat.postMessage", tag = "doors",
    request_body(content = serde_json::Value, content_type = "application/json", description = "Arguments of chat.postMessage"),
    responses((status = 200, description = "`ok: true`: stored and durable; `ok: false`: as Slack says it"),
        (status = 503, description = "Full; send it again after `Retry-After`")))]
pub(crate) async fn post_message(State(state): State<AppState>, request: Request) -> Response {
    let visit = Visit::new(&state, Door::SlackApi);
    let (parts, body) = request.into_parts();
    let taken = async {
        let call = visit.receive(&parts.headers, body).await?;
        let events = door::parse_post_message(&call.delivered(), state.new_id())?;
        visit.append(&events).await?;
        Ok(respond(door::post_message_accepted(&events)))
    };
    let taken = taken.await;
    visit.end(taken, api_words)
}

/// A refusal that is not about the message itself, in one word.
fn word(status: StatusCode, unknown_token: &'static str) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some(unknown_token),
        StatusCode::FORBIDDEN => Some("missing_scope"),
        StatusCode::SERVICE_UNAVAILABLE => Some("service_unavailable"),
        StatusCode::REQUEST_TIMEOUT => Some("request_timeout"),
        StatusCode::PAYLOAD_TOO_LARGE => Some("msg_too_long"),
        _ => None,
    }
}

fn webhook_words(refusal: &Refusal) -> Response {
    match word(refusal.status, "invalid_token") {
        Some(word) => text(refusal.status, word),
        None => respond(door::webhook_refused(&refusal.as_reject())),
    }
}

fn api_words(refusal: &Refusal) -> Response {
    match word(refusal.status, "invalid_auth") {
        Some(word) => json(refusal.status, value!({"ok": false, "error": word}).to_string()),
        None => respond(door::post_message_refused(&refusal.as_reject())),
    }
}
