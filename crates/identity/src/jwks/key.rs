//! One public key of a set, made ready to verify.
//!
//! Invariants: a key verifies only what its own `use`, `key_ops`, `alg`, `kty` and `crv` allow (RFC 8725 §3.1), RSA has
//! at least 2,048 bits; a private or symmetric key is not taken.

use crate::jwt::algorithm::Family;
use crate::jwt::{Algorithm, BadToken, Compact};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::fmt;

/// Fewest and most bytes of an RSA modulus.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key that verifies with some algorithms.
pub struct Key {
    /// Its id.
    pub kid: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<Algorithm> = self.verifiers.iter().map(|(algorithm, _)| *algorithm).collect();
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &algorithms).finish()
    }
}

/// A JSON Web Key as written (RFC 7517 §4, RFC 7518 §6). What is not named is not looked at, `x5c` and `x5u` included.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl Key {
    /// Makes a written key ready for those of the algorithms that it fits.
    ///
    /// # Errors
    /// Why it verifies nothing, for people.
    pub(super) fn of(written: Written, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        if written.d.is_some() {
            return Err("it holds a private key; publish the public part only");
        }
        if written.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures (`use`)");
        }
        if written.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return Err("it is not for verifying (`key_ops`)");
        }
        let only = match &written.alg {
            None => None,
            Some(name) => {
                Some(Algorithm::named(name).ok_or("its algorithm is not one for signatures with public keys")?)
            }
        };
        let usable = |algorithm: &&Algorithm| only.is_none_or(|only| only == **algorithm);
        let verifiers: Vec<(Algorithm, ParsedPublicKey)> = match written.kty.as_str() {
            "RSA" => rsa(&written, allowed.iter().filter(usable))?,
            "EC" | "OKP" => point(&written, allowed.iter().filter(usable))?,
            _ => return Err("its type is not RSA, EC or OKP"),
        };
        if verifiers.is_empty() {
            return Err("it fits none of the allowed algorithms");
        }
        Ok(Self { kid: written.kid, verifiers })
    }

    /// Whether it may verify this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(own, _)| *own == algorithm)
    }

    /// Verifies the signature of a token.
    ///
    /// # Errors
    /// When it is not by this key, or the key is not for the token's algorithm.
    pub fn verify(&self, token: &Compact<'_>) -> Result<(), BadToken> {
        let verifier = self.verifiers.iter().find(|(own, _)| *own == token.header.algorithm);
        let (_, verifier) = verifier.ok_or(BadToken::Algorithm)?;
        verifier.verify_sig(token.signed(), token.signature()).map_err(|_| BadToken::Signature)
    }
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("a part of it is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of it is not base64url")
}

fn rsa<'a>(
    written: &Written,
    algorithms: impl Iterator<Item = &'a Algorithm>,
) -> Result<Vec<(Algorithm, ParsedPublicKey)>, &'static str> {
    let (n, e) = (bytes(written.n.as_ref())?, bytes(written.e.as_ref())?);
    // Some issuers write a sign byte before the number.
    let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
    if !MODULUS_BYTES.contains(&n.len()) || (n.len() == *MODULUS_BYTES.start() && n[0] < 0x80) {
        return Err("its modulus has fewer than 2048 bits, or more than 8192");
    }
    Ok(algorithms.filter_map(|algorithm| Some((*algorithm, algorithm.rsa_key(n, &e)?))).collect())
}

fn point<'a>(
    written: &Written,
    algorithms: impl Iterator<Item = &'a Algorithm>,
) -> Result<Vec<(Algorithm, ParsedPublicKey)>, &'static str> {
    let curve = written.crv.as_deref().ok_or("`crv` is missing")?;
    let mut x = bytes(written.x.as_ref())?;
    let mut verifiers = Vec::new();
    for algorithm in algorithms {
        match (algorithm.family(), written.kty.as_str()) {
            (Family::Okp, "OKP") if curve == "Ed25519" => {
                let key = algorithm.point_key(&x).ok_or("it is not a point of its curve")?;
                verifiers.push((*algorithm, key));
            }
            (Family::Ec(name, length), "EC") if curve == name => {
                let y = bytes(written.y.as_ref())?;
                if x.len() != length || y.len() != length {
                    return Err("its coordinates do not have the length of its curve");
                }
                let mut point = vec![4];
                point.append(&mut x);
                point.extend(y);
                let key = algorithm.point_key(&point).ok_or("it is not a point of its curve")?;
                verifiers.push((*algorithm, key));
                // One algorithm belongs to one curve.
                break;
            }
            _ => {}
        }
    }
    Ok(verifiers)
}
