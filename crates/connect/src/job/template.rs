//! Paths with members of the input in them: `/customers/{customer}/refresh`.
//!
//! Invariant: a value becomes part of one segment, percent-encoded, so that no input leads to another path. A value of
//! `.` or `..` is refused: it means another path even when it is encoded.

use serde_json::Value;
use std::fmt::Write;

/// What a path cannot be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// A brace without its other half.
    #[error("the path `{0}` has a brace without its other half")]
    Brace(String),
    /// Nothing to put in.
    #[error("the path needs member `{0}` of the input, which is not there")]
    Missing(String),
    /// A value that cannot be part of a path.
    #[error("member `{0}` of the input cannot be part of a path: {1}")]
    Value(String, &'static str),
}

/// The members that a path names.
///
/// # Errors
/// A brace without its other half.
pub fn members(path: &str) -> Result<Vec<&str>, BadPath> {
    let mut members = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| BadPath::Brace(path.to_owned()))?;
        if before.contains('}') || name.is_empty() || name.contains('{') {
            return Err(BadPath::Brace(path.to_owned()));
        }
        members.push(name);
        rest = tail;
    }
    if rest.contains('}') { Err(BadPath::Brace(path.to_owned())) } else { Ok(members) }
}

/// The path with the members of `input` in their places.
///
/// # Errors
/// When one is not there, or cannot be part of a path.
pub fn fill(path: &str, input: &Value) -> Result<String, BadPath> {
    members(path)?;
    let mut filled = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| BadPath::Brace(path.to_owned()))?;
        filled.push_str(before);
        let value = input.get(name).ok_or_else(|| BadPath::Missing(name.to_owned()))?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(BadPath::Value(name.to_owned(), "it is not a text, a number or a yes or no")),
        };
        if matches!(text.as_str(), "" | "." | "..") {
            return Err(BadPath::Value(name.to_owned(), "it is empty, or means another path"));
        }
        encode(&text, &mut filled);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_put_in_as_one_segment() {
        let input = json!({"name": "a/b ?#%é", "n": 7, "dots": "..", "list": [1], "empty": ""});
        let check = |path: &str, expect: Result<&str, &str>| {
            let filled = fill(path, &input).map_err(|error| error.to_string());
            assert_eq!(filled.as_deref().map_err(String::as_str), expect, "{path}");
        };
        check("/x/{name}/y", Ok("/x/a%2Fb%20%3F%23%25%C3%A9/y"));
        check("/{n}{n}", Ok("/77"));
        check("/plain", Ok("/plain"));
        check("/{gone}", Err("the path needs member `gone` of the input, which is not there"));
        check(
            "/{dots}",
            Err("member `dots` of the input cannot be part of a path: it is empty, or means another path"),
        );
        check(
            "/{empty}",
            Err("member `empty` of the input cannot be part of a path: it is empty, or means another path"),
        );
        check(
            "/{list}",
            Err("member `list` of the input cannot be part of a path: it is not a text, a number or a yes or no"),
        );
        check("/{n", Err("the path `/{n` has a brace without its other half"));
        check("/n}", Err("the path `/n}` has a brace without its other half"));
        check("/{}", Err("the path `/{}` has a brace without its other half"));
    }
}
