//! Texts in what people write and in what they are told: JSON as text, lists of names, the nearest known name.
//!
//! Invariant: pure; the work for one name is bounded by [`crate::limits::NAME_BYTES`].

use crate::limits;
use serde_json::Value;

/// A value as JSON over several lines, as Prefect keeps a payload that was sent as an object.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// `'a', 'b' or 'c'`
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The known name that is most like `name`, when one is near enough to be meant: a third of its letters may be wrong.
pub(in super::super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > limits::NAME_BYTES {
        return None;
    }
    let plain = plain(name);
    let allowed = plain.len().div_ceil(3);
    let near = known.into_iter().filter(|known| known.len() <= limits::NAME_BYTES);
    let scored = near.map(|known| (distance(&plain, &self::plain(known)), known));
    scored.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= allowed).map(|(_, known)| known)
}

/// Letters and digits only, in lower case: `forEach`, `for-each` and `for_each` are one name.
fn plain(name: &str) -> Vec<char> {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from one text to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replace = above[column] + usize::from(letter != other);
            let mut least = replace.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_meant() {
        let known = ["expect", "after", "for_each", "threshold", "within", "match", "match_related"];
        for (written, expected) in [
            ("expects", Some("expect")),
            ("exepct", Some("expect")),
            ("forEach", Some("for_each")),
            ("treshold", Some("threshold")),
            ("matchRelated", Some("match_related")),
            ("withn", Some("within")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), expected, "{written:?}");
        }
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(one_of(&[]), "");
        assert_eq!(one_of(&["a"]), "'a'");
        assert_eq!(one_of(&["a", "b"]), "'a' or 'b'");
        assert_eq!(one_of(&["a", "b", "c"]), "'a', 'b' or 'c'");
    }
}
