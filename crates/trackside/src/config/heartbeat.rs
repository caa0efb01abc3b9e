//! The dead man's switch: a sign of life that Trackside sends to another service as long as it is well.
//!
//! Invariant: the address may itself be the secret (healthchecks.io, a push monitor), so it is kept as written and shown
//! without its query; when it is sent is the watchdog's business.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use trackside_connect::connection::address::HttpUrl;
use trackside_core::ruleset::{ConnectionInfo, Span};
use trackside_identity::secret::{SecretRef, Secrets};

/// Shortest time between two signs of life, in seconds.
const SHORTEST_S: i64 = 10;

/// A sign of life to a service that tells somebody when it stays away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatOut {
    /// Address that is asked with GET: plain, or a reference to a secret where the address is one.
    pub url: HeartbeatUrl,
    /// How often, as long as what was due was sent; at least 10s.
    #[serde(default = "minute")]
    pub every: Span,
    /// Connection that is told at once, past the log and the decider, when what was due was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
}

fn minute() -> Span {
    Span(jiff::SignedDuration::from_mins(1))
}

impl HeartbeatOut {
    /// Whether it can be used.
    ///
    /// # Errors
    /// The field that is wrong, and what to write instead.
    pub(super) fn check(&self, connections: &BTreeMap<String, ConnectionInfo>) -> Result<(), (&'static str, String)> {
        if self.every.seconds() < SHORTEST_S {
            return Err(("every", format!("must be at least {SHORTEST_S}s")));
        }
        let Some(alarm) = &self.alarm else { return Ok(()) };
        match connections.get(alarm) {
            Some(info) if info.kind.can_tell() => Ok(()),
            Some(_) => Err(("alarm", format!("`{alarm}` is read from; it cannot be told"))),
            None => {
                let names: Vec<&str> = connections.keys().map(String::as_str).collect();
                Err(("alarm", format!("there is no connection `{alarm}`; declared are {}", names.join(", "))))
            }
        }
    }
}

/// Where a sign of life goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HeartbeatUrl {
    /// Written out.
    Plain(HttpUrl),
    /// Kept elsewhere.
    Secret(SecretRef),
}

impl HeartbeatUrl {
    /// Whether it can be had without asking a secret manager.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Secret(reference) => reference.is_local(),
        }
    }

    /// The address now.
    ///
    /// # Errors
    /// When the secret cannot be had, or is no address. Its value is not repeated.
    pub fn resolve(&self, secrets: &Secrets) -> Result<SecretString, String> {
        match self {
            Self::Plain(url) => Ok(SecretString::from(url.as_str())),
            Self::Secret(reference) => {
                let value = reference.resolve(secrets).map_err(|error| error.to_string())?;
                match HttpUrl::try_from(value.expose_secret().to_owned()) {
                    Ok(url) => Ok(SecretString::from(url.as_str())),
                    Err(problem) => Err(format!("what stands in {reference} {problem}")),
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for HeartbeatUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlVisitor)
    }
}

struct UrlVisitor;

impl<'de> Visitor<'de> for UrlVisitor {
    type Value = HeartbeatUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or a reference to a secret: `{env: NAME}`, `{file: PATH}` and others")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HeartbeatUrl, E> {
        HttpUrl::try_from(text.to_owned()).map(HeartbeatUrl::Plain).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeartbeatUrl, A::Error> {
        SecretRef::deserialize(MapAccessDeserializer::new(map)).map(HeartbeatUrl::Secret)
    }
}

impl JsonSchema for HeartbeatUrl {
    fn schema_name() -> Cow<'static, str> {
        "HeartbeatUrl".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (plain, secret) = (generator.subschema_for::<HttpUrl>(), generator.subschema_for::<SecretRef>());
        schemars::json_schema!({ "anyOf": [plain, secret] })
    }
}
