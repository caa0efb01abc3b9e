//! Trying a connection: fetch its credential, ask one address with it, say what the answer means.
//!
//! Invariant: no redirect is followed; a redirect to a sign-in page means that the credential was not taken, although
//! its status is none of a refusal.

use super::brokers::{Brokers, CredentialError};
use super::failure::Failure;
use super::reply::is_sign_in;
use super::signing::Outgoing;
use crate::exchange::{Ask, Way};
use http::{StatusCode, header};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::{Position, Url};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest file with certificates, in bytes.
const CA_BYTES: u64 = 1024 * 1024;
/// Most of an answer that is read. It is not shown, so little is enough.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What came of trying a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Address that was asked.
    pub url: Url,
    /// Status of the answer.
    pub status: StatusCode,
    /// What it means.
    pub meaning: ProbeMeaning,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeMeaning {
    /// The far end took the request.
    Good,
    /// The far end did not take the credential.
    NotAuthenticated,
    /// The far end knows the caller, who may not ask this.
    NotAllowed,
    /// The far end answers, but not with a success.
    Other,
}

impl ProbeMeaning {
    /// In words for people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Good => "the far end took the credential",
            Self::NotAuthenticated => "the far end did not take the credential, or asked for a sign-in",
            Self::NotAllowed => "the far end knows who calls, and does not allow it",
            Self::Other => "the far end answers, but not with a success; is `check` an address that it has?",
        }
    }

    fn of(status: StatusCode, headers: &http::HeaderMap) -> Self {
        match status {
            _ if is_sign_in(status, headers) => Self::NotAuthenticated,
            StatusCode::UNAUTHORIZED => Self::NotAuthenticated,
            StatusCode::FORBIDDEN => Self::NotAllowed,
            _ if status.is_success() => Self::Good,
            _ => Self::Other,
        }
    }
}

impl Brokers {
    /// Asks the connection's `check` address with its credential; after a refusal once more with a fresh one.
    ///
    /// # Errors
    /// When there is no credential, or no answer.
    pub async fn probe(&self, connection: &str) -> Result<Probe, CredentialError> {
        let (tools, outlet) = self.outlet(connection)?;
        let failed = |failure: Failure| CredentialError {
            connection: connection.to_owned(),
            retry_after: failure.hold(),
            failure,
        };
        let url = behind(&outlet.url, &outlet.check)
            .ok_or_else(|| failed(Failure::here("`check` must be a path that begins with `/`")))?;
        let trusted = outlet.ca.as_deref().map(certificates).transpose().map_err(failed)?;
        let way = trusted.map_or(Way::Usual, Way::Trusting);
        let mut tries = 0;
        loop {
            tries += 1;
            let mut ask = Ask { timeout: TIMEOUT, limit: ANSWER_BYTES, way: way.clone(), ..Ask::get(url.clone()) };
            ask.headers.insert(header::ACCEPT, http::HeaderValue::from_static("application/json, */*"));
            let credential = self.credential(connection, None).await?;
            let outgoing = Outgoing {
                method: &ask.method,
                host: &url[Position::BeforeHost..Position::AfterPort],
                path: url.path(),
                query: url.query(),
                headers: &ask.headers,
                body: &ask.body,
            };
            let headers = credential.headers(&outgoing, tools.now());
            ask.headers.extend(headers);
            let reply = (tools.exchange)(ask).await.map_err(|error| failed(error.into()))?;
            let meaning = ProbeMeaning::of(reply.status, &reply.headers);
            if meaning == ProbeMeaning::NotAuthenticated && tries == 1 {
                self.rejected(connection, None);
                continue;
            }
            return Ok(Probe { url, status: reply.status, meaning });
        }
    }
}

/// The address of a path behind another address, at the same server.
fn behind(base: &Url, path: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/'))).ok()?;
    (path.starts_with('/') && url.origin() == base.origin()).then_some(url)
}

/// The certificates of a file (PEM).
pub(super) fn certificates(path: &Path) -> Result<Arc<str>, Failure> {
    use std::io::Read as _;
    let failed = |reason: std::io::Error| Failure::here(format!("`ca` {}: {reason}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(CA_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Arc::from(text))
}
