//! What differs between two values, field by field.
//!
//! Entries of lists are matched by what they are, not by their place, so that one entry more is one line more.
//! Invariant: no difference gives no line. Absent, null and empty are the same here: configuration has defaults.

use serde_json::{Map, Value};
use trackside_web::FieldChange;

/// Most pairs of entries that are compared to match two lists; longer ones count as replaced.
const PAIRS: usize = 250_000;

/// The fields in which two values differ, in the order of their names.
pub(super) fn fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    differ(String::new(), before, after, &mut found);
    found
}

/// The fields of something new.
pub(super) fn all(value: &Value) -> Vec<FieldChange> {
    match value {
        Value::Object(members) => {
            let told = members.iter().filter(|(_, value)| !is_empty(value));
            told.map(|(name, value)| change(name.clone(), None, Some(value))).collect()
        }
        other => vec![change(String::new(), None, Some(other))],
    }
}

fn change(path: String, before: Option<&Value>, after: Option<&Value>) -> FieldChange {
    FieldChange { path, before: before.map(pruned), after: after.map(pruned) }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

/// Without members that say nothing.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let told = members.iter().filter(|(_, value)| !is_empty(value));
            Value::Object(told.map(|(name, value)| (name.clone(), pruned(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

fn differ(path: String, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    match (before, after) {
        (before, after) if before == after || (is_empty(before) && is_empty(after)) => {}
        (Value::Object(before), Value::Object(after)) => objects(&path, before, after, found),
        (Value::Array(before), Value::Array(after)) => lists(&path, before, after, found),
        (before, after) => {
            let told = |value: &Value| (!is_empty(value)).then(|| pruned(value));
            found.push(FieldChange { path, before: told(before), after: told(after) });
        }
    }
}

fn objects(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<FieldChange>) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let of = |members: &Map<String, Value>| members.get(name).cloned().unwrap_or_default();
        differ(path, &of(before), &of(after), found);
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], found: &mut Vec<FieldChange>) {
    let (mut left, mut right) = (0, 0);
    let end = (before.len(), after.len());
    for (same_left, same_right) in common(before, after).into_iter().chain([end]) {
        let (gone, come) = (left..same_left, right..same_right);
        if gone.len() == come.len() {
            // As many as before: most likely the same ones, edited.
            for (old, new) in gone.zip(come) {
                differ(format!("{path}[{new}]"), &before[old], &after[new], found);
            }
        } else {
            found.extend(gone.map(|index| change(format!("{path}[{index}]"), Some(&before[index]), None)));
            found.extend(come.map(|index| change(format!("{path}[{index}]"), None, Some(&after[index]))));
        }
        (left, right) = (same_left + 1, same_right + 1);
    }
}

/// A longest common subsequence, as pairs of places.
fn common(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    let width = after.len() + 1;
    if before.len().saturating_mul(after.len()) > PAIRS {
        return Vec::new();
    }
    let mut lengths = vec![0_usize; (before.len() + 1) * width];
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            lengths[i * width + j] = if old == new {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < before.len() && j < after.len() {
        if before[i] == after[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(before: &Value, after: &Value, expect: &[&str]) {
        let lines: Vec<String> = fields(before, after)
            .into_iter()
            .map(|field| {
                let side = |value: Option<Value>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
                format!("{}: {} -> {}", field.path, side(field.before), side(field.after))
            })
            .collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn fields_that_differ_are_named_and_no_others() {
        check(&json!({"a": 1, "b": {"c": [1]}}), &json!({"a": 1, "b": {"c": [1]}}), &[]);
        check(&json!({"a": null, "b": [], "c": {"d": null}}), &json!({}), &[]);
        check(
            &json!({"a": 1, "b": {"c": 2}}),
            &json!({"b": {"c": 3, "d": 4}}),
            &["a: 1 -> -", "b.c: 2 -> 3", "b.d: - -> 4"],
        );
        check(&json!({"a": 1}), &json!({"a": {"b": 1, "c": null}}), &["a: 1 -> {\"b\":1}"]);
    }

    #[test]
    fn entries_of_lists_are_matched_by_what_they_are() {
        check(&json!([1, 2, 3]), &json!([0, 1, 2, 3]), &["[0]: - -> 0"]);
        check(&json!([1, 2, 3]), &json!([1, 3]), &["[1]: 2 -> -"]);
        check(
            &json!({"via": [{"a": 1}, {"b": 1}, {"c": 1}]}),
            &json!({"via": [{"a": 1}, {"b": 2}, {"c": 1}]}),
            &["via[1].b: 1 -> 2"],
        );
        check(&json!([1, 2]), &json!([2, 1]), &["[0]: 1 -> -", "[1]: - -> 1"]);
    }

    #[test]
    fn something_new_shows_its_fields() {
        let lines: Vec<String> = all(&json!({"a": 1, "b": [], "c": {"d": null, "e": 2}}))
            .into_iter()
            .map(|field| format!("{} {}", field.path, field.after.unwrap_or_default()))
            .collect();
        assert_eq!(lines, ["a 1", "c {\"e\":2}"]);
    }
}
