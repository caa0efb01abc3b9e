//! Requests to OAuth 2.0 token endpoints: client credentials (RFC 6749 §4.4) and token exchange (RFC 8693).
//!
//! Invariant: an assertion is signed anew for each request, because servers take a `jti` once only.

use super::config::{ClientCredentials, ClientProof, PrivateKeyProof};
use super::failure::Failure;
use super::form::{ASSERTION_TYPE, encoded, post_form};
use super::reply::{Addressee, Exchanged, Expected};
use crate::exchange::Ask;
use crate::secret::Secrets;
use crate::signer::{Algorithm, Signer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;
use uuid::Uuid;

/// Life of an assertion in seconds.
const ASSERTION_SECONDS: i64 = 60;
/// Grant type of a token exchange.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A token to be exchanged.
#[derive(Debug)]
pub(super) struct Subject {
    /// The token.
    pub(super) token: SecretString,
    /// Its kind (RFC 8693 §3).
    pub(super) kind: &'static str,
    /// A token of who acts, always a JWT.
    pub(super) actor: Option<SecretString>,
}

/// An access token (RFC 8693 §3).
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A JWT (RFC 8693 §3).
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Where a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Token endpoint.
    pub(super) endpoint: Url,
    /// Who an assertion is for: the issuer when it is known, else the endpoint.
    pub(super) audience: String,
}

/// What makes a request different from each other one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Once {
    /// Now.
    pub(super) now: Timestamp,
    /// Used for nothing else.
    pub(super) id: Uuid,
}

/// The request for a token: with a subject an exchange, else client credentials.
pub(super) fn ask(
    client: &ClientCredentials,
    place: &Place,
    subject: Option<&Subject>,
    secrets: &Secrets,
    once: Once,
) -> Result<Ask, Failure> {
    let scope = client.scopes.join(" ");
    let mut fields: Vec<(&str, &str)> = Vec::new();
    match subject {
        None => fields.push(("grant_type", "client_credentials")),
        Some(subject) => {
            fields.push(("grant_type", TOKEN_EXCHANGE));
            fields.push(("subject_token", subject.token.expose_secret()));
            fields.push(("subject_token_type", subject.kind));
            if let Some(actor) = &subject.actor {
                fields.push(("actor_token", actor.expose_secret()));
                fields.push(("actor_token_type", JWT));
            }
        }
    }
    let named =
        [("scope", Some(&scope)), ("resource", client.resource.as_ref()), ("audience", client.audience.as_ref())];
    fields.extend(
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.as_str())))
            .filter(|(_, value)| !value.is_empty()),
    );
    let proof = Proof::ready(client, place, secrets, once)?;
    match &proof {
        Proof::Header(_) => {}
        Proof::Post(secret) => {
            fields.push(("client_id", &client.client_id));
            fields.push(("client_secret", secret.expose_secret()));
        }
        Proof::Assertion(assertion) => {
            fields.push(("client_id", &client.client_id));
            fields.push(("client_assertion_type", ASSERTION_TYPE));
            fields.push(("client_assertion", assertion.expose_secret()));
        }
    }
    let mut ask = post_form(place.endpoint.clone(), &fields);
    if let Proof::Header(value) = proof {
        ask.headers.insert(header::AUTHORIZATION, value);
    }
    Ok(ask)
}

/// What the reply must hold.
pub(super) fn expected<'a>(client: &'a ClientCredentials, subject: Option<&Subject>) -> Expected<'a> {
    let named = client.resource.is_some() || client.audience.is_some();
    Expected {
        scopes: &client.scopes,
        exchange: if subject.is_some() { Exchanged::Token } else { Exchanged::Nothing },
        addressee: if named { Addressee::Named } else { Addressee::Unnamed },
    }
}

/// How the client proves itself in one request.
enum Proof {
    Header(HeaderValue),
    Post(SecretString),
    Assertion(SecretString),
}

impl Proof {
    fn ready(client: &ClientCredentials, place: &Place, secrets: &Secrets, once: Once) -> Result<Self, Failure> {
        match &client.proof {
            ClientProof::SecretPost(secret) => Ok(Self::Post(secret.resolve(secrets).map_err(Failure::here)?)),
            ClientProof::SecretBasic(secret) => {
                let secret = secret.resolve(secrets).map_err(Failure::here)?;
                basic(&encoded(&client.client_id), &encoded(secret.expose_secret())).map(Self::Header)
            }
            ClientProof::PrivateKey(proof) => assertion(client, proof, place, secrets, once).map(Self::Assertion),
        }
    }
}

/// The value of `Authorization` for user name and password (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> Result<HeaderValue, Failure> {
    let encoded = zeroize::Zeroizing::new(STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::from_str(&format!("Basic {}", *encoded)).map_err(Failure::here)?;
    value.set_sensitive(true);
    Ok(value)
}

fn assertion(
    client: &ClientCredentials,
    proof: &PrivateKeyProof,
    place: &Place,
    secrets: &Secrets,
    once: Once,
) -> Result<SecretString, Failure> {
    let key = proof.key.resolve(secrets).map_err(Failure::here)?;
    let algorithm = proof.algorithm.as_deref().map(str::parse::<Algorithm>).transpose().map_err(Failure::here)?;
    let signer = Signer::from_pem(key.expose_secret(), algorithm).map_err(Failure::here)?;
    let mut header = json!({"typ": "JWT"});
    if let Some(kid) = &proof.kid {
        header["kid"] = kid.as_str().into();
    }
    let second = once.now.as_second();
    let claims = json!({
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": place.audience,
        "iat": second,
        "exp": second + ASSERTION_SECONDS,
        "jti": once.id.to_string(),
    });
    signer.token(&header, &claims).map(SecretString::from).map_err(Failure::here)
}
