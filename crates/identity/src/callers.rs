//! Who stands behind a credential that is not one of our API tokens: the issuers in force, asked in order of what the
//! token says of itself.
//!
//! A value, made anew when the configuration changes, shared by the web, the doors and the gateway. Invariant: an
//! identity that is found may be kept for a while, an answer to "may they" is not.

use crate::directory::Identity;
use jiff::Timestamp;
use std::sync::Arc;

/// The issuers in force.
#[derive(Debug, Default)]
pub struct Callers {}

/// Why a credential is refused (RFC 6750 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// No issuer of the configuration made it.
    #[error("this token is not known here")]
    Foreign,
    /// It is made by an issuer we know, and is not valid.
    #[error("{0}")]
    Invalid(String),
    /// Its issuer cannot be asked now (no keys, no introspection). Answered with 503, not 401.
    #[error("{0}")]
    Unavailable(String),
}

impl Callers {
    /// Who presents this token.
    ///
    /// # Errors
    /// Why it is refused; the text may be shown to the caller.
    #[allow(clippy::unused_async, reason = "issuers are asked over the network")]
    pub async fn identify(&self, _token: &str, _now: Timestamp) -> Result<Arc<Identity>, NotKnown> {
        Err(NotKnown::Foreign)
    }
}
