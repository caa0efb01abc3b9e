//! Checking a document's content against the schema of its type: the part of JSON Schema that the types use.
//!
//! Fields that the schema does not name are accepted, as Prefect accepts them. What the schema cannot say (an address
//! that can be called, a placeholder that has a value) is checked by the type itself when it is read.

use super::{BlockType, InvalidBlock};
use serde_json::{Map, Value};

impl BlockType {
    /// Whether `data` fits the schema.
    ///
    /// # Errors
    /// Every field that does not, with what is expected. Values are not repeated: they may be secret.
    pub fn check(&self, data: &Value) -> Result<(), Vec<InvalidBlock>> {
        let Some(data) = data.as_object() else {
            return Err(vec![InvalidBlock::new("data", "must be an object")]);
        };
        let mut problems = Vec::new();
        let required = self.fields.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !data.contains_key(name) {
                problems.push(InvalidBlock::new(name, "is missing"));
            }
        }
        let properties = self.fields.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            if let Some(value) = data.get(name) {
                fits(name, schema, value, &mut problems);
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn fits(path: &str, schema: &Value, value: &Value, problems: &mut Vec<InvalidBlock>) {
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return any_fits(path, alternatives, value, problems);
    }
    if !has_type(schema, value) {
        problems.push(InvalidBlock::new(path, format!("must be {}", expected(schema))));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        problems.push(InvalidBlock::new(path, format!("must be one of {}", allowed.join(", "))));
    }
    if schema["minLength"].as_u64().is_some_and(|least| value.as_str().is_some_and(|text| (text.len() as u64) < least))
    {
        problems.push(InvalidBlock::new(path, "must not be empty"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&format!("{path}[{index}]"), &schema["items"], item, problems);
    }
    if schema["additionalProperties"].is_object() {
        for (name, item) in value.as_object().unwrap_or(&Map::new()) {
            fits(&format!("{path}.{name}"), &schema["additionalProperties"], item, problems);
        }
    }
}

/// The value must fit one alternative. Of those with its type the problems are told, else what would fit.
fn any_fits(path: &str, alternatives: &[Value], value: &Value, problems: &mut Vec<InvalidBlock>) {
    match alternatives.iter().find(|schema| has_type(schema, value)) {
        Some(schema) => fits(path, schema, value, problems),
        None => {
            let expected: Vec<&str> = alternatives.iter().map(expected).collect();
            problems.push(InvalidBlock::new(path, format!("must be {}", expected.join(" or "))));
        }
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => true,
    }
}

fn expected(schema: &Value) -> &'static str {
    match schema["type"].as_str() {
        Some("string") => "a string",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("array") => "a list",
        Some("object") => "an object",
        Some("null") => "null",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(slug: &str, data: &Value, expect: &[&str]) {
        let problems = BlockType::by_slug(slug).unwrap().check(data).err().unwrap_or_default();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expect, "{slug} {data}");
    }

    #[test]
    fn content_is_checked_against_the_schema_of_its_type() {
        check("slack-webhook", &json!({"url": "https://hooks.slack.com/x"}), &[]);
        check("slack-webhook", &json!({"url": "https://hooks.slack.com/x", "unknown": 1}), &[]);
        check("slack-webhook", &json!({}), &["url: is missing"]);
        check("slack-webhook", &json!([1]), &["data: must be an object"]);
        check("slack-webhook", &json!({"url": 7}), &["url: must be a string"]);
        check(
            "slack-webhook",
            &json!({"url": "x", "notify_type": "loud"}),
            &[r#"notify_type: must be one of "info", "success", "warning", "failure""#],
        );
        check(
            "pager-duty-webhook",
            &json!({"custom_details": {"a": 1}}),
            &["integration_key: is missing", "api_key: is missing", "custom_details.a: must be a string"],
        );
        check(
            "pager-duty-webhook",
            &json!({"integration_key": "k", "api_key": "a", "group": null, "clickable_url": ""}),
            &["clickable_url: must not be empty"],
        );
        check(
            "pager-duty-webhook",
            &json!({"integration_key": "k", "api_key": "a", "group": 4}),
            &["group: must be a string or null"],
        );
        check(
            "opsgenie-webhook",
            &json!({"apikey": "k", "priority": 1.5}),
            &["priority: must be a whole number or null"],
        );
        check("opsgenie-webhook", &json!({"apikey": "k", "tags": ["a", 1]}), &["tags[1]: must be a string"]);
        check(
            "webhook",
            &json!({"url": "x", "headers": [], "verify": 0}),
            &["headers: must be an object", "verify: must be true or false"],
        );
        check("custom-webhook", &json!({"name": "n", "url": "u", "form_data": "raw", "json_data": {"a": [1]}}), &[]);
    }
}
