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
        let public = pair.public_key();
        let spki: PublicKeyX509Der<'_> = public.as_der().map_err(|_| anyhow!("no public key"))?;
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let n = public.modulus().big_endian_without_leading_zero();
        let e = public.exponent().big_endian_without_leading_zero();
        let jwk = json!({"kty": "RSA", "kid": "bench", "use": "sig", "alg": "RS256", "n": number(n), "e": number(e)});
        let lines = STANDARD.encode(spki.as_ref());
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(std::str::from_utf8).collect::<Result<_, _>>().context("base64 is text")?;
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        #[allow(clippy::disallowed_methods, reason = "tokens of a measurement are made now")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let key = EncodingKey::from_rsa_der(private.as_ref());
        Ok(Self { key, jwks: json!({"keys": [jwk]}).to_string(), pem, now })
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
