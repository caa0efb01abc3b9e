//! Who asks for a change. Made once at the boundary, carried by every write (DESIGN invariant 6).

use serde::{Deserialize, Serialize};

/// A verified caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who: token name, person, `ISSUER:SUBJECT` of a foreign token, or `trackside` for decisions of the rules.
    pub subject: String,
    /// How they came in: `token`, `jwt`, `introspection`, `certificate`, `session`, `slack`, `rules`, `cli`.
    pub via: String,
    /// Which credential: the name of an API token, the `jti` of a foreign one. Never the credential itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// On whose behalf, nearest first (RFC 8693 §4.1: the nested `act` claims).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behalf: Vec<String>,
    /// What let them do what they ask now, for the audit. Absent where nothing had to be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
}

/// Why somebody may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// For people: "the role `admin` is held (admin)".
    pub because: String,
    /// Policies that permitted it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

impl Caller {
    /// Somebody who speaks for themselves.
    #[must_use]
    pub fn new(subject: impl Into<String>, via: impl Into<String>) -> Self {
        Self { subject: subject.into(), via: via.into(), token: None, behalf: Vec::new(), authority: None }
    }

    /// The rules themselves.
    #[must_use]
    pub fn rules() -> Self {
        Self::new("trackside", "rules")
    }
}
