//! Where a secret comes from: a reference in the configuration, never the value itself.
//!
//! Invariants: a value is held as [`SecretString`] and appears in no `Debug`, `Display` or error text; a literal
//! value in the configuration is refused; a file is read again on every use, so that a rotated secret needs no restart.
//! This module caches nothing and talks to no secret manager.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// Largest secret accepted, in bytes. The longest real ones are PEM keys of a few kilobytes.
pub const SECRET_BYTES: usize = 64 * 1024;

/// A reference to a secret: `{env: NAME}` or `{file: PATH}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of an environment variable of the server.
    Env(String),
    /// Path of a file; one trailing line break does not belong to the secret.
    File(PathBuf),
}

/// Why a secret cannot be had. Names the reference, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable `{0}` is not set; set it before starting the server")]
    EnvMissing(String),
    /// The environment variable is not UTF-8.
    #[error("environment variable `{0}` is not valid UTF-8")]
    EnvNotText(String),
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read: {reason}")]
    FileUnreadable {
        /// Path as configured.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file is not UTF-8.
    #[error("secret file `{0}` is not valid UTF-8")]
    FileNotText(PathBuf),
    /// Nothing is in there.
    #[error("the secret in {0} is empty")]
    Empty(SecretRef),
    /// More than [`SECRET_BYTES`].
    #[error("the secret in {0} has more than {SECRET_BYTES} bytes; is it the right one?")]
    TooLong(SecretRef),
}

impl SecretRef {
    /// Reads the secret now.
    ///
    /// # Errors
    /// When the variable or file is missing, unreadable, empty, not UTF-8 or longer than [`SECRET_BYTES`].
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let value = match self {
            Self::Env(name) => read_env(name)?,
            Self::File(path) => self.read_file(path)?,
        };
        let exposed = value.expose_secret();
        if exposed.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        if exposed.len() > SECRET_BYTES {
            return Err(SecretError::TooLong(self.clone()));
        }
        Ok(value)
    }

    fn read_file(&self, path: &PathBuf) -> Result<SecretString, SecretError> {
        let unreadable = |error: &std::io::Error| SecretError::FileUnreadable {
            path: path.clone(),
            reason: match error.kind() {
                ErrorKind::NotFound => "no such file".to_owned(),
                ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            },
        };
        let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        // Two bytes more than the limit: the line break, and one that shows it is too long.
        file.take(SECRET_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() > SECRET_BYTES + 2 {
            return Err(SecretError::TooLong(self.clone()));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::FileNotText(path.clone()))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Ok(SecretString::from(text))
    }
}

fn read_env(name: &str) -> Result<SecretString, SecretError> {
    match std::env::var(name) {
        Ok(value) => Ok(SecretString::from(value)),
        Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing(name.to_owned())),
        Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::EnvNotText(name.to_owned())),
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

const EXPECTED: &str = "a reference to a secret, `{env: NAME}` or `{file: PATH}`";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RefVisitor)
    }
}

struct RefVisitor;

/// What to say about a literal: the value must not be repeated.
fn literal<E: de::Error>() -> E {
    E::custom(format!("a literal secret is refused here; put it into the environment or a file and write {EXPECTED}"))
}

impl<'de> Visitor<'de> for RefVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let Some(source) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format!("expected {EXPECTED}, found an empty mapping")));
        };
        let place: String = match source.as_str() {
            "env" | "file" => map.next_value()?,
            // The key may be a secret itself (`{s3cret}` in YAML is a mapping), so it is not repeated.
            _ => {
                return Err(de::Error::custom(format!("unknown secret source; expected {EXPECTED}")));
            }
        };
        if map.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(format!("more than one source; expected {EXPECTED}")));
        }
        let reference = match source.as_str() {
            "env" => SecretRef::Env(env_name(place)?),
            _ => SecretRef::File(PathBuf::from(place)),
        };
        Ok(reference)
    }
}

/// A variable name that can exist. The text is not repeated: people put values here by mistake.
fn env_name<E: de::Error>(name: String) -> Result<String, E> {
    let fits = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits {
        Ok(name)
    } else {
        Err(E::custom("`env` takes the name of an environment variable: letters, digits and `_`"))
    }
}

#[cfg(test)]
mod tests;
