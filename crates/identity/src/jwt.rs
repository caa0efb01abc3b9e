//! JSON Web Tokens in JWS compact form (RFC 7515 §7.1, RFC 7519), read strictly.
//!
//! [`token::Compact`] takes a text apart and verifies nothing; [`crate::jwks::key::Key`] verifies the signature;
//! [`claims::Claims`] holds the payload with typed access; [`claims::Times`] judges when a token counts. Invariants:
//! every part has a bound; a key that stands twice in any object is refused, because two readers could take different
//! ones; keys and addresses that a token brings itself (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.
//! Which issuer a token must come from and what else it must say is in [`crate::issuer`].

pub mod algorithm;
pub mod claims;
mod json;
pub mod token;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use token::{Compact, Header};

/// Longest token, in bytes.
pub const TOKEN_BYTES: usize = 8 * 1024;
/// Longest text taken over from a claim, in bytes.
pub const TEXT_BYTES: usize = 512;

/// Why a token is refused. The text may be shown to whoever presents it: it repeats nothing but names of claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Longer than [`TOKEN_BYTES`].
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not three parts.
    #[error("the token is not a signed JWT of three parts")]
    Parts,
    /// A part is not base64url without padding.
    #[error("the token's {0} is not base64url without padding")]
    Encoding(&'static str),
    /// A part is not a JSON object as it must be.
    #[error("the token's {part}: {problem}")]
    Json {
        /// Header or claims.
        part: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A header parameter cannot be used.
    #[error("the token's header: {0}")]
    Header(&'static str),
    /// The signature algorithm is not taken.
    #[error("the token's algorithm is not allowed here")]
    Algorithm,
    /// A claim is missing or has the wrong form.
    #[error("the token's `{claim}` {problem}")]
    Claim {
        /// Its name.
        claim: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The signature does not fit.
    #[error("the token's signature is not valid")]
    Signature,
    /// Past its end.
    #[error("the token has expired")]
    Expired,
    /// Before its beginning, or made in the future.
    #[error("the token is not valid yet")]
    TooEarly,
    /// It is a token of another kind, or for another purpose.
    #[error("{0}")]
    Purpose(&'static str),
}

impl BadToken {
    /// A claim that is wrong.
    pub(crate) fn claim(claim: &str, problem: &'static str) -> Self {
        Self::Claim { claim: claim.to_owned(), problem }
    }
}
