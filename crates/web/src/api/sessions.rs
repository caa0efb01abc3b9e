//! Browser sessions, who one is, and how to sign in from a program.
//!
//! Everybody sees and ends their own sessions; an administrator everybody's. Nothing here shows what a cookie holds.

use crate::access::refusals::{self, Refused};
use crate::api::{Params, Segments, id};
use crate::auth::Who;
use crate::problem::Problem;
use crate::session;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::local::LocalAccess;
use trackside_identity::role::Role;
use trackside_store::sessions::{SessionRecord, Whose};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A browser session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionOut {
    /// Its name.
    pub(crate) id: Uuid,
    /// Who.
    pub(crate) subject: String,
    /// Issuer of the configuration that vouched for them; absent for tokens and one-time links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// When they signed in.
    pub(crate) started: Timestamp,
    /// When it was last used, to the minute.
    pub(crate) seen: Timestamp,
    /// When it ends if it is not used before.
    pub(crate) ends: Timestamp,
    /// When it ends in any case.
    pub(crate) until: Timestamp,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

/// Which sessions.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct SessionFilter {
    /// Only of this person, as the audit names them.
    pub(crate) subject: Option<String>,
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedOut {
    /// So many.
    pub(crate) ended: usize,
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Whoami)]
pub(crate) struct WhoamiOut {
    /// Who, as the audit names them.
    subject: String,
    /// How they came in: `token`, `jwt`, `introspection`, `certificate`, `session`, `local`.
    via: String,
    /// `person` or `service`.
    #[schema(value_type = String)]
    kind: Kind,
    /// What they may do, in words.
    rights: String,
    /// Teams they belong to.
    teams: Vec<String>,
    /// Names that routes and jobs may ask for.
    names: Vec<String>,
    /// Issuer of the configuration that vouches for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// On whose behalf they act, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    behalf: Vec<String>,
    /// When the credential ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// How to sign in here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInWays)]
pub(crate) struct WaysOut {
    /// Whether callers on the same machine must sign in (`token`) or need not (`open`).
    #[schema(value_type = String)]
    local_access: LocalAccess,
    /// What people call the provider; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The provider's issuer, to the last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// How a program on a person's machine gets a token; absent when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    cli: Option<CliOut>,
}

/// How a program on a person's machine gets a token (device flow, RFC 8628).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInOfPrograms)]
pub(crate) struct CliOut {
    /// The public client at the provider.
    client_id: String,
    /// What to ask for.
    scopes: Vec<String>,
    /// For whom to ask (RFC 8707).
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
}

/// Sessions that are not over, newest first: one's own, an administrator's those of everybody.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "access", params(SessionFilter),
    responses((status = 200, body = Vec<SessionOut>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    who: Who,
    headers: HeaderMap,
    Params(filter): Params<SessionFilter>,
) -> Result<Json<Vec<SessionOut>>, Problem> {
    all(&state, &who, &headers, filter.subject.as_deref()).await.map(Json)
}

/// Ends a session: one's own; an administrator anybody's.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "access",
    params(("id" = Uuid, Path, description = "Name of the session")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn end(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    end_one(&state, &who, id("a session", &name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every session of a person.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "access", params(SessionFilter),
    responses((status = 200, body = EndedOut), (status = 400, body = Problem)))]
pub(crate) async fn end_all(
    State(state): State<AppState>,
    who: Who,
    Params(filter): Params<SessionFilter>,
) -> Result<Json<EndedOut>, Problem> {
    let subject = filter.subject.filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| Problem::bad("subject", "say whose sessions end, as `?subject=`"))?;
    Ok(Json(EndedOut { ended: end_of(&state, &who, &subject).await? }))
}

/// Who calls, and what they may do.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "access",
    responses((status = 200, body = WhoamiOut), (status = 401, body = Problem)))]
pub(crate) async fn whoami(who: Who) -> Json<WhoamiOut> {
    Json(WhoamiOut {
        subject: who.caller.subject.clone(),
        via: who.caller.via.clone(),
        kind: who.kind,
        rights: who.rights.to_string(),
        teams: who.teams.iter().cloned().collect(),
        names: who.names.iter().cloned().collect(),
        issuer: who.issuer.clone(),
        behalf: who.caller.behalf.clone(),
        expires: who.expires,
    })
}

/// How to sign in here; for `trackside login` and other programs.
#[utoipa::path(get, path = "/api/v1/sign-in", tag = "access", security(()), responses((status = 200, body = WaysOut)))]
pub(crate) async fn ways(State(state): State<AppState>) -> Json<WaysOut> {
    let configured = state.configured();
    let sign_in = configured.sign_in.as_ref();
    let cli = sign_in.and_then(|sign_in| sign_in.config().cli.clone());
    Json(WaysOut {
        local_access: configured.local_access,
        title: sign_in.map(|sign_in| sign_in.config().title().to_owned()),
        issuer: sign_in.map(|sign_in| sign_in.issuer().to_owned()),
        cli: cli.map(|cli| CliOut { client_id: cli.client_id, scopes: cli.scopes, resource: cli.resource }),
    })
}

/// Sessions that somebody may see.
pub(crate) async fn all(
    state: &AppState,
    who: &Identity,
    headers: &HeaderMap,
    subject: Option<&str>,
) -> Result<Vec<SessionOut>, Problem> {
    let current = session::current(state, headers).await?.map(|session| session.id);
    let subject = if who.rights.allow_for(Role::Admin, None) { subject } else { Some(who.caller.subject.as_str()) };
    let whose = subject.map_or(Whose::All, Whose::Subject);
    let mut found = state.store.sessions(whose, state.now()).await?;
    found.sort_by_key(|session| std::cmp::Reverse(session.started));
    let out = |session: SessionRecord| SessionOut {
        current: current == Some(session.id),
        id: session.id,
        subject: session.subject,
        issuer: session.issuer,
        started: session.started,
        seen: session.seen,
        ends: session.ends,
        until: session.until,
    };
    Ok(found.into_iter().map(out).collect())
}

/// Ends one session that somebody may end.
pub(crate) async fn end_one(state: &AppState, who: &Identity, name: Uuid) -> Result<(), Problem> {
    let (missing, now) = (|| Problem::missing("session", &name.to_string()), state.now());
    let found = state.store.sessions(Whose::One(name), now).await?.pop().ok_or_else(missing)?;
    // Whoever may not see it does not learn that it is there.
    if found.subject != who.caller.subject && !who.rights.allow_for(Role::Admin, None) {
        let refused = Refused {
            kind: "end".to_owned(),
            resource: Some(format!("session:{name}")),
            because: "this needs the role `admin`".to_owned(),
            policies: Vec::new(),
        };
        refusals::tell(state, &who.caller, refused).await?;
        return Err(missing());
    }
    let why = format!("by {}", who.caller.subject);
    state.store.end_sessions(Whose::One(name), &why, now, &who.caller).await?;
    Ok(())
}

/// Ends every session of a person; returns how many.
pub(crate) async fn end_of(state: &AppState, who: &Identity, subject: &str) -> Result<usize, Problem> {
    let why = format!("all of them, by {}", who.caller.subject);
    Ok(state.store.end_sessions_of(subject, &why, state.now(), &who.caller).await?)
}
