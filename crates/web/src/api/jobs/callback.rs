//! `POST /jobs/callback/{token}`: the far end of a job says how a run ended.
//!
//! The token is the credential: we signed it, it stands for one run, and it works once; the same callback again is
//! answered as the first was, so that a far end whose answer was lost may repeat it.

use crate::api::Segments;
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::{Request, State};
use http::StatusCode;
use trackside_connect::job::callback::{BODY_BYTES, parse};
use trackside_core::caller::Caller;
use trackside_core::ids::derive;
use trackside_core::input::{Input, JobAsk};
use trackside_identity::act_link::BadLink;
use trackside_store::heard::Once;
use trackside_store::log::NewEntry;

/// How they come in.
const VIA: &str = "callback";

/// Says how a run ended, once.
#[utoipa::path(post, path = "/jobs/callback/{token}", tag = "far ends", security(()),
    params(("token" = String, Path, description = "As given in the header `Trackside-Callback` of the call")),
    request_body(content = serde_json::Value, description = "`{\"status\": \"succeeded\", \"output\": …}` or `{\"status\": \"failed\", \"error\": \"…\"}`"),
    responses((status = 204, description = "Durable"), (status = 400, body = Problem), (status = 422, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem, description = "Too old"), (status = 413, body = Problem)))]
pub(crate) async fn take(
    State(state): State<AppState>,
    Segments(token): Segments<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (run, expires) = state.act_key.open_run(&token, state.now()).map_err(|bad| match bad {
        BadLink::Forged => Problem::new(StatusCode::FORBIDDEN, "this address was not made here, or is not whole"),
        BadLink::Expired => Problem::new(StatusCode::GONE, "this address is too old; the run was given up"),
    })?;
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than a result may be"))?;
    let run = state.store.job_run(run).await?.ok_or_else(|| Problem::missing("run", &run.to_string()))?;
    let result = Box::new(parse(&body, &run).map_err(|bad| {
        let status = StatusCode::from_u16(bad.status).unwrap_or(StatusCode::BAD_REQUEST);
        Problem { at: Some(bad.at.clone()).filter(|at| !at.is_empty()), ..Problem::new(status, bad.problem) }
    })?);
    let id = derive("job callback", &[&run.id.to_string()]);
    let caller = Caller::new(run.spec.target.connection(), VIA);
    let input = Input::Job { caller, ask: JobAsk::Called { run: run.id, result } };
    let entry = NewEntry::input(state.now(), &input, id)?;
    let key = run.id.to_string();
    // Heard before: the far end repeats what it said, and hears the same.
    state.enter_once(Once { kind: "job", key: &key, expires }, entry).await?;
    Ok(StatusCode::NO_CONTENT)
}
