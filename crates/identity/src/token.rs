//! API tokens: how they look, how they are recognised.
//!
//! A token is 256 random bits written as `ts_` and 43 URL-safe characters, or, where a far end demands its own form,
//! 128 random bits as 32 lower-case hexadecimal characters (PagerDuty's routing key). Only the SHA-256 of a token is
//! kept: the input is random, so a fast hash cannot be searched, and a look-up by hash tells an attacker nothing.
//! Random bytes come in as values. Not here: where hashes are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// What every token of the usual form begins with, so that people and secret scanners know it.
pub const PREFIX: &str = "ts_";

/// The form a token is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenForm {
    /// `ts_` and 43 characters.
    #[default]
    Bearer,
    /// 32 hexadecimal characters, for clients that insist on the form of a PagerDuty routing key.
    RoutingKey,
}

/// A token's text. Shown to its owner once, then forgotten; `Debug` shows nothing.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A token of the given form from 32 random bytes (a routing key uses the first 16).
    #[must_use]
    pub fn new(form: TokenForm, random: [u8; 32]) -> Self {
        let text = match form {
            TokenForm::Bearer => format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)),
            TokenForm::RoutingKey => hex(&random[..16]),
        };
        Self(SecretString::from(text))
    }

    /// The text, to be handed to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

/// SHA-256 of a token: what is stored and looked up.
///
/// Equality takes the same time wherever two hashes differ.
#[derive(Clone, Copy, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of what a caller presented. Any text is a possible token (the configuration may bring its own).
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the 32 bytes that were stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}…)", hex(&self.0[..4]))
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for TokenHash {
    type Err = NotAHash;
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotAHash);
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token hash is 64 hexadecimal digits")]
pub struct NotAHash;

fn nibble(digit: u8) -> Result<u8, NotAHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NotAHash),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let bearer = Token::new(TokenForm::Bearer, [0xff; 32]);
        assert_eq!(bearer.expose(), "ts___________________________________________8");
        assert_eq!(bearer.expose().len(), PREFIX.len() + 43);
        let key = Token::new(TokenForm::RoutingKey, [0xa5; 32]);
        assert_eq!(key.expose(), "a5".repeat(16));
    }

    #[test]
    fn a_hash_is_sha_256_and_reads_back() {
        // FIPS 180-2, appendix B.1.
        let hash = TokenHash::of("abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(TokenHash::from_bytes(*hash.bytes()), hash);
        assert_ne!(hash, TokenHash::of("abd"));
        assert_eq!("zz".repeat(32).parse::<TokenHash>(), Err(NotAHash));
        assert_eq!("ab".parse::<TokenHash>(), Err(NotAHash));
    }

    #[test]
    fn debug_shows_no_secret() {
        let token = Token::new(TokenForm::RoutingKey, [0xa5; 32]);
        assert!(!format!("{token:?}").contains("a5a5"));
        assert!(!format!("{:?}", token.hash()).contains(&token.hash().to_string()));
    }
}
