//! PagerDuty webhooks v3: `POST /api/v1/pagerduty/webhooks/{connection}`.
//!
//! An acknowledgement, a note or the end there is one here. Every event that PagerDuty signed is answered 202, also of
//! types nobody knows yet, because it switches off a webhook that refuses three times. An event is heard once, by its
//! id, which is signed; `X-Webhook-Id` is not, so it counts only where there is no id.

use crate::api::Segments;
use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, back, refuse_store};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use jiff::SignedDuration;
use trackside_connect::connection::Back;
use trackside_connect::pagerduty::webhook::{self, Heard, Said, Theirs};
use trackside_core::caller::Caller;
use trackside_core::ids::{IncidentId, derive};
use trackside_core::input::{Command, Input, Origin};
use trackside_store::heard::Once;
use trackside_store::log::NewEntry;
use uuid::Uuid;

/// How long an event is remembered. PagerDuty repeats one for up to 48 hours.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(72);
/// How they come in, and who they are when PagerDuty names nobody.
const VIA: &str = "pagerduty";
const NOBODY: &str = "PagerDuty";

/// Takes what people did at PagerDuty.
#[utoipa::path(post, path = "/api/v1/pagerduty/webhooks/{connection}", tag = "far ends", security(()),
    params(("connection" = String, Path, description = "Name of a PagerDuty connection with `webhook_secrets`"),
        ("X-PagerDuty-Signature" = String, Header, description = "`v1=` and the HMAC-SHA-256 of the body in hexadecimal digits; several, separated by commas")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "PagerDuty webhook v3"),
    responses((status = 202, description = "Durable, or nothing to do"), (status = 401, body = Problem, description = "The signature does not fit"),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem, description = "Send it again after `Retry-After`")))]
pub(crate) async fn take(
    State(state): State<AppState>,
    path: Result<Segments<String>, Problem>,
    request: Request,
) -> Response {
    let Segments(connection) = match path {
        Ok(path) => path,
        Err(problem) => return problem.into_response(),
    };
    let visit = Visit::new(&state, Door::PagerdutyWebhook);
    let (parts, body) = request.into_parts();
    let taken = async {
        let secrets = back::secrets(&state, &connection, secrets)?;
        let (body, _memory) = visit.read_signed(&parts.headers, body, webhook::BODY_BYTES).await?;
        webhook::verify(|name| back::header(&parts.headers, name), &body, &secrets, visit.at())
            .map_err(back::unproved)?;
        let heard = webhook::parse(&body)?;
        let key = key(&heard, &parts.headers, &body);
        hear(&state, &connection, &key, &heard).await?;
        Ok(StatusCode::ACCEPTED.into_response())
    };
    let taken = taken.await;
    visit.end(taken, back::words)
}

fn secrets(back: &Back) -> &[trackside_identity::secret::SecretRef] {
    match back {
        Back::PagerdutyWebhooks(secrets) => secrets,
        Back::SlackInteractivity(_) | Back::Nothing => &[],
    }
}

/// By what the event is remembered.
fn key(heard: &Heard, headers: &HeaderMap, body: &[u8]) -> String {
    let named = || back::header(headers, webhook::WEBHOOK_ID).filter(|id| (1..=200).contains(&id.len()));
    match (&heard.id, named()) {
        (Some(id), _) => id.clone(),
        (None, Some(id)) => format!("webhook {id}"),
        (None, None) => derive("body", &[&String::from_utf8_lossy(body)]).to_string(),
    }
}

/// Enters what an event means into the log, once.
async fn hear(state: &AppState, connection: &str, key: &str, heard: &Heard) -> Result<(), Refusal> {
    let Some(incident) = ours(state, connection, heard).await? else {
        return Ok(());
    };
    let mut entries = Vec::new();
    if let (Some(theirs), Some(_)) = (&heard.theirs, heard.incident) {
        entries.push(introduction(state, connection, theirs, incident)?);
    }
    if let Some(command) = command(&heard.said, incident) {
        let id = derive("pagerduty webhook", &[connection, key]);
        let origin = Origin { connection: connection.to_owned(), to: None, occurred: heard.occurred, life: None };
        entries.push(back::entry(state, id, caller(state, heard), command, origin)?);
    }
    if entries.is_empty() {
        return Ok(());
    }
    let now = state.now();
    let kind = format!("webhook/{connection}");
    let once = Once { kind: &kind, key, expires: now + REMEMBERED };
    if state.store.append_once(once, entries, now).await.map_err(refuse_store)?.is_none() {
        tracing::debug!(connection, event = heard.event_type, "heard before");
    }
    Ok(())
}

/// Our incident that the event is about: by its key, or by PagerDuty's id as it was introduced. PagerDuty tells of other
/// incidents of the service too; what is not here is left alone.
async fn ours(state: &AppState, connection: &str, heard: &Heard) -> Result<Option<IncidentId>, Refusal> {
    let introduced = match (&heard.incident, &heard.theirs) {
        (Some(incident), _) => Some(*incident),
        (None, Some(theirs)) => {
            let entry = state.store.command(introduced_as(connection, theirs)).await.map_err(refuse_store)?;
            entry.and_then(|entry| match entry.input {
                Input::Command { command, .. } => command.incident(),
                _ => None,
            })
        }
        (None, None) => None,
    };
    let Some(incident) = introduced else {
        return Ok(None);
    };
    let known = state.store.incident(incident).await.map_err(refuse_store)?;
    Ok(known.map(|_| incident))
}

/// Identity of the entry that says which of our incidents PagerDuty's is.
fn introduced_as(connection: &str, theirs: &Theirs) -> Uuid {
    derive("pagerduty incident", &[connection, &theirs.id])
}

/// The first that is heard of PagerDuty's incident: a line in the timeline, and what later events that name only it are
/// looked up by.
fn introduction(
    state: &AppState,
    connection: &str,
    theirs: &Theirs,
    incident: IncidentId,
) -> Result<NewEntry, Refusal> {
    let page = theirs.page.as_ref().map_or_else(String::new, |page| format!(", {page}"));
    let text = format!("PagerDuty has it as incident {}{page}", theirs.id);
    let caller = Caller::new(NOBODY, VIA);
    let origin = Origin { connection: connection.to_owned(), to: None, occurred: None, life: None };
    back::entry(state, introduced_as(connection, theirs), caller, Command::Note { incident, text }, origin)
}

fn command(said: &Said, incident: IncidentId) -> Option<Command> {
    match said {
        Said::Acknowledged => Some(Command::Acknowledge { incident }),
        Said::Unacknowledged => Some(Command::Unacknowledge { incident }),
        Said::Resolved => Some(Command::Resolve { incident }),
        Said::Noted(text) => Some(Command::Note { incident, text: format!("PagerDuty: {text}") }),
        Said::Nothing(_) => None,
    }
}

/// Who did it: the person known by one of the names, else the name as PagerDuty shows it.
fn caller(state: &AppState, heard: &Heard) -> Caller {
    let known = back::person(&state.configured().ruleset, heard.agent.iter().map(String::as_str));
    let shown = || heard.agent.last().map_or_else(|| NOBODY.to_owned(), |name| format!("{name} ({NOBODY})"));
    Caller::new(known.unwrap_or_else(shown), VIA)
}
