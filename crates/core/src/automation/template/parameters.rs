//! Templates in the parameters of an action: plain texts, and Prefect's typed values with `__prefect_kind`.
//!
//! Sources: `RunDeployment.render_parameters` in `prefect/server/events/actions.py` and
//! `prefect/utilities/schema_tools/hydration.py`. A text that is one lone expression keeps the type of its value.

use super::context::{Object, TemplateContext};
use super::error::TemplateError;
use super::{check, is_template, render};
use serde_json::{Map, Value};

const KIND: &str = "__prefect_kind";

/// A value with its templates filled in.
///
/// # Errors
/// A template fails, a variable does not exist, or a typed value lacks a part or is no JSON. The message is Prefect's.
pub fn render_value(value: &Value, context: &TemplateContext<'_>) -> Result<Value, TemplateError> {
    Ok(filled(value, context)?.unwrap_or_else(|| Value::Object(Map::new())))
}

/// Nothing where Prefect leaves a value out.
type Filled = Result<Option<Value>, TemplateError>;

fn filled(value: &Value, context: &TemplateContext<'_>) -> Filled {
    match value {
        Value::String(text) if is_template(text) => upgraded(text, context).map(Some),
        Value::Object(map) if map.contains_key(KIND) => typed(map, context),
        Value::Object(map) => object(map, |value| filled(value, context)),
        Value::Array(items) => array(items, |value| filled(value, context)),
        other => Ok(Some(other.clone())),
    }
}

/// A value within a typed one, where a text is no template.
fn hydrated(value: &Value, context: &TemplateContext<'_>) -> Filled {
    match value {
        Value::Object(map) if map.contains_key(KIND) => typed(map, context),
        Value::Object(map) => object(map, |value| hydrated(value, context)),
        Value::Array(items) => array(items, |value| hydrated(value, context)),
        other => Ok(Some(other.clone())),
    }
}

fn object(map: &Map<String, Value>, each: impl Fn(&Value) -> Filled) -> Filled {
    let pairs = map.iter().filter_map(|(key, value)| Some(each(value).transpose()?.map(|value| (key.clone(), value))));
    pairs.collect::<Result<_, _>>().map(|map| Some(Value::Object(map)))
}

fn array(items: &[Value], each: impl Fn(&Value) -> Filled) -> Filled {
    let items = items.iter().filter_map(|item| each(item).transpose());
    items.collect::<Result<_, _>>().map(|items| Some(Value::Array(items)))
}

fn upgraded(text: &str, context: &TemplateContext<'_>) -> Result<Value, TemplateError> {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    match inner {
        Some(inner) if !inner.contains("{{") => json(&jinja(&format!("{{{{ {} | tojson }}}}", inner.trim()), context)?),
        _ => jinja(text, context).map(Value::String),
    }
}

fn typed(map: &Map<String, Value>, context: &TemplateContext<'_>) -> Filled {
    let part = |key: &str| match map.get(key) {
        Some(value @ Value::Object(_)) => hydrated(value, context),
        other => Ok(other.cloned()),
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match map.get(KIND).and_then(Value::as_str) {
        Some("none") => {
            let value = map.get("value").ok_or_else(|| missing("value", "ValueNotFound"))?;
            hydrated(value, context)
        }
        Some("json") => match part("value")? {
            Some(Value::String(text)) => json(&text).map(Some),
            other => Ok(other),
        },
        Some("jinja") => {
            let template = part("template")?.ok_or_else(|| missing("template", "TemplateNotFound"))?;
            jinja(&text(template), context).map(|text| Some(Value::String(text)))
        }
        Some("workspace_variable") => {
            let Some(name) = part("variable_name")?.map(text) else { return Ok(None) };
            let found = context.objects.get(&Object::Variables).and_then(|variables| variables.get(&name));
            let message = || format!("Variable '{name}' not found in workspace.");
            found.cloned().map(Some).ok_or_else(|| TemplateError::new("WorkspaceVariableNotFound", message()))
        }
        _ => Ok(Some(map.get("value").cloned().unwrap_or(Value::Null))),
    }
}

fn missing(key: &str, class: &'static str) -> TemplateError {
    TemplateError::new(class, format!("Missing '{key}' key in __prefect object"))
}

fn json(text: &str) -> Result<Value, TemplateError> {
    serde_json::from_str(text).map_err(|error| TemplateError::new("InvalidJSON", format!("Invalid JSON: {error}")))
}

fn jinja(text: &str, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
    check(text).map_err(|error| TemplateError::new("InvalidJinja", format!("Invalid jinja: {}", error.message())))?;
    render(text, context).map_err(|error| {
        let message = format!("Failed to render template due to the following error: {}", error.repr());
        TemplateError::new("InvalidJinja", format!("Invalid jinja: {message}"))
    })
}
