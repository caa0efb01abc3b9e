//! A generic webhook, signed by Standard Webhooks (<https://www.standardwebhooks.com>, version 1).
//!
//! `webhook-id` is the delivery id, the same over all attempts, so a receiver that remembers ids sees each message
//! once; `webhook-timestamp` is the time of the attempt. The body tells everything the notice knows.

use crate::connection::Connection;
use crate::connection::address::HttpUrl;
use crate::far_end::{CannotSend, HttpRequest, Repeat, Request, Response, Verdict, Wire};
use crate::signature::{self, BadSignature};
use crate::template::{self, Markup};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use sha2::Sha256;
use trackside_core::effect::Effect;

/// Header of the message id.
pub const ID: &str = "webhook-id";
/// Header of the attempt's time, Unix seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// Header of the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";
/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Length of a decoded secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The request for `effect`, signed with every secret.
pub(crate) fn request(
    connection: &Connection,
    url: &HttpUrl,
    secrets: &[SecretString],
    effect: &Effect,
    now: Timestamp,
) -> Result<Request, CannotSend> {
    let rendered = template::render(connection, effect, Markup::Plain);
    let mut body = serde_json::json!({
        "type": kind(effect),
        "timestamp": effect.at,
        "data": {
            "delivery": effect.id,
            "action": effect.action,
            "key": effect.key,
            "connection": connection.name,
            "title": rendered.title,
            "text": rendered.body,
            "places": template::places(connection, effect),
            "notice": effect.notice,
        }
    });
    if let Some(to) = &effect.to {
        body["data"]["to"] = serde_json::json!(to);
    }
    let mut request = signed(connection, url, secrets, ("application/json", body.to_string()), effect, now)?;
    request.note = rendered.note;
    Ok(request)
}

/// The call that an automation asks for: its payload as it is, signed like every other message.
pub(crate) fn call(
    connection: &Connection,
    url: &HttpUrl,
    secrets: &[SecretString],
    payload: &str,
    effect: &Effect,
    now: Timestamp,
) -> Result<Request, CannotSend> {
    signed(connection, url, secrets, (content_type(payload), payload.to_owned()), effect, now)
}

/// JSON, when it is an object or a list, else text.
pub(crate) fn content_type(payload: &str) -> &'static str {
    let begins = payload.trim_start().starts_with(['{', '[']);
    if begins && serde_json::from_str::<&RawValue>(payload).is_ok() {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    }
}

fn signed(
    connection: &Connection,
    url: &HttpUrl,
    secrets: &[SecretString],
    (content_type, body): (&str, String),
    effect: &Effect,
    now: Timestamp,
) -> Result<Request, CannotSend> {
    let id = effect.id.to_string();
    let signature = sign(secrets, &id, now.as_second(), body.as_bytes())
        .map_err(|error| CannotSend::Credential { connection: connection.name.clone(), problem: error.to_string() })?;
    let http = HttpRequest::new(http::Method::POST, url.as_str())
        .body(content_type, body)
        .header(ID, id)
        .header(TIMESTAMP, now.as_second().to_string())
        .header(SIGNATURE, signature);
    let hidden = url.query().map(SecretString::from).into_iter().collect();
    Ok(Request::new(Wire::Http(http), Repeat::Harmless, hidden))
}

/// 2xx is success; 410 means the receiver wants no more; 429, 502 and 504 ask to slow down like the other 5xx.
pub(crate) fn classify(response: &Response<'_>) -> Verdict {
    match response.status {
        200..=299 => Verdict::Done { far_ref: None },
        410 => Verdict::Refused { why: "answered 410: the receiver is gone for good".to_owned() },
        _ => response.failure(),
    }
}

/// The `webhook-signature` value: one `v1,…` per secret, separated by spaces.
///
/// # Errors
/// [`BadSignature::Secret`].
pub fn sign(secrets: &[SecretString], id: &str, seconds: i64, body: &[u8]) -> Result<String, BadSignature> {
    let signatures = secrets.iter().map(|secret| {
        let digest = mac(secret, id, seconds, body)?.finalize().into_bytes();
        Ok(format!("v1,{}", STANDARD.encode(digest)))
    });
    Ok(signatures.collect::<Result<Vec<_>, BadSignature>>()?.join(" "))
}

/// Whether a message is authentic and fresh. Header names are compared without case, signatures in constant time.
///
/// # Errors
/// Why it is not.
pub fn verify<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let get = |name| header(name).ok_or(BadSignature::Missing(name));
    let (id, seconds, signatures) = (get(ID)?, get(TIMESTAMP)?, get(SIGNATURE)?);
    let seconds = signature::fresh(seconds, TIMESTAMP, now)?;
    for secret in secrets {
        let mac = mac(secret, id, seconds, body)?;
        for signature in signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")) {
            let Ok(signature) = STANDARD.decode(signature) else { continue };
            if mac.clone().verify_slice(&signature).is_ok() {
                return Ok(());
            }
        }
    }
    Err(BadSignature::Mismatch(SIGNATURE))
}

fn mac(secret: &SecretString, id: &str, seconds: i64, body: &[u8]) -> Result<Hmac<Sha256>, BadSignature> {
    let key = secret
        .expose_secret()
        .strip_prefix(SECRET_PREFIX)
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .filter(|key| SECRET_BYTES.contains(&key.len()))
        .ok_or(BadSignature::Secret("it must be `whsec_` and the base64 of 24 to 64 bytes"))?;
    signature::mac_of(&key, &[format!("{id}.{seconds}.").as_bytes(), body])
}

/// `incident.trigger` and so on for incidents, `approval.trigger` for questions, else `message` or `test`.
fn kind(effect: &Effect) -> String {
    let action = effect.action.as_str();
    if effect.notice.approval.is_some() && effect.incident.is_none() {
        return format!("approval.{action}");
    }
    if effect.incident.is_some() { format!("incident.{action}") } else { action.to_owned() }
}

#[cfg(test)]
mod tests;
