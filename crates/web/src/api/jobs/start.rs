//! `POST /jobs/{name}/runs`.

use super::{address, find_job};
use crate::access::{Wish, may, with_authority, would};
use crate::api::Segments;
use crate::api::decided::settled;
use crate::api::model::JobRunOut;
use crate::auth::{Who, is_browser};
use crate::page::Failed;
use crate::problem::{Misfit, Problem};
use crate::state::{AppState, Effect};
use crate::voice::Voice;
use axum::Json;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::caller::Caller;
use trackside_core::input::{Input, JobAsk};
use trackside_core::job::run::{JobRequest, JobRun};
use trackside_core::job::spec::JobSpec;
use trackside_core::limits;
use trackside_identity::access::Needs;
use trackside_identity::directory::Identity;
use trackside_identity::question::{Context, Resource, ResourceKind, actions};
use trackside_identity::role::Role;

/// Largest body, in bytes: an input with room around it for a form's encoding.
const BODY_BYTES: usize = 3 * limits::JOB_INPUT_BYTES + 8 * 1024;

/// What is asked for beside the input.
#[derive(Debug, Default)]
struct Wanted {
    key: Option<String>,
    attempt: u32,
    origin: Option<String>,
    justification: Option<String>,
}

/// Starts a run of a job, or finds the one that has this key. The body is the input.
#[utoipa::path(post, path = "/jobs/{name}/runs", tag = "jobs",
    params(("name" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. The same key of the same caller means the same run; kept for 24 h after its end unless the job says otherwise"),
        ("Trackside-Attempt" = Option<u32>, Header, description = "Which try of the caller's own task this is, from 1. A higher one runs a failed run again"),
        ("Trackside-Origin" = Option<String>, Header, description = "The caller's own run, for the page and the audit"),
        ("Trackside-Justification" = Option<String>, Header, description = "Why, for whoever approves"),
        ("wait" = Option<u64>, Query, description = "Wait this many seconds for the end, at most 60")),
    request_body(content = serde_json::Value, description = "The input, as the job's schema says"),
    responses((status = 202, body = JobRunOut, description = "It runs, or will; `Location` and `Retry-After` say where and when to ask"),
        (status = 200, body = JobRunOut, description = "It has ended: the result is replayed"),
        (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The key belongs to a run with another input"),
        (status = 413, body = Problem), (status = 422, body = Problem, description = "The input does not fit the schema; `errors` names each place"),
        (status = 429, body = Problem, description = "Too many unfinished runs"), (status = 503, body = Problem)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let form = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("application/x-www-form-urlencoded")));
    let browser = is_browser(&parts.headers);
    let done = async {
        let body = axum::body::to_bytes(body, BODY_BYTES)
            .await
            .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than an input may be"))?;
        let (input, wanted) = if form { of_form(&body)? } else { (of_body(&body)?, of_headers(&parts.headers)?) };
        let wait = super::watch::seconds(query.get("wait").map(String::as_str))?;
        let (run, fresh) = ask(&state, &who, &name, input, wanted).await?;
        let run = if wait.is_zero() { run } else { super::watch::until_done(&state, run, wait).await? };
        Ok::<_, Problem>((run, fresh))
    };
    match done.await {
        Ok((run, _)) if form && browser => Redirect::to(&address(&run)).into_response(),
        Ok((run, fresh)) => answer(&run, fresh),
        Err(problem) if browser => Failed::from(problem).into_response(),
        Err(problem) => {
            let limited = problem.status == StatusCode::TOO_MANY_REQUESTS;
            let mut response = problem.into_response();
            if limited {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            response
        }
    }
}

/// Whether a run was made for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Made,
    Known,
}

fn answer(run: &JobRun, found: Found) -> Response {
    let done = run.state.ended();
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = (status, Json(JobRunOut::from(run))).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&address(run)) {
        headers.insert(LOCATION, location);
    }
    if !done {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if found == Found::Known {
        let how = if done { "replayed" } else { "attached" };
        headers.insert("trackside-run-found", HeaderValue::from_static(how));
    }
    response
}

async fn ask(
    state: &AppState,
    who: &Identity,
    name: &str,
    input: Value,
    wanted: Wanted,
) -> Result<(JobRun, Found), Problem> {
    let spec = find_job(state, name)?;
    let caller = may_start(state, who, name, &spec, &input).await?;
    if let Err(misfits) = state.configured().schemas.check(name, &input) {
        let detail = "the input does not fit the schema of the job; `errors` names each place";
        let errors = misfits.into_iter().map(|one| Misfit { pointer: one.pointer, problem: one.problem }).collect();
        return Err(Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) });
    }
    let request = JobRequest {
        run: state.new_id(),
        job: name.to_owned(),
        key: wanted.key.clone(),
        attempt: wanted.attempt,
        input,
        justification: wanted.justification,
        known_as: Voice::of(&state.configured().ruleset, who, spec.owner.as_deref()).people(),
        origin: wanted.origin,
    };
    let run = request.run;
    let done = state.job(caller, JobAsk::Start(Box::new(request))).await?;
    if settled(state, done).await? == Effect::Accepted {
        let detail = "accepted and not decided yet; ask again with the same `Idempotency-Key`";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    if let Some(made) = state.store.job_run(run).await? {
        return Ok((made, Found::Made));
    }
    let known = match &wanted.key {
        Some(key) => state.store.job_run_of(name, &who.caller.subject, key).await?,
        None => None,
    };
    known
        .map(|run| (run, Found::Known))
        .ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the run was not kept; ask again"))
}

/// Lets callers start a job with this input who may: by its names or roles, then policies. Gives the caller with what lets
/// them.
async fn may_start(
    state: &AppState,
    who: &Identity,
    name: &str,
    spec: &JobSpec,
    input: &Value,
) -> Result<Caller, Problem> {
    let (names, context) = (names(spec), Context { input: flat(input), ..Context::at(state.now()) });
    let access = may(state, who, wish_to_start(name, spec, &names), &context).await?;
    Ok(with_authority(&who.caller, &access))
}

/// The same for a page that shows what could be done.
pub(crate) fn might_start(state: &AppState, who: &Identity, name: &str, spec: &JobSpec) -> bool {
    would(state, who, wish_to_start(name, spec, &names(spec)), &Context::at(state.now())).allowed()
}

fn wish_to_start<'a>(name: &'a str, spec: &'a JobSpec, names: &'a BTreeSet<String>) -> Wish<'a> {
    let resource = Resource { kind: ResourceKind::Job, name, team: spec.owner.as_deref() };
    Wish { action: actions::START, resource, needs: Needs { names, role: Role::Service } }
}

/// What a job asks for, roles of Trackside under both of their spellings.
pub(crate) fn names(spec: &JobSpec) -> BTreeSet<String> {
    let roles = spec.needs.iter().filter(|name| name.parse::<Role>().is_ok()).map(|role| format!("role:{role}"));
    spec.needs.iter().cloned().chain(roles).collect()
}

/// The scalar members of an input, as policies see them: whole, or what they forbid could stand behind the end of it.
fn flat(input: &Value) -> BTreeMap<String, String> {
    let members = input.as_object().into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    members.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn of_body(body: &[u8]) -> Result<Value, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if body.len() > limits::JOB_INPUT_BYTES {
        let most = limits::JOB_INPUT_BYTES / 1024;
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("an input has at most {most} KiB")));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad("body", format!("the input is not JSON: {error}")))
}

fn of_headers(headers: &HeaderMap) -> Result<Wanted, Problem> {
    let text = |name: &'static str| match headers.get(name) {
        None => Ok(None),
        Some(value) => match str::from_utf8(value.as_bytes()) {
            Ok(text) if text.len() <= limits::JOB_TEXT_BYTES => Ok(Some(text.trim().to_owned())),
            _ => Err(Problem::bad(name, format!("must be text of at most {} bytes", limits::JOB_TEXT_BYTES))),
        },
    };
    let attempt = text("trackside-attempt")?.map_or(Ok(1), |text| text.parse());
    let attempt = attempt.ok().filter(|attempt| *attempt > 0);
    Ok(Wanted {
        key: text("idempotency-key")?.map(|text| key(&text)).transpose()?,
        attempt: attempt.ok_or_else(|| Problem::bad("Trackside-Attempt", "must be a number from 1"))?,
        origin: text("trackside-origin")?.filter(|text| !text.is_empty()),
        justification: text("trackside-justification")?.filter(|text| !text.is_empty()),
    })
}

/// A key; the quotes of a structured field (RFC 8941) are not part of it.
fn key(text: &str) -> Result<String, Problem> {
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if key.is_empty() || key.len() > limits::JOB_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("must be 1 to {} visible ASCII characters", limits::JOB_KEY_BYTES);
        return Err(Problem::bad("Idempotency-Key", detail));
    }
    Ok(key.to_owned())
}

/// The page's form.
fn of_form(body: &[u8]) -> Result<(Value, Wanted), Problem> {
    let mut fields: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let mut take = |name: &str| fields.remove(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let input = of_body(take("input").unwrap_or_default().as_bytes())?;
    let key = take("key").map(|text| key(&text)).transpose()?;
    let justification = take("justification");
    if justification.as_ref().is_some_and(|text| text.len() > limits::JOB_TEXT_BYTES) {
        let detail = format!("must be text of at most {} bytes", limits::JOB_TEXT_BYTES);
        return Err(Problem::bad("justification", detail));
    }
    Ok((input, Wanted { key, attempt: 1, origin: None, justification }))
}

impl AppState {
    /// Puts a request about jobs into the log, and waits as [`AppState::command`] does.
    pub(crate) async fn job(
        &self,
        caller: trackside_core::caller::Caller,
        ask: JobAsk,
    ) -> Result<crate::state::Commanded, trackside_store::Error> {
        self.put(&Input::Job { caller, ask }).await
    }
}
