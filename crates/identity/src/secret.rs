//! Where a secret comes from: a reference in the configuration, never the value itself.
//!
//! Invariants: a value is held as [`SecretString`] and appears in no `Debug`, `Display` or error text; a literal
//! value in the configuration is refused; a file is read again on every use, and a secret of a secret manager is the one
//! that was fetched last, so that a rotated secret needs no restart. Reading never waits: what is far away is fetched
//! beforehand by the [`keeper`] and taken from its [`Secrets`].

use secrecy::{ExposeSecret, SecretString};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub mod aws;
mod azure;
mod document;
pub mod keeper;
pub mod reference;
pub mod sigv4;
mod snapshot;
mod vault;
pub mod vaults;

pub use document::{Random, Surroundings, Variable};
pub use reference::{AwsPlace, AzurePlace, SecretRef, VaultPlace};
pub use snapshot::{Kept, SecretStatus, Secrets, Standing};

/// Largest secret accepted, in bytes. The longest real ones are PEM keys of a few kilobytes.
pub const SECRET_BYTES: usize = 64 * 1024;

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
    Empty(Box<SecretRef>),
    /// More than [`SECRET_BYTES`].
    #[error("the secret in {0} has more than {SECRET_BYTES} bytes; is it the right one?")]
    TooLong(Box<SecretRef>),
    /// It is in a secret manager, and has not been fetched.
    #[error("the {0} has not been fetched")]
    NotFetched(Box<SecretRef>),
}

impl SecretRef {
    /// The secret now: read from the environment or its file, or as it was last fetched.
    ///
    /// # Errors
    /// When the variable or file is missing, unreadable, empty, not UTF-8 or longer than [`SECRET_BYTES`], or when the
    /// secret was not fetched.
    pub fn resolve(&self, secrets: &Secrets) -> Result<SecretString, SecretError> {
        let value = match self {
            Self::Env(name) => read_env(name)?,
            Self::File(path) => self.read_file(path)?,
            Self::Vault(_) | Self::Aws(_) | Self::Azure(_) => {
                secrets.get(self).ok_or_else(|| SecretError::NotFetched(Box::new(self.clone())))?
            }
        };
        self.fitting(value)
    }

    /// A value that can be this secret.
    pub(crate) fn fitting(&self, value: SecretString) -> Result<SecretString, SecretError> {
        match value.expose_secret().len() {
            0 => Err(SecretError::Empty(Box::new(self.clone()))),
            1..=SECRET_BYTES => Ok(value),
            _ => Err(SecretError::TooLong(Box::new(self.clone()))),
        }
    }

    fn read_file(&self, path: &Path) -> Result<SecretString, SecretError> {
        let unreadable = |error: &std::io::Error| SecretError::FileUnreadable {
            path: path.to_owned(),
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
            return Err(SecretError::TooLong(Box::new(self.clone())));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::FileNotText(path.to_owned()))?;
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

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
