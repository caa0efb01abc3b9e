//! Microsoft Teams, through a Power Automate workflow: an Adaptive Card 1.4, as Apprise makes it, without its picture.
//!
//! The workflow's address carries its signature. A message may have about 28 kB.

use super::{InvalidBlock, http, yes};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::template::truncate_bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

/// Longest text of the card, in bytes.
const TEXT_BYTES: usize = 20 * 1024;
/// Longest heading, in bytes.
const TITLE_BYTES: usize = 1024;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Teams {
    url: SecretString,
    #[serde(default = "yes")]
    allow_private_urls: bool,
    #[serde(default = "yes")]
    wrap: bool,
}

impl Teams {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        http::parse(self.url.expose_secret())
            .err()
            .map(|problem| InvalidBlock::new("url", problem))
            .into_iter()
            .collect()
    }

    pub(super) fn request(&self, subject: &str, body: &str) -> Result<Request, String> {
        let url = self.url.expose_secret();
        let mut blocks = Vec::new();
        if !subject.trim().is_empty() {
            blocks.push(json!({
                "type": "TextBlock", "id": "title", "text": truncate_bytes(subject.trim(), TITLE_BYTES),
                "style": "heading", "weight": "Bolder", "size": "Large", "wrap": self.wrap,
            }));
        }
        blocks.push(json!({
            "type": "TextBlock", "id": "body", "text": truncate_bytes(body, TEXT_BYTES), "style": "default",
            "wrap": self.wrap,
        }));
        let card = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": blocks,
                    "msteams": { "width": "full" },
                },
            }],
        });
        let http =
            HttpRequest { guard: http::hosts(self.allow_private_urls), ..http::request(::http::Method::POST, url)? }
                .json(&card);
        Ok(Request::new(Wire::Http(http), Repeat::Duplicates, http::hidden(url)))
    }
}
