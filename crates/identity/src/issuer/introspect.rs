//! Opaque tokens: their issuer is asked (RFC 7662).
//!
//! An answer need not name a subject. That of a program that got its token for itself (client credentials) often does
//! not; the subject is then the program, as RFC 9068 §2.2 says of signed tokens.
//!
//! Invariants: a signed token is never sent anywhere, nor is one of our own; an answer without an audience counts only
//! for applications that are listed, because the token may be meant for somebody else; a reply has a bound.

use super::discovery::Address;
use crate::exchange::{Ask, AskError, Reply};
use crate::jwt::Claims;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::time::Duration;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

/// Largest reply, in bytes.
const REPLY_BYTES: usize = 64 * 1024;
/// Longest wait: a caller is waiting too.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What an issuer says of a token.
pub(super) enum Said {
    /// It is in force, with these claims.
    Active(Claims),
    /// It is not, or is not for us to know.
    Inactive,
}

/// What is asked about a token.
///
/// # Errors
/// When the client's secret cannot be sent.
pub(super) fn request(client_id: &str, secret: &SecretString, endpoint: &Address, token: &str) -> Result<Ask, String> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    // Both parts are form-encoded before they are joined (RFC 6749 §2.3.1).
    let pair = Zeroizing::new(format!("{}:{}", encoded(client_id), encoded(secret.expose_secret())));
    let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut basic = HeaderValue::from_str(&basic).map_err(|_| "the client's secret cannot be sent".to_owned())?;
    basic.set_sensitive(true);
    let body = Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("token_type_hint", "access_token")
        .finish();
    let mut ask = Ask {
        method: Method::POST,
        body: Bytes::from(body),
        limit: REPLY_BYTES,
        timeout: TIMEOUT,
        ..Ask::get(endpoint.url().clone())
    };
    ask.headers.insert(AUTHORIZATION, basic);
    ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    ask.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(ask)
}

/// What is answered.
///
/// # Errors
/// When there is no usable answer; the text is for people and holds no credential.
pub(super) fn said(reply: Result<Reply, AskError>) -> Result<Said, String> {
    let reply = reply.map_err(|error| error.to_string())?;
    match reply.status {
        StatusCode::OK => read(&reply.body),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(format!("the introspection page answered {}: check client_id and secret", reply.status))
        }
        status => Err(format!("the introspection page answered {status}")),
    }
}

/// With the client as the subject, when nobody else is.
fn of_somebody(claims: Claims) -> Claims {
    match (claims.get("sub"), claims.get("client_id"), claims.members()) {
        (None, Some(client), Some(members)) => {
            let mut members = members.clone();
            members.insert("sub".to_owned(), client.clone());
            Claims::new(members)
        }
        _ => claims,
    }
}

/// Reads a reply (RFC 7662 §2.2).
fn read(body: &[u8]) -> Result<Said, String> {
    let claims = Claims::parse(body).map_err(|_| "the introspection page did not answer with JSON".to_owned())?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Said::Active(of_somebody(claims))),
        Some(Value::Bool(false)) => Ok(Said::Inactive),
        _ => Err("the introspection page did not say whether the token is active".to_owned()),
    }
}
