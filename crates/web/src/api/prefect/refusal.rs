//! Errors in the words of Prefect's server, which has three forms of them.
//!
//! Source: Prefect's `server/api/server.py` (the exception handlers) and FastAPI's `HTTPException`.

use crate::problem::Problem;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::StatusCode;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use trackside_core::automation::request::{FieldError, errors_json};
use trackside_store::Error as StoreError;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    status: StatusCode,
    body: Value,
}

impl Refused {
    /// FastAPI's form: `{"detail": …}`.
    pub(super) fn detail(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, body: json!({"detail": detail.into()}) }
    }

    /// The form of Prefect's own exceptions: `{"exception_message": …}`.
    pub(super) fn message(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: json!({"exception_message": message.into()}) }
    }

    /// The form of a body that does not validate: each error with its place, and the body.
    pub(super) fn invalid(errors: &[FieldError], body: &Value) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: errors_json(errors, body) }
    }

    /// An answer of 422 with a body of its own.
    pub(super) fn unprocessable(body: Value) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body }
    }

    /// What a path without a route is answered; also one whose id is no UUID.
    pub(super) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not Found")
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let problem = Problem::from(error);
        Self::message(problem.status, problem.detail)
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "an answer could not be written");
        Self::message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A caller who may not, in Prefect's words. The role that is missing is said beside them.
#[allow(clippy::needless_pass_by_value, reason = "it stands where `Problem::into_response` does")]
pub(crate) fn refused(problem: Problem) -> Response {
    let message = if problem.status == StatusCode::UNAUTHORIZED { "Unauthorized" } else { "Forbidden" };
    let body = json!({"exception_message": message, "detail": problem.detail});
    let mut response = (problem.status, Json(body)).into_response();
    if problem.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"trackside\""));
    }
    response
}
