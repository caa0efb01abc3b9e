//! Service principal of Entra: the v2 token endpoint, with a secret, a certificate or a federated token.
//!
//! Source: Microsoft's "OAuth 2.0 client credentials flow" and "Certificate credentials". Invariant: an assertion is made
//! anew for each request, because Entra and others take a `jti` once only.

use crate::broker::failure::Failure;
use crate::broker::form::post_form;
use crate::exchange::Ask;
use crate::signer::{Algorithm, SignError, Signer};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

/// Entra's address for tenants of the public cloud.
pub const AUTHORITY: &str = "https://login.microsoftonline.com";
/// What a federated token must be for.
pub const FEDERATED_AUDIENCE: &str = "api://AzureADTokenExchange";
/// Life of an assertion in seconds.
const ASSERTION_SECONDS: i64 = 600;
/// How far an assertion begins in the past, for clocks that differ.
const ASSERTION_EARLIER: i64 = 30;

/// What proves a service principal, ready for one request.
#[derive(Debug)]
pub enum Proof {
    /// Client secret.
    Secret(SecretString),
    /// An assertion: signed with a certificate's key, or a federated token.
    Assertion(SecretString),
}

/// The certificate that assertions are signed with.
#[derive(Debug)]
pub struct Certificate {
    signer: Signer,
    header: Value,
}

/// Where a tenant's tokens are made.
///
/// # Errors
/// When the authority cannot be a base.
pub fn endpoint(authority: Option<&Url>, tenant: &str) -> Result<Url, Failure> {
    let mut url = match authority {
        Some(url) => url.clone(),
        None => Url::parse(AUTHORITY).map_err(Failure::here)?,
    };
    url.path_segments_mut()
        .map_err(|()| Failure::here("`authority` is not the address of a server"))?
        .pop_if_empty()
        .extend([tenant, "oauth2", "v2.0", "token"]);
    Ok(url)
}

/// The request for a token.
#[must_use]
pub fn ask(endpoint: &Url, client_id: &str, scope: &str, proof: &Proof) -> Ask {
    let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client_id), ("scope", scope)];
    match proof {
        Proof::Secret(secret) => fields.push(("client_secret", secret.expose_secret())),
        Proof::Assertion(assertion) => fields.extend([
            ("client_assertion_type", crate::broker::form::ASSERTION_TYPE),
            ("client_assertion", assertion.expose_secret()),
        ]),
    }
    post_form(endpoint.clone(), &fields)
}

impl Certificate {
    /// A certificate and its key, both PEM. PS256 with `x5t#S256` unless RS256 (with `x5t`) is named.
    ///
    /// # Errors
    /// When one of them cannot be read, or the key cannot sign so.
    pub fn new(certificate: &str, key: &str, algorithm: Option<&str>) -> Result<Self, Failure> {
        let algorithm = algorithm.unwrap_or("PS256").parse::<Algorithm>().map_err(Failure::here)?;
        if !matches!(algorithm, Algorithm::PS256 | Algorithm::RS256) {
            return Err(Failure::here(SignError::OtherAlgorithm(algorithm)));
        }
        let signer = Signer::from_pem(key, Some(algorithm)).map_err(Failure::here)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
            .map_err(|_| Failure::here("the certificate is not in PEM (`-----BEGIN CERTIFICATE-----`)"))?;
        if pem.label != "CERTIFICATE" {
            return Err(Failure::here("the certificate's file does not begin with a certificate"));
        }
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest(algorithm, &pem.contents));
        let header = match algorithm {
            Algorithm::RS256 => json!({"typ": "JWT", "x5t": thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)}),
            _ => json!({"typ": "JWT", "x5t#S256": thumbprint(&SHA256)}),
        };
        Ok(Self { signer, header })
    }

    /// An assertion for one request; `id` is used once.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn assertion(&self, endpoint: &Url, client_id: &str, now: Timestamp, id: Uuid) -> Result<Proof, Failure> {
        let second = now.as_second();
        let claims = json!({
            "aud": endpoint.as_str(),
            "iss": client_id,
            "sub": client_id,
            "jti": id.to_string(),
            "iat": second,
            "nbf": second - ASSERTION_EARLIER,
            "exp": second + ASSERTION_SECONDS,
        });
        let token = self.signer.token(&self.header, &claims).map_err(Failure::here)?;
        Ok(Proof::Assertion(SecretString::from(token)))
    }
}

#[cfg(test)]
mod tests;
