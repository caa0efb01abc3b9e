//! Managed identity: the metadata service of a virtual machine (IMDS), and the endpoint of App Service.
//!
//! Source: Microsoft's "How to use managed identities … to acquire an access token" and "How to use managed identities for
//! App Service". Invariants: the metadata service is never asked through a proxy; variables of App Service are read again
//! for each request, because the platform changes them. What a refusal's description says decides nothing.

use crate::broker::failure::{Failure, FailureClass};
use crate::broker::grant::Granted;
use crate::broker::reply::{self, Expected};
use crate::exchange::{Ask, AskError, Reply, Way};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use url::Url;

/// Where the metadata service of a virtual machine is.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const METADATA_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";
/// Waits before each try. A metadata service that is being updated (410) is back within 70 seconds.
const WAITS: [u64; 5] = [0, 2, 6, 14, 30];
const LAST_WAIT_WHEN_UPDATING: u64 = 20;

/// The identity that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Application id URI of the far end.
    pub resource: &'a str,
    /// Client id of a user-assigned identity.
    pub client_id: Option<&'a str>,
}

/// Who gives tokens on this machine.
#[derive(Clone, Debug)]
pub enum Host {
    /// The metadata service at this address.
    Metadata(Url),
    /// App Service (or Functions, or Container Apps).
    AppService {
        /// `IDENTITY_ENDPOINT`.
        endpoint: Url,
        /// `IDENTITY_HEADER`.
        header: SecretString,
    },
}

impl Host {
    /// Who gives tokens here: App Service when its variables are set, else the metadata service. `replaced` is a
    /// configured address of the metadata service, which then is the one that is asked.
    ///
    /// # Errors
    /// When a variable is not what App Service sets.
    pub fn here(replaced: Option<&Url>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        if let Some(url) = replaced {
            return Ok(Self::Metadata(url.clone()));
        }
        match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                let bad = |_| Failure::here("`IDENTITY_ENDPOINT` is not an address; App Service sets it");
                Ok(Self::AppService {
                    endpoint: Url::parse(&endpoint).map_err(bad)?,
                    header: SecretString::from(header),
                })
            }
            _ => Url::parse(METADATA).map(Self::Metadata).map_err(Failure::here),
        }
    }

    /// The request for a token.
    ///
    /// # Errors
    /// When the header that App Service wants cannot be sent.
    pub fn ask(&self, wanted: Wanted<'_>) -> Result<Ask, Failure> {
        let (endpoint, version, name, value) = match self {
            Self::Metadata(url) => (url, METADATA_VERSION, "metadata", HeaderValue::from_static("true")),
            Self::AppService { endpoint, header } => {
                let value = HeaderValue::from_str(header.expose_secret())
                    .map_err(|_| Failure::here("`IDENTITY_HEADER` cannot be sent; App Service sets it"))?;
                (endpoint, APP_SERVICE_VERSION, "x-identity-header", value)
            }
        };
        let mut url = endpoint.clone();
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", wanted.resource);
        if let Some(client_id) = wanted.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let mut ask = Ask { way: Way::Direct, timeout: Duration::from_secs(5), ..Ask::get(url) };
        let mut value = value;
        value.set_sensitive(matches!(self, Self::AppService { .. }));
        ask.headers.insert(HeaderName::from_static(name), value);
        Ok(ask)
    }
}

/// What the answer means.
///
/// # Errors
/// Why there is no token.
pub fn judge(answer: Result<Reply, AskError>, now: Timestamp) -> Result<Granted, Failure> {
    let reply = answer.map_err(|error| {
        let failure = Failure::from(error);
        let text = format!("{}; is a managed identity given to this machine or app?", failure.text);
        Failure { text, ..failure }
    })?;
    reply::token(&reply, Expected::default(), now).map_err(|failure| match failure.status {
        // Nothing to repeat: no such identity, or the request is wrong.
        Some(StatusCode::BAD_REQUEST) => Failure {
            class: FailureClass::Permanent,
            text: format!("{}; check `client_id`, and that the identity is given to this machine or app", failure.text),
            ..failure
        },
        Some(StatusCode::NOT_FOUND | StatusCode::GONE) => Failure { class: FailureClass::Busy, ..failure },
        _ => failure,
    })
}

/// How long to wait before the try of this number, from 0; `None` when there is none. `last` is what the try before met.
#[must_use]
pub fn wait_before(attempt: usize, last: Option<&Failure>) -> Option<Duration> {
    let Some(last) = last else { return Some(Duration::ZERO) };
    if !matches!(last.class, FailureClass::Busy | FailureClass::NoAnswer) {
        return None;
    }
    let updating = last.status == Some(StatusCode::GONE) && attempt == WAITS.len();
    let seconds = WAITS.get(attempt).copied().or(updating.then_some(LAST_WAIT_WHEN_UPDATING));
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
