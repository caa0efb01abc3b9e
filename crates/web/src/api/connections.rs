//! Connections in the API: what is configured, how it does, and a test that shows request and answer.

use crate::access::{Wish, may_now};
use crate::api::Segments;
use crate::api::credentials::{self, CredentialOut};
use crate::api::model::DeliveryDetailOut;
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, ConnectionInfo, Sends, stopped};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;
use trackside_core::ids::Seq;
use trackside_core::input::Command;
use trackside_core::state::CanaryTest;
use trackside_identity::directory::Identity;
use trackside_store::outbox::{DeliveryDetail, DeliveryFilter, DeliveryState};
use utoipa::ToSchema;

/// Longest wait for the first attempt of a test.
const TEST_TIME: Duration = Duration::from_secs(15);
/// How often the attempt is looked for while it is being made.
const TEST_LOOK: Duration = Duration::from_millis(50);

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionOut {
    /// Name.
    pub(crate) name: String,
    /// Kind.
    pub(crate) kind: String,
    /// Where it leads, without secrets.
    pub(crate) address: String,
    /// Whether messages go out through it.
    pub(crate) sends: bool,
    /// Whether jobs and routes call it.
    pub(crate) calls: bool,
    /// How its credentials stand; empty when it has none, or they are read where they are used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) credentials: Vec<CredentialOut>,
    /// Messages that wait or are being sent.
    pub(crate) waiting: u64,
    /// Messages that were given up.
    pub(crate) dead: u64,
    /// Address to enter at the far end, so that it tells what people do there; absent when nothing is taken from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) told_at: Option<String>,
    /// The last test alert (`canary`), when the connection is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<CanaryOut>,
}

/// A test alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Canary)]
pub(crate) struct CanaryOut {
    /// When it was decided.
    pub(crate) sent: Timestamp,
    /// When the far end had it; absent while it is on its way or lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arrived: Option<Timestamp>,
    /// From one to the other, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) took_ms: Option<i64>,
}

impl From<&CanaryTest> for CanaryOut {
    fn from(test: &CanaryTest) -> Self {
        let took = test.arrived.map(|arrived| arrived.duration_since(test.sent).as_millis());
        Self {
            sent: test.sent,
            arrived: test.arrived,
            took_ms: took.map(|took| i64::try_from(took).unwrap_or(i64::MAX)),
        }
    }
}

/// Connections by name.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections",
    responses((status = 200, body = Vec<ConnectionOut>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<ConnectionOut>>, Problem> {
    Ok(Json(all(&state).await?))
}

/// Sends a test message and waits for the first attempt; the answer shows what was sent and what came back.
#[utoipa::path(post, path = "/api/v1/connections/{name}/test", tag = "connections",
    params(("name" = String, Path, description = "Name of the connection")),
    responses((status = 200, body = DeliveryDetailOut), (status = 202, body = DeliveryDetailOut, description = "Not tried yet"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Nothing can be sent there")))]
pub(crate) async fn test(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
) -> Result<(StatusCode, Json<DeliveryDetailOut>), Problem> {
    let detail = send_test(&state, &who, &name).await?;
    let status = if detail.attempts.is_empty() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(DeliveryDetailOut::from(&detail))))
}

/// Every connection with its figures.
pub(crate) async fn all(state: &AppState) -> Result<Vec<ConnectionOut>, Problem> {
    let counts = state.store.delivery_counts().await?;
    let count = |name: &str, states: &[DeliveryState]| {
        let of = counts.iter().filter(|count| count.connection == name && states.contains(&count.state));
        of.map(|count| count.count).sum()
    };
    let canaries = state.store.canaries().await?;
    let configured = state.configured();
    let out = |(name, info): (&String, &ConnectionInfo)| ConnectionOut {
        name: name.clone(),
        kind: info.kind.clone(),
        address: info.address.clone(),
        sends: info.sends == Sends::Messages,
        calls: info.sends == Sends::Calls,
        credentials: if info.sends == Sends::Calls { credentials::of(state, name) } else { Vec::new() },
        waiting: count(name, &[DeliveryState::Pending, DeliveryState::Sending]),
        dead: count(name, &[DeliveryState::Dead]),
        told_at: info.back.path(name).map(|path| format!("{}{path}", configured.public_origin())),
        canary: canaries.iter().find(|test| test.connection == *name).map(CanaryOut::from),
    };
    Ok(configured.connections.iter().map(out).collect())
}

/// Sends a test message and waits for its first attempt, but not for ever.
pub(crate) async fn send_test(state: &AppState, who: &Identity, name: &str) -> Result<DeliveryDetail, Problem> {
    let configured = state.configured();
    let info = configured.connections.get(name).ok_or_else(|| Problem::missing("connection", name))?;
    let refused = match info.sends {
        Sends::Messages => None,
        Sends::Nothing => Some("is only read from; nothing can be sent there"),
        Sends::Calls => Some("takes no messages; jobs and routes call it. `check` tries it with its credential"),
    };
    if let Some(why) = refused {
        return Err(Problem::new(StatusCode::CONFLICT, format!("`{name}` {why}")));
    }
    let caller = may_now(state, who, Wish::test(name)).await?;
    let command = Command::SendTest { connection: name.to_owned() };
    let seq = state.command(caller, command).await?.seq;
    let until = Instant::now() + TEST_TIME;
    let mut stopping = state.stopping.clone();
    loop {
        let found = caused_by(state, name, seq).await?;
        let tried = found.as_ref().is_some_and(|detail| !detail.attempts.is_empty());
        if tried || Instant::now() >= until {
            let late =
                || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the test was not decided yet; look again later");
            return found.ok_or_else(late);
        }
        if tokio::time::timeout(TEST_LOOK, stopped(&mut stopping)).await.is_ok() {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"));
        }
    }
}

/// The delivery through a connection that a log entry caused.
async fn caused_by(state: &AppState, connection: &str, seq: Seq) -> Result<Option<DeliveryDetail>, Problem> {
    let filter = DeliveryFilter { connection: Some(connection.to_owned()), limit: 20, ..DeliveryFilter::default() };
    let page = state.store.deliveries(&filter).await?;
    match page.items.iter().find(|row| row.effect.cause == seq) {
        Some(row) => Ok(state.store.delivery(row.effect.id).await?),
        None => Ok(None),
    }
}
