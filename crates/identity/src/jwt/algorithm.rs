//! Signature algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864).
//!
//! Asymmetric ones only: a shared secret would let whoever verifies also sign, and `none` is no signature.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature as lc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A signature algorithm by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519.
    #[serde(alias = "Ed25519")]
    EdDSA,
}

/// Which kind of key an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    /// With the name of the curve and the length of a coordinate in bytes.
    Ec(&'static str, usize),
    Okp,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The registered name. `Ed25519` (RFC 9864) and `EdDSA` mean the same here.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that name; names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 => Family::Ec("P-256", 32),
            Self::ES384 => Family::Ec("P-384", 48),
            Self::ES512 => Family::Ec("P-521", 66),
            Self::EdDSA => Family::Okp,
        }
    }

    /// A verifying key from an RSA modulus and exponent.
    pub(crate) fn rsa_key(self, n: &[u8], e: &[u8]) -> Option<lc::ParsedPublicKey> {
        let parameters = match self {
            Self::RS256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::RS384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::RS512 => &lc::RSA_PKCS1_2048_8192_SHA512,
            Self::PS256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::PS384 => &lc::RSA_PSS_2048_8192_SHA384,
            Self::PS512 => &lc::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        };
        PublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
    }

    /// A verifying key from a point: uncompressed for a curve of NIST, raw for Ed25519.
    pub(crate) fn point_key(self, point: &[u8]) -> Option<lc::ParsedPublicKey> {
        let algorithm: &'static dyn lc::VerificationAlgorithm = match self {
            Self::ES256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::ES384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::ES512 => &lc::ECDSA_P521_SHA512_FIXED,
            Self::EdDSA => &lc::ED25519,
            _ => return None,
        };
        lc::ParsedPublicKey::new(algorithm, point).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_symmetric_ones_are_none() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.as_str()), Some(algorithm));
        }
        assert_eq!(Algorithm::named("Ed25519"), Some(Algorithm::EdDSA));
        for other in ["none", "None", "HS256", "HS512", "rs256", "RS256 ", "", "RSA-OAEP", "ES256K", "Ed448"] {
            assert_eq!(Algorithm::named(other), None, "{other}");
        }
    }
}
