//! The key that checkpoints of the audit are signed with (Ed25519, RFC 8032).
//!
//! It is kept beside the database, in a file of its own, so that whoever can change rows cannot sign anew. Invariant: the
//! name of a key is derived from its public half, so a signature says which key to verify it with.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A signing key.
#[derive(Debug)]
pub struct AuditKey(Ed25519KeyPair);

impl AuditKey {
    /// The key made of 32 secret bytes; `None` when the library refuses them.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The signature of a message, base64url without padding.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.0.sign(message).as_ref())
    }

    /// The public half, base64url without padding: 32 bytes.
    #[must_use]
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(self.0.public_key().as_ref())
    }
}

fn name_of(public: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(public)[..9])
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The public key is none.
    #[error("the public key must be 32 bytes in base64url")]
    Key,
    /// It was made with another key.
    #[error("it is signed with the key `{0}`, not with this one")]
    OtherKey(String),
    /// It does not fit.
    #[error("the signature does not fit")]
    Wrong,
}

/// Whether a signature by the key of this name fits a message.
///
/// # Errors
/// Why not.
pub fn verify(public: &str, name: &str, message: &[u8], signature: &str) -> Result<(), BadSignature> {
    let key = URL_SAFE_NO_PAD.decode(public).map_err(|_| BadSignature::Key)?;
    if key.len() != 32 {
        return Err(BadSignature::Key);
    }
    if name_of(&key) != name {
        return Err(BadSignature::OtherKey(name.to_owned()));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadSignature::Wrong)?;
    UnparsedPublicKey::new(&ED25519, key).verify(message, &signature).map_err(|_| BadSignature::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let key = AuditKey::new(&[7; 32]).expect("a key");
        let other = AuditKey::new(&[8; 32]).expect("a key");
        let (public, name, signature) = (key.public(), key.name(), key.sign(b"rows"));
        assert_eq!(verify(&public, &name, b"rows", &signature), Ok(()));
        assert_eq!(verify(&public, &name, b"other", &signature), Err(BadSignature::Wrong));
        assert_eq!(verify(&public, &name, b"rows", &signature[1..]), Err(BadSignature::Wrong));
        assert_eq!(verify(&public, &other.name(), b"rows", &signature), Err(BadSignature::OtherKey(other.name())));
        assert_eq!(verify("x", &name, b"rows", &signature), Err(BadSignature::Key));
    }
}
