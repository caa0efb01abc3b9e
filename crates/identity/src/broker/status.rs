//! How a credential stands, for pages, the API and metrics. Holds no credential.

use super::brokers::{Line, is_fetched};
use super::grant::{Granted, Proof};
use jiff::Timestamp;
use serde::Serialize;

/// How the credential of a connection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialStatus {
    /// Name of the connection; for the management of an App Service with `/management` behind it.
    pub connection: String,
    /// Kind of credential, as in the configuration.
    pub kind: &'static str,
    /// In one word.
    pub state: CredentialState,
    /// When the token in use ends.
    pub expires: Option<Timestamp>,
    /// When it is renewed.
    pub renews: Option<Timestamp>,
    /// When it was fetched.
    pub refreshed: Option<Timestamp>,
    /// Why the last fetch failed; absent when it did not.
    pub error: Option<String>,
    /// When that was.
    pub failed: Option<Timestamp>,
    /// Something that people should know, though it works.
    pub warning: Option<String>,
    /// Callers on whose behalf tokens are kept.
    pub callers: usize,
    /// Fetches that gave a token since the server started, without those on somebody's behalf.
    pub fetched: u64,
    /// Fetches that did not.
    pub failures: u64,
}

/// How a credential stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// It is read from its reference each time it is used.
    Fixed,
    /// It is fetched when it is first needed.
    Unused,
    /// A token is in use.
    Good,
    /// A token is in use, and renewing it failed.
    Failing,
    /// There is no token, and the last fetch failed.
    Missing,
}

impl CredentialState {
    /// As in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Unused => "unused",
            Self::Good => "good",
            Self::Failing => "failing",
            Self::Missing => "missing",
        }
    }
}

impl CredentialStatus {
    pub(super) fn of(line: &Line, now: Timestamp) -> Self {
        let record = line.main.record();
        let granted: Option<&Granted<Proof>> = record.granted.as_ref().filter(|granted| now < granted.usable_until());
        let credential = line.outlet.credential.as_ref();
        let state = match (granted, &record.failed) {
            _ if !credential.is_some_and(is_fetched) => CredentialState::Fixed,
            (Some(_), None) => CredentialState::Good,
            (Some(_), Some(_)) => CredentialState::Failing,
            (None, Some(_)) => CredentialState::Missing,
            (None, None) => CredentialState::Unused,
        };
        Self {
            connection: line.name.clone(),
            kind: credential.map_or("none", super::config::CredentialConfig::kind),
            state,
            expires: granted.map(|granted| granted.expires),
            renews: record.renew_at.filter(|_| granted.is_some()),
            refreshed: granted.map(|granted| granted.issued),
            error: record.failed.as_ref().map(|(failure, _)| failure.text.clone()),
            failed: record.failed.as_ref().map(|(_, at)| *at),
            warning: granted.and_then(|granted| granted.warning.clone()),
            callers: line.behalf.len(),
            fetched: record.fetched,
            failures: record.failures,
        }
    }
}
