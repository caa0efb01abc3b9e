//! Parameters of `run-deployment`: what is wrong with the templates and typed values in them.
//!
//! Source: `RunDeployment.validate_parameters` with `prefect/utilities/schema_tools/hydration.py`. A text with template
//! marks is a template; an object with `__prefect_kind` is a value of that kind (`json`, `jinja`, `workspace_variable`,
//! `none`). Invariant: as in Prefect, nothing within lists is reported.

use super::super::template;
use serde_json::{Map, Value};

const KIND: &str = "__prefect_kind";

/// What is wrong, in Prefect's words; `None` when nothing is.
pub(super) fn problems(parameters: &Map<String, Value>) -> Option<String> {
    let mut found = Vec::new();
    match prepared(parameters) {
        Prepared::Object(fields) => collect(fields, "", &mut found),
        Prepared::Broken(problem) => found.push(format!(" {problem}")),
        Prepared::Plain => {}
    }
    if found.is_empty() { None } else { Some(format!("Invalid parameters: \n{}", found.join("\n  "))) }
}

fn collect(fields: Vec<(String, Prepared)>, prefix: &str, found: &mut Vec<String>) {
    for (key, prepared) in fields {
        match prepared {
            Prepared::Object(inner) => collect(inner, &format!("{prefix}{key}."), found),
            Prepared::Broken(problem) => found.push(format!("{prefix}{key}: {problem}")),
            Prepared::Plain => {}
        }
    }
}

/// A value as far as its problems go.
enum Prepared {
    /// Nothing wrong in it, or nothing that is looked at.
    Plain,
    Object(Vec<(String, Self)>),
    Broken(String),
}

fn prepared(map: &Map<String, Value>) -> Prepared {
    match map.get(KIND) {
        Some(kind) => typed(kind.as_str().unwrap_or_default(), map),
        None => Prepared::Object(map.iter().map(|(key, value)| (key.clone(), field(value))).collect()),
    }
}

fn field(value: &Value) -> Prepared {
    match value {
        Value::Object(map) => prepared(map),
        Value::String(text) if text.contains("{{") || text.contains("{%") => jinja(&upgraded(text)),
        _ => Prepared::Plain,
    }
}

/// A lone expression is made JSON, so that its value keeps its type.
fn upgraded(text: &str) -> String {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    match inner {
        Some(inner) if !inner.contains("{{") => format!("{{{{ {} | tojson }}}}", inner.trim()),
        _ => text.to_owned(),
    }
}

fn typed(kind: &str, map: &Map<String, Value>) -> Prepared {
    let missing = |key: &str| Prepared::Broken(format!("Missing '{key}' key in __prefect object"));
    match kind {
        "none" => map.get("value").map_or_else(|| missing("value"), nested),
        "json" => match map.get("value") {
            Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
                Ok(_) => Prepared::Plain,
                Err(error) => Prepared::Broken(format!("Invalid JSON: {error}")),
            },
            Some(value) => nested(value),
            None => Prepared::Plain,
        },
        "jinja" => match map.get("template") {
            Some(Value::String(text)) => jinja(text),
            Some(value) => nested(value),
            None => missing("template"),
        },
        _ => Prepared::Plain,
    }
}

/// A value in a typed one; texts in it are no templates.
fn nested(value: &Value) -> Prepared {
    match value {
        Value::Object(map) if map.contains_key(KIND) => prepared(map),
        Value::Object(map) => Prepared::Object(map.iter().map(|(key, value)| (key.clone(), nested(value))).collect()),
        _ => Prepared::Plain,
    }
}

fn jinja(text: &str) -> Prepared {
    match template::check(text) {
        Err(error) => Prepared::Broken(format!("Invalid jinja: {}", error.message())),
        Ok(()) => Prepared::Plain,
    }
}
