//! The configuration of the gateway: section `gateway` and the routes.
//!
//! Shapes only; what they lead to is in [`crate::route`], what they must not say is in [`check`].

pub mod check;
pub mod guard;
pub mod network;
pub mod route;

use network::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use trackside_core::ruleset::Span;

/// How the gateway listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// Address and port.
    pub listen: String,
    /// Serve HTTPS, HTTP/1.1 and HTTP/2. Without it HTTP/1.1 is spoken, unencrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// A load balancer in front tells the address of the client by the PROXY protocol (version 1 or 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Proxies in front whose `X-Forwarded-For` is believed. Everybody else's is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Network>,
    /// Longest time from the first byte of a request's head to its last. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_timeout: Option<Span>,
    /// Longest time between two requests of a connection. Default 75 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Span>,
    /// Longest pause within the body of a request. Default 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Span>,
    /// Longest time in which a client takes nothing of an answer. Default 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Span>,
    /// Most bytes of a request's head. Default 32,768.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_head_bytes: Option<usize>,
    /// Most fields of a request's head. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fields: Option<usize>,
    /// Most connections at a time. Default 8,192.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
}

/// A certificate and its key, and who may come with one of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayTls {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are taken. A client may come without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// From whom the PROXY protocol is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Connections from these networks must begin with it; from elsewhere it is not understood.
    pub from: Vec<Network>,
}

impl GatewaySettings {
    /// Longest time for a head.
    #[must_use]
    pub fn head_time(&self) -> Duration {
        length(self.head_timeout, 10)
    }

    /// Longest time between two requests.
    #[must_use]
    pub fn idle_time(&self) -> Duration {
        length(self.idle_timeout, 75)
    }

    /// Longest pause within a body.
    #[must_use]
    pub fn body_time(&self) -> Duration {
        length(self.body_timeout, 30)
    }

    /// Longest time in which nothing of an answer is taken.
    #[must_use]
    pub fn write_time(&self) -> Duration {
        length(self.write_timeout, 60)
    }
}

/// The length as configured, or a default in seconds.
pub(crate) fn length(span: Option<Span>, default_seconds: u64) -> Duration {
    let given = span.and_then(|span| Duration::try_from(span.0).ok()).filter(|given| !given.is_zero());
    given.unwrap_or(Duration::from_secs(default_seconds))
}
