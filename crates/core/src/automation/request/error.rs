//! What is wrong with what somebody wrote: where, what, and what to write instead.
//!
//! Invariant: a path leads from the body to the value, so that a caller can find its line. In Prefect's dialect the
//! alternatives that were tried stand between the steps, as pydantic reports them.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// One step of the way to a value. Serialises as text or number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum PathPart {
    /// A field of an object.
    Key(String),
    /// A place in a list, from 0.
    Index(usize),
    /// The alternative that was tried, by pydantic's name of it (`EventTrigger`). Not a part of what was written.
    Member(&'static str),
}

impl From<&str> for PathPart {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathPart {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for PathPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
            Self::Member(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldError {
    /// Where, from the body on.
    pub path: Vec<PathPart>,
    /// What is wrong; in Prefect's dialect word for word as Prefect says it.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The kind of error, by pydantic's names (`missing`, `literal_error`, `value_error`).
    pub kind: &'static str,
    /// The values in the message, by name, where pydantic gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

impl FieldError {
    /// The path without the alternatives that were tried: what was written, step by step.
    pub fn written(&self) -> impl Iterator<Item = &PathPart> {
        self.path.iter().filter(|part| !matches!(part, PathPart::Member(_)))
    }

    /// The path as text, its steps joined by dots.
    #[must_use]
    pub fn place(&self) -> String {
        dotted(&self.path)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.place())?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

/// A path as text, its steps joined by dots.
#[must_use]
pub fn dotted(path: &[PathPart]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The body of a 422 as Prefect's server answers it (`validation_exception_handler` of its `api/server.py`):
/// `exception_message`, `exception_detail` with pydantic's errors, and the request.
#[must_use]
pub fn errors_json(errors: &[FieldError], body: &Value) -> Value {
    let detail: Vec<Value> = errors.iter().map(|error| detail(error, body)).collect();
    json!({"exception_message": "Invalid request received.", "exception_detail": detail, "request_body": body})
}

/// A longer input is left out of an error: the request stands beside it anyway, and there may be many errors.
const INPUT_BYTES: usize = 1024;

/// What is left of so many bytes when the value is written, about; nothing when it is longer.
fn left(bytes: usize, value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => bytes.checked_sub(text.len() + 2),
        Value::Array(items) => items.iter().try_fold(bytes.checked_sub(2)?, left),
        Value::Object(map) => map
            .iter()
            .try_fold(bytes.checked_sub(2)?, |bytes, (key, item)| left(bytes.checked_sub(key.len() + 3)?, item)),
        _ => bytes.checked_sub(4),
    }
}

fn detail(error: &FieldError, body: &Value) -> Value {
    let loc: Vec<Value> = std::iter::once(json!("body")).chain(error.path.iter().map(|part| json!(part))).collect();
    let mut detail = json!({"type": error.kind, "loc": loc, "msg": error.message});
    if let Some(input) = input(error, body).filter(|input| left(INPUT_BYTES, input).is_some()) {
        detail["input"] = input.clone();
    }
    if let Some(context) = &error.context {
        detail["ctx"] = context.clone();
    }
    if let Some(suggestion) = &error.suggestion {
        detail["suggestion"] = json!(suggestion);
    }
    detail
}

/// The value that the error is about; of a missing field the object that lacks it.
fn input<'a>(error: &FieldError, body: &'a Value) -> Option<&'a Value> {
    let mut value = body;
    for part in error.written() {
        let next = match part {
            PathPart::Key(key) => value.get(key.as_str()),
            PathPart::Index(index) => value.get(*index),
            PathPart::Member(_) => Some(value),
        };
        match next {
            Some(next) => value = next,
            None => return (error.kind == "missing").then_some(value),
        }
    }
    Some(value)
}
