//! The heartbeat door: `GET` or `POST /ping/{slug}`, `/ping/{slug}/{start|fail|EXIT-CODE}`, as healthchecks users know it.
//!
//! The token may stand in the address (`?token=`), because many things that ping can do nothing else; `?rid=` tells
//! overlapping runs apart. The body, if any, is kept as text.

use crate::api::{Params, Segments};
use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, text};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use trackside_connect::heartbeat::{Ping, parse};

/// Query of a ping.
#[derive(Deserialize)]
pub(crate) struct PingQuery {
    /// API token.
    token: Option<String>,
    /// Run id.
    rid: Option<String>,
}

/// What every ping has: query and path, or why they cannot be read.
type Asked<T> = Result<T, Problem>;

/// A sign of life.
#[utoipa::path(post, path = "/ping/{slug}", tag = "doors",
    params(("slug" = String, Path, description = "Name of the heartbeat"),
        ("token" = Option<String>, Query, description = "API token, when it cannot be sent as a header"),
        ("rid" = Option<String>, Query, description = "Run id")),
    responses((status = 200, description = "`OK`: stored and durable"), (status = 400), (status = 401), (status = 503)))]
pub(crate) async fn plain(
    State(state): State<AppState>,
    query: Asked<Params<PingQuery>>,
    path: Asked<Segments<String>>,
    request: Request,
) -> Response {
    match (path, query) {
        (Ok(Segments(slug)), Ok(Params(query))) => take(&state, &slug, None, &query, request).await,
        (Err(problem), _) | (_, Err(problem)) => problem.into_response(),
    }
}

/// A start, a failure, or the exit code of a job.
#[utoipa::path(post, path = "/ping/{slug}/{signal}", tag = "doors",
    params(("slug" = String, Path, description = "Name of the heartbeat"),
        ("signal" = String, Path, description = "`start`, `fail`, or an exit code"),
        ("token" = Option<String>, Query, description = "API token, when it cannot be sent as a header"),
        ("rid" = Option<String>, Query, description = "Run id")),
    responses((status = 200, description = "`OK`: stored and durable"), (status = 400), (status = 401), (status = 503)))]
pub(crate) async fn signal(
    State(state): State<AppState>,
    query: Asked<Params<PingQuery>>,
    path: Asked<Segments<(String, String)>>,
    request: Request,
) -> Response {
    match (path, query) {
        (Ok(Segments((slug, signal))), Ok(Params(query))) => take(&state, &slug, Some(&signal), &query, request).await,
        (Err(problem), _) | (_, Err(problem)) => problem.into_response(),
    }
}

async fn take(state: &AppState, slug: &str, signal: Option<&str>, query: &PingQuery, request: Request) -> Response {
    let visit = Visit::new(state, Door::Ping);
    let (parts, body) = request.into_parts();
    let taken = async {
        let identity = match query.token.as_deref() {
            Some(token) => visit.admit_any([token]).await?,
            None => visit.admit(&parts.headers).await?,
        };
        let call = visit.receive_from(identity, &parts.headers, body).await?;
        let ping = Ping::new(slug, signal, query.rid.as_deref())?;
        let events = parse(&call.delivered(), &ping, state.new_id())?;
        visit.append(&events).await?;
        Ok(text(StatusCode::OK, "OK"))
    };
    let taken = taken.await;
    visit.end(taken, words)
}

/// A refusal as one line of text, for the terminal it is read in.
fn words(refusal: &Refusal) -> Response {
    text(refusal.status, format!("{}\n", refusal.problem))
}
