//! Signing keys: made, sealed for the store, opened from it.
//!
//! Invariant: a private key leaves this module sealed or as a [`Signer`], never as bytes.

use super::ring::KeyTimes;
use super::settings::WorkloadAlgorithm;
use crate::seal::{Place, Randomness, SealKey};
use crate::signer::{SignError, Signer};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The field of the row that is sealed; the seal is bound to it.
const FIELD: &str = "workload.key";

/// A key as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Its times.
    pub times: KeyTimes,
    /// The private key, sealed.
    pub sealed: String,
}

/// A key that can sign.
#[derive(Debug)]
pub struct OpenKey {
    /// Its times.
    pub times: KeyTimes,
    /// Its name in headers of tokens: the thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// The public key as published, with `kid`.
    pub public: Value,
    /// The private key.
    pub signer: Signer,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library refused.
    #[error("a signing key could not be made")]
    Failed,
    /// It cannot be sealed or opened.
    #[error("a signing key in the database cannot be opened: {0}")]
    Sealed(#[from] crate::seal::SealError),
    /// What was sealed is no key.
    #[error("a signing key in the database is damaged")]
    Damaged,
}

/// Makes a key.
///
/// # Errors
/// When the cryptographic library refuses.
pub fn make(
    algorithm: WorkloadAlgorithm,
    id: Uuid,
    (published, signs): (Timestamp, Timestamp),
    seal: &SealKey,
    randomness: Randomness,
) -> Result<SealedKey, KeyError> {
    let text = SecretString::from(STANDARD.encode(generate(algorithm)?));
    let sealed = seal.seal(&text, Place { document: id, field: FIELD }, randomness)?;
    let times = KeyTimes { id, algorithm: algorithm.algorithm(), published, signs, retired: None };
    Ok(SealedKey { times, sealed })
}

impl SealedKey {
    /// Opens it.
    ///
    /// # Errors
    /// When it was sealed with another key, or is damaged.
    pub fn open(&self, seal: &SealKey) -> Result<OpenKey, KeyError> {
        let text = seal.open(&self.sealed, Place { document: self.times.id, field: FIELD })?;
        let der = STANDARD.decode(text.expose_secret()).map(Zeroizing::new).map_err(|_| KeyError::Damaged)?;
        let damaged = |_: SignError| KeyError::Damaged;
        let signer = Signer::from_pkcs8(&der, Some(self.times.algorithm)).map_err(damaged)?;
        let mut public = signer.public_jwk().map_err(damaged)?;
        let kid = thumbprint(&public).ok_or(KeyError::Damaged)?;
        public["kid"] = Value::from(kid.clone());
        Ok(OpenKey { times: self.times, kid, public, signer })
    }
}

fn generate(algorithm: WorkloadAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let random = SystemRandom::new();
    let failed = |_| KeyError::Failed;
    let document = match algorithm {
        WorkloadAlgorithm::ES256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?.as_ref().to_vec()
        }
        WorkloadAlgorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random).map_err(failed)?.as_ref().to_vec(),
        WorkloadAlgorithm::RS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            der.as_ref().to_vec()
        }
    };
    Ok(Zeroizing::new(document))
}

/// The thumbprint of a public key (RFC 7638 §3): the SHA-256 of its required members in order.
fn thumbprint(jwk: &Value) -> Option<String> {
    let members: &[&str] = match jwk["kty"].as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let mut text = String::from("{");
    for (index, name) in members.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Values are base64url or names of curves: nothing to escape.
        text.push_str(&format!("{comma}\"{name}\":\"{}\"", jwk[*name].as_str()?));
    }
    text.push('}');
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        // RFC 8037 §A.3.
        let jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA"});
        assert_eq!(thumbprint(&jwk).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        assert_eq!(thumbprint(&json!({"kty": "oct", "k": "x"})), None);
    }

    #[test]
    fn a_key_survives_the_store_and_opens_nowhere_else() {
        let seal = SealKey::new([7; 32]);
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        for algorithm in [WorkloadAlgorithm::ES256, WorkloadAlgorithm::RS256, WorkloadAlgorithm::EdDSA] {
            let key = make(algorithm, Uuid::from_u128(1), times, &seal, Randomness::new([1; 56])).expect("made");
            let open = key.open(&seal).expect("opened");
            assert_eq!(
                (open.signer.algorithm(), open.public["kid"].as_str()),
                (algorithm.algorithm(), Some(&*open.kid))
            );
            assert!(open.public.get("d").is_none() && open.public.get("p").is_none());
            assert!(key.open(&SealKey::new([8; 32])).is_err());
            let moved = SealedKey { times: KeyTimes { id: Uuid::from_u128(2), ..key.times }, ..key.clone() };
            assert!(moved.open(&seal).is_err());
        }
    }
}
