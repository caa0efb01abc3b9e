//! Credentials of connections in the API: how they stand, fetching one anew, trying a connection with it; and the pages
//! by which far ends trust the tokens that Trackside signs.

use crate::access::{Wish, may_now};
use crate::api::Segments;
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Sends};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use trackside_core::caller::Caller;
use trackside_identity::broker::{CredentialError, CredentialState, CredentialStatus, Probe, management_of};
use trackside_identity::directory::Identity;
use trackside_store::audit::NewAudit;
use trackside_store::audit::begun::Ended;
use utoipa::ToSchema;
use uuid::Uuid;

/// How long far ends may keep our key page: less than a new key is published before it signs.
const KEEP: &str = "public, max-age=3600";

/// How the credential of a connection stands. Holds no credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialOut {
    /// What it opens: `far_end`, or `management` for the management of an App Service.
    pub(crate) opens: &'static str,
    /// Kind, as in the configuration.
    #[schema(example = "client_credentials")]
    pub(crate) kind: &'static str,
    /// `fixed`, `unused`, `good`, `failing` (a token is in use, renewing it failed) or `missing`.
    pub(crate) state: &'static str,
    /// When the token in use ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// When it is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renews: Option<Timestamp>,
    /// When it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refreshed: Option<Timestamp>,
    /// Why the last fetch failed; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<Timestamp>,
    /// Something to know, though it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
    /// Callers on whose behalf tokens are kept.
    pub(crate) callers: usize,
}

impl CredentialOut {
    fn new(status: CredentialStatus, opens: &'static str) -> Self {
        Self {
            opens,
            kind: status.kind,
            state: status.state.as_str(),
            expires: status.expires,
            renews: status.renews,
            refreshed: status.refreshed,
            error: status.error,
            failed: status.failed,
            warning: status.warning,
            callers: status.callers,
        }
    }

    /// Whether the last fetch failed.
    pub(crate) fn fails(&self) -> bool {
        [CredentialState::Failing, CredentialState::Missing].map(CredentialState::as_str).contains(&self.state)
    }

    /// Whether there is something to fetch.
    pub(crate) fn is_fetched(&self) -> bool {
        self.state != CredentialState::Fixed.as_str()
    }
}

/// What came of trying a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectionCheck)]
pub(crate) struct CheckOut {
    /// Whether the far end took the credential.
    pub(crate) good: bool,
    /// Address that was asked; absent when there was no credential to ask with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// Status of the answer; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// What it means.
    pub(crate) detail: String,
}

impl From<Result<Probe, CredentialError>> for CheckOut {
    fn from(result: Result<Probe, CredentialError>) -> Self {
        match result {
            Ok(probe) => Self {
                good: probe.meaning == trackside_identity::broker::ProbeMeaning::Good,
                address: Some(probe.url.to_string()),
                status: Some(probe.status.as_u16()),
                detail: probe.meaning.text().to_owned(),
            },
            Err(error) => Self { good: false, address: None, status: None, detail: error.to_string() },
        }
    }
}

/// Fetches the tokens of a connection anew, whatever is kept. A token that is there stays in use when none comes.
#[utoipa::path(post, path = "/api/v1/connections/{name}/credential", tag = "connections",
    params(("name" = String, Path, description = "Name of the connection")),
    responses((status = 200, body = Vec<CredentialOut>), (status = 404, body = Problem),
        (status = 502, body = Problem, description = "No token came; the answer says why")))]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
) -> Result<Json<Vec<CredentialOut>>, Problem> {
    fetch_anew(&state, &who, &name).await?;
    Ok(Json(of(&state, &name)))
}

/// Tries a connection that is called: asks its `check` address with its credential.
#[utoipa::path(post, path = "/api/v1/connections/{name}/check", tag = "connections",
    params(("name" = String, Path, description = "Name of the connection")),
    responses((status = 200, body = CheckOut), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It is not a connection that is called")))]
pub(crate) async fn check(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
) -> Result<Json<CheckOut>, Problem> {
    Ok(Json(try_it(&state, &who, &name).await?))
}

/// The public keys by which far ends verify tokens that Trackside signs (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "server", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn keys(State(state): State<AppState>) -> Response {
    page(state.brokers.workload().key_page())
}

/// What Trackside says of itself as an issuer (OpenID Connect Discovery).
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "server", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn discovery(State(state): State<AppState>) -> Response {
    page(state.brokers.workload().discovery_page())
}

fn page(value: Value) -> Response {
    ([(CACHE_CONTROL, KEEP)], Json(value)).into_response()
}

/// How the credentials of a connection stand.
pub(crate) fn of(state: &AppState, name: &str) -> Vec<CredentialOut> {
    let management = management_of(name);
    let opens = |status: &CredentialStatus| match () {
        () if status.connection == name => Some("far_end"),
        () if status.connection == management => Some("management"),
        () => None,
    };
    let all = state.brokers.status().into_iter();
    all.filter_map(|status| opens(&status).map(|opens| CredentialOut::new(status, opens))).collect()
}

/// Fetches every token of a connection anew, with a row in the audit.
pub(crate) async fn fetch_anew(state: &AppState, who: &Identity, name: &str) -> Result<(), Problem> {
    called(state, name)?;
    let caller = may_now(state, who, Wish::test(name)).await?;
    let noted = Act::note(state, caller, "connection.credential_fetched", name).await?;
    let mut failed = None;
    for credential in of(state, name) {
        let line = if credential.opens == "management" { management_of(name) } else { name.to_owned() };
        if let Err(error) = state.brokers.refresh(&line).await {
            failed = Some(error.to_string());
        }
    }
    noted.ended(state, failed.clone()).await?;
    failed.map_or(Ok(()), |detail| Err(Problem::new(StatusCode::BAD_GATEWAY, detail)))
}

/// Tries a connection that is called.
pub(crate) async fn try_it(state: &AppState, who: &Identity, name: &str) -> Result<CheckOut, Problem> {
    called(state, name)?;
    let caller = may_now(state, who, Wish::test(name)).await?;
    let noted = Act::note(state, caller, "connection.checked", name).await?;
    let out = CheckOut::from(state.brokers.probe(name).await);
    noted.ended(state, (!out.good).then(|| out.detail.clone())).await?;
    Ok(out)
}

/// What is done at a far end: in the audit as begun before, and as ended after.
struct Act {
    id: Uuid,
    row: NewAudit,
}

impl Act {
    async fn note(state: &AppState, caller: Caller, action: &str, connection: &str) -> Result<Self, Problem> {
        let row = NewAudit::new(state.now(), caller, action, format!("Connection {connection}"));
        let act = Self { id: state.new_id(), row: row.about(format!("connection:{connection}")) };
        state.store.begin_act(act.id, &act.row).await?;
        Ok(act)
    }

    async fn ended(self, state: &AppState, problem: Option<String>) -> Result<(), Problem> {
        let ended = problem.map_or(Ended::Done, Ended::Failed);
        Ok(state.store.end_act(self.id, self.row, ended, state.now()).await?)
    }
}

/// That there is such a connection, and it is one that is called.
fn called(state: &AppState, name: &str) -> Result<(), Problem> {
    let configured = state.configured();
    let info = configured.connections.get(name).ok_or_else(|| Problem::missing("connection", name))?;
    if info.sends == Sends::Calls {
        return Ok(());
    }
    let detail = format!("`{name}` is not a connection that jobs and routes call; send a test message instead");
    Err(Problem::new(StatusCode::CONFLICT, detail))
}
