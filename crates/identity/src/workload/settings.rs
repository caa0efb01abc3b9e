//! Trackside as an issuer, as configured (section `workload`).

use crate::signer::Algorithm;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use trackside_core::ruleset::Span;

/// Longest life of a token.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// Tokens that Trackside signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadSettings {
    /// Who the tokens say they are from; default `server.public_url`. Far ends find our keys behind it
    /// (`/.well-known/openid-configuration`), so it must lead here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What they are signed with.
    pub algorithm: WorkloadAlgorithm,
    /// How long a key signs.
    pub rotate: Span,
    /// How long a new key is published before it signs: longer than far ends keep our key page.
    pub warm_up: Span,
    /// How long a key stays published after it signed: longer than tokens live.
    pub overlap: Span,
    /// Life of a token when the connection does not say; an hour at most.
    pub lifetime: Span,
    /// Files with public keys of others (JSON Web Key Sets) that our key page shows too. An Airflow with
    /// `trusted_jwks_url` trusts that page alone, so its own key must be on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_publish: Vec<PathBuf>,
}

/// What tokens are signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadAlgorithm {
    /// ECDSA on P-256: small and known everywhere.
    #[default]
    ES256,
    /// RSA with 2,048 bits, for far ends that know nothing else.
    RS256,
    /// Ed25519.
    EdDSA,
}

impl Default for WorkloadSettings {
    fn default() -> Self {
        let days = |days: i64| Span(SignedDuration::from_hours(24 * days));
        Self {
            issuer: None,
            algorithm: WorkloadAlgorithm::default(),
            rotate: days(30),
            warm_up: days(1),
            overlap: days(2),
            lifetime: Span(SignedDuration::from_mins(5)),
            also_publish: Vec::new(),
        }
    }
}

impl WorkloadAlgorithm {
    /// The algorithm of signatures.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::ES256 => Algorithm::ES256,
            Self::RS256 => Algorithm::RS256,
            Self::EdDSA => Algorithm::EdDSA,
        }
    }
}

impl WorkloadSettings {
    /// Checks what the form alone cannot.
    ///
    /// # Errors
    /// All mistakes: the field and what is wrong.
    pub fn check(&self) -> Result<(), Vec<(&'static str, String)>> {
        let mut wrong = Vec::new();
        let hour = Span(LONGEST);
        if !self.lifetime.0.is_positive() || self.lifetime.0 > LONGEST {
            wrong.push(("lifetime", "must be between a second and an hour".to_owned()));
        }
        if self.overlap.0 < self.lifetime.0.max(LONGEST) {
            wrong.push(("overlap", format!("must be {hour} or more, as long as the longest token lives")));
        }
        if self.warm_up.0.is_negative() {
            wrong.push(("warm_up", "must not be negative".to_owned()));
        }
        if self.rotate.0 < self.warm_up.0 + self.overlap.0 {
            wrong.push(("rotate", "must be `warm_up` and `overlap` together or more".to_owned()));
        }
        if let Some(issuer) = &self.issuer
            && let Err(problem) = crate::issuer::discovery::Address::parse(issuer)
        {
            wrong.push(("issuer", problem));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}
