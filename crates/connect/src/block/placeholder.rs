//! `{{ name }}` in the fields of a custom webhook: Prefect's `apply_values`, no template language.
//!
//! A text that is one placeholder becomes the value itself; inside a longer text it becomes the value's text. Names may
//! reach into a value (`secret.key`, `secret.list[0]`). Names that have no value are found when the block is saved.

use regex::Regex;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// As in `prefect.utilities.templating`.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{\{\s*([\w\.\-\[\]$]+)\s*\}\}").ok());

/// The names in `template`, however deep.
pub(super) fn names(template: &Value) -> Vec<String> {
    match template {
        Value::String(text) => found(text).map(|(_, name)| name.to_owned()).collect(),
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(fields) => fields.values().flat_map(names).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// `template` with its placeholders replaced. What has no value is left out.
pub(super) fn fill(template: &Value, values: &Map<String, Value>) -> Option<Value> {
    match template {
        Value::String(text) => filled(text, values),
        Value::Array(items) => Some(items.iter().filter_map(|item| fill(item, values)).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, value)| Some((name.clone(), fill(value, values)?)));
            Some(Value::Object(fields.collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(template.clone()),
    }
}

/// The same for a text that stays one.
pub(super) fn fill_text(template: &str, values: &Map<String, Value>) -> String {
    filled(template, values).map(|value| text(&value)).unwrap_or_default()
}

/// A value inside a text: a string without quotes, else its JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn filled(template: &str, values: &Map<String, Value>) -> Option<Value> {
    if let Some((whole, name)) = found(template).next()
        && whole == template
    {
        return value_of(name, values).cloned();
    }
    let mut result = String::with_capacity(template.len());
    let mut rest = template;
    for (whole, name) in found(template) {
        // Each match stands in what is left, because matches come in order.
        let Some((before, after)) = rest.split_once(whole) else { break };
        result.push_str(before);
        result.push_str(&value_of(name, values).map(text).unwrap_or_default());
        rest = after;
    }
    result.push_str(rest);
    Some(Value::from(result))
}

fn found(text: &str) -> impl Iterator<Item = (&str, &str)> {
    PLACEHOLDER
        .iter()
        .flat_map(move |pattern| pattern.captures_iter(text))
        .filter_map(|found| Some((found.get(0)?.as_str(), found.get(1)?.as_str())))
}

/// The value at a dotted path.
fn value_of<'v>(name: &str, values: &'v Map<String, Value>) -> Option<&'v Value> {
    if let Some(value) = values.get(name) {
        return Some(value);
    }
    let mut steps = name.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let mut value = values.get(steps.next()?)?;
    for step in steps {
        value = match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => value.get(step)?,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_replaced_as_prefect_does() {
        let values = json!({"subject": "S", "body": "B {{name}}", "n": 7, "deep": {"k": [1, "two"]}});
        let values = values.as_object().unwrap();
        for (template, expect) in [
            (json!("{{subject}}: {{ body }}"), json!("S: B {{name}}")),
            (json!("{{n}}"), json!(7)),
            (json!("n={{n}}"), json!("n=7")),
            (
                json!({"a": ["{{deep.k[1]}}", "{{missing}}", 1], "b": "{{missing}}", "c": "x{{missing}}y"}),
                json!({"a": ["two", 1], "c": "xy"}),
            ),
            (json!("{{ not a name }} {% x %}"), json!("{{ not a name }} {% x %}")),
        ] {
            assert_eq!(fill(&template, values), Some(expect), "{template}");
        }
        assert_eq!(names(&json!({"a": "{{x}} {{ y.z }}", "b": ["{{$HOME}}"]})), ["x", "y.z", "$HOME"]);
        assert_eq!(fill_text("https://h/{{n}}", values), "https://h/7");
    }
}
