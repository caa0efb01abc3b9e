//! How the server runs: addresses, data, TLS, logs, retention. `TRACKSIDE_*` variables override the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use trackside_core::ruleset::Span;
use trackside_identity::local::LocalAccess;

/// Where the server listens when nothing is said: loopback only.
const LISTEN: &str = "127.0.0.1:4180";

/// How the server runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port. `TRACKSIDE_LISTEN` overrides it.
    pub listen: String,
    /// Folder of the database. `TRACKSIDE_DATA` overrides it.
    pub data: PathBuf,
    /// Address as people and far ends reach it, for links in messages. `TRACKSIDE_PUBLIC_URL` overrides it.
    pub public_url: Option<String>,
    /// Serve HTTPS with this certificate.
    pub tls: Option<TlsSettings>,
    /// Whether somebody on the same machine must sign in. `open` is refused unless the server listens on this machine
    /// alone, over plain HTTP, and nobody can sign in by an issuer.
    pub local_access: LocalAccess,
    /// Form of the log on standard error.
    pub log: LogFormat,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: LISTEN.to_owned(),
            data: PathBuf::from("data"),
            public_url: None,
            tls: None,
            local_access: LocalAccess::Token,
            log: LogFormat::Text,
            retention: RetentionSettings::default(),
        }
    }
}

impl ServerSettings {
    /// Applies `TRACKSIDE_LISTEN`, `TRACKSIDE_DATA` and `TRACKSIDE_PUBLIC_URL`, read through `variable`.
    #[must_use]
    pub fn resolve(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(listen) = variable("TRACKSIDE_LISTEN") {
            self.listen = listen;
        }
        if let Some(data) = variable("TRACKSIDE_DATA") {
            self.data = PathBuf::from(data);
        }
        if let Some(url) = variable("TRACKSIDE_PUBLIC_URL") {
            self.public_url = Some(url);
        }
        self
    }

    /// The address for links, without a trailing slash.
    #[must_use]
    pub fn public_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", self.listen));
        url.trim_end_matches('/').to_owned()
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are taken. Callers without one use other credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How long things are kept after they are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Events, finished runs, resolved incidents and delivered messages.
    pub history: Span,
    /// The audit trail.
    pub audit: Span,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        let days = |days: i64| Span(jiff::SignedDuration::from_hours(24 * days));
        Self { history: days(30), audit: days(365) }
    }
}
