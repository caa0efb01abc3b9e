//! Signing in by an identity provider: away, back, and out when the provider says so.
//!
//! Invariants: an answer is used once, also when completing it fails; where somebody goes afterwards is a path on this
//! server; what went wrong is told to the person without what the provider sent, and to the log with it.

use crate::page::layout::{Width, alone};
use crate::page::sign_in::{Arrival, local};
use crate::page::theme;
use crate::problem::Problem;
use crate::session::{self, Beginning};
use crate::state::{AppState, Configured};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use maud::html;
use serde::Deserialize;
use std::sync::Arc;
use trackside_core::caller::Caller;
use trackside_identity::callers::NotKnown;
use trackside_identity::issuer::Logout;
use trackside_identity::session::{Cookie, Subject};
use trackside_identity::sign_in::client::Moment;
use trackside_identity::sign_in::flow::{Answer, Refused, WITHIN};
use trackside_identity::sign_in::{Failed, SignIn, SignedIn};
use trackside_store::heard::Once;
use trackside_store::sessions::Whose;
use url::Url;

/// How long a logout token is remembered behind its end: longer than any leeway.
const LOGOUT_REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// `GET /sign-in/provider`: to the provider's page.
pub(crate) async fn depart(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(arrival): Query<Arrival>,
) -> Response {
    let configured = state.configured();
    let Some(sign_in) = configured.sign_in.clone() else { return Redirect::to("/sign-in").into_response() };
    let next = local(arrival.next.as_deref());
    let departure = sign_in.depart(&state.session_key, &callback(&configured), &next, moment(&state)).await;
    match departure {
        Ok(departure) => {
            let cookie = configured.transport().set(Cookie::SignIn, &departure.cookie, WITHIN);
            ([(SET_COOKIE, cookie)], Redirect::to(departure.url.as_str())).into_response()
        }
        Err(failed) => went_wrong(&headers, &sign_in, &failed),
    }
}

/// `GET /sign-in/callback`: back from the provider's page.
pub(crate) async fn arrive(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let configured = state.configured();
    let Some(sign_in) = configured.sign_in.clone() else { return Redirect::to("/sign-in").into_response() };
    let done = match learn(&state, &configured, &sign_in, &headers, &answer).await {
        Ok((signed_in, next)) => enter(&state, &headers, &sign_in, signed_in).await.map(|cookie| (cookie, next)),
        Err(Trouble::Failed(failed)) => return without_cookie(&configured, went_wrong(&headers, &sign_in, &failed)),
        Err(Trouble::Problem(problem)) => Err(problem),
    };
    match done {
        Ok((cookie, next)) => {
            let over = configured.transport().clear(Cookie::SignIn);
            (AppendHeaders([(SET_COOKIE, cookie), (SET_COOKIE, over)]), Redirect::to(&next)).into_response()
        }
        Err(problem) => crate::page::error(&problem),
    }
}

/// Why nobody was signed in.
enum Trouble {
    Failed(Failed),
    Problem(Problem),
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// Who has signed in, and where they go.
async fn learn(
    state: &AppState,
    configured: &Configured,
    sign_in: &SignIn,
    headers: &HeaderMap,
    answer: &Answer,
) -> Result<(SignedIn, String), Trouble> {
    let cookie = configured.transport().find(Cookie::SignIn, headers);
    let accepted = sign_in.arrive(&state.session_key, cookie, answer, state.now()).await?;
    let once = Once { kind: "sign-in", key: &accepted.state, expires: accepted.expires };
    let first = state.store.append_once(once, Vec::new(), state.now()).await;
    if first.map_err(|error| Trouble::Problem(error.into()))?.is_none() {
        return Err(Failed::Used.into());
    }
    let signed_in = sign_in.complete(&accepted, &callback(configured), moment(state)).await?;
    Ok((signed_in, local(Some(&accepted.next))))
}

/// Begins the session; returns its cookie.
async fn enter(state: &AppState, headers: &HeaderMap, sign_in: &SignIn, who: SignedIn) -> Result<String, Problem> {
    // Whoever is gone from the directory is told so here, and not by every page afterwards.
    let there = state.admit(Arc::new(who.identity.clone()));
    there.map_err(|gone| Problem::new(StatusCode::FORBIDDEN, gone.to_string()))?;
    let subject = Subject::Provider { issuer: sign_in.config().issuer.clone(), claims: who.claims };
    let beginning = Beginning { subject, identity: who.identity, sub: Some(who.sub), sid: who.sid };
    session::begin(state, headers, beginning).await
}

/// A page that says what went wrong and how to go on.
fn went_wrong(headers: &HeaderMap, sign_in: &SignIn, failed: &Failed) -> Response {
    let status = match failed {
        Failed::Refused(Refused::Denied) | Failed::NoRole(..) => StatusCode::FORBIDDEN,
        Failed::Refused(_) | Failed::Used => StatusCode::BAD_REQUEST,
        Failed::Provider(_) | Failed::Unusable(_) => StatusCode::BAD_GATEWAY,
    };
    tracing::warn!(issuer = sign_in.config().issuer, status = status.as_u16(), "nobody was signed in: {failed}");
    let content = html! {
        section.card {
            h1 { "Not signed in" }
            br;
            p.note.bad role="alert" { (failed) }
            p { a.button.main href="/sign-in/provider" { "Sign in with " (sign_in.config().title()) } }
            p.small { a href="/sign-in" { "Other ways to sign in" } }
        }
    };
    (status, alone("Not signed in", theme(headers), Width::Narrow, &content)).into_response()
}

fn without_cookie(configured: &Configured, response: Response) -> Response {
    ([(SET_COOKIE, configured.transport().clear(Cookie::SignIn))], response).into_response()
}

/// What a provider sends when it ended a session (OpenID Connect Back-Channel Logout 1.0 §2.5).
#[derive(Deserialize)]
pub(crate) struct BackChannel {
    logout_token: String,
}

/// `POST /sign-in/back-channel-logout`: the provider has ended sessions.
pub(crate) async fn back_channel(
    State(state): State<AppState>,
    form: Result<axum::Form<BackChannel>, axum::extract::rejection::FormRejection>,
) -> Response {
    let refused = |status: StatusCode, why: String| {
        let body = serde_json::json!({"error": "invalid_request", "error_description": why});
        (status, Json(body)).into_response()
    };
    let Ok(axum::Form(BackChannel { logout_token })) = form else {
        return refused(StatusCode::BAD_REQUEST, "send a form with `logout_token`".to_owned());
    };
    let Some(sign_in) = state.configured().sign_in.clone() else {
        return refused(StatusCode::BAD_REQUEST, "nobody signs in here by a provider".to_owned());
    };
    match sign_in.logout(&logout_token, state.now()).await {
        Ok(logout) => match end(&state, &sign_in, &logout).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(problem) => problem.into_response(),
        },
        Err(NotKnown::Unavailable(why)) => refused(StatusCode::SERVICE_UNAVAILABLE, why),
        Err(not_known) => refused(StatusCode::BAD_REQUEST, not_known.to_string()),
    }
}

/// Ends what a logout token names. One that was heard before has done so already.
async fn end(state: &AppState, sign_in: &Arc<SignIn>, logout: &Logout) -> Result<(), Problem> {
    let now = state.now();
    let issuer = sign_in.config().issuer.as_str();
    let kind = format!("logout-token/{issuer}");
    let expires = logout.expires.saturating_add(LOGOUT_REMEMBERED).unwrap_or(Timestamp::MAX);
    let once = Once { kind: &kind, key: &logout.jti, expires };
    let whose = match (&logout.sid, &logout.sub) {
        (Some(sid), _) => Whose::Sid { issuer, sid },
        (None, Some(sub)) => Whose::Sub { issuer, sub },
        (None, None) => return Ok(()),
    };
    let caller = Caller::new(issuer, "back-channel");
    let ended = state.store.end_sessions_once(once, whose, "signed out at the provider", now, &caller).await?;
    tracing::info!(issuer, ended, "the provider ended sessions");
    Ok(())
}

/// Where the provider sends browsers back to.
fn callback(configured: &Configured) -> Url {
    at(configured, "/sign-in/callback")
}

/// An address on this server.
pub(super) fn at(configured: &Configured, path: &str) -> Url {
    let mut url = configured.public_url.clone();
    url.set_path(path);
    url.set_query(None);
    url
}

fn moment(state: &AppState) -> Moment {
    let now: Timestamp = state.now();
    Moment { now, random: (state.random)() }
}
