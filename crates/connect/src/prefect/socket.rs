//! Frames of Prefect's websocket protocol (subprotocol `prefect`).
//!
//! `/events/in`, where clients send: first `{"type":"auth","token":…}`, answered with [`AUTH_SUCCESS`]; then one event
//! per text frame, without an answer. The client's only acknowledgement is the pong to its ping, so the server holds
//! pongs back until what came before is durable.
//! `/events/out`, where a server sends: the same greeting, then one filter from the client, then events.

use super::door::{Origin, parse_one};
use crate::door::{Reject, decode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use trackside_core::event::Event;

/// The subprotocol that both sides name in the handshake.
pub const SUBPROTOCOL: &str = "prefect";
/// The answer to a good `auth` frame.
pub const AUTH_SUCCESS: &str = r#"{"type":"auth_success"}"#;
/// Close code when the first frame is not `auth`, or the token is unknown.
pub const CLOSE_POLICY: u16 = 1008;
/// Close code when a later frame is not what the protocol expects.
pub const CLOSE_PROTOCOL: u16 = 1002;

/// How far ahead of now a subscription reaches. Prefect filters live events by time as well, and without an end it
/// would take the moment of subscribing.
const AHEAD: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Reads a client's first frame. The token is an API key, or `user:password`.
///
/// # Errors
/// When it is not an `auth` frame; the connection is then closed with [`CLOSE_POLICY`].
pub fn read_auth(frame: &str) -> Result<Option<SecretString>, Reject> {
    #[derive(Deserialize)]
    struct Auth {
        r#type: String,
        #[serde(default)]
        token: Option<String>,
    }
    let auth: Auth = decode(frame.as_bytes())?;
    if auth.r#type != "auth" {
        return Err(Reject::shape("/type", "the first frame must be `{\"type\":\"auth\",\"token\":…}`"));
    }
    Ok(auth.token.filter(|token| !token.is_empty()).map(SecretString::from))
}

/// Reads a later frame of a client: one event.
///
/// # Errors
/// As [`super::door::parse`].
pub fn read_event(frame: &str, origin: &Origin<'_>) -> Result<Event, Reject> {
    parse_one(frame.as_bytes(), origin)
}

/// The first frame to a server. Holds the credential: not for logs.
#[must_use]
pub fn auth(token: Option<&SecretString>) -> String {
    json!({"type": "auth", "token": token.map(|token| token.expose_secret())}).to_string()
}

/// The second frame to a server: all events since `since`, as far back as it keeps them ready (15 minutes).
#[must_use]
pub fn filter(since: Timestamp, now: Timestamp) -> String {
    let until = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    json!({
        "type": "filter",
        "backfill": true,
        "filter": {"occurred": {"since": since, "until": until}, "order": "ASC"},
    })
    .to_string()
}

/// What a server says on `/events/out`.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The credential is good.
    AuthSuccess,
    /// It is not.
    AuthFailure(String),
    /// An event.
    Event(Box<Event>),
    /// Something this version does not know; to be passed over.
    Unknown(String),
}

/// Reads a frame of `/events/out`.
///
/// # Errors
/// When the frame is not JSON with a `type`, or its event is one that Prefect itself would refuse.
pub fn read_said(frame: &str, origin: &Origin<'_>) -> Result<Said, Reject> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        r#type: String,
        #[serde(default)]
        reason: Option<String>,
        #[serde(borrow, default)]
        event: Option<&'a RawValue>,
    }
    let frame: Frame<'_> = decode(frame.as_bytes())?;
    Ok(match (frame.r#type.as_str(), frame.event) {
        ("auth_success", _) => Said::AuthSuccess,
        ("auth_failure", _) => Said::AuthFailure(frame.reason.unwrap_or_default()),
        ("event", Some(event)) => {
            let event = parse_one(event.get().as_bytes(), origin).map_err(|reject| reject.within("/event"))?;
            Said::Event(Box::new(event))
        }
        ("event", None) => return Err(Reject::shape("/event", "`event` is missing")),
        _ => Said::Unknown(frame.r#type),
    })
}
