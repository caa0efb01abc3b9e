//! What machines ask to know whether the server is well: liveness, readiness, version, metrics.

use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::SignedDuration;
use serde::Serialize;
use trackside_core::duty::zone::tzdb_version;
use trackside_identity::local::LocalAccess;
use utoipa::ToSchema;

/// How far the decider may be behind before the server calls itself not ready.
const BEHIND: SignedDuration = SignedDuration::from_secs(60);

/// What the program says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionOut {
    /// Version of the program.
    version: String,
    /// Commit it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// Release of the bundled time zone database that schedules and windows are computed with.
    #[schema(example = "2026a")]
    tzdb: &'static str,
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, body = str)))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The server takes events and decides them: the database answers and the oldest undecided entry is young.
#[utoipa::path(get, path = "/readyz", tag = "server", security(()),
    responses((status = 200, body = str), (status = 503, body = Problem)))]
pub(crate) async fn ready(State(state): State<AppState>) -> Result<&'static str, Problem> {
    let not_ready = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    if *state.stopping.borrow() {
        return Err(not_ready("the server is stopping".to_owned()));
    }
    let decided = *state.decided.borrow();
    let waiting = state.store.entries_after(decided, 1).await?;
    match waiting.first() {
        Some(entry) if state.now().duration_since(entry.at) > BEHIND => {
            Err(not_ready(format!("entry {} waits for its decision since {}", entry.seq, entry.at)))
        }
        _ if state.configured().local_access == LocalAccess::Open => {
            Ok("ready; nobody on this machine has to sign in (server.local_access: open)\n")
        }
        _ => Ok("ready\n"),
    }
}

/// Version of the program.
#[utoipa::path(get, path = "/version", tag = "server", security(()), responses((status = 200, body = VersionOut)))]
pub(crate) async fn version(State(state): State<AppState>) -> Json<VersionOut> {
    Json(VersionOut {
        version: state.version.version.clone(),
        commit: state.version.commit.clone(),
        tzdb: tzdb_version(),
    })
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, body = str)))]
pub(crate) async fn metrics(State(state): State<AppState>) -> Result<Response, Problem> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &state.registry)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, media)], text).into_response())
}
