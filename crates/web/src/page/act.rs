//! The links in mails: `GET /act/{token}` asks, `POST /act/{token}` does it, once.
//!
//! Mail scanners and previews open every address in a mail, so opening a link changes nothing and burns nothing. The
//! token is the credential: whoever has the mail may act in the name it holds; no session, no cookie, and nothing that
//! another site could make a browser send. Invariants: a link is used once, and about the life of the incident it was
//! made for; a page never repeats the token but as the address its form posts to.

use crate::api::Segments;
use crate::door::back;
use crate::page::layout::{Theme, Width, alone};
use crate::page::{Failed, theme};
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use trackside_core::caller::Caller;
use trackside_core::incident::{Incident, IncidentState};
use trackside_core::input::{Command, Input, Origin};
use trackside_identity::act_link::{ActLink, BadLink, Wish};
use trackside_store::heard::Once;
use trackside_store::log::NewEntry;

/// How they come in.
const VIA: &str = "email";

/// Why a link cannot be used now.
struct Closed {
    status: StatusCode,
    why: String,
    incident: Option<Incident>,
}

/// `GET /act/{token}`
pub(crate) async fn show(
    State(state): State<AppState>,
    Segments(token): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let theme = theme(&headers);
    Ok(match opened(&state, &token).await? {
        Ok((link, incident)) => question(theme, &token, &link, &incident).into_response(),
        Err(closed) => refusal(theme, &closed),
    })
}

/// `POST /act/{token}`
pub(crate) async fn act(
    State(state): State<AppState>,
    Segments(token): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let theme = theme(&headers);
    let (link, incident) = match opened(&state, &token).await? {
        Ok(open) => open,
        Err(closed) => return Ok(refusal(theme, &closed)),
    };
    let id = link.id();
    let once = Once { kind: "link", key: &id.to_string(), expires: link.expires };
    let entry = NewEntry::input(state.now(), &input(&state, &link), id)?;
    let Some(done) = state.enter_once(once, entry).await? else {
        return Ok(refusal(theme, &used(incident)));
    };
    if let (Effect::Decided, Some(refused)) = (done.effect, state.store.refusal_of(done.seq).await?) {
        let closed = Closed { status: StatusCode::CONFLICT, why: refused.summary, incident: Some(incident) };
        return Ok(refusal(theme, &closed));
    }
    let said = match (link.wish, done.effect) {
        (Wish::Acknowledge, Effect::Decided) => "You have it. Whoever else was told is told so.",
        (Wish::Resolve, Effect::Decided) => "It is resolved. Whoever else was told is told so.",
        (_, Effect::Accepted) => "It is noted and will be done in a moment.",
    };
    Ok(page(theme, "Done", Some(&incident), &html! { p.note.good role="status" { (said) } }).into_response())
}

/// What the link asks for, in the name it holds.
fn input(state: &AppState, link: &ActLink) -> Input {
    let incident = link.incident;
    let command = match link.wish {
        Wish::Acknowledge => Command::Acknowledge { incident },
        Wish::Resolve => Command::Resolve { incident },
    };
    let known = back::person(&state.configured().ruleset, [link.who.as_str()]);
    let caller = Caller::new(known.unwrap_or_else(|| link.who.clone()), VIA);
    let origin =
        Origin { connection: link.connection.clone(), to: link.to.clone(), occurred: None, life: Some(link.life) };
    Input::Command { caller, command, origin: Some(origin) }
}

/// The link behind a token with its incident, when it can be used now.
async fn opened(state: &AppState, token: &str) -> Result<Result<(ActLink, Incident), Closed>, Problem> {
    let closed = |status, why: &str, incident| Ok(Err(Closed { status, why: why.to_owned(), incident }));
    let link = match state.act_key.open(token, state.now()) {
        Ok(link) => link,
        Err(bad @ BadLink::Forged) => return closed(StatusCode::FORBIDDEN, &bad.to_string(), None),
        Err(bad @ BadLink::Expired) => return closed(StatusCode::GONE, &bad.to_string(), None),
    };
    let Some(detail) = state.store.incident(link.incident).await? else {
        return closed(StatusCode::GONE, "this incident is not kept any more", None);
    };
    let incident = detail.incident;
    if state.store.command(link.id()).await?.is_some() {
        return Ok(Err(used(incident)));
    }
    if incident.state == IncidentState::Resolved {
        return closed(StatusCode::GONE, "it is resolved already; there is nothing to do", Some(incident));
    }
    if incident.reopened != link.life {
        let why = "it was resolved and is back since this mail was sent; use a newer mail, or open the incident";
        return closed(StatusCode::GONE, why, Some(incident));
    }
    Ok(Ok((link, incident)))
}

fn used(incident: Incident) -> Closed {
    Closed { status: StatusCode::GONE, why: "this link was used already".to_owned(), incident: Some(incident) }
}

fn question(theme: Theme, token: &str, link: &ActLink, incident: &Incident) -> Markup {
    let (verb, effect) = match link.wish {
        Wish::Acknowledge => ("Acknowledge", "Nobody else is paged while you have it."),
        Wish::Resolve => ("Resolve", "Whoever was told of it is told that it is over."),
    };
    let content = html! {
        p { "As " strong { (link.who) } ". " (effect) }
        @if let (IncidentState::Acknowledged, Some(by)) = (incident.state, &incident.acknowledged_by) {
            p.soft { (by) " has it at the moment." }
        }
        form.plain method="post" action={ "/act/" (token) } {
            button.main type="submit" { (verb) }
        }
    };
    page(theme, verb, Some(incident), &content)
}

fn refusal(theme: Theme, closed: &Closed) -> Response {
    let content = html! { p.note.bad role="alert" { (closed.why) } };
    let page = page(theme, "Nothing was done", closed.incident.as_ref(), &content);
    (closed.status, page).into_response()
}

fn page(theme: Theme, title: &str, incident: Option<&Incident>, content: &Markup) -> Markup {
    alone(
        title,
        theme,
        Width::Narrow,
        &html! {
            section.card {
                h1 { (title) }
                @if let Some(incident) = incident {
                    p { a href={ "/incidents/" (incident.id) } { "#" (incident.number) } " " (incident.title) }
                }
                (content)
            }
        },
    )
}
