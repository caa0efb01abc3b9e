//! Errors of the API as RFC 9457 problem details, of the pages as a page that says the same.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use trackside_store::Error as StoreError;
use utoipa::ToSchema;

/// Why a request was not done (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16, example = 404)]
    pub status: StatusCode,
    /// The status in words.
    #[schema(value_type = String, example = "Not Found")]
    pub title: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// Where: parameter, header or JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Each value that does not fit, when a body was checked against a schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Misfit>,
}

/// A value that does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Misfit {
    /// JSON Pointer (RFC 6901) of the value; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub problem: String,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with this status.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { status, title, detail: detail.into(), at: None, errors: Vec::new() }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(self, at: impl Into<String>) -> Self {
        Self { at: Some(at.into()), ..self }
    }

    /// The thing is not there.
    #[must_use]
    pub fn missing(what: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{name}`"))
    }

    /// A parameter has a value that cannot be used.
    #[must_use]
    pub fn bad(at: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail).at(at)
    }

    /// No valid credential.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }
}

impl From<StoreError> for Problem {
    /// Store errors are logged here, where they are handled; callers learn what they can act on.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid { what, problem } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{what}: {problem}"))
            }
            StoreError::Conflict { .. } => {
                Self::new(StatusCode::CONFLICT, "somebody else changed it first; look again")
            }
            StoreError::Full | StoreError::Closed | StoreError::ReadOnly => {
                tracing::error!(%error, "the store refused");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            error => {
                tracing::error!(%error, "the store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the database failed; the log of the server says how")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"trackside\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
