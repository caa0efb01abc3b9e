//! Who calls the API and the pages: token or session, and whether their role is enough.
//!
//! Invariants: a request that brings an `Authorization` header is judged by it alone, then a cookie counts, then a client
//! certificate; a write that only a cookie authenticates must come from our own page; an API caller is never redirected
//! but told how to authenticate (RFC 6750 §3); a token in an address is taken for calendar feeds only.

use crate::access::{Wish, may_now};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::ops::Deref;
use std::sync::Arc;
use trackside_core::caller::Caller;
use trackside_identity::callers::NotKnown;
use trackside_identity::certificate::PeerCertificate;
use trackside_identity::credential::{self, API_KEY_HEADER, Presented};
use trackside_identity::csrf;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::local::{self, Intent, LocalAccess};
use trackside_identity::rights::Rights;
use trackside_identity::role::Role;
use trackside_identity::session::Transport;

/// Longest description of a refusal in a header, in characters.
const DESCRIPTION: usize = 200;

/// The caller of a route that needs a role.
#[derive(Clone, Debug)]
pub(crate) struct Who(Arc<Identity>);

impl Deref for Who {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Missing only when a route that needs no role asks who calls: our mistake, not the caller's.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this route does not say who may use it"))
    }
}

/// What a route needs, and how it words a refusal.
#[derive(Clone)]
pub(crate) struct Guard {
    /// The server.
    pub(crate) state: AppState,
    /// The least role.
    pub(crate) needed: Role,
    /// A refusal to a program, in the words of the protocol that it speaks.
    pub(crate) words: fn(Problem) -> Response,
}

/// Middleware: lets callers with the role pass and tells the handler who they are.
pub(crate) async fn require(
    State(Guard { state, needed, words }): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let found = authenticate(&state, request.method(), request.headers(), peer(&request)).await;
    let refused = match found {
        Ok(Some(identity)) if identity.rights.allow(needed) => {
            let area = changed_area(needed, &request);
            match changes_what_is_configured(&state, &identity, area).await {
                Ok(()) => {
                    state.note_token_uses().await;
                    request.extensions_mut().insert(Who(identity));
                    return next.run(request).await;
                }
                Err(refused) => refused,
            }
        }
        Ok(Some(identity)) => {
            let rights = &identity.rights;
            Problem::new(StatusCode::FORBIDDEN, format!("this needs the role `{needed}`; you have `{rights}`"))
        }
        Ok(None) if wants_page(&state, request.method(), request.headers()) => {
            return Redirect::to(&sign_in_address(&request)).into_response();
        }
        Ok(None) => Problem::unauthenticated("send an API token as `Authorization: Bearer TOKEN`, or sign in"),
        Err(problem) => problem,
    };
    refuse(refused, request.headers(), words)
}

/// A refusal: a page for people, the words of the protocol for programs, and what either says about authentication.
fn refuse(refused: Problem, headers: &HeaderMap, words: fn(Problem) -> Response) -> Response {
    let challenge = challenge(&refused, headers);
    let mut answer = if is_browser(headers) { crate::page::error(&refused) } else { words(refused) };
    if let Some(challenge) = challenge {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// The client certificate of the connection, when TLS has verified one.
fn peer(request: &Request) -> Option<Arc<PeerCertificate>> {
    request.extensions().get::<Arc<PeerCertificate>>().cloned()
}

/// What a refusal says about authentication (RFC 6750 §3): nothing but the scheme to who presented nothing.
fn challenge(refused: &Problem, headers: &HeaderMap) -> Option<HeaderValue> {
    let error = match refused.status {
        StatusCode::UNAUTHORIZED if !headers.contains_key(AUTHORIZATION) && !headers.contains_key(API_KEY_HEADER) => {
            return Some(HeaderValue::from_static("Bearer realm=\"trackside\""));
        }
        StatusCode::UNAUTHORIZED => "invalid_token",
        StatusCode::FORBIDDEN => "insufficient_scope",
        _ => return None,
    };
    let description: String = refused.detail.chars().take(DESCRIPTION).map(describable).collect();
    let text = format!("Bearer realm=\"trackside\", error=\"{error}\", error_description=\"{description}\"");
    HeaderValue::from_str(&text).ok()
}

/// The characters of a description: printable ASCII without `"` and `\` (RFC 6750 §3).
fn describable(character: char) -> char {
    match character {
        '"' | '`' => '\'',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    }
}

/// Every write that needs the role admin changes what is configured, in the area that its path names (`tokens` for
/// `/api/v1/tokens/…`).
fn changed_area(needed: Role, request: &Request) -> Option<String> {
    let changes = needed == Role::Admin && !request.method().is_safe();
    let mut parts = request.uri().path().split('/').filter(|part| !matches!(*part, "" | "api" | "v1"));
    changes.then(|| parts.next().unwrap_or("server").to_owned())
}

/// Policies may forbid it, by the area: `Server::"tokens"`.
async fn changes_what_is_configured(state: &AppState, who: &Identity, area: Option<String>) -> Result<(), Problem> {
    match area {
        Some(area) => may_now(state, who, Wish::configure(&area)).await,
        None => Ok(()),
    }
}

/// Middleware like [`require`], for what any caller may ask: lets everybody pass who is known.
pub(crate) async fn require_known(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let refused = match authenticate(&state, request.method(), request.headers(), peer(&request)).await {
        Ok(Some(identity)) => {
            state.note_token_uses().await;
            request.extensions_mut().insert(Who(identity));
            return next.run(request).await;
        }
        Ok(None) if wants_page(&state, request.method(), request.headers()) => {
            return Redirect::to(&sign_in_address(&request)).into_response();
        }
        Ok(None) => Problem::unauthenticated("send an API token as `Authorization: Bearer TOKEN`, or sign in"),
        Err(problem) => problem,
    };
    refuse(refused, request.headers(), Problem::into_response)
}

/// What [`require_scope`] asks: the scope's name, and how a refusal is put into words.
type ScopeGuard = (AppState, &'static str, fn(Problem) -> Response);

/// Middleware like [`require`], for programs that need a scope and no role: lets callers with it pass.
pub(crate) async fn require_scope(
    State((state, scope, words)): State<ScopeGuard>,
    mut request: Request,
    next: Next,
) -> Response {
    let refused = match authenticate(&state, request.method(), request.headers(), peer(&request)).await {
        Ok(Some(identity)) if identity.names.contains(scope) => {
            state.note_token_uses().await;
            request.extensions_mut().insert(Who(identity));
            return next.run(request).await;
        }
        Ok(Some(_)) => Problem::new(StatusCode::FORBIDDEN, format!("this needs a token with the scope `{scope}`")),
        Ok(None) => Problem::unauthenticated("send an API token as `Authorization: Bearer TOKEN`"),
        Err(problem) => problem,
    };
    refuse(refused, request.headers(), words)
}

/// Middleware like [`require`], for what programs fetch that cannot send headers: a token may stand in the address, if
/// it has exactly the role that is needed. Addresses are kept in many places, so one with a token that can do more is
/// refused.
pub(crate) async fn require_or_address(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token);
    let Some(token) = token else { return require(State(guard), request, next).await };
    let found = guard.state.directory().find(&token, guard.state.now()).cloned();
    let refused = match found {
        Some(identity) if identity.rights == Rights::everywhere(guard.needed) => {
            guard.state.note_token_uses().await;
            request.extensions_mut().insert(Who(identity));
            return next.run(request).await;
        }
        Some(identity) => {
            let (needed, role) = (guard.needed, &identity.rights);
            let detail = format!("a token in an address must have the role `{needed}`; this one has `{role}`");
            Problem::new(StatusCode::FORBIDDEN, detail).at("token")
        }
        None => Problem::unauthenticated("this token is not known here").at("token"),
    };
    (guard.words)(refused)
}

/// Who calls; `None` when the request says nothing about it.
pub(crate) async fn authenticate(
    state: &AppState,
    method: &Method,
    headers: &HeaderMap,
    peer: Option<Arc<PeerCertificate>>,
) -> Result<Option<Arc<Identity>>, Problem> {
    let presented = credential::presented(headers).map_err(|bad| Problem::unauthenticated(bad.to_string()))?;
    if presented != Presented::Nothing {
        let now = state.now();
        if let Some(identity) = state.directory().find_any(presented.candidates(), now) {
            return state.roster().admit(Arc::clone(identity)).map(Some).map_err(refused);
        }
        if let Some(stale) = presented.candidates().find_map(|token| stale(state, token)) {
            return Err(stale);
        }
        let Presented::Token(token) = presented else {
            return Err(Problem::unauthenticated(NotKnown::Foreign.to_string()));
        };
        let callers = Arc::clone(&state.configured().callers);
        let identity = callers.identify(token, now).await.map_err(refused)?;
        return state.roster().admit(identity).map(Some).map_err(refused);
    }
    let Some(identity) = crate::session::identity(state, headers).await? else {
        let identity = peer.and_then(|peer| state.callers().identify_certificate(&peer, state.now()));
        let identity = identity.or_else(|| on_this_machine(state, method, headers));
        return identity.map(|identity| state.roster().admit(identity).map_err(refused)).transpose();
    };
    if !method.is_safe() {
        csrf::same_origin(headers, &state.configured().public_origin())
            .map_err(|foreign| Problem::new(StatusCode::FORBIDDEN, foreign.to_string()))?;
    }
    state.roster().admit(identity).map(Some).map_err(refused)
}

/// What to say to who holds a token of ours that has ended: only they can know it.
fn stale(state: &AppState, token: &str) -> Option<Problem> {
    let directory = state.directory();
    let (identity, expired) = directory.expired(token, state.now())?;
    let detail =
        format!("the token `{}` ended at {expired}; have it rotated, and use the new one", identity.token_name);
    Some(Problem::unauthenticated(detail))
}

/// Who is at this machine, where nobody has to sign in.
fn on_this_machine(state: &AppState, method: &Method, headers: &HeaderMap) -> Option<Arc<Identity>> {
    let intent = if method.is_safe() { Intent::Read } else { Intent::Write };
    let open = state.configured().local_access == LocalAccess::Open;
    let caller = || Caller::new(local::SUBJECT, local::CAME_BY);
    (open && local::is_local(headers, intent)).then(|| Arc::new(Identity::simple(caller(), Kind::Person, Role::Admin)))
}

/// How a foreign token's refusal is answered.
fn refused(not_known: NotKnown) -> Problem {
    match not_known {
        NotKnown::Foreign | NotKnown::Invalid(_) => Problem::unauthenticated(not_known.to_string()),
        NotKnown::Unavailable(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Whether an answer should be a page.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// Whether somebody looks at a page who could sign in. Browsers say that they navigate, but only to servers that they
/// reach by TLS; over plain HTTP their `Accept` must do.
fn wants_page(state: &AppState, method: &Method, headers: &HeaderMap) -> bool {
    let navigates = match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => state.configured().transport() == Transport::Plain,
    };
    method == Method::GET && is_browser(headers) && navigates
}

/// The sign-in page, with the way back.
fn sign_in_address(request: &Request) -> String {
    let back = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    crate::page::ui::address("/sign-in", &[("next", back)], None)
}
