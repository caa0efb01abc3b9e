//! A run as it stands: `GET /jobs/{name}/runs/{id}`, with `?wait=` for its end, and its changes as server-sent events.
//!
//! Whoever waits looks at the run again when something was decided, at most four times a second; nothing is kept for
//! them meanwhile. Waiting ends when the server stops. So many may wait at a time ([`SEATS`]); others are answered at once,
//! and ask again.

use super::{find_run, in_words};
use crate::api::model::JobRunOut;
use crate::api::{Params, Segments};
use crate::auth::{Who, is_browser};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::{AppState, stopped};
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use trackside_core::job::run::{JobRun, RunState};
use utoipa::IntoParams;

/// Most who wait at a time.
pub(crate) const SEATS: usize = 1_000;
/// Longest wait for the end of a run.
const WAIT_MOST: Duration = Duration::from_secs(60);
/// Shortest time between two looks.
const PACE: Duration = Duration::from_millis(250);
/// How often a silent stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// Wait this many seconds for its end, at most 60.
    pub(crate) wait: Option<String>,
}

/// Seconds to wait, at most [`WAIT_MOST`].
pub(super) fn seconds(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Duration::ZERO) };
    let seconds: u64 = text.parse().map_err(|_| Problem::bad("wait", "must be a number of seconds"))?;
    Ok(Duration::from_secs(seconds).min(WAIT_MOST))
}

/// A run. With `wait` the answer leaves when it has ended, or after so many seconds.
#[utoipa::path(get, path = "/jobs/{name}/runs/{id}", tag = "jobs",
    params(("name" = String, Path), ("id" = Uuid, Path), WaitQuery),
    responses((status = 200, body = JobRunOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    Segments((name, id)): Segments<(String, String)>,
    Params(query): Params<WaitQuery>,
) -> Response {
    let browser = is_browser(&headers);
    let answer = async {
        let wait = seconds(query.wait.as_deref())?;
        let run = find_run(&state, &visitor.who, &name, &id).await?;
        if browser {
            return Ok(crate::page::job_run::show(&state, &visitor, &run).await?.into_response());
        }
        let run = until_done(&state, run, wait).await?;
        let mut response = Json(JobRunOut::seen_by(&visitor.who.caller, &run)).into_response();
        if !run.state.ended() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Ok::<_, Failed>(response)
    };
    answer.await.unwrap_or_else(|failed| in_words(browser, failed))
}

/// The run when it has ended, or as it stands after `wait`.
pub(super) async fn until_done(state: &AppState, run: JobRun, wait: Duration) -> Result<JobRun, Problem> {
    let Ok(_seat) = state.seats.try_acquire() else { return Ok(run) };
    let mut follower = Follower::new(state, run);
    let ended = async {
        while !follower.run.state.ended() {
            if !follower.look().await? {
                break;
            }
        }
        Ok::<_, Problem>(())
    };
    match timeout(wait, ended).await {
        Ok(Err(problem)) => Err(problem),
        Ok(Ok(())) | Err(_) => Ok(follower.run),
    }
}

/// The changes of a run until its end: `event: run`, `data:` the run.
#[utoipa::path(get, path = "/jobs/{name}/runs/{id}/events", tag = "jobs", params(("name" = String, Path), ("id" = Uuid, Path)),
    responses((status = 200, content_type = "text/event-stream", body = str), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn events(
    State(state): State<AppState>,
    who: Who,
    Segments((name, id)): Segments<(String, String)>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let run = find_run(&state, &who, &name, &id).await?;
    let seat = state.seats.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{SEATS} callers wait for runs already; ask for the run itself from time to time");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let seat = Arc::new(seat);
    let follower = Follower::new(&state, run);
    let caller = Arc::new(who.caller.clone());
    let changes = stream::unfold((follower, None::<RunState>), move |(mut follower, told)| {
        let (caller, seat) = (caller.clone(), seat.clone());
        async move {
            let _seat = seat;
            if told.is_some_and(RunState::ended) {
                return None;
            }
            while told == Some(follower.run.state) {
                if !follower.look().await.ok()? {
                    return None;
                }
            }
            let now = follower.run.state;
            let data = serde_json::to_string(&JobRunOut::seen_by(&caller, &follower.run)).ok()?;
            Some((Ok(Event::default().event("run").data(data)), (follower, Some(now))))
        }
    });
    Ok(Sse::new(changes).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Somebody who waits for a run to change.
struct Follower {
    state: AppState,
    decided: tokio::sync::watch::Receiver<u64>,
    stopping: tokio::sync::watch::Receiver<bool>,
    run: JobRun,
}

impl Follower {
    fn new(state: &AppState, run: JobRun) -> Self {
        let mut decided = state.decided.clone();
        decided.mark_changed();
        Self { decided, stopping: state.stopping.clone(), state: state.clone(), run }
    }

    /// Looks again after something was decided; `false` when the server stops.
    async fn look(&mut self) -> Result<bool, Problem> {
        tokio::select! {
            changed = self.decided.changed() => {
                if changed.is_err() {
                    return Ok(false);
                }
            }
            () = stopped(&mut self.stopping) => return Ok(false),
        }
        if let Some(run) = self.state.store.job_run(self.run.id).await? {
            self.run = run;
        }
        if self.run.state.ended() {
            return Ok(true);
        }
        // Many things are decided in a second, few of them about this run.
        Ok(timeout(PACE, stopped(&mut self.stopping)).await.is_err())
    }
}
