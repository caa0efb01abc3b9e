//! Browser sessions: who a cookie stands for, what forms must bring, when a cookie gets another secret.
//!
//! Invariants: what somebody may do is asked anew on every request (the directory for tokens, the rules of the issuer for
//! claims), so a session never has more than its holder; when that changes, the session gets another secret with the next
//! page; a write that a cookie authenticates brings the token of its session. Origins are [`crate::auth`]'s.

use crate::problem::Problem;
use crate::state::{AppState, Configured};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use trackside_core::caller::Caller;
use trackside_identity::credential::API_KEY_HEADER;
use trackside_identity::csrf;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::session::{Cookie, FADES_WITHIN, Lifetime, NOTED_EVERY, Secret, Subject};
use trackside_identity::sign_in::VIA;
use trackside_identity::token::TokenHash;
use trackside_store::sessions::{SessionRecord, Whose};
use url::form_urlencoded;

/// Largest form, in bytes: the text of an automation, or of a few.
const FORM_BYTES: usize = 2 * 1024 * 1024;

/// What a session is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    subject: Subject,
    /// What they might do when the secret was made, in words.
    rights: String,
}

/// A session to begin.
pub(crate) struct Beginning {
    /// Who.
    pub(crate) subject: Subject,
    /// Who that is now.
    pub(crate) identity: Identity,
    /// The provider's identifier of them.
    pub(crate) sub: Option<String>,
    /// The provider's identifier of its session.
    pub(crate) sid: Option<String>,
}

/// The token for the forms of the page that is being made.
#[derive(Clone, Debug)]
pub(crate) struct FormToken(pub(crate) String);

/// Who the session cookie of a request stands for.
pub(crate) async fn identity(state: &AppState, headers: &HeaderMap) -> Result<Option<Arc<Identity>>, Problem> {
    let Some((record, content)) = find(state, headers).await? else { return Ok(None) };
    let now = state.now();
    if now.duration_since(record.seen) >= NOTED_EVERY {
        let ends = lifetime(&state.configured()).idle_end(now);
        state.store.touch_session(&record.hash, now, ends).await?;
    }
    Ok(resolve(state, &content.subject, now).map(Arc::new))
}

/// The session of a request, if it is not over.
pub(crate) async fn current(state: &AppState, headers: &HeaderMap) -> Result<Option<SessionRecord>, Problem> {
    Ok(find(state, headers).await?.map(|(record, _)| record))
}

/// Who a session stands for now; `None` when it is of another version of the program, or they are nobody any more.
pub(crate) fn whose(state: &AppState, session: &SessionRecord) -> Option<Arc<Identity>> {
    let content: Content = serde_json::from_str(&session.body).ok()?;
    resolve(state, &content.subject, state.now()).map(Arc::new)
}

/// Who somebody of this name is, if they are signed in with a browser.
pub(crate) async fn identity_of(state: &AppState, subject: &str) -> Result<Option<Arc<Identity>>, Problem> {
    let now = state.now();
    let records = state.store.sessions(Whose::Subject(subject), now).await?;
    let there = |record: &SessionRecord| state.admit(whose(state, record)?).ok();
    Ok(records.iter().find_map(there))
}

/// Begins a session and ends the one the browser had; returns the `Set-Cookie` value.
pub(crate) async fn begin(state: &AppState, headers: &HeaderMap, new: Beginning) -> Result<String, Problem> {
    let (now, secret) = (state.now(), Secret::new((state.random)()));
    let configured = state.configured();
    let (transport, lifetime) = (configured.transport(), lifetime(&configured));
    let rights = new.identity.rights.to_string();
    let caller = &new.identity.caller;
    let record = SessionRecord {
        hash: *secret.hash().bytes(),
        id: state.new_id(),
        subject: caller.subject.clone(),
        issuer: match &new.subject {
            Subject::Provider { issuer, .. } => Some(issuer.clone()),
            Subject::Token { .. } | Subject::Link { .. } => None,
        },
        sub: new.sub,
        sid: new.sid,
        started: now,
        seen: now,
        ends: lifetime.idle_end(now).min(lifetime.last_end(now)),
        until: lifetime.last_end(now),
        body: text(&Content { subject: new.subject, rights: rights.clone() })?,
    };
    let before = transport.find(Cookie::Session, headers).map(|value| *TokenHash::of(value).bytes());
    let summary = format!("{} signed in with role {rights}", caller.subject);
    state.store.begin_session(&record, before.as_ref(), summary, caller).await?;
    Ok(transport.set(Cookie::Session, secret.expose(), record.until.duration_since(now)))
}

/// Middleware around whatever a session may use: a write must bring the token of its session, a page gets it for its
/// forms, and a session whose rights changed gets another secret.
pub(crate) async fn browser(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let presents = request.headers().contains_key(AUTHORIZATION) || request.headers().contains_key(API_KEY_HEADER);
    let cookie = state.configured().transport().find(Cookie::Session, request.headers()).map(str::to_owned);
    let Some(cookie) = cookie.filter(|_| !presents) else { return next.run(request).await };
    let page = crate::auth::is_browser(request.headers());
    if request.method().is_safe() {
        let renews = page && *request.method() == Method::GET;
        let headers = renews.then(|| request.headers().clone());
        let mut request = request;
        request.extensions_mut().insert(FormToken(csrf::token(&state.session_key, &cookie)));
        let response = next.run(request).await;
        return match headers {
            Some(headers) if response.status().is_success() => with_renewal(&state, &headers, response).await,
            _ => response,
        };
    }
    match with_token(&state, &cookie, request).await {
        Ok(mut request) => {
            request.extensions_mut().insert(FormToken(csrf::token(&state.session_key, &cookie)));
            next.run(request).await
        }
        Err(problem) if page => crate::page::error(&problem),
        Err(problem) => problem.into_response(),
    }
}

/// The request without the token, when it has the right one: in a header, or as a field of its form.
async fn with_token(state: &AppState, cookie: &str, request: Request) -> Result<Request, Problem> {
    let foreign = |foreign: csrf::ForeignForm| Problem::new(StatusCode::FORBIDDEN, foreign.to_string());
    let check = |token: Option<&str>| csrf::of_this_session(&state.session_key, cookie, token).map_err(foreign);
    let header = request.headers().get(csrf::HEADER).and_then(|value| value.to_str().ok());
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    if header.is_some() || !is_form {
        check(header)?;
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, FORM_BYTES)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is larger than 2 MiB"))?;
    let fields = || form_urlencoded::parse(&body);
    check(fields().find(|(name, _)| name == csrf::FIELD).map(|(_, token)| token).as_deref())?;
    let mut rest = form_urlencoded::Serializer::new(String::with_capacity(body.len()));
    rest.extend_pairs(fields().filter(|(name, _)| name != csrf::FIELD));
    let rest = rest.finish();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(rest.len()));
    Ok(Request::from_parts(parts, Body::from(rest)))
}

/// The response with another secret for the session, when what its holder may do has changed.
async fn with_renewal(state: &AppState, headers: &HeaderMap, mut response: Response) -> Response {
    match renewed(state, headers).await {
        Ok(Some(cookie)) => {
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        }
        Ok(None) => {}
        // The page is good without it; the next one tries again.
        Err(problem) => tracing::warn!(problem = problem.detail, "a session could not be renewed"),
    }
    response
}

async fn renewed(state: &AppState, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some((record, content)) = find(state, headers).await? else { return Ok(None) };
    let now = state.now();
    let fades = now.saturating_add(FADES_WITHIN).unwrap_or(now);
    let Some(identity) = resolve(state, &content.subject, now) else { return Ok(None) };
    let rights = identity.rights.to_string();
    // One that fades already has its successor.
    if rights == content.rights || record.until <= fades {
        return Ok(None);
    }
    let secret = Secret::new((state.random)());
    let body = text(&Content { rights, ..content })?;
    let renewed = SessionRecord { hash: *secret.hash().bytes(), id: state.new_id(), seen: now, body, ..record };
    state.store.renew_session(&renewed, &record.hash, fades, &identity.caller).await?;
    let transport = state.configured().transport();
    Ok(Some(transport.set(Cookie::Session, secret.expose(), renewed.until.duration_since(now))))
}

async fn find(state: &AppState, headers: &HeaderMap) -> Result<Option<(SessionRecord, Content)>, Problem> {
    let transport = state.configured().transport();
    let Some(cookie) = transport.find(Cookie::Session, headers).filter(|cookie| !cookie.is_empty()) else {
        return Ok(None);
    };
    let found = state.store.session(TokenHash::of(cookie).bytes(), state.now()).await?;
    let Some(record) = found else { return Ok(None) };
    match serde_json::from_str(&record.body) {
        Ok(content) => Ok(Some((record, content))),
        Err(error) => {
            tracing::warn!(session = %record.id, %error, "a session of another version of the program was ignored");
            Ok(None)
        }
    }
}

/// Who somebody is now; `None` when they are nobody any more.
fn resolve(state: &AppState, subject: &Subject, now: Timestamp) -> Option<Identity> {
    match subject {
        Subject::Token { name, hash } => state.directory().opened_by(name, hash, now).map(|grant| grant.identity(VIA)),
        Subject::Link { person, role } => Some(Identity::simple(Caller::new(person.clone(), VIA), Kind::Person, *role)),
        Subject::Provider { issuer, claims } => {
            let configured = state.configured();
            let sign_in = configured.sign_in.as_ref().filter(|sign_in| sign_in.config().issuer == *issuer)?;
            let identity = sign_in.identity(claims);
            identity.inspect_err(|error| tracing::warn!(%error, "the claims of a session cannot be used")).ok()
        }
    }
}

/// How long sessions last.
fn lifetime(configured: &Configured) -> Lifetime {
    configured.sign_in.as_ref().map_or(Lifetime::WEEK, |sign_in| sign_in.config().session)
}

fn text(content: &Content) -> Result<String, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the session cannot be written down");
    serde_json::to_string(content).map_err(failed)
}
