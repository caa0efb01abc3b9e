//! Signing in and out: with a token, or with a one-time link.
//!
//! A link is used up by a post, never by opening it, so a chat's preview or a browser's prefetch cannot burn it; the
//! script posts at once, without it there is a button.

use crate::page::layout::{Theme, Width, alone};
use crate::page::{error, theme};
use crate::problem::Problem;
use crate::session;
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
use trackside_identity::role::Role;
use trackside_identity::session::Subject;
use trackside_store::audit::NewAudit;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Arrival {
    link: Option<String>,
    next: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    token: Option<String>,
    link: Option<String>,
    next: Option<String>,
}

/// `GET /sign-in`
pub(crate) async fn show(headers: HeaderMap, Query(arrival): Query<Arrival>) -> Markup {
    form(theme(&headers), &arrival, None)
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
            let page = self::form(theme(&headers), &Arrival::default(), Some(&problem.detail));
            (problem.status, page).into_response()
        }
    }
}

/// `POST /sign-out`
pub(crate) async fn sign_out(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if csrf::same_origin(&headers, &state.configured().public_origin()).is_err() {
        return error(&Problem::new(StatusCode::FORBIDDEN, csrf::ForeignOrigin.to_string()));
    }
    let end = state.configured().transport().end();
    ([(SET_COOKIE, end)], Redirect::to("/sign-in")).into_response()
}

async fn accept(
    state: &AppState,
    headers: &HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Result<Response, Problem> {
    csrf::same_origin(headers, &state.configured().public_origin())
        .map_err(|foreign| Problem::new(StatusCode::FORBIDDEN, foreign.to_string()))?;
    let Form(given) = form.map_err(|bad| Problem::bad("form", bad.body_text()))?;
    let subject = subject(state, &given)?;
    let (who, role) = match &subject {
        Subject::Token(name) => (name.clone(), state.directory().named(name).map_or(Role::Viewer, |grant| grant.role)),
        Subject::Link { person, role } => (person.clone(), *role),
    };
    let cookie = session::begin(state, subject)?;
    let row = NewAudit {
        at: state.now(),
        caller: Caller::new(who.clone(), "session"),
        action: "session.started".to_owned(),
        summary: format!("{who} signed in with role {role}"),
        delivery: None,
    };
    state.store.record(&row).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&local(given.next.as_deref()))).into_response())
}

/// Who signs in.
fn subject(state: &AppState, given: &Credentials) -> Result<Subject, Problem> {
    if let Some(link) = given.link.as_deref().filter(|link| !link.is_empty()) {
        let redeemed = state.redeem_link(link).ok_or_else(|| {
            Problem::unauthenticated("this link was used or is older than ten minutes; ask for a new one")
        })?;
        return Ok(Subject::Link { person: redeemed.person, role: redeemed.role });
    }
    let token = given.token.as_deref().map(str::trim).unwrap_or_default();
    let directory = state.directory();
    let identity =
        directory.find(token, state.now()).ok_or_else(|| Problem::unauthenticated("this token is not known here"))?;
    if !identity.rights.allow(Role::Viewer) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "this token may send events only; sign in with another"));
    }
    Ok(Subject::Token(identity.token_name.clone()))
}

/// Where to go after signing in: a path on this server, else the overview.
fn local(next: Option<&str>) -> String {
    let next = next.unwrap_or("/");
    let stays = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if stays && !next.starts_with("/sign-") { next.to_owned() } else { "/".to_owned() }
}

fn form(theme: Theme, arrival: &Arrival, wrong: Option<&str>) -> Markup {
    let link = arrival.link.as_deref().unwrap_or_default();
    let next = arrival.next.as_deref().unwrap_or_default();
    alone(
        "Sign in",
        theme,
        Width::Narrow,
        &html! {
            section.card {
                h1 { "◈ Trackside" }
                br;
                @if let Some(wrong) = wrong { p.note.bad role="alert" { (wrong) } }
                @if link.is_empty() {
                    form.plain method="post" action="/sign-in" {
                        label { "API token" input type="password" name="token" autocomplete="current-password" required autofocus; }
                        input type="hidden" name="next" value=(next);
                        button.main type="submit" { "Sign in" }
                    }
                    br;
                    p.small.soft { "Tokens are made with " code { "trackside token create" } "; the server prints a one-time link when it starts." }
                } @else {
                    form.plain method="post" action="/sign-in" data-submit {
                        p { "This link signs you in once." }
                        input type="hidden" name="link" value=(link);
                        input type="hidden" name="next" value=(next);
                        button.main type="submit" autofocus { "Sign in" }
                    }
                }
            }
        },
    )
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
        for next in ["//evil.example", "https://evil.example", "/\\evil.example", "/sign-in?next=/", "runs", ""] {
            assert_eq!(local(Some(next)), "/", "{next}");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn forms_take_their_values_escaped() {
        let arrival = Arrival { link: Some("\"><script>".to_owned()), next: None };
        let page = form(Theme::System, &arrival, None).into_string();
        assert!(!page.contains("\"><script>"));
    }
}
