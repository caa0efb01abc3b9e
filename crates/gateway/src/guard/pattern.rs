//! Patterns that must not be in a body: regular expressions over bytes, all looked for in one pass.

use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

/// Most bytes of a compiled pattern.
const COMPILED_BYTES: usize = 1024 * 1024;

/// Several patterns.
#[derive(Debug)]
pub struct Patterns(Option<RegexSet>);

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// When one is no regular expression, or too large.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.is_empty() {
            return Ok(Self(None));
        }
        let set = RegexSetBuilder::new(patterns).size_limit(4 * COMPILED_BYTES).build();
        set.map(|set| Self(Some(set))).map_err(|error| error.to_string())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether any is in these bytes.
    #[must_use]
    pub fn hits(&self, bytes: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|set| set.is_match(bytes))
    }
}

/// Whether a pattern can be used.
///
/// # Errors
/// When it is no regular expression, or too large.
pub fn compile(pattern: &str) -> Result<(), String> {
    RegexBuilder::new(pattern).size_limit(COMPILED_BYTES).build().map(drop).map_err(|error| error.to_string())
}
