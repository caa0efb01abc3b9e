//! Who sends a request: one credential, in one place.
//!
//! Taken are `Authorization` with one value, `Bearer` or `Basic`, or else the client certificate of the connection.
//! Never taken are query parameters, cookies, other fields: what proxies and logs keep, or browsers send by themselves.

use crate::answer::Problem;
use crate::front::head;
use crate::gateway::{Gateway, InForce, Origin};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use trackside_identity::callers::NotKnown;
use trackside_identity::credential::{self, CREDENTIAL_BYTES, Presented};
use trackside_identity::directory::Identity;
use trackside_identity::token::TokenHash;

/// The credential that a connection brought last, with the hash of its token: a client sends the same one with each
/// request, and to compare it costs far less than to hash it. What the hash means is asked anew every time.
#[derive(Default)]
pub(crate) struct LastToken(Mutex<Option<(Box<[u8]>, TokenHash)>>);

impl LastToken {
    fn hash_of(&self, value: &HeaderValue) -> Option<TokenHash> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(known, _)| **known == *value.as_bytes()).map(|(_, hash)| *hash)
    }

    fn keep(&self, value: &HeaderValue, hash: TokenHash) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((value.as_bytes().into(), hash));
    }
}

impl std::fmt::Debug for LastToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LastToken")
    }
}

/// Who sends this request, if they are still there.
///
/// # Errors
/// The answer when nobody is known.
pub async fn authenticate(
    gateway: &Gateway,
    in_force: &InForce,
    headers: &HeaderMap,
    origin: &Origin,
    now: Timestamp,
) -> Result<Arc<Identity>, Problem> {
    let identity = presented(gateway, in_force, headers, origin, now).await?;
    gateway.admit(identity).map_err(not_known)
}

/// Whose credential this request carries.
async fn presented(
    gateway: &Gateway,
    in_force: &InForce,
    headers: &HeaderMap,
    origin: &Origin,
    now: Timestamp,
) -> Result<Arc<Identity>, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        let shown = origin.certificate.as_deref();
        let found = shown.and_then(|certificate| in_force.callers.identify_certificate(certificate, now));
        return found.ok_or_else(|| Problem::unauthenticated(None, "send a token as `Authorization: Bearer TOKEN`"));
    };
    let invalid = |detail: &str| Problem::unauthenticated(Some("invalid_request"), detail);
    if given.next().is_some() {
        return Err(invalid("send one Authorization header"));
    }
    let directory = gateway.directory();
    if let Some(hash) = origin.last_token.hash_of(value) {
        if let Some(identity) = directory.find_hashed(&hash, now) {
            return Ok(Arc::clone(identity));
        }
        if let Some(known) = in_force.callers.kept(&hash, now) {
            return known.map_err(not_known);
        }
    }
    let token = match bearer(value) {
        Ok(Some(token)) => token,
        Ok(None) => return basic(gateway, value, now).ok_or_else(|| invalid("authenticate with Bearer or Basic")),
        Err(detail) => return Err(invalid(detail)),
    };
    let hash = TokenHash::of(token);
    origin.last_token.keep(value, hash);
    if let Some(identity) = directory.find_hashed(&hash, now) {
        return Ok(Arc::clone(identity));
    }
    Box::pin(in_force.callers.identify(token, now)).await.map_err(not_known)
}

/// What a credential that nobody stands behind is answered.
fn not_known(not_known: NotKnown) -> Problem {
    match not_known {
        NotKnown::Foreign | NotKnown::Invalid(_) => {
            Problem::unauthenticated(Some("invalid_token"), not_known.to_string())
        }
        NotKnown::Unavailable(why) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).after(std::time::Duration::from_secs(5))
        }
    }
}

/// The token of `Bearer`; `None` for another scheme.
fn bearer(value: &HeaderValue) -> Result<Option<&str>, &'static str> {
    if value.len() > CREDENTIAL_BYTES {
        return Err("the credential is longer than 8 KiB");
    }
    let text = value.to_str().map_err(|_| "the credential has characters outside visible ASCII")?;
    let (scheme, token) = text.split_once(' ').ok_or("authenticate with `Authorization: Bearer TOKEN`")?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
    };
    if token.is_empty() || !head::all(token.as_bytes(), allowed) {
        return Err("the token is malformed");
    }
    Ok(Some(token))
}

/// Our own tokens as Basic, for clients that know nothing else.
fn basic(gateway: &Gateway, value: &HeaderValue, now: Timestamp) -> Option<Arc<Identity>> {
    let mut only = HeaderMap::with_capacity(1);
    only.insert(header::AUTHORIZATION, value.clone());
    let presented = credential::presented(&only).ok()?;
    if !matches!(presented, Presented::Basic(_)) {
        return None;
    }
    gateway.directory().find_any(presented.candidates(), now).cloned()
}

/// The value of a field that tells who calls; `None` when there is nothing to tell or it cannot stand in a field.
#[must_use]
pub fn told(key: &str, who: &Identity) -> Option<HeaderValue> {
    // One with a comma would be read as two, of which the second is nobody's to give.
    let list = |items: Vec<&str>| items.into_iter().filter(|item| !item.contains(',')).collect::<Vec<_>>().join(",");
    let text = match key {
        "subject" => subject(who).to_owned(),
        "names" => list(who.names.iter().map(String::as_str).collect()),
        "roles" => list(who.rights.iter().map(|(role, _)| role.as_str()).collect()),
        "teams" => list(who.teams.iter().map(String::as_str).collect()),
        "issuer" => who.issuer.clone().unwrap_or_else(|| "trackside".to_owned()),
        "email" => who.attributes.get("email").cloned().unwrap_or_default(),
        _ => return None,
    };
    // Printable ASCII only: a line break would make a field of its own, and other letters are read in many ways.
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain { HeaderValue::from_str(&text).ok() } else { None }
}

/// The subject as its issuer names it.
#[must_use]
pub fn subject(who: &Identity) -> &str {
    let subject = who.caller.subject.as_str();
    let foreign = who.issuer.as_deref().and_then(|issuer| subject.strip_prefix(issuer)?.strip_prefix(':'));
    foreign.unwrap_or(subject)
}
