//! Matchers over the labels of an alert, as Alertmanager writes them: `team="payments"`, `pipeline=~"billing_.*"`.
//!
//! Invariants: all matchers must match; a label that is absent has the empty value; regular expressions match the whole
//! value. Source: Alertmanager's documentation, "Matcher" (UTF-8 label names in quotes included).

use crate::limits;
use regex::Regex;
use std::borrow::Cow;

/// Longest matcher, in bytes.
const TEXT: usize = 1024;

/// A compiled list of matchers.
#[derive(Clone, Debug, Default)]
pub struct Matchers(Vec<Matcher>);

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    test: Test,
    wanted: Wanted,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    Pattern(Box<Regex>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Match,
    Mismatch,
}

impl Matchers {
    /// Compiles matchers. Without any, everything matches.
    ///
    /// # Errors
    /// The first that cannot be used: what is wrong and what to write.
    pub fn new<S: AsRef<str>>(texts: &[S]) -> Result<Self, String> {
        if texts.len() > limits::MATCHERS {
            return Err(format!("{} matchers are too many; at most {} are allowed", texts.len(), limits::MATCHERS));
        }
        texts.iter().map(|text| Matcher::new(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// True when every matcher matches the values that `label` gives.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Cow<'a, str>) -> bool {
        self.0.iter().all(|matcher| matcher.matches(&label(&matcher.label)))
    }
}

impl Matcher {
    fn new(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a matcher; write label=\"value\", !=, =~\"pattern\" or !~");
        if text.len() > TEXT {
            return Err(format!("a matcher of {} bytes is too long; at most {TEXT} are allowed", text.len()));
        }
        let (label, rest) = split_label(text.trim()).ok_or_else(bad)?;
        let operators = [("=~", true, Wanted::Match), ("!~", true, Wanted::Mismatch), ("!=", false, Wanted::Mismatch)];
        let (rest, pattern, wanted) = operators
            .into_iter()
            .find_map(|(operator, pattern, wanted)| Some((rest.strip_prefix(operator)?, pattern, wanted)))
            .or_else(|| Some((rest.strip_prefix('=')?, false, Wanted::Match)))
            .ok_or_else(bad)?;
        let value = unquote(rest.trim()).ok_or_else(bad)?;
        let test = if pattern {
            let whole = Regex::new(&format!("^(?s:{value})$"));
            Test::Pattern(Box::new(whole.map_err(|error| format!("`{text}`: the pattern cannot be used: {error}"))?))
        } else {
            Test::Equal(value)
        };
        Ok(Self { label, test, wanted })
    }

    fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::Pattern(pattern) => pattern.is_match(value),
        };
        hit == (self.wanted == Wanted::Match)
    }
}

/// The label (bare or in quotes) and what follows it.
fn split_label(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let end = closing_quote(text)?;
        return Some((unquote(&text[..=end])?, text[end + 1..].trim_start()));
    }
    let end = text.find(['=', '!'])?;
    let label = text[..end].trim();
    (!label.is_empty()).then(|| (label.to_owned(), &text[end..]))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// A quoted text without its quotes and escapes, or a bare text as it is.
fn unquote(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    if closing_quote(text)? != text.len() - 1 {
        return None;
    }
    let mut plain = String::new();
    let mut chars = inner[..inner.len() - 1].chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next()? {
                'n' => plain.push('\n'),
                c @ ('"' | '\\') => plain.push(c),
                other => plain.extend(['\\', other]),
            },
            (c, false) => plain.push(c),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<'a>(name: &str) -> Cow<'a, str> {
        match name {
            "team" => "payments".into(),
            "pipeline" => "billing_daily".into(),
            "note" => "two\nlines \"quoted\"".into(),
            _ => "".into(),
        }
    }

    #[track_caller]
    fn check(matchers: &[&str], expect: bool) {
        assert_eq!(Matchers::new(matchers).unwrap().matches(labels), expect, "{matchers:?}");
    }

    #[test]
    fn matchers_are_read_as_alertmanager_reads_them() {
        check(&[], true);
        check(&["team=\"payments\""], true);
        check(&["team=payments", "pipeline=~\"billing_.*\""], true);
        check(&["team=payments", "pipeline=~\"billing\""], false);
        check(&["team != \"ml\"", "pipeline!~\"ml_.*\""], true);
        check(&["absent=\"\""], true);
        check(&["absent!=\"\""], false);
        check(&["note=\"two\\nlines \\\"quoted\\\"\""], true);
        check(&["note=~\"two.*\""], true);
        check(&["\"team\"=\"payments\""], true);
        check(&["pipeline=~\"a|billing_daily\""], true);
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_a_hint() {
        for text in ["", "team", "=x", "team=\"x", "team=\"x\"y", "team=~\"(\""] {
            let error = Matchers::new(&[text]).unwrap_err();
            assert!(error.contains('`'), "{text}: {error}");
        }
        assert!(Matchers::new(&vec!["a=b"; 51]).is_err());
    }
}
