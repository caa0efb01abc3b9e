//! Slack, incoming webhook: `{"text": …}`. The body goes out as it was written, so Slack's markup in it works.

use super::{InvalidBlock, http, yes};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::template::{slack_escape, truncate_mrkdwn};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

/// Longest `text` that Slack does not cut itself, in characters.
const TEXT_CHARS: usize = 40_000;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Slack {
    url: SecretString,
    #[serde(default = "yes")]
    allow_private_urls: bool,
}

impl Slack {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        http::parse(self.url.expose_secret())
            .err()
            .map(|problem| InvalidBlock::new("url", problem))
            .into_iter()
            .collect()
    }

    pub(super) fn request(&self, subject: &str, body: &str) -> Result<Request, String> {
        let url = self.url.expose_secret();
        let text = match (subject.trim(), body.trim()) {
            ("", "") => "(empty message)".to_owned(),
            ("", body) => body.to_owned(),
            (subject, body) => format!("*{}*\n{body}", slack_escape(subject)).trim_end().to_owned(),
        };
        let text = truncate_mrkdwn(&text, TEXT_CHARS);
        let http =
            HttpRequest { guard: http::hosts(self.allow_private_urls), ..http::request(::http::Method::POST, url)? }
                .json(&json!({ "text": text }));
        Ok(Request::new(Wire::Http(http), Repeat::Duplicates, http::hidden(url)))
    }
}
