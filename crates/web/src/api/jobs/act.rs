//! What is done to a run: it is cancelled, or somebody says how it ended.

use super::start::names;
use super::{address, find_run};
use crate::access::{Wish, may, with_authority, would};
use crate::api::Segments;
use crate::api::decided::settled;
use crate::api::model::JobRunOut;
use crate::auth::{Who, is_browser};
use crate::page::Failed;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use trackside_connect::job::callback::fitting;
use trackside_core::caller::Caller;
use trackside_core::input::JobAsk;
use trackside_core::job::run::{CallResult, ErrorClass, JobError, JobRun};
use trackside_core::limits;
use trackside_identity::access::Needs;
use trackside_identity::directory::Identity;
use trackside_identity::question::{Context, Resource, ResourceKind, actions};
use trackside_identity::role::Role;
use utoipa::ToSchema;

/// How a run ended, as somebody found out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Settlement, example = json!({"succeeded": false, "error": "the far end's log has no trace of it"}))]
pub(crate) struct SettleIn {
    /// Whether the call was carried out with success.
    pub(crate) succeeded: bool,
    /// Its result, when it was.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) output: Option<Value>,
    /// What went wrong, when it was not.
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// Ends a run early. One's own, or anybody's with the role `operator`.
#[utoipa::path(post, path = "/jobs/{name}/runs/{id}/cancel", tag = "jobs", params(("name" = String, Path), ("id" = Uuid, Path)),
    responses((status = 200, body = JobRunOut), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It has ended")))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    who: Who,
    Segments((name, id)): Segments<(String, String)>,
    request: Request,
) -> Response {
    let browser = is_browser(request.headers());
    let done = async {
        let run = find_run(&state, &who, &name, &id).await?;
        let own = run.caller.subject == who.caller.subject;
        let caller = may_end(&state, &who, &run, own).await?;
        carry_out(&state, caller, &run, JobAsk::Cancel { run: run.id }).await
    };
    answer(browser, done.await)
}

/// Says how a run ended whose outcome is not known. Needs the role `operator`.
#[utoipa::path(post, path = "/jobs/{name}/runs/{id}/settle", tag = "jobs", request_body = SettleIn,
    params(("name" = String, Path), ("id" = Uuid, Path)),
    responses((status = 200, body = JobRunOut), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Its outcome is known")))]
pub(crate) async fn settle(
    State(state): State<AppState>,
    who: Who,
    Segments((name, id)): Segments<(String, String)>,
    request: Request,
) -> Response {
    let browser = is_browser(request.headers());
    let (parts, body) = request.into_parts();
    let form = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("application/x-www-form-urlencoded")));
    let done = async {
        let run = find_run(&state, &who, &name, &id).await?;
        let caller = may_end(&state, &who, &run, false).await?;
        let most = limits::JOB_RESULT_BYTES_MOST as usize + 8 * 1024;
        let body = axum::body::to_bytes(body, most)
            .await
            .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than a result may be"))?;
        let said = if form {
            of_form(&body)?
        } else {
            serde_json::from_slice(&body).map_err(|bad| Problem::bad("body", bad.to_string()))?
        };
        let result = Box::new(result(&run, said)?);
        carry_out(&state, caller, &run, JobAsk::Settle { run: run.id, result }).await
    };
    answer(browser, done.await)
}

fn of_form(body: &[u8]) -> Result<SettleIn, Problem> {
    let mut said = SettleIn { succeeded: false, output: None, error: None };
    for (name, value) in url::form_urlencoded::parse(body) {
        match (&*name, value.trim()) {
            ("ended", how) => said.succeeded = how == "succeeded",
            (_, "") => {}
            ("error", text) => said.error = Some(text.to_owned()),
            ("output", text) => {
                let value = serde_json::from_str(text);
                said.output = Some(value.map_err(|bad| Problem::bad("output", format!("is not JSON: {bad}")))?);
            }
            _ => {}
        }
    }
    Ok(said)
}

fn result(run: &JobRun, said: SettleIn) -> Result<CallResult, Problem> {
    if said.succeeded {
        return match fitting(run, said.output.unwrap_or(Value::Null)) {
            CallResult::Failed { error } => Err(Problem::bad("output", error.message)),
            fits => Ok(fits),
        };
    }
    let message = said.error.unwrap_or_else(|| "it was not carried out".to_owned());
    if message.len() > limits::JOB_TEXT_BYTES {
        return Err(Problem::bad("error", format!("must be text of at most {} bytes", limits::JOB_TEXT_BYTES)));
    }
    Ok(CallResult::Failed { error: JobError { class: ErrorClass::Failed, message, status: None } })
}

/// Whether the caller may end a run: whoever may start the job ends their own, an operator anybody's.
pub(crate) async fn may_end(state: &AppState, who: &Identity, run: &JobRun, own: bool) -> Result<Caller, Problem> {
    let names = names_to_end(run, own);
    let access = may(state, who, wish_to_end(run, own, &names), &Context::at(state.now())).await?;
    Ok(with_authority(&who.caller, &access))
}

/// The same for a page that shows what could be done.
pub(crate) fn might_end(state: &AppState, who: &Identity, run: &JobRun, own: bool) -> bool {
    let names = names_to_end(run, own);
    would(state, who, wish_to_end(run, own, &names), &Context::at(state.now())).allowed()
}

fn names_to_end(run: &JobRun, own: bool) -> BTreeSet<String> {
    if own { names(&run.spec) } else { BTreeSet::new() }
}

fn wish_to_end<'a>(run: &'a JobRun, own: bool, names: &'a BTreeSet<String>) -> Wish<'a> {
    let role = if own { Role::Service } else { Role::Operator };
    let resource = Resource { kind: ResourceKind::Job, name: &run.job, team: run.spec.owner.as_deref() };
    Wish { action: actions::CANCEL, resource, needs: Needs { names, role } }
}

async fn carry_out(state: &AppState, caller: Caller, run: &JobRun, ask: JobAsk) -> Result<JobRun, Problem> {
    let done = state.job(caller, ask).await?;
    settled(state, done).await?;
    state.store.job_run(run.id).await?.ok_or_else(|| Problem::missing("run", &run.id.to_string()))
}

fn answer(browser: bool, done: Result<JobRun, Problem>) -> Response {
    match done {
        Ok(run) if browser => Redirect::to(&address(&run)).into_response(),
        Ok(run) => Json(JobRunOut::from(&run)).into_response(),
        Err(problem) if browser => Failed::from(problem).into_response(),
        Err(problem) => problem.into_response(),
    }
}
