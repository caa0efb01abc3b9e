//! Definitions of automations as people write them: YAML or JSON in, YAML out, and mistakes with their place.

use super::unwritable;
use crate::problem::Problem;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::request::{FieldError, Written, parse_written};
use trackside_core::automation::written::written;
use trackside_core::document::{Place, Tree};
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
    /// The values with their places.
    pub(crate) fn tree(&self) -> Result<Tree, MistakeOut> {
        let json = self.0.trim_start().starts_with(['{', '[']);
        let tree = if json { Tree::parse_json(&self.0) } else { Tree::parse(&self.0) };
        tree.map_err(|(place, message)| MistakeOut::new(String::new(), place, message))
    }

    /// What was written.
    pub(crate) fn read(&self) -> Result<Written, Vec<MistakeOut>> {
        let tree = self.tree().map_err(|mistake| vec![mistake])?;
        let mistakes = |errors: Vec<FieldError>| errors.iter().map(|error| MistakeOut::of(error, &tree)).collect();
        parse_written(tree.value()).map_err(mistakes)
    }
}

/// One mistake in a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Mistake)]
pub(crate) struct MistakeOut {
    /// Where: the fields that lead there, joined by dots (`actions.0.body`); empty for the whole.
    pub(crate) at: String,
    /// Line in the text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// Column in the text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u64>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
}

impl MistakeOut {
    pub(crate) fn new(at: String, place: Place, message: String) -> Self {
        let known = |number: u64| (number > 0).then_some(number);
        Self { at, line: known(place.line), column: known(place.column), message, suggestion: None }
    }

    fn of(error: &FieldError, tree: &Tree) -> Self {
        let at = error.place();
        let place = tree.place(&at);
        Self { suggestion: error.suggestion.clone(), ..Self::new(at, place, error.message.clone()) }
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

/// The definition as the configuration's section `automations` holds it.
pub(crate) fn yaml(automation: &Automation) -> Result<String, Problem> {
    let entry = written(&automation.spec, automation.semantics).map_err(unwritable)?;
    serde_saphyr::to_string(&entry).map_err(unwritable)
}
