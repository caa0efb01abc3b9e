//! The issuer of the bench: one RSA key, its JWK set and PEM for the proxies, and tokens.

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// `iss` of the tokens.
pub(super) const ISSUER: &str = "https://idp.bench/";

/// Makes tokens.
pub(super) struct Issuer {
    key: EncodingKey,
    jwks: String,
    pem: String,
    now: u64,
}

impl Issuer {
    pub(super) fn new() -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key"))?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow!("no private key"))?;
        let known = pair.public_key();
        let spki: PublicKeyX509Der<'_> = known.as_der().map_err(|_| anyhow!("no public key"))?;
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let n = known.modulus().big_endian_without_leading_zero();
        let e = known.exponent().big_endian_without_leading_zero();
        let jwk = json!({"kty": "RSA", "kid": "bench", "use": "sig", "alg": "RS256", "n": number(n), "e": number(e)});
        let public = pem("PUBLIC KEY", spki.as_ref())?;
        #[allow(clippy::disallowed_methods, reason = "tokens of a measurement are made now")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let key = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref())?.as_bytes())?;
        Ok(Self { key, jwks: json!({"keys": [jwk]}).to_string(), pem: public, now })
    }

    /// Writes the JWK set and the PEM.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::write(self.keys(folder), &self.jwks)?;
        Ok(std::fs::write(self.pem(folder), &self.pem)?)
    }

    pub(super) fn keys(&self, folder: &Path) -> PathBuf {
        std::path::absolute(folder.join("jwks.json")).unwrap_or_default()
    }

    pub(super) fn pem(&self, folder: &Path) -> PathBuf {
        std::path::absolute(folder.join("key.pem")).unwrap_or_default()
    }

    pub(super) fn token(&self, subject: &str, number: usize) -> Result<String> {
        let header =
            Header { kid: Some("bench".to_owned()), typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::RS256) };
        let claims = json!({"iss": ISSUER, "aud": "bench", "sub": subject, "client_id": "bench", "scope": "jobs.run",
            "iat": self.now, "exp": self.now + 3600, "jti": format!("t{number}")});
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

/// DER as PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> Result<String> {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(std::str::from_utf8).collect::<Result<_, _>>().context("base64 is text")?;
    Ok(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
}
