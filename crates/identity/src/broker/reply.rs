//! What a token endpoint answers (RFC 6749 §5, RFC 8693 §2.2, and the ways of Azure).
//!
//! Total: any bytes give a token or a failure. Invariant: a token is taken only when all that was asked for was granted
//! and it is a bearer token.

use super::failure::{Failure, FailureClass, shown};
use super::grant::{Granted, actors, is_jwt};
use crate::exchange::Reply;
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// Scopes that must all be granted.
    pub scopes: &'a [String],
    /// Whether this was a token exchange, whose reply must name the kind of token.
    pub exchange: Exchanged,
    /// Whether a token for a named resource was asked for. Without one, some servers give an opaque token.
    pub addressee: Addressee,
}

/// Whether a reply answers a token exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exchanged {
    /// It does: `issued_token_type` is required (RFC 8693 §2.2.1).
    Token,
    /// It does not.
    #[default]
    Nothing,
}

/// Whether the token is for somebody named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressee {
    /// `resource`, `audience` or the scope names them.
    #[default]
    Named,
    /// Nobody is named.
    Unnamed,
}

#[derive(Deserialize)]
struct Success {
    access_token: SecretString,
    token_type: Option<String>,
    /// Seconds; a number, and in Azure a string.
    expires_in: Option<Value>,
    /// Seconds since 1970; App Service gives nothing else.
    expires_on: Option<Value>,
    scope: Option<String>,
    issued_token_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
    error_codes: Vec<i64>,
}

/// Entra's codes for what stays wrong until somebody changes the configuration: unknown client secret, unknown
/// certificate, assertion outside its time or for somebody else, scope, application or tenant that is not there.
const PERMANENT: &[i64] = &[7_000_215, 7_000_222, 700_027, 700_024, 700_023, 700_016, 70_011, 1_002_012, 90_002];
/// What OAuth servers call the same (RFC 6749 §5.2, RFC 8707 §2, RFC 8693 §2.2.2).
const PERMANENT_ERRORS: &[&str] =
    &["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target"];

/// Reads the reply of a token endpoint.
///
/// # Errors
/// Why there is no token.
pub fn token(reply: &Reply, expected: Expected<'_>, now: Timestamp) -> Result<Granted, Failure> {
    if reply.status != StatusCode::OK && reply.status != StatusCode::CREATED {
        return Err(refusal(reply, now));
    }
    let success: Success = serde_json::from_slice(&reply.body)
        .map_err(|_| Failure::unusable("the reply of the token endpoint is not a token"))?;
    success.granted(expected, now)
}

impl Success {
    fn granted(self, expected: Expected<'_>, now: Timestamp) -> Result<Granted, Failure> {
        let unusable = |text: String| Err(Failure::unusable(text));
        if !header_text(&self.access_token) {
            return unusable("the token endpoint gave a token that does not fit into a header".to_owned());
        }
        if let Some(kind) = self.token_type.as_deref().filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return unusable(format!(
                "the token endpoint gave a token of type `{}`; only bearer tokens can be used",
                shown(kind)
            ));
        }
        if expected.exchange == Exchanged::Token && self.issued_token_type.is_none() {
            return unusable(
                "the reply of the token exchange does not say what kind of token it is (`issued_token_type`)"
                    .to_owned(),
            );
        }
        let missing = missing_scopes(expected.scopes, self.scope.as_deref());
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return unusable(format!(
                "the token endpoint left out what was asked for: {missing}; it must be allowed for this client there"
            ));
        }
        let exposed = secrecy::ExposeSecret::expose_secret(&self.access_token);
        let (opaque, chain) = (!is_jwt(exposed), actors(exposed));
        let mut granted = match self.life(now)? {
            Some(life) => Granted::new(self.access_token, now, life),
            None => Granted::of_unsaid_life(self.access_token, now),
        };
        granted.actors = chain;
        if opaque && expected.addressee == Addressee::Unnamed {
            let warning = "the token can be understood by its issuer only; if the far end verifies tokens itself, name it in `resource`";
            granted.warning = Some(warning.to_owned());
        }
        Ok(granted)
    }

    fn life(&self, now: Timestamp) -> Result<Option<SignedDuration>, Failure> {
        let life = match (&self.expires_in, &self.expires_on) {
            (Some(seconds), _) => number(seconds).map(SignedDuration::from_secs),
            (None, Some(at)) => {
                number(at).and_then(|at| Timestamp::from_second(at).ok()).map(|at| at.duration_since(now))
            }
            (None, None) => return Ok(None),
        };
        match life {
            Some(life) if life.is_positive() => Ok(Some(life)),
            _ => Err(Failure::unusable(
                "the token endpoint gave a token that is over already, or does not say when it ends; is the clock right?",
            )),
        }
    }
}

/// Scopes that were asked for and not granted. A reply without `scope` grants what was asked for (RFC 6749 §5.1).
fn missing_scopes<'a>(asked: &'a [String], granted: Option<&str>) -> Vec<&'a str> {
    let Some(granted) = granted else { return Vec::new() };
    let granted: BTreeSet<&str> = granted.split_ascii_whitespace().collect();
    asked.iter().map(String::as_str).filter(|scope| !granted.contains(scope)).collect()
}

/// Why a token endpoint refuses.
fn refusal(reply: &Reply, now: Timestamp) -> Failure {
    let said: Refusal = serde_json::from_slice(&reply.body).unwrap_or_default();
    let mut text = format!("the token endpoint answered {}", reply.status.as_u16());
    if reply.status.is_redirection() {
        text.push_str(" (a redirect, which is not followed)");
    }
    if let Some(error) = &said.error {
        text = format!("{text} {}", shown(error));
    }
    if let Some(description) = said.error_description.as_deref().map(shown).filter(|text| !text.is_empty()) {
        text = format!("{text}: {description}");
    }
    if let Some(advice) = advice(&said) {
        text = format!("{text} ({advice})");
    }
    let failure = Failure::of(reply.status, &reply.headers, now, text);
    let permanent = said.error_codes.iter().any(|code| PERMANENT.contains(code))
        || said.error.as_deref().is_some_and(|error| PERMANENT_ERRORS.contains(&error));
    match failure.class {
        FailureClass::Refused if permanent => Failure { class: FailureClass::Permanent, ..failure },
        _ => failure,
    }
}

/// What to do about a refusal that is known.
fn advice(said: &Refusal) -> Option<&'static str> {
    let of_code = said.error_codes.iter().find_map(|code| match code {
        7_000_215 => Some("the client secret is wrong: it must be the secret's value, not its id"),
        7_000_222 => Some("the client secret is over; make a new one"),
        700_027 => Some("the certificate is not registered with the application"),
        700_024 | 700_023 => {
            Some("the assertion is outside its time or for somebody else; check the clock and the tenant")
        }
        700_016 => Some("there is no such application in this tenant"),
        70_011 | 1_002_012 => {
            Some("the scope must be the application id URI of the far end with `/.default` behind it")
        }
        90_002 => Some("there is no such tenant"),
        _ => None,
    });
    of_code.or(match said.error.as_deref()? {
        "invalid_client" => {
            Some("the client id or what proves it is wrong, or the client must prove itself in another way")
        }
        "unauthorized_client" | "unsupported_grant_type" => {
            Some("this client may not ask for tokens in this way; allow the grant type there")
        }
        "invalid_scope" => Some("a scope is not known there"),
        "invalid_target" => Some("the `resource` or `audience` is not known there"),
        _ => None,
    })
}

/// A whole number, given as one or as text.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) =>
        {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the fraction of a second does not matter, `as` saturates"
            )]
            number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Whether a token can be sent in a header (RFC 6750 §2.1 allows less).
fn header_text(token: &SecretString) -> bool {
    let token = secrecy::ExposeSecret::expose_secret(token);
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether an answer of a far end that is called with a credential is one of a sign-in page: App Service and Entra
/// answer a request without a valid token with a redirect (`/.auth/login/…`, `login.microsoftonline.com`).
#[must_use]
pub fn is_sign_in(status: StatusCode, headers: &http::HeaderMap) -> bool {
    let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else { return false };
    let host = location.split_once("//").map_or("", |(_, rest)| rest.split(['/', '?', ':']).next().unwrap_or(""));
    status.is_redirection()
        && (location.contains("/.auth/login")
            || host.eq_ignore_ascii_case("login.microsoftonline.com")
            || host.to_ascii_lowercase().ends_with(".login.microsoftonline.com"))
}

#[cfg(test)]
mod tests;
