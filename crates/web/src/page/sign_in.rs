//! Signing in and out: by the provider's page, with a token, or with a one-time link.
//!
//! A link is used up by a post, never by opening it, so a chat's preview or a browser's prefetch cannot burn it; the
//! script posts at once, without it there is a button. Signing out ends the session here; ending the one at the provider
//! is offered, not done, because it signs out of everything else there.

pub(crate) mod provider;

use crate::page::layout::{Theme, Width, alone};
use crate::page::{error, theme};
use crate::problem::Problem;
use crate::session::{self, Beginning};
use crate::state::AppState;
use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::caller::Caller;
use trackside_identity::csrf;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::role::Role;
use trackside_identity::session::{Cookie, Subject};
use trackside_identity::sign_in::VIA;
use trackside_identity::sign_in::config::Tokens;
use trackside_identity::token::TokenHash;
use trackside_store::sessions::Whose;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Arrival {
    link: Option<String>,
    pub(super) next: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    token: Option<String>,
    link: Option<String>,
    next: Option<String>,
}

/// Ways to sign in that are offered.
#[derive(Clone, Copy, Debug)]
struct Ways<'a> {
    /// What the provider's button says.
    provider: Option<&'a str>,
    /// Whether tokens open a session.
    tokens: Tokens,
}

/// `GET /sign-in`
pub(crate) async fn show(State(state): State<AppState>, headers: HeaderMap, Query(arrival): Query<Arrival>) -> Markup {
    page(&state, &headers, &arrival, None)
}

/// `POST /sign-in`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Response {
    match accept(&state, &headers, form).await {
        Ok(response) => response,
        Err(problem) => {
            let page = page(&state, &headers, &Arrival::default(), Some(&problem.detail));
            (problem.status, page).into_response()
        }
    }
}

/// `POST /sign-out`
pub(crate) async fn sign_out(State(state): State<AppState>, headers: HeaderMap) -> Response {
    match leave(&state, &headers).await {
        Ok(()) => {
            let configured = state.configured();
            let after = if configured.sign_in.is_some() { "/signed-out" } else { "/sign-in" };
            ([(SET_COOKIE, configured.transport().clear(Cookie::Session))], Redirect::to(after)).into_response()
        }
        Err(problem) => error(&problem),
    }
}

/// `GET /signed-out`: the session here is over; the one at the provider may not be.
pub(crate) async fn signed_out(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let configured = state.configured();
    let Some(sign_in) = &configured.sign_in else { return Redirect::to("/sign-in").into_response() };
    let title = sign_in.config().title();
    let there = sign_in.sign_out_page(&provider::at(&configured, "/sign-in"), state.now()).await;
    let content = html! {
        section.card {
            h1 { "Signed out" }
            br;
            p { "Your session here is over." }
            p { a.button.main href="/sign-in" { "Sign in again" } }
            @if let Some(there) = there {
                p.small { "You may still be signed in at " (title) ". " a href=(there.as_str()) { "Sign out there too" } }
            }
        }
    };
    alone("Signed out", theme(&headers), Width::Narrow, &content).into_response()
}

async fn leave(state: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    same_origin(state, headers)?;
    if let Some(session) = session::current(state, headers).await? {
        let caller = Caller::new(session.subject.clone(), VIA);
        state.store.end_sessions(Whose::One(session.id), "signed out", state.now(), &caller).await?;
    }
    Ok(())
}

async fn accept(
    state: &AppState,
    headers: &HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Result<Response, Problem> {
    same_origin(state, headers)?;
    let Form(given) = form.map_err(|bad| Problem::bad("form", bad.body_text()))?;
    let (subject, identity) = subject(state, &given)?;
    let beginning = Beginning { subject, identity, sub: None, sid: None };
    let cookie = session::begin(state, headers, beginning).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&local(given.next.as_deref()))).into_response())
}

fn same_origin(state: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    csrf::same_origin(headers, &state.configured().public_origin())
        .map_err(|foreign| Problem::new(StatusCode::FORBIDDEN, foreign.to_string()))
}

/// Who signs in.
fn subject(state: &AppState, given: &Credentials) -> Result<(Subject, Identity), Problem> {
    if let Some(link) = given.link.as_deref().filter(|link| !link.is_empty()) {
        let redeemed = state.redeem_link(link).ok_or_else(|| {
            Problem::unauthenticated("this link was used or is older than ten minutes; ask for a new one")
        })?;
        let identity = Identity::simple(Caller::new(redeemed.person.clone(), VIA), Kind::Person, redeemed.role);
        return Ok((Subject::Link { person: redeemed.person, role: redeemed.role }, identity));
    }
    let configured = state.configured();
    if configured.sign_in.as_ref().is_some_and(|sign_in| sign_in.config().tokens == Tokens::Refuse) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "tokens do not sign in here; use the provider's button"));
    }
    let token = given.token.as_deref().map(str::trim).unwrap_or_default();
    let directory = state.directory();
    let identity =
        directory.find(token, state.now()).ok_or_else(|| Problem::unauthenticated("this token is not known here"))?;
    if !identity.rights.allow(Role::Viewer) {
        let detail = "this token may not look at anything; sign in with another";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let name = identity.token_name.clone();
    let caller = Caller { via: VIA.to_owned(), ..identity.caller.clone() };
    Ok((Subject::Token { name, hash: TokenHash::of(token) }, Identity { caller, ..Identity::clone(identity) }))
}

/// Where to go after signing in: a path on this server, else the overview.
pub(super) fn local(next: Option<&str>) -> String {
    let next = next.unwrap_or("/");
    // Addresses are visible ASCII; anything else would not fit into the header that leads there.
    let stays =
        next.starts_with('/') && !next.starts_with("//") && next.bytes().all(|c| c.is_ascii_graphic() && c != b'\\');
    if stays && !next.starts_with("/sign") { next.to_owned() } else { "/".to_owned() }
}

fn page(state: &AppState, headers: &HeaderMap, arrival: &Arrival, wrong: Option<&str>) -> Markup {
    let configured = state.configured();
    let config = configured.sign_in.as_ref().map(|sign_in| sign_in.config());
    let ways = Ways {
        provider: config.map(|config| config.title()),
        tokens: config.map_or(Tokens::Accept, |config| config.tokens),
    };
    form(theme(headers), arrival, ways, wrong)
}

fn form(theme: Theme, arrival: &Arrival, ways: Ways<'_>, wrong: Option<&str>) -> Markup {
    let link = arrival.link.as_deref().unwrap_or_default();
    let next = arrival.next.as_deref().unwrap_or_default();
    let provider = crate::page::ui::address("/sign-in/provider", &[("next", next)], None);
    alone(
        "Sign in",
        theme,
        Width::Narrow,
        &html! {
            section.card {
                h1 { "◈ Trackside" }
                br;
                @if let Some(wrong) = wrong { p.note.bad role="alert" { (wrong) } }
                @if !link.is_empty() { (with_link(link, next)) } @else {
                    @if let Some(title) = ways.provider {
                        p { a.button.main.whole href=(provider) { "Sign in with " (title) } }
                    }
                    @match (ways.provider, ways.tokens) {
                        (None, _) => (with_token(next)),
                        (Some(_), Tokens::Accept) => { details { summary.small { "With an API token" } br; (with_token(next)) } },
                        (Some(_), Tokens::Refuse) => {},
                    }
                }
            }
        },
    )
}

fn with_token(next: &str) -> Markup {
    html! {
        form.plain method="post" action="/sign-in" {
            label { "API token" input type="password" name="token" autocomplete="current-password" required autofocus; }
            input type="hidden" name="next" value=(next);
            button.main type="submit" { "Sign in" }
        }
        br;
        p.small.soft { "Tokens are made with " code { "trackside token create" } "; the server prints a one-time link when it starts." }
    }
}

fn with_link(link: &str, next: &str) -> Markup {
    html! {
        form.plain method="post" action="/sign-in" data-submit {
            p { "This link signs you in once." }
            input type="hidden" name="link" value=(link);
            input type="hidden" name="next" value=(next);
            button.main type="submit" autofocus { "Sign in" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_server() {
        let stays = ["/runs?state=failed", "/incidents/3"];
        for next in stays {
            assert_eq!(local(Some(next)), next);
        }
        for next in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/runs?pipeline=é",
            "/a b",
            "/sign-in?next=/",
            "/sign-in/provider",
            "/signed-out",
            "runs",
            "",
        ] {
            assert_eq!(local(Some(next)), "/", "{next}");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn forms_take_their_values_escaped() {
        let arrival = Arrival { link: Some("\"><script>".to_owned()), next: None };
        let ways = Ways { provider: Some("<b>"), tokens: Tokens::Accept };
        let page = form(Theme::System, &arrival, ways, None).into_string();
        assert!(!page.contains("\"><script>"));
        let page = form(Theme::System, &Arrival::default(), ways, None).into_string();
        assert!(!page.contains("<b>"));
    }
}
