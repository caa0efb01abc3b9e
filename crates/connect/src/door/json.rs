//! Reading JSON with refusals that say where: line and column for what is not JSON, a JSON pointer (RFC 6901) for what
//! has the wrong shape, and the nearest known field for one that does not exist.

use super::{EVENTS_PER_REQUEST, Reject, cut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::Segment;

/// Reads a body into a type.
///
/// The fast path reads once; only a refusal costs a second reading that finds the place.
pub(crate) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reject> {
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// The items of a JSON array, not read further.
pub(crate) fn array<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>, Reject> {
    let items: Vec<T> = decode(body)?;
    if items.len() > EVENTS_PER_REQUEST {
        let problem = format!("{} events in one request are too many; send at most {EVENTS_PER_REQUEST}", items.len());
        return Err(Reject::new(413, "", &problem));
    }
    Ok(items)
}

/// The items of a JSON array, or the one item that stands there without an array; each with its JSON pointer.
pub(crate) fn array_or_one<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<(String, T)>, Reject> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let items = array(body)?;
        return Ok(items.into_iter().enumerate().map(|(index, item)| (format!("/{index}"), item)).collect());
    }
    Ok(vec![(String::new(), decode(body)?)])
}

/// What stands at a path of keys.
pub(crate) fn value_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// The non-empty text at a path of keys.
pub(crate) fn text_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    value_at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// A JSON pointer of keys.
pub(crate) fn pointer(path: &[&str]) -> String {
    path.iter().map(|key| format!("/{}", escape(key))).collect()
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn explain<'a, T: Deserialize<'a>>(body: &'a [u8], error: &serde_json::Error) -> Reject {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Reject::new(400, "", "the body is empty; it must be JSON");
    }
    if let Err(invalid) = std::str::from_utf8(body) {
        let problem = format!("the body is not UTF-8: byte {} is invalid", invalid.valid_up_to());
        return Reject::new(400, "", &problem);
    }
    if error.classify() != Category::Data {
        return Reject::new(400, "", &format!("the body is not JSON that can be read: {error}"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let (path, problem) = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(found) => (place(found.path()), found.inner().to_string()),
        Ok(_) => (String::new(), error.to_string()),
    };
    let problem = problem.rsplit_once(" at line ").map_or(problem.as_str(), |(text, _)| text);
    Reject::shape(path, &format!("{}{}", cut(problem, 600), suggestion(problem)))
}

fn place(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", escape(cut(key, 100)))),
            Segment::Enum { variant } => Some(format!("/{}", escape(variant))),
            Segment::Unknown => None,
        })
        .collect()
}

/// "did you mean" for serde's "unknown field `x`, expected one of `a`, `b`" and its like for variants.
fn suggestion(problem: &str) -> String {
    if !problem.starts_with("unknown ") {
        return String::new();
    }
    let mut words = problem.split('`').skip(1).step_by(2);
    let Some(wrong) = words.next().filter(|word| word.len() <= 40) else {
        return String::new();
    };
    words
        .map(|known| (distance(wrong, known), known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"))
}

/// Levenshtein distance in characters; both words are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its refusals are looked at")]
    struct Shape {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its refusals are looked at")]
    struct Inner {
        size: u8,
    }

    #[track_caller]
    fn check(body: &[u8], status: u16, at: &str, problem: &str) {
        let reject = decode::<Shape>(body).unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (status, at), "{reject}");
        assert!(reject.problem.contains(problem), "{reject}");
    }

    #[test]
    fn a_refusal_says_what_and_where() {
        check(b" ", 400, "", "the body is empty");
        check(b"{not json", 400, "", "at line 1 column 2");
        check(b"{\"name\":\"\xff\"}", 400, "", "byte 9");
        check(b"{\"name\":\"a\"", 400, "", "EOF");
        check(b"{\"name\":\"a\"} x", 400, "", "trailing");
        check("[".repeat(200).as_bytes(), 422, "/0", "invalid type: sequence");
        let deep = format!("{{\"name\":{}", "[".repeat(200));
        check(deep.as_bytes(), 422, "/name", "invalid type: sequence");
        check(b"{\"name\":7}", 422, "/name", "invalid type: integer `7`, expected a string");
        check(b"{\"inner\":[{\"size\":1},{\"size\":-1}]}", 422, "/inner/1/size", "-1");
        check(b"{\"nmae\":\"a\"}", 422, "/nmae", "did you mean `name`?");
        check(b"{\"name\":\"a\",\"x\":1}", 422, "/x", "unknown field `x`, expected `name` or `inner`");
        check(b"{}", 422, "", "missing field `name`");
    }

    #[test]
    fn too_many_items_are_refused() {
        let body = format!("[{}1]", "1,".repeat(EVENTS_PER_REQUEST));
        assert_eq!(array::<u8>(body.as_bytes()).unwrap_err().status, 413);
        assert_eq!(array_or_one::<u8>(b" [1,2]").unwrap(), [("/0".to_owned(), 1), ("/1".to_owned(), 2)]);
        assert_eq!(array_or_one::<u8>(b"7").unwrap(), [(String::new(), 7)]);
    }
}
