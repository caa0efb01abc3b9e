//! What can be wrong with a text: while it is read, and while it is rendered.
//!
//! Invariant: class and message are those that Prefect (Jinja2, Python) gives for the same text wherever the cause is
//! the same, so that people find them in its documents; [`TemplateError::LIMIT`] and [`TemplateError::ENGINE`] are ours. What minijinja alone words
//! is passed on in its words.

use super::{methods, print};
use minijinja::{ErrorKind, Value};
use std::fmt;
use std::ops::Range;

/// Why a template is not accepted or does not render.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    class: &'static str,
    message: String,
    line: Option<u32>,
}

impl TemplateError {
    /// Class of errors about our own bounds of size and work.
    pub const LIMIT: &'static str = "TemplateLimitError";
    /// Class of errors about what the engine itself cannot handle.
    pub const ENGINE: &'static str = "TemplateEngineError";

    pub(super) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), line: None }
    }

    pub(super) fn at(self, line: u32) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Python's name of the error, for example `UndefinedError`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Line in the template, from 1.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// As Prefect states it as the reason of a failed action.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("Template rendering failed: {}", self.repr())
    }

    /// As Python's `repr` writes it.
    pub(super) fn repr(&self) -> String {
        format!("{}({})", self.class, print::quoted(&self.message))
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

/// An error of Python's for the engine to carry out.
pub(super) fn raise(class: &'static str, message: impl Into<String>) -> minijinja::Error {
    let error = TemplateError::new(class, message);
    minijinja::Error::new(ErrorKind::InvalidOperation, error.message.clone()).with_source(error)
}

/// What the engine reports about `text` with the values `known`, in the words of Jinja2 and Python.
pub(super) fn explain(error: &minijinja::Error, text: &str, known: &Value) -> TemplateError {
    let line = error.line().and_then(|line| u32::try_from(line).ok());
    let found = carried(error).unwrap_or_else(|| {
        let detail = error.detail().unwrap_or_default();
        let place = error.range().unwrap_or_default();
        match undefined_path(detail).filter(|_| error.kind() != ErrorKind::SyntaxError) {
            Some(path) => TemplateError::new("UndefinedError", undefined(path, known)),
            None => translate(error.kind(), detail, &Place { text, place }),
        }
    });
    TemplateError { line: found.line.or(line), ..found }
}

/// The name that was undefined, as far as the engine knows it.
fn undefined_path(detail: &str) -> Option<&str> {
    detail.rsplit_once(" (`").and_then(|(_, rest)| rest.strip_suffix("` is undefined)"))
}

/// What is missing of a path: its root, or an attribute of what is there.
fn undefined(path: &str, known: &Value) -> String {
    let mut parts = path.split('.');
    let root = parts.next().unwrap_or_default();
    let mut value = known.get_attr(root).unwrap_or_default();
    if !value.is_undefined() {
        for part in parts {
            let next = value.get_attr(part).unwrap_or_default();
            if next.is_undefined() {
                return format!("{} has no attribute '{part}'", methods::described(&value));
            }
            value = next;
        }
    }
    format!("'{root}' is undefined")
}

/// Where in a text an error is.
struct Place<'t> {
    text: &'t str,
    place: Range<usize>,
}

impl<'t> Place<'t> {
    /// What stands there.
    fn part(&self) -> &'t str {
        self.text.get(self.place.clone()).unwrap_or_default()
    }

    /// Whether a whole expression is missing, rather than the end of one.
    fn lacks_expression(&self) -> bool {
        let before = self.text.get(..self.place.start).unwrap_or_default();
        let opening = before.rfind("{{").max(before.rfind("{%")).map_or(0, |at| at + 2);
        let inner = before[opening..].trim_start_matches(['-', '+']).trim();
        matches!(inner, "" | "if" | "elif" | "for" | "set")
            || (inner.starts_with("for ") && inner.ends_with(" in"))
            || (inner.starts_with("set ") && inner.ends_with('='))
    }
}

/// The error that one of our functions raised.
fn carried(error: &minijinja::Error) -> Option<TemplateError> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<TemplateError>() {
            return Some(found.clone());
        }
        source = cause.source();
    }
    None
}

fn translate(kind: ErrorKind, detail: &str, place: &Place<'_>) -> TemplateError {
    let between = |prefix: &str, suffix: &str| detail.strip_prefix(prefix)?.strip_suffix(suffix);
    match kind {
        ErrorKind::SyntaxError | ErrorKind::BadEscape => {
            TemplateError::new("TemplateSyntaxError", syntax(detail, place))
        }
        ErrorKind::UnknownFunction => {
            let name = between("", " is unknown").unwrap_or(detail);
            TemplateError::new("UndefinedError", format!("'{name}' is undefined"))
        }
        // `map('name')` does not say which; it stands in quotes.
        ErrorKind::UnknownFilter if detail.is_empty() => {
            let name = place.part().split(['\'', '"']).nth(1).unwrap_or_default();
            TemplateError::new("TemplateRuntimeError", format!("No filter named '{name}'."))
        }
        ErrorKind::UnknownFilter => {
            let name = between("filter ", " is unknown").unwrap_or(detail);
            TemplateError::new("TemplateAssertionError", format!("No filter named '{name}'."))
        }
        ErrorKind::UnknownTest => {
            let name = between("test ", " is unknown").unwrap_or(detail);
            TemplateError::new("TemplateAssertionError", format!("No test named '{name}'."))
        }
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => {
            TemplateError::new("TypeError", "no loader for this environment specified")
        }
        ErrorKind::OutOfFuel => TemplateError::new(TemplateError::LIMIT, "takes too many steps to render"),
        ErrorKind::CannotUnpack => TemplateError::new("ValueError", detail),
        _ => operation(detail).unwrap_or_else(|| TemplateError::new("TypeError", detail)),
    }
}

/// A failed operator, in Python's words.
fn operation(detail: &str) -> Option<TemplateError> {
    if let Some(rest) = detail.strip_prefix("unable to calculate ") {
        let operator = rest.strip_suffix(" 0").or_else(|| rest.strip_suffix(" 0.0"))?.rsplit(' ').next()?;
        let is_float = rest.contains('.');
        let message = match (operator, is_float) {
            ("/", true) => "float division by zero",
            ("/", false) => "division by zero",
            ("//", false) => "integer division or modulo by zero",
            ("//", true) => "float floor division by zero",
            ("%", false) => "integer modulo by zero",
            ("%", true) => "float modulo",
            _ => return None,
        };
        return Some(TemplateError::new("ZeroDivisionError", message));
    }
    if detail.is_empty() {
        return Some(TemplateError::new("TypeError", "bad operand type for unary -: 'str'"));
    }
    let named = |prefix: &str, suffix: &str| Some(python_type(detail.strip_prefix(prefix)?.strip_suffix(suffix)?));
    if let Some(kind) = named("cannot round value (", ")") {
        return Some(TemplateError::new("TypeError", format!("type {kind} doesn't define __round__ method")));
    }
    if let Some(kind) = named("can only sum numbers, got ", "") {
        let message = format!("unsupported operand type(s) for +=: 'int' and '{kind}'");
        return Some(TemplateError::new("TypeError", message));
    }
    if let Some(kind) = named("", " is not iterable") {
        return Some(TemplateError::new("TypeError", format!("'{kind}' object is not iterable")));
    }
    let rest = detail.strip_prefix("tried to use ")?;
    let (operator, rest) = rest.split_once(" operator on unsupported types ")?;
    let (left, right) = rest.split_once(" and ")?;
    let (left, right) = (python_type(left), python_type(right));
    let message = match (operator, left) {
        ("+", "str" | "list") => format!("can only concatenate {left} (not \"{right}\") to {left}"),
        _ => format!("unsupported operand type(s) for {operator}: '{left}' and '{right}'"),
    };
    Some(TemplateError::new("TypeError", message))
}

/// Python's name for a kind of value, as far as the engine tells them apart.
pub(super) fn python_type(kind: &str) -> &str {
    match kind {
        "string" => "str",
        "number" => "int",
        "none" => "NoneType",
        "sequence" | "iterator" => "list",
        "map" => "dict",
        "undefined" => "ChainableUndefined",
        "plain object" => "DateTime",
        other => other,
    }
}

/// A syntax error in Jinja2's words, as far as one wording has one cause.
fn syntax(detail: &str, place: &Place<'_>) -> String {
    if let Some(tag) = detail.strip_prefix("unknown statement ") {
        return format!("Encountered unknown tag '{tag}'.");
    }
    let Some(rest) = detail.strip_prefix("unexpected ") else { return detail.to_owned() };
    let (found, expected) = rest.split_once(", expected ").map_or((rest, None), |(found, rest)| (found, Some(rest)));
    let shown = token(found, place.part());
    match expected {
        Some("identifier or integer") => "expected name or number".to_owned(),
        _ if found.starts_with("end of ") && found != "end of input" && place.lacks_expression() => {
            format!("Expected an expression, got '{shown}'")
        }
        Some(expected) if found == "end of input" => {
            format!("unexpected end of template, expected '{}'.", token(expected, ""))
        }
        Some(expected) => format!("expected token '{}', got '{shown}'", token(expected, "")),
        None => format!("unexpected '{shown}'"),
    }
}

/// What Jinja2 calls a kind of token.
fn token<'a>(kind: &'a str, part: &'a str) -> &'a str {
    match kind.trim_matches('`') {
        "end of variable block" => "end of print statement",
        "end of block" => "end of statement block",
        "end of input" => "end of template",
        "identifier" if part.is_empty() => "name",
        "identifier" => part,
        other => other,
    }
}
