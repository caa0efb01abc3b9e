//! Patterns of paths: `/api/run`, `/api/*/log`, `/api/**`.
//!
//! `*` is one segment, `**` at the end is any number of them, none included. Patterns are ordered by how much they say,
//! so that which route takes a request does not depend on the order of files.

use crate::front::path;
use std::cmp::Ordering;

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    tail: Tail,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Nothing,
    Anything,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("`{text}` is no pattern of paths: {why}; write for example /api/**"));
        let Some(rest) = text.strip_prefix('/') else { return bad("it does not begin with a slash") };
        let (rest, tail) = match rest.strip_suffix("**") {
            Some("") => ("", Tail::Anything),
            Some(before) if before.ends_with('/') => (before.trim_end_matches('/'), Tail::Anything),
            Some(_) => return bad("`**` must stand alone at its end"),
            None => (rest, Tail::Nothing),
        };
        if tail == Tail::Anything && rest.is_empty() {
            return Ok(Self { parts: Vec::new(), tail });
        }
        let mut parts = Vec::new();
        let mut rest = rest.split('/').peekable();
        while let Some(part) = rest.next() {
            if part.is_empty() && rest.peek().is_some() {
                return bad("a part is empty");
            }
            if part == "*" {
                parts.push(Part::Any);
                continue;
            }
            let whole = format!("/{part}");
            if part.contains('*') || path::canonical(&whole).map_or(true, |canonical| canonical != whole) {
                return bad("a part is not written in the canonical way");
            }
            parts.push(Part::Literal(part.to_owned()));
        }
        Ok(Self { parts, tail })
    }

    /// Whether a canonical path is of this pattern.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        let mut rest = path.strip_prefix('/');
        for part in &self.parts {
            let Some(text) = rest else { return false };
            let (segment, after) = text.split_once('/').map_or((text, None), |(segment, after)| (segment, Some(after)));
            let fits = match part {
                Part::Literal(literal) => literal == segment,
                Part::Any => !segment.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = after;
        }
        self.tail == Tail::Anything || rest.is_none()
    }

    /// The one that says more comes first: a literal before `*` before `**`, part by part.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        let rank = |pattern: &Self, index: usize| match pattern.parts.get(index) {
            Some(Part::Literal(_)) => 0,
            Some(Part::Any) => 1,
            None if pattern.tail == Tail::Nothing => 2,
            None => 3,
        };
        let longest = self.parts.len().max(other.parts.len());
        (0..=longest)
            .map(|index| rank(self, index).cmp(&rank(other, index)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, takes: &[&str], leaves: &[&str]| {
            let pattern = Pattern::new(pattern).expect("a pattern");
            for path in takes {
                assert!(pattern.takes(path), "{pattern:?} {path}");
            }
            for path in leaves {
                assert!(!pattern.takes(path), "{pattern:?} {path}");
            }
        };
        check("/**", &["/", "/a", "/a/b/"], &[]);
        check("/", &["/"], &["/a"]);
        check("/api/**", &["/api", "/api/", "/api/x/y"], &["/apix", "/", "/API"]);
        check("/api/*/log", &["/api/1/log"], &["/api/log", "/api//log", "/api/1/log/", "/api/1/2/log"]);
        check("/api/run", &["/api/run"], &["/api/run/", "/api/runs"]);
        for bad in ["api", "/a**", "/a/**/b", "/a*", "/a//b", "/../a", "/%61", "/a;b"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_one_that_says_more_comes_first() {
        let mut all = ["/**", "/api/**", "/api/*", "/api/run", "/api/*/log", "/*/run", "/api", "/api/run/**"]
            .map(|text| (Pattern::new(text).expect("a pattern"), text));
        all.sort_by(|a, b| a.0.precedence(&b.0));
        assert_eq!(
            all.map(|(_, text)| text),
            ["/api/run", "/api/run/**", "/api/*/log", "/api/*", "/api", "/api/**", "/*/run", "/**"]
        );
    }
}
