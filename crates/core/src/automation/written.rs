//! An automation as people would write it: what the configuration's section `automations` holds.
//!
//! The reverse of [`super::request::parse_written`], without what it would add by itself. Invariant: what is written
//! here reads as the same automation again.

use super::definition::{AutomationSpec, Semantics};
use crate::ruleset::Span;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

/// Fields of times, which are written as text (`10m`).
const TIMES: &[&str] = &["within", "range", "firing_for"];

/// The entry of the section `automations`, its fields in the order in which people write them.
///
/// # Errors
/// When a value cannot be written as JSON; none of an automation's is like that.
pub fn written(spec: &AutomationSpec, semantics: Semantics) -> Result<Value, serde_json::Error> {
    let Value::Object(all) = serde_json::to_value(spec)? else { return Ok(Value::Null) };
    let mut entry = Map::new();
    for (field, value) in all {
        let value = match field.as_str() {
            "enabled" if value == true => continue,
            "trigger" => trigger(value),
            "actions" | "actions_on_trigger" | "actions_on_resolve" => actions(value),
            _ => value,
        };
        let first = entry.is_empty();
        if !is_empty(&value) || field == "name" {
            entry.insert(field, value);
        }
        if first && semantics == Semantics::Prefect {
            entry.insert("semantics".to_owned(), json!(semantics));
        }
    }
    Ok(Value::Object(entry))
}

/// A trigger without what need not be said.
fn trigger(trigger: Value) -> Value {
    let Value::Object(fields) = trigger else { return trigger };
    let implied = |field: &str, value: &Value| match field {
        "match" | "match_related" | "after" | "expect" | "for_each" => is_empty(value),
        "threshold" => *value == 1,
        "within" => value.as_f64() == Some(0.0),
        "posture" => value == "Reactive",
        _ => false,
    };
    let kept = fields.into_iter().filter(|(field, value)| !implied(field, value));
    let kept = kept.map(|(field, value)| {
        let value = match value {
            Value::Array(children) if field == "triggers" => children.into_iter().map(self::trigger).collect(),
            Value::Object(query) if field == "metric" => query.into_iter().map(with_time).collect(),
            value => return with_time((field, value)),
        };
        (field, value)
    });
    Value::Object(kept.collect())
}

/// A field; as text when it is a time.
fn with_time((field, value): (String, Value)) -> (String, Value) {
    let value = if TIMES.contains(&field.as_str()) { time(value) } else { value };
    (field, value)
}

/// Seconds as text; anything that text cannot say exactly stays a number.
fn time(seconds: Value) -> Value {
    let duration = seconds.as_f64().and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    match duration {
        Some(duration) if !duration.is_negative() && duration.subsec_nanos() == 0 => {
            Value::String(Span(duration).to_string())
        }
        _ => seconds,
    }
}

/// Actions without the parameters that were not given.
fn actions(actions: Value) -> Value {
    let Value::Array(items) = actions else { return actions };
    let spare = |item: Value| match item {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(field, value)| !is_spare(field, value)).collect())
        }
        item => item,
    };
    items.into_iter().map(spare).collect()
}

fn is_spare(field: &str, value: &Value) -> bool {
    match field {
        "schedule_after" => value.as_f64() == Some(0.0),
        "force" => value == false,
        _ => value.is_null(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::parse_written;
    use super::*;

    fn check(body: &Value, expect: &Value) {
        let read = parse_written(body).unwrap_or_else(|errors| panic!("{body}: {errors:?}"));
        let again = written(&read.spec, read.semantics).unwrap();
        assert_eq!(again.to_string(), expect.to_string());
        assert_eq!(parse_written(&again), Ok(read), "{again}");
    }

    #[test]
    fn what_need_not_be_said_is_left_out() {
        let short =
            json!({"name": "a", "trigger": {"type": "event", "expect": ["x"]}, "actions": [{"type": "do-nothing"}]});
        check(&short, &short);
        check(
            &json!({"name": "b", "semantics": "prefect", "description": "d", "enabled": false, "tags": ["t"],
                "trigger": {"type": "event", "match": {}, "match_related": [{"a": ["b", "c"]}], "after": ["y"],
                    "for_each": ["l"], "posture": "Proactive", "threshold": 1, "within": 5400},
                "actions": [{"type": "run-deployment", "source": "inferred", "schedule_after": 0}],
                "actions_on_resolve": ["resolve-incident"]}),
            &json!({"name": "b", "semantics": "prefect", "description": "d", "enabled": false, "tags": ["t"],
                "trigger": {"type": "event", "match_related": [{"a": ["b", "c"]}], "after": ["y"],
                    "for_each": ["l"], "posture": "Proactive", "within": "1h 30m"},
                "actions": [{"type": "run-deployment", "source": "inferred"}],
                "actions_on_resolve": [{"type": "resolve-incident"}]}),
        );
    }

    #[test]
    fn composites_and_our_own_triggers_read_back() {
        let event = json!({"type": "event", "expect": ["x"]});
        check(
            &json!({"name": "c", "trigger": {"type": "compound", "triggers": [event, {"type": "sequence",
                "triggers": [event, event], "within": 1.5}], "within": null, "require": 1},
                "actions": [{"type": "page-owner"}]}),
            &json!({"name": "c", "trigger": {"type": "compound", "triggers": [event, {"type": "sequence",
                "triggers": [event, event], "within": 1.5}], "within": null, "require": 1},
                "actions": [{"type": "page-owner"}]}),
        );
        check(
            &json!({"name": "d", "trigger": {"metric": {"name": "successes", "operator": "<", "threshold": 1,
                "range": "1h", "firing_for": 0}}, "actions": [{"type": "declare-incident", "severity": "error"}]}),
            &json!({"name": "d", "trigger": {"type": "metric", "metric": {"name": "successes", "operator": "<",
                "threshold": 1.0, "range": "1h", "firing_for": "0s"}},
                "actions": [{"type": "declare-incident", "severity": "error"}]}),
        );
        check(
            &json!({"name": "e", "trigger": {"consecutive": 3, "match": {"pipeline": "x"}}, "actions": ["page-owner"]}),
            &json!({"name": "e", "trigger": {"type": "consecutive", "count": 3, "match": {"pipeline": "x"}},
                "actions": [{"type": "page-owner"}]}),
        );
    }
}
