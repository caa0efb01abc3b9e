//! Signing JSON Web Tokens (RFC 7515, compact form): client assertions and the tokens that Trackside issues.
//!
//! Invariants: the algorithm is fixed by the key and checked when the key is read, never by a message; RSA keys have at
//! least 2,048 bits; the private part appears in no `Debug` and no error. Verifying tokens of others is not here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;
use zeroize::Zeroizing;

/// Smallest RSA key that signs, in bytes (RFC 7518 §3.3: 2,048 bits).
const RSA_BYTES: usize = 256;

/// A signature algorithm of JSON Web Signatures (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RS512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// Why a key cannot sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not PEM, or not of a private key.
    #[error("the key is not a private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NotPem,
    /// The key has a passphrase.
    #[error("the key is encrypted; keep it without a passphrase, in a place that only the server can read")]
    Encrypted,
    /// No RSA (2,048 bits or more), P-256, P-384 or Ed25519 key.
    #[error("the key is damaged or of an unknown kind; RSA with 2,048 bits or more, P-256, P-384 and Ed25519 can sign")]
    BadKey,
    /// The key cannot make signatures of this algorithm.
    #[error("the key cannot sign with {0}; leave `algorithm` out, or name one that fits the key")]
    OtherAlgorithm(Algorithm),
    /// No such algorithm.
    #[error("`{0}` is not a signature algorithm; RS256, PS256, ES256, ES384 and EdDSA are common")]
    Unknown(String),
    /// The cryptographic library refused.
    #[error("the cryptographic library failed")]
    Failed,
}

/// A private key and the algorithm it signs with.
pub struct Signer {
    key: Key,
    algorithm: Algorithm,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Algorithm {
    /// Its name in a token's header.
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
            Self::EdDSA => "EdDSA",
        }
    }

    fn rsa(self) -> Option<&'static dyn RsaEncoding> {
        match self {
            Self::RS256 => Some(&RSA_PKCS1_SHA256),
            Self::RS384 => Some(&RSA_PKCS1_SHA384),
            Self::RS512 => Some(&RSA_PKCS1_SHA512),
            Self::PS256 => Some(&RSA_PSS_SHA256),
            Self::PS384 => Some(&RSA_PSS_SHA384),
            Self::PS512 => Some(&RSA_PSS_SHA512),
            Self::ES256 | Self::ES384 | Self::EdDSA => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| SignError::Unknown(text.chars().take(20).collect()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Signer {
    /// A key in PEM (PKCS#8; also PKCS#1 for RSA and SEC 1 for elliptic curves), with the usual algorithm for its kind
    /// when none is named: RS256, ES256, ES384, EdDSA.
    ///
    /// # Errors
    /// When it is not such a key, or cannot sign with that algorithm.
    pub fn from_pem(pem: &str, algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|_| SignError::NotPem)?;
            let der = Zeroizing::new(block.contents);
            let key = match block.label.as_str() {
                "PRIVATE KEY" => Key::from_pkcs8(&der),
                "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok().map(Key::Rsa),
                "EC PRIVATE KEY" => Key::from_sec1(&der),
                "ENCRYPTED PRIVATE KEY" => return Err(SignError::Encrypted),
                // A certificate may stand in the same file.
                _ => continue,
            };
            return Self::new(key.ok_or(SignError::BadKey)?, algorithm);
        }
        Err(SignError::NotPem)
    }

    /// A key in PKCS#8 (DER).
    ///
    /// # Errors
    /// As [`Self::from_pem`].
    pub fn from_pkcs8(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        Self::new(Key::from_pkcs8(der).ok_or(SignError::BadKey)?, algorithm)
    }

    fn new(key: Key, algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        if let Key::Rsa(pair) = &key
            && pair.public_modulus_len() < RSA_BYTES
        {
            return Err(SignError::BadKey);
        }
        let algorithm = algorithm.unwrap_or(match key {
            Key::Rsa(_) => Algorithm::RS256,
            Key::P256(_) => Algorithm::ES256,
            Key::P384(_) => Algorithm::ES384,
            Key::Ed25519(_) => Algorithm::EdDSA,
        });
        let fits = match key {
            Key::Rsa(_) => algorithm.rsa().is_some(),
            Key::P256(_) => algorithm == Algorithm::ES256,
            Key::P384(_) => algorithm == Algorithm::ES384,
            Key::Ed25519(_) => algorithm == Algorithm::EdDSA,
        };
        if fits { Ok(Self { key, algorithm }) } else { Err(SignError::OtherAlgorithm(algorithm)) }
    }

    /// The algorithm it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token with these header members (beside `alg`) and claims.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn token(&self, header: &Value, claims: &Value) -> Result<String, SignError> {
        let mut header = header.clone();
        header["alg"] = Value::from(self.algorithm.as_str());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut token = format!("{}.{}", part(&header), part(claims));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The public key as a JSON Web Key (RFC 7517), without `kid`.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn public_jwk(&self) -> Result<Value, SignError> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let curve = |name: &str, point: &[u8]| {
            // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
            let (x, y) = point.get(1..).map(|xy| xy.split_at(xy.len() / 2)).ok_or(SignError::Failed)?;
            Ok(json!({"kty": "EC", "crv": name, "x": text(x), "y": text(y)}))
        };
        let mut jwk = match &self.key {
            Key::Rsa(pair) => {
                let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref()).map_err(|_| SignError::Failed)?;
                // DER puts a zero before a number whose first bit is set (X.690 §8.3); a JWK has none (RFC 7518 §2).
                let number = |bytes: &[u8]| text(bytes.strip_prefix(&[0]).unwrap_or(bytes));
                json!({"kty": "RSA", "n": number(public.modulus), "e": number(public.exponent)})
            }
            Key::P256(pair) => curve("P-256", pair.public_key().as_ref())?,
            Key::P384(pair) => curve("P-384", pair.public_key().as_ref())?,
            Key::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
        };
        jwk["alg"] = Value::from(self.algorithm.as_str());
        jwk["use"] = Value::from("sig");
        Ok(jwk)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(pair) => {
                let encoding = self.algorithm.rsa().ok_or(SignError::Failed)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
            Key::P256(pair) | Key::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| SignError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Key::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Key {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_pkcs8(algorithm, der).ok();
        RsaKeyPair::from_pkcs8(der)
            .ok()
            .map(Self::Rsa)
            .or_else(|| ec(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::P256))
            .or_else(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384))
            .or_else(|| Ed25519KeyPair::from_pkcs8(der).ok().map(Self::Ed25519))
    }

    fn from_sec1(der: &[u8]) -> Option<Self> {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_private_key_der(algorithm, der).ok();
        ec(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Self::P256)
            .or_else(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384))
    }
}

#[cfg(test)]
mod tests;
