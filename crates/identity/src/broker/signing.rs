//! What authenticates a request to a far end: the same headers for each, or a signature of its own.
//!
//! Invariants: keys show in no `Debug`; what is signed is what is sent, so a request whose body is not known whole cannot
//! be signed. It fetches nothing.

use super::brokers::CredentialHeader;
use super::failure::Failure;
use crate::secret::sigv4::{Draft, Keys, Scope, signature};
use http::{HeaderMap, HeaderName, Method, header};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// What authenticates requests to a far end.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The same headers for each request; none when the far end asks for nothing.
    Headers(Vec<CredentialHeader>),
    /// A signature for each request.
    Signer(RequestSigner),
}

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: &'a Method,
    /// What its `Host` is.
    pub host: &'a str,
    /// Path, as it is sent.
    pub path: &'a str,
    /// What stands behind the `?`, as it is sent.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Body, whole.
    pub body: &'a [u8],
}

impl Credential {
    /// The headers that authenticate one request, sent now. They take the place of those of the same name.
    #[must_use]
    pub fn headers(&self, request: &Outgoing<'_>, now: Timestamp) -> Vec<CredentialHeader> {
        match self {
            Self::Headers(headers) => headers.clone(),
            Self::Signer(signer) => signer.headers(request, now),
        }
    }
}

/// Signs requests with temporary keys (AWS Signature Version 4).
#[derive(Clone, Debug)]
pub struct RequestSigner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    region: String,
    service: String,
    ahead: SignedDuration,
}

impl RequestSigner {
    /// Signs for a service in a region. `ahead` is how far the far end's clock is ahead of ours.
    ///
    /// # Errors
    /// When the keys do not fit into headers.
    pub fn new(keys: Keys, region: &str, service: &str, ahead: SignedDuration) -> Result<Self, Failure> {
        let inner = Inner { keys, region: region.to_owned(), service: service.to_owned(), ahead };
        let signer = Self(Arc::new(inner));
        let (method, headers) = (Method::GET, HeaderMap::new());
        let trial = Draft { method: &method, host: "localhost", path: "/", query: "", headers: &headers, body: b"" };
        match signature(&trial, &signer.0.keys, signer.scope(), Timestamp::UNIX_EPOCH) {
            Ok(_) => Ok(signer),
            Err(part) => Err(Failure::unusable(format!("the {part} of the AWS keys does not fit into a header"))),
        }
    }

    /// The headers that sign one request.
    #[must_use]
    pub fn headers(&self, request: &Outgoing<'_>, now: Timestamp) -> Vec<CredentialHeader> {
        let signed: HeaderMap = request
            .headers
            .iter()
            .filter(|(name, _)| is_signed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let draft = Draft {
            method: request.method,
            host: request.host,
            path: request.path,
            query: request.query.unwrap_or_default(),
            headers: &signed,
            body: request.body,
        };
        let theirs = now.saturating_add(self.0.ahead).unwrap_or(now);
        // The keys were tried before; what is left is a host that is none, and to that nothing is sent.
        signature(&draft, &self.0.keys, self.scope(), theirs).unwrap_or_default()
    }

    fn scope(&self) -> Scope<'_> {
        Scope { region: &self.0.region, service: &self.0.service }
    }
}

/// What nobody changes on the way. Those that say who calls are the signature's own.
fn is_signed(name: &HeaderName) -> bool {
    let own = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
    *name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-") && !own.contains(&name.as_str())
}
