//! A webhook that is called with the payload as it was rendered.
//!
//! JSON is sent as `application/json`, other text as `text/plain`, unless the block's headers say otherwise.
//! `idempotency-key` is the delivery, the same over all attempts, so that a receiver can know a repeat.

use super::{InvalidBlock, Occasion, http, yes};
use crate::far_end::{Certificate, Guard, HttpRequest, Repeat, Request, Wire};
use crate::webhook::content_type;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Header that tells a receiver which call this is.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Webhook {
    #[serde(default)]
    method: Method,
    url: SecretString,
    #[serde(default)]
    headers: BTreeMap<String, Hidden>,
    #[serde(default = "yes")]
    allow_private_urls: bool,
    #[serde(default = "yes")]
    verify: bool,
}

/// The methods that can be chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl From<Method> for ::http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

/// A secret of any JSON type; hidden from `Debug`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) Value);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Hidden {
    /// As text: a string itself, else its JSON.
    pub(super) fn text(&self) -> String {
        self.0.as_str().map_or_else(|| self.0.to_string(), str::to_owned)
    }
}

impl Webhook {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        let mut problems = Vec::new();
        match http::request(self.method.into(), self.url.expose_secret()) {
            Err(problem) => problems.push(InvalidBlock::new("url", problem)),
            Ok(request) => {
                if let Err(problem) = http::add_headers(request, &self.headers()) {
                    problems.push(InvalidBlock::new("headers", problem));
                }
            }
        }
        problems
    }

    pub(super) fn request(&self, payload: &str, occasion: &Occasion<'_>) -> Result<Request, String> {
        let url = self.url.expose_secret();
        let certificate = if self.verify { Certificate::Checked } else { Certificate::Unchecked };
        let guard = Guard { certificate, ..http::hosts(self.allow_private_urls) };
        let call = HttpRequest { guard, ..http::request(self.method.into(), url)? }
            .header(IDEMPOTENCY_KEY, occasion.delivery.to_string());
        let call = if payload.is_empty() { call } else { call.body(content_type(payload), payload) };
        let call = http::add_headers(call, &self.headers())?;
        let mut secrets = http::hidden(url);
        secrets.extend(self.headers.values().map(|value| SecretString::from(value.text())));
        Ok(Request::new(Wire::Http(call), Repeat::Duplicates, http::worth_hiding(secrets)))
    }

    fn headers(&self) -> BTreeMap<String, String> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.text())).collect()
    }
}
