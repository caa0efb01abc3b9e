//! Errors on their way out of a value: each layer puts its step before the path.
//!
//! Invariant: no more than [`LISTED_ERRORS`] are carried; a body that is wrong in every way stays a small answer.

use super::error::{FieldError, PathPart};
use serde_json::{Value, json};

/// Most errors that are reported of one body. Nested alternatives multiply: pydantic reports an error in a trigger at
/// depth n once for each of the 2ⁿ ways to it.
pub(super) const LISTED_ERRORS: usize = 1000;

/// The kind of what makes Prefect itself fail.
const BREAKING: &str = "server_error";

/// What was read, or what is wrong with it.
pub(super) type Read<T> = Result<T, Vec<Line>>;

/// One error with its path from the value outwards.
#[derive(Clone, Debug)]
pub(super) struct Line {
    outwards: Vec<PathPart>,
    fault: Fault,
}

/// What is wrong, in pydantic's terms.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) context: Option<Value>,
}

impl Fault {
    /// An error whose message says it all.
    pub(super) fn plain(kind: &'static str, message: &str) -> Self {
        Self { kind, message: message.to_owned(), context: None }
    }

    /// What a validator of Prefect's own says.
    pub(super) fn value(message: &str) -> Self {
        Self { kind: "value_error", message: format!("Value error, {message}"), context: Some(json!({"error": {}})) }
    }

    /// What makes Prefect answer 500: no alternative saves it.
    pub(super) fn breaking(message: &str) -> Self {
        Self { kind: BREAKING, ..Self::value(message) }
    }

    /// What could not be parsed, with the parser's words.
    pub(super) fn parsing(kind: &'static str, what: &str, error: &str) -> Self {
        Self {
            kind,
            message: format!("Input should be a valid {what}, {error}"),
            context: Some(json!({"error": error})),
        }
    }

    /// Not one of the texts that may stand there.
    pub(super) fn expected(kind: &'static str, expected: &str) -> Self {
        Self { kind, message: format!("Input should be {expected}"), context: Some(json!({"expected": expected})) }
    }
}

impl From<Fault> for Line {
    fn from(fault: Fault) -> Self {
        Self { outwards: Vec::new(), fault }
    }
}

impl From<Fault> for Vec<Line> {
    fn from(fault: Fault) -> Self {
        vec![fault.into()]
    }
}

/// The same errors one step further out.
pub(super) fn under(part: &PathPart, mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        line.outwards.push(part.clone());
    }
    lines
}

/// Adds errors up to [`LISTED_ERRORS`].
pub(super) fn collect(lines: &mut Vec<Line>, more: Vec<Line>) {
    let room = LISTED_ERRORS.saturating_sub(lines.len());
    lines.extend(more.into_iter().take(room));
}

/// The errors as callers get them.
pub(super) fn finish(lines: Vec<Line>) -> Vec<FieldError> {
    lines.into_iter().map(Line::finish).collect()
}

impl Line {
    /// Whether Prefect fails on it, whatever else is right.
    pub(super) fn is_breaking(&self) -> bool {
        self.fault.kind == BREAKING
    }

    fn finish(self) -> FieldError {
        let Fault { kind, message, context } = self.fault;
        FieldError { path: self.outwards.into_iter().rev().collect(), message, suggestion: None, kind, context }
    }
}
