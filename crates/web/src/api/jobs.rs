//! Jobs over HTTP: `/jobs`. Programs get JSON, browsers the pages of [`crate::page::jobs`] under the same addresses.
//!
//! Starting: `POST /jobs/{name}/runs`, the body is the input. `Idempotency-Key` makes it safe to ask again: the same key
//! of the same caller attaches to the run, or replays its result; with another input it is refused. A higher
//! `Trackside-Attempt` (Airflow's try number) runs a failed run again. Without a key every request is a run.
//! Invariants: whoever may start a job sees it, and whoever started a run sees that; others need the role `viewer`; what the decision refuses is answered with
//! its reason.

pub(crate) mod act;
pub(crate) mod callback;
pub(crate) mod start;
pub(crate) mod watch;

use crate::api::model::{JobOut, JobRunOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id, word};
use crate::auth::{Who, is_browser};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::job::run::{JobRun, RunState};
use trackside_core::job::spec::JobSpec;
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;
use trackside_store::jobs::JobRunFilter;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobRunQuery {
    /// A state, for example `failed` or `unknown`.
    pub(crate) state: Option<String>,
    /// Only those that this caller asked for.
    pub(crate) subject: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// Every job, with the schema of its input. Without the role `viewer` those that the caller may start.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = 200, body = Vec<JobOut>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    if is_browser(&headers) {
        return Ok(crate::page::jobs::list(&state, &visitor).await?.into_response());
    }
    let configured = state.configured();
    let seen = configured.ruleset.jobs.iter().filter(|(name, spec)| sees(&state, &visitor.who, name, spec));
    let jobs: Vec<JobOut> = seen.map(|(name, spec)| JobOut::new(name, spec)).collect();
    Ok(Json(jobs).into_response())
}

/// One job.
#[utoipa::path(get, path = "/jobs/{name}", tag = "jobs", params(("name" = String, Path)),
    responses((status = 200, body = JobOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    Segments(name): Segments<String>,
    Params(query): Params<JobRunQuery>,
) -> Result<Response, Response> {
    let browser = is_browser(&headers);
    let answer = async {
        if browser {
            return Ok(crate::page::job::show(&state, &visitor, &name, &query).await?.into_response());
        }
        Ok::<_, Failed>(Json(JobOut::new(&name, &seen_job(&state, &visitor.who, &name)?)).into_response())
    };
    answer.await.map_err(|failed| in_words(browser, failed))
}

/// Runs of a job, the latest asked for first, without their results. Without the role `viewer` only one's own.
#[utoipa::path(get, path = "/jobs/{name}/runs", tag = "jobs", params(("name" = String, Path), JobRunQuery),
    responses((status = 200, body = PageOut<JobRunOut>), (status = 400, body = Problem)))]
pub(crate) async fn runs(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
    Params(query): Params<JobRunQuery>,
) -> Result<Json<PageOut<JobRunOut>>, Problem> {
    let page = read_runs(&state, &who, Some(name), &query).await?;
    Ok(Json(PageOut { items: page.items.iter().map(|row| JobRunOut::listed(&row.run)).collect(), next: page.next }))
}

/// Runs that the caller may see.
pub(crate) async fn read_runs(
    state: &AppState,
    who: &Identity,
    job: Option<String>,
    query: &JobRunQuery,
) -> Result<trackside_store::Page<trackside_store::jobs::JobRunRow>, Problem> {
    let wanted = word::<RunState>("state", query.state.as_deref())?;
    let own = (!who.rights.allow(Role::Viewer)).then(|| who.caller.subject.clone());
    let filter = JobRunFilter {
        job,
        subject: own.or_else(|| filled(query.subject.clone())),
        states: wanted.map(|state| BTreeSet::from([state])),
        before: query.before,
        limit: query.limit.unwrap_or(PAGE_DEFAULT),
    };
    Ok(state.store.job_runs(&filter).await?)
}

/// The job of a name.
pub(crate) fn find_job(state: &AppState, name: &str) -> Result<JobSpec, Problem> {
    state.configured().ruleset.jobs.get(name).cloned().ok_or_else(|| Problem::missing("job", name))
}

/// The job of a name, if the caller may see it: what others are for is nobody's business who may neither look nor start it.
pub(crate) fn seen_job(state: &AppState, who: &Identity, name: &str) -> Result<JobSpec, Problem> {
    let spec = find_job(state, name)?;
    if sees(state, who, name, &spec) { Ok(spec) } else { Err(Problem::missing("job", name)) }
}

/// Whether the caller may see a job: with the role `viewer`, or as somebody who may start it.
pub(crate) fn sees(state: &AppState, who: &Identity, name: &str, spec: &JobSpec) -> bool {
    who.rights.allow(Role::Viewer) || start::might_start(state, who, name, spec)
}

/// A run that the caller may see. One of somebody else's is not there for whoever may not see it.
pub(crate) async fn find_run(state: &AppState, who: &Identity, job: &str, text: &str) -> Result<JobRun, Problem> {
    let wanted: Uuid = id("a run", text)?;
    let run = state.store.job_run(wanted).await?.filter(|run| run.job == job);
    let seen = |run: &JobRun| run.caller.subject == who.caller.subject || who.rights.allow(Role::Viewer);
    run.filter(seen).ok_or_else(|| Problem::missing("run", text))
}

/// The address of a run.
pub(crate) fn address(run: &JobRun) -> String {
    format!("/jobs/{}/runs/{}", crate::page::ui::segment(&run.job), run.id)
}

/// What went wrong, for a browser or for a program.
pub(crate) fn in_words(browser: bool, failed: Failed) -> Response {
    if browser { failed.into_response() } else { failed.problem().into_response() }
}
