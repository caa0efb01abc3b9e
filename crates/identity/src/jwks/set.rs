//! A set of keys, as an issuer publishes it.
//!
//! A set may hold keys that we cannot use; they are left out and named. Invariants: the set has a bound; the order of its
//! keys means nothing.

use super::key::{Key, Written};
use crate::jwt::{Algorithm, BadToken, Compact};
use serde::Deserialize;

/// Most keys of one set. Large tenants have hundreds.
pub const KEYS: usize = 2_000;
/// Most keys that are tried for a token that names none.
const TRIED: usize = 8;

/// The keys of one issuer that can be used.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// What was left out, for people: `key 3 (kid): why`.
    pub left_out: Vec<String>,
}

/// Why no key of a set verifies a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The set has no key with the id that the token names: it may be newer than the set.
    Unknown,
    /// There are keys, and none of them verifies it.
    Refused(BadToken),
}

#[derive(Deserialize)]
struct WrittenSet {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a set (RFC 7517 §5).
    ///
    /// # Errors
    /// When it is no JWK set, has more than [`KEYS`] keys, or none that can be used with the allowed algorithms.
    pub fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, String> {
        let written: WrittenSet = serde_json::from_slice(bytes)
            .map_err(|_| "it is no JWK set: an object with a list `keys` was expected".to_owned())?;
        if written.keys.len() > KEYS {
            return Err(format!("it has more than {KEYS} keys"));
        }
        let mut set = Self::default();
        for (index, key) in written.keys.into_iter().enumerate() {
            let kid = key.get("kid").and_then(serde_json::Value::as_str).unwrap_or("no kid").to_owned();
            let read = serde_json::from_value::<Written>(key).map_err(|_| "a part of it has the wrong type");
            match read.and_then(|written| Key::of(written, allowed)) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(format!("key {} ({kid}): {why}", index + 1)),
            }
        }
        if set.keys.is_empty() {
            let why = set.left_out.first().map_or("it is empty", String::as_str);
            return Err(format!("it has no key that can be used: {why}"));
        }
        Ok(set)
    }

    /// Verifies the signature of a token with the key it names, or, when it names none, with those that fit.
    ///
    /// # Errors
    /// When no key does.
    pub fn verify(&self, token: &Compact<'_>) -> Result<(), NoKey> {
        let algorithm = token.header.algorithm;
        let named = |key: &&Key| match &token.header.kid {
            Some(kid) => key.kid.as_deref() == Some(kid),
            None => true,
        };
        let mut candidates = self.keys.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(NoKey::Unknown);
        }
        let mut refused = BadToken::Algorithm;
        for key in candidates.filter(|key| key.fits(algorithm)).take(TRIED) {
            match key.verify(token) {
                Ok(()) => return Ok(()),
                Err(bad) => refused = bad,
            }
        }
        Err(NoKey::Refused(refused))
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never true for a set that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
