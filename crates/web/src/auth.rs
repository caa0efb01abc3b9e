//! Who calls the API and the pages: token or session, and whether their role is enough.
//!
//! Invariants: a request that brings an `Authorization` header is judged by it alone, then a cookie counts, then a client
//! certificate; a write that only what a browser sends by itself authenticates (a cookie, a certificate) must come from our
//! own page; an API caller is never redirected
//! but told how to authenticate (RFC 6750 §3); a token in an address is taken for calendar feeds only.

use crate::access::refusals::{self, Refused};
use crate::access::{Wish, may_now};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::ops::Deref;
use std::sync::Arc;
use trackside_core::caller::{Authority, Caller};
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

impl Who {
    /// Somebody who may, as the caller says why.
    fn by(identity: &Identity, caller: Caller) -> Self {
        Self(Arc::new(Identity { caller, ..identity.clone() }))
    }
}

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
    /// Where it must be held.
    pub(crate) held: Held,
    /// A refusal to a program, in the words of the protocol that it speaks.
    pub(crate) words: fn(Problem) -> Response,
}

/// Where a role must be held for a route to be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// For some team: the route only shows something, or its handler asks for which team.
    Anywhere,
    /// For all of them: what the route changes is nobody's in particular.
    Everywhere,
}

impl Guard {
    fn lets_in(&self, who: &Identity) -> bool {
        match self.held {
            Held::Anywhere => who.rights.allow(self.needed),
            Held::Everywhere => who.rights.allow_for(self.needed, None),
        }
    }

    fn refusal(&self, who: &Identity) -> Problem {
        let (needed, rights) = (self.needed, &who.rights);
        let everywhere = if rights.allow(needed) { " for every team" } else { "" };
        Problem::new(StatusCode::FORBIDDEN, format!("this needs the role `{needed}`{everywhere}; you have `{rights}`"))
    }
}

/// Middleware: lets callers with the role pass and tells the handler who they are.
pub(crate) async fn require(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Guard { state, words, .. } = &guard;
    let found = authenticate(state, request.method(), request.headers(), peer(&request)).await;
    // A request cannot be looked at while something is waited for: its body is one reader's.
    let (asked, address) = (Asked::of(guard.needed, &request), Address::of(&request));
    let refused = match found {
        Ok(Some(identity)) if guard.lets_in(&identity) => match admitted(&guard, identity, asked).await {
            Ok(who) => {
                state.note_token_uses().await;
                request.extensions_mut().insert(who);
                return next.run(request).await;
            }
            Err(refused) => refused,
        },
        Ok(Some(identity)) => address.refuse(state, &identity, guard.refusal(&identity)).await,
        Ok(None) if wants_page(state, request.method(), request.headers()) => {
            return Redirect::to(&sign_in_address(&request)).into_response();
        }
        Ok(None) => Problem::unauthenticated("send an API token as `Authorization: Bearer TOKEN`, or sign in"),
        Err(problem) => problem,
    };
    refuse(refused, request.headers(), *words)
}

/// The caller as the handler sees them. Of a write they say what lets them, so that its audit rows do; what changes the
/// configuration is asked of policies, too.
async fn admitted(guard: &Guard, identity: Arc<Identity>, asked: Asked) -> Result<Who, Problem> {
    let caller = match asked {
        Asked::Look => return Ok(Who(identity)),
        Asked::Configure(area) => may_now(&guard.state, &identity, Wish::configure(&area)).await?,
        Asked::Write => lets(&identity, format!("the role `{}` is held ({})", guard.needed, identity.rights)),
    };
    Ok(Who::by(&identity, caller))
}

/// What a request asks for.
enum Asked {
    Look,
    Write,
    /// To change what is configured, in this area.
    Configure(String),
}

impl Asked {
    fn of(needed: Role, request: &Request) -> Self {
        match changed_area(needed, request) {
            _ if request.method().is_safe() => Self::Look,
            Some(area) => Self::Configure(area),
            None => Self::Write,
        }
    }
}

/// The address of a request, as the table of routes has it.
struct Address {
    method: Method,
    template: String,
}

impl Address {
    fn of(request: &Request) -> Self {
        let template = request.extensions().get::<MatchedPath>().map_or("?", MatchedPath::as_str);
        Self { method: request.method().clone(), template: template.to_owned() }
    }

    /// Puts a refusal of the whole address into the audit; gives it back to be answered.
    async fn refuse(self, state: &AppState, who: &Identity, refused: Problem) -> Problem {
        let row = Refused::address(&self.method, &self.template, refused.detail.clone());
        match refusals::tell(state, &who.caller, row).await {
            Ok(()) => refused,
            Err(failed) => failed,
        }
    }
}

/// The caller of an identity, with why they may.
fn lets(identity: &Identity, because: String) -> Caller {
    let authority = Authority { because, policies: Vec::new() };
    Caller { authority: Some(authority), ..identity.caller.clone() }
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
/// `/api/v1/tokens/…`), by the name that policies know it by.
fn changed_area(needed: Role, request: &Request) -> Option<String> {
    let changes = needed == Role::Admin && !request.method().is_safe();
    let mut parts = request.uri().path().split('/').filter(|part| !matches!(*part, "" | "api" | "v1"));
    changes.then(|| match parts.next().unwrap_or("server") {
        "config" => "configuration".to_owned(),
        "block_types" | "block_documents" | "block_schemas" => "blocks".to_owned(),
        area => area.to_owned(),
    })
}

/// Middleware like [`require`], for what any caller may ask: lets everybody pass who is known.
pub(crate) async fn require_known(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let refused = match authenticate(&state, request.method(), request.headers(), peer(&request)).await {
        Ok(Some(identity)) => {
            state.note_token_uses().await;
            let caller = lets(&identity, "every known caller may ask".to_owned());
            request.extensions_mut().insert(Who::by(&identity, caller));
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

/// Middleware like [`require`], for programs that need a scope and no role: lets callers with it pass. Only a scope that
/// this server's configuration or API gave counts: one that an issuer gives means nothing here but to routes and jobs.
pub(crate) async fn require_scope(
    State((state, scope, words)): State<ScopeGuard>,
    mut request: Request,
    next: Next,
) -> Response {
    let refused = match authenticate(&state, request.method(), request.headers(), peer(&request)).await {
        Ok(Some(identity)) if identity.issuer.is_none() && identity.names.contains(scope) => {
            state.note_token_uses().await;
            let caller = lets(&identity, format!("the scope `{scope}` is held"));
            request.extensions_mut().insert(Who::by(&identity, caller));
            return next.run(request).await;
        }
        Ok(Some(identity)) => {
            let detail = format!("this needs an API token of this server with the scope `{scope}`");
            Address::of(&request).refuse(&state, &identity, Problem::new(StatusCode::FORBIDDEN, detail)).await
        }
        Ok(None) => Problem::unauthenticated("send an API token as `Authorization: Bearer TOKEN`"),
        Err(problem) => problem,
    };
    refuse(refused, request.headers(), words)
}

/// Middleware like [`require`], for what programs fetch that cannot send headers: a token may stand in the address, if
/// it has exactly the role that is needed, and no scope. Addresses are kept in many places, so one with a token that can do
/// more is refused.
pub(crate) async fn require_or_address(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token);
    let Some(token) = token else { return require(State(guard), request, next).await };
    let found = guard.state.directory().find(&token, guard.state.now()).cloned();
    let refused = match found {
        Some(identity) if identity.rights == Rights::everywhere(guard.needed) && identity.names.is_empty() => {
            guard.state.note_token_uses().await;
            request.extensions_mut().insert(Who(identity));
            return next.run(request).await;
        }
        Some(identity) => {
            let (needed, role) = (guard.needed, &identity.rights);
            let scopes = if identity.names.is_empty() { "" } else { " and scopes" };
            let detail =
                format!("a token in an address must have the role `{needed}` only; this one has `{role}`{scopes}");
            let refused = Problem::new(StatusCode::FORBIDDEN, detail).at("token");
            Address::of(&request).refuse(&guard.state, &identity, refused).await
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
    let from_our_page = || {
        let foreign = |foreign: csrf::ForeignOrigin| Problem::new(StatusCode::FORBIDDEN, foreign.to_string());
        csrf::same_origin(headers, &state.configured().public_origin()).map_err(foreign)
    };
    let identity = if let Some(identity) = crate::session::identity(state, headers).await? {
        if !method.is_safe() {
            from_our_page()?;
        }
        identity
    } else if let Some(identity) = peer.and_then(|peer| state.callers().identify_certificate(&peer, state.now())) {
        // A browser shows its certificate to whatever page asks it to; a program says nothing of pages.
        if !method.is_safe() && csrf::comes_from_a_browser(headers) {
            from_our_page()?;
        }
        identity
    } else {
        let Some(identity) = on_this_machine(state, method, headers) else { return Ok(None) };
        identity
    };
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
