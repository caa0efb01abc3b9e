//! How large an automation may be, asked before it is read: reading it twice over must not cost more than it is worth.
//!
//! Invariant: one error, for the first bound that is passed; what is within the bounds is not judged.

use super::error::{FieldError, PathPart};
use crate::limits;
use serde_json::Value;

/// Refuses what is too large.
pub(super) fn check(body: &Value) -> Result<(), Vec<FieldError>> {
    let mut size = Size::default();
    let mut path = Vec::new();
    let result = size.body(body, &mut path);
    result.map_err(|message| {
        let suggestion = Some("split it into several automations".to_owned());
        vec![FieldError { path, message, suggestion, kind: "too_long", context: None }]
    })
}

#[derive(Default)]
struct Size {
    triggers: usize,
    patterns: usize,
}

/// The bound that was passed, as a sentence; the path is left at the place.
type Within = Result<(), String>;

impl Size {
    fn body(&mut self, body: &Value, path: &mut Vec<PathPart>) -> Within {
        texts(body, path, 0)?;
        for list in ["actions", "actions_on_trigger", "actions_on_resolve"] {
            let actions = body.get(list).and_then(Value::as_array).map_or(0, Vec::len);
            if actions > limits::AUTOMATION_ACTIONS {
                path.push(list.into());
                return Err(format!("a list may hold {} actions, this one has {actions}", limits::AUTOMATION_ACTIONS));
            }
        }
        let Some(trigger) = body.get("trigger") else { return Ok(()) };
        path.push("trigger".into());
        self.trigger(trigger, path, 1)
    }

    fn trigger(&mut self, trigger: &Value, path: &mut Vec<PathPart>, depth: usize) -> Within {
        self.triggers += 1;
        if depth > limits::AUTOMATION_DEPTH {
            return Err(format!("triggers may be nested {} deep, this one goes deeper", limits::AUTOMATION_DEPTH));
        }
        if self.triggers > limits::AUTOMATION_TRIGGERS {
            return Err(format!("an automation may have {} triggers, this one has more", limits::AUTOMATION_TRIGGERS));
        }
        for field in ["match", "match_related", "expect", "after", "for_each"] {
            self.patterns += trigger.get(field).map_or(0, leaves);
        }
        if self.patterns > limits::AUTOMATION_PATTERNS {
            return Err(format!("an automation may have {} patterns, this one has more", limits::AUTOMATION_PATTERNS));
        }
        let Some(children) = trigger.get("triggers").and_then(Value::as_array) else { return Ok(()) };
        for (index, child) in children.iter().enumerate() {
            path.extend(["triggers".into(), PathPart::Index(index)]);
            self.trigger(child, path, depth + 1)?;
            path.truncate(path.len() - 2);
        }
        Ok(())
    }
}

/// Bounds on any value: length of texts and depth.
fn texts(value: &Value, path: &mut Vec<PathPart>, depth: usize) -> Within {
    if depth > limits::AUTOMATION_JSON_DEPTH {
        return Err(format!("values may be nested {} deep, this one goes deeper", limits::AUTOMATION_JSON_DEPTH));
    }
    match value {
        Value::String(text) if text.len() > limits::AUTOMATION_TEXT_BYTES => {
            Err(format!("a text may have {} bytes, this one has {}", limits::AUTOMATION_TEXT_BYTES, text.len()))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            path.push(index.into());
            texts(item, path, depth + 1)?;
            path.pop();
            Ok(())
        }),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            path.push(key.as_str().into());
            texts(item, path, depth + 1)?;
            path.pop();
            Ok(())
        }),
        _ => Ok(()),
    }
}

/// How many single values are in it.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(map) => map.values().map(leaves).sum(),
        _ => 1,
    }
}
