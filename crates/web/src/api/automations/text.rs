//! Definitions of automations as people write them: YAML or JSON in, YAML out, and mistakes with their place.

use super::unwritable;
use crate::problem::Problem;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::request::{FieldError, Written, parse_written};
use trackside_core::automation::written::written;
use utoipa::ToSchema;

/// Longest definition, in bytes.
const TEXT_BYTES: usize = 256 * 1024;

/// A definition as it was sent: YAML, or JSON, which is YAML as well.
#[derive(Debug)]
pub(crate) struct Definition(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for Definition {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), TEXT_BYTES)
            .await
            .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the definition is larger than 256 KiB"))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| Problem::bad("body", error.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

impl Definition {
    /// What was written.
    pub(crate) fn read(&self) -> Result<Written, Vec<MistakeOut>> {
        let value = value(&self.0).map_err(|mistake| vec![mistake])?;
        parse_written(&value).map_err(|errors| errors.iter().map(MistakeOut::from).collect())
    }
}

/// One mistake in a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Mistake)]
pub(crate) struct MistakeOut {
    /// Where: the fields that lead there, joined by dots (`actions.0.body`); empty for the whole.
    pub(crate) at: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
}

impl From<&FieldError> for MistakeOut {
    fn from(error: &FieldError) -> Self {
        Self { at: error.place(), message: error.message.clone(), suggestion: error.suggestion.clone() }
    }
}

/// Why something with a definition was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The definition has mistakes.
    Mistakes(Vec<MistakeOut>),
    /// Anything else.
    Problem(Problem),
}

/// A definition with mistakes (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DefinitionProblem)]
pub(crate) struct DefinitionProblemOut {
    /// The problem.
    #[serde(flatten)]
    problem: Problem,
    /// Every mistake.
    errors: Vec<MistakeOut>,
}

impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let errors = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Mistakes(errors) => errors,
        };
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", if one.at.is_empty() { "the definition" } else { &one.at }, one.message),
            several => format!("the definition has {} mistakes", several.len()),
        };
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let body = DefinitionProblemOut { problem, errors };
        let mut response = (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// A text as a value.
pub(crate) fn value(text: &str) -> Result<Value, MistakeOut> {
    let mistake = |message: String| MistakeOut { at: String::new(), message, suggestion: None };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| mistake(error.to_string()));
    }
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| mistake(error.without_snippet().to_string()))
}

/// The definition as the configuration's section `automations` holds it.
pub(crate) fn yaml(automation: &Automation) -> Result<String, Problem> {
    let entry = written(&automation.spec, automation.semantics).map_err(unwritable)?;
    serde_saphyr::to_string(&entry).map_err(unwritable)
}
