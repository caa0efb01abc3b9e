//! The configuration: what other files would change, and putting them in force. The work is done by the shell.

use crate::auth::Who;
use crate::configure::{ConfigAct, ConfigAnswer, ConfigFile, ConfigProblem, ConfigRefusal, ConfigRequest};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use trackside_store::Error as StoreError;
use trackside_store::audit::NewAudit;
use trackside_store::audit::begun::Ended;
use utoipa::ToSchema;
use uuid::Uuid;

/// Largest upload, in bytes: all files of a configuration as JSON.
const UPLOAD_BYTES: usize = 16 * 1024 * 1024;

/// The files of a whole configuration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigIn {
    /// The files; all of them, each with its name.
    files: Vec<ConfigFile>,
    /// With `apply`: what the plan said is in force. Something else in force is a conflict.
    #[serde(default)]
    in_force: Option<String>,
}

/// What is wrong with a configuration (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigProblemOut {
    #[serde(flatten)]
    problem: Problem,
    /// Every mistake, with its place.
    errors: Vec<ConfigProblem>,
}

impl<S: Send + Sync> FromRequest<S> for ConfigIn {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), UPLOAD_BYTES).await.map_err(|_| {
            let detail = format!("the files together are larger than {} MiB", UPLOAD_BYTES / 1024 / 1024);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::bad("body", error.to_string()))
    }
}

/// What would change if these files were put in force. Nothing does.
#[utoipa::path(post, path = "/api/v1/config/plan", tag = "server", request_body = ConfigIn,
    responses((status = 200, body = ConfigAnswer),
        (status = 422, body = ConfigProblemOut, description = "There are mistakes in the files")))]
pub(crate) async fn plan(State(state): State<AppState>, who: Who, files: ConfigIn) -> Response {
    answer(&state, who, files.files, ConfigAct::Plan).await
}

/// Replaces the files of the server's configuration folder and puts them in force, all or nothing.
#[utoipa::path(post, path = "/api/v1/config/apply", tag = "server", request_body = ConfigIn,
    responses((status = 200, body = ConfigAnswer),
        (status = 409, body = Problem, description = "Something else is in force now, or the folder cannot be written"),
        (status = 422, body = ConfigProblemOut, description = "There are mistakes in the files")))]
pub(crate) async fn apply(State(state): State<AppState>, who: Who, files: ConfigIn) -> Response {
    answer(&state, who, files.files, ConfigAct::Apply { expected: files.in_force }).await
}

async fn answer(state: &AppState, who: Who, files: Vec<ConfigFile>, act: ConfigAct) -> Response {
    let noted = if act == ConfigAct::Plan { None } else { Some(note(state, &who, &files).await) };
    let request = ConfigRequest { files, act, caller: who.caller.clone() };
    let answer = match noted.transpose() {
        Err(error) => Err(ConfigRefusal::Failed(error.to_string())),
        Ok(noted) => {
            let answer = (state.configure)(request).await;
            match noted {
                Some(noted) => noted.ended(state, &answer).await,
                None => answer,
            }
        }
    };
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(ConfigRefusal::Invalid(errors)) => invalid(errors),
        Err(ConfigRefusal::Conflict(detail)) => Problem::new(StatusCode::CONFLICT, detail).into_response(),
        Err(ConfigRefusal::Failed(detail)) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response(),
    }
}

/// An apply that stands in the audit as begun.
struct Noted {
    id: Uuid,
    act: NewAudit,
}

/// Notes an apply before files are written.
async fn note(state: &AppState, who: &Who, files: &[ConfigFile]) -> Result<Noted, StoreError> {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let summary = format!("{} files: {}", files.len(), names.join(", "));
    let mut act =
        NewAudit::new(state.now(), who.caller.clone(), "configuration.applied", summary).about("configuration");
    act.detail.after = Some(digest(files));
    let noted = Noted { id: state.new_id(), act };
    state.store.begin_act(noted.id, &noted.act).await?;
    Ok(noted)
}

impl Noted {
    /// Puts what came of it into the audit.
    async fn ended(
        self,
        state: &AppState,
        answer: &Result<ConfigAnswer, ConfigRefusal>,
    ) -> Result<ConfigAnswer, ConfigRefusal> {
        let ended = match answer {
            Ok(_) => Ended::Done,
            Err(ConfigRefusal::Invalid(errors)) => Ended::Failed(format!("{} mistakes", errors.len())),
            Err(ConfigRefusal::Conflict(why) | ConfigRefusal::Failed(why)) => Ended::Failed(why.clone()),
        };
        let written = state.store.end_act(self.id, self.act, ended, state.now()).await;
        match (written, answer) {
            (Ok(()), answer) => answer.clone(),
            (Err(error), _) => Err(ConfigRefusal::Failed(error.to_string())),
        }
    }
}

/// SHA-256 over names and texts of files, hex.
fn digest(files: &[ConfigFile]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.name.as_bytes());
        hasher.update([0]);
        hasher.update(file.text.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn invalid(errors: Vec<ConfigProblem>) -> Response {
    let detail = format!("the configuration cannot be used: {} mistakes", errors.len());
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let mut response = (StatusCode::UNPROCESSABLE_ENTITY, Json(ConfigProblemOut { problem, errors })).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
