//! The far end calls back: the address it is given, and what it says.
//!
//! The address carries a signed token that stands for one run; a used one is remembered until it expires, so it works
//! once. The body is JSON: `{"status": "succeeded", "output": …}` or `{"status": "failed", "error": "…"}`.

use super::classify;
use crate::door::Reject;
use serde::Deserialize;
use serde_json::Value;
use trackside_core::job::run::{CallResult, ErrorClass, JobError, JobRun};
use trackside_core::limits;

/// Path of the door, behind the public address; the token follows.
pub const PATH: &str = "/jobs/callback/";
/// Largest body of a callback, in bytes.
pub const BODY_BYTES: usize = limits::JOB_RESULT_BYTES_MOST as usize + 64 * 1024;

/// The token in an address that was given to a far end.
pub(super) fn token_of(address: &str) -> Option<String> {
    address.rsplit_once(PATH).map(|(_, token)| token.to_owned())
}

/// What a far end says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    status: Status,
    #[serde(default)]
    output: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Succeeded,
    Failed,
}

/// How a run ended, as its far end says. A result that does not fit the job fails the run.
///
/// # Errors
/// When the body is not what a callback says.
pub fn parse(body: &[u8], run: &JobRun) -> Result<CallResult, Reject> {
    if body.len() > BODY_BYTES {
        return Err(Reject::new(413, "", &format!("has more than {BODY_BYTES} bytes")));
    }
    let said: Said = crate::door::decode(body)?;
    Ok(match said.status {
        Status::Succeeded => fitting(run, said.output.unwrap_or(Value::Null)),
        Status::Failed => {
            let message = said.error.unwrap_or_else(|| "the far end says that it failed".to_owned());
            let message = crate::template::truncate_bytes(&message, limits::ERROR_BYTES);
            let message = crate::redact::text(&message).into_owned();
            CallResult::Failed { error: JobError { class: ErrorClass::Failed, message, status: None } }
        }
    })
}

/// A result as a run keeps it, or why it does not fit.
#[must_use]
pub fn fitting(run: &JobRun, output: Value) -> CallResult {
    classify::kept(&run.spec, output, None)
}
