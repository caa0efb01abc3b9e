//! Bodies as FastAPI reads them: JSON whatever the media type says, and errors with a place in the body.

use super::Refused;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};
use trackside_core::automation::request::{FieldError, PathPart};

/// Longest body, in bytes.
const BODY_BYTES: usize = 1024 * 1024;

/// A JSON body; absent when there was none.
#[derive(Debug)]
pub(crate) struct Body(Option<Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refused;
    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let too_large = || format!("the body is larger than {BODY_BYTES} bytes, or broke off");
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES)
            .await
            .map_err(|_| Refused::message(StatusCode::PAYLOAD_TOO_LARGE, too_large()))?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        serde_json::from_slice(&bytes).map(|value| Self(Some(value))).map_err(|error| not_json(&bytes, &error))
    }
}

impl Body {
    /// The body, which must be there.
    pub(super) fn required(self) -> Result<Value, Refused> {
        self.0.ok_or_else(|| Refused::invalid(&[missing(Vec::new())], &Value::Null))
    }

    /// The body as a type, which must be there.
    pub(super) fn required_as<T: DeserializeOwned>(self) -> Result<T, Refused> {
        read_as(&self.required()?)
    }

    /// The body as a type whose fields all have defaults; so has the body.
    pub(super) fn optional_as<T: DeserializeOwned>(self) -> Result<T, Refused> {
        read_as(&self.0.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// A text as the whole body; empty when there was none.
    pub(super) fn optional_text(self) -> Result<String, Refused> {
        self.0.map_or_else(|| Ok(String::new()), |body| read_as(&body))
    }
}

/// A body as a type.
pub(super) fn read_as<T: DeserializeOwned>(body: &Value) -> Result<T, Refused> {
    parse_as(body).map_err(|error| Refused::invalid(&[*error], body))
}

/// A body as a type, or what is wrong with it.
pub(super) fn parse_as<T: DeserializeOwned>(body: &Value) -> Result<T, Box<FieldError>> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let place = error.path().clone();
        Box::new(field_error(&place, &error.into_inner().to_string()))
    })
}

/// What serde found, as pydantic would report it.
fn field_error(place: &Path, message: &str) -> FieldError {
    let mut path: Vec<PathPart> = place.iter().filter_map(part).collect();
    let named = |before: &str| message.strip_prefix(before)?.split_once('`').map(|(name, _)| PathPart::from(name));
    if let Some(name) = named("missing field `") {
        path.push(name);
        return missing(path);
    }
    let (kind, message) = match named("unknown field `") {
        Some(name) => {
            if path.last() != Some(&name) {
                path.push(name);
            }
            ("extra_forbidden", "Extra inputs are not permitted".to_owned())
        }
        None => ("value_error", format!("Value error, {message}")),
    };
    FieldError { path, message, suggestion: None, kind, context: None }
}

fn part(segment: &Segment) -> Option<PathPart> {
    match segment {
        Segment::Seq { index } => Some(PathPart::Index(*index)),
        Segment::Map { key } => Some(PathPart::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn missing(path: Vec<PathPart>) -> FieldError {
    FieldError { path, message: "Field required".to_owned(), suggestion: None, kind: "missing", context: None }
}

/// A value error, as Prefect's own validators make them, at a place in the body.
pub(super) fn wrong(place: &[&str], problem: &str, body: &Value) -> Refused {
    Refused::invalid(&[value_error(place.iter().map(|part| PathPart::from(*part)).collect(), problem)], body)
}

/// Value errors at fields below `parent`; a field is dotted.
pub(super) fn wrong_all(parent: &str, problems: &[(String, String)], body: &Value) -> Refused {
    let errors = problems.iter().map(|(field, problem)| {
        let steps = field.split('.').filter(|step| !step.is_empty() && *step != parent);
        value_error(std::iter::once(parent).chain(steps).map(PathPart::from).collect(), problem)
    });
    Refused::invalid(&errors.collect::<Vec<_>>(), body)
}

fn value_error(path: Vec<PathPart>, problem: &str) -> FieldError {
    FieldError {
        path,
        message: format!("Value error, {problem}"),
        suggestion: None,
        kind: "value_error",
        context: Some(json!({"error": {}})),
    }
}

fn not_json(bytes: &[u8], error: &serde_json::Error) -> Refused {
    let text = String::from_utf8_lossy(bytes);
    let before: usize = text.split('\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    let detail = FieldError {
        path: vec![PathPart::Index(before + error.column().saturating_sub(1))],
        message: "JSON decode error".to_owned(),
        suggestion: None,
        kind: "json_invalid",
        context: Some(json!({"error": reason})),
    };
    Refused::invalid(&[detail], &Value::from(text))
}

/// What Prefect understands as true or false.
pub(super) fn boolean<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = match &value {
        Value::Bool(value) => return Ok(*value),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    match text.as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" | "1.0" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" | "0.0" => Ok(false),
        _ => Err(serde::de::Error::custom("this should be true or false")),
    }
}
