//! Discord, webhook execution (developer docs "Execute Webhook"): a plain message of at most 2000 characters.
//!
//! People and roles that the text mentions are told, `@everyone` and `@here` are not: a log line may hold them.

use super::{joined, taken};
use crate::far_end::{HttpRequest, Repeat, Request, Response, Verdict, Wire};
use crate::template::truncate_utf16;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

const CONTENT_CHARS: usize = 2_000;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Discord {
    webhook_id: SecretString,
    webhook_token: SecretString,
    #[serde(default)]
    botname: Option<String>,
    #[serde(default)]
    tts: bool,
    #[serde(default)]
    avatar: bool,
    #[serde(default)]
    avatar_url: Option<String>,
}

impl Discord {
    pub(super) fn request(&self, subject: &str, body: &str) -> Request {
        let mut message = json!({
            "content": truncate_utf16(&joined(subject, body), CONTENT_CHARS),
            "tts": self.tts,
            "allowed_mentions": { "parse": ["users", "roles"] },
        });
        if let Some(botname) = &self.botname {
            message["username"] = json!(botname);
        }
        if let Some(picture) = self.avatar_url.as_ref().filter(|_| self.avatar) {
            message["avatar_url"] = json!(picture);
        }
        // With `wait` the answer is the message, without it nothing.
        let (id, token) = (self.webhook_id.expose_secret().trim(), self.webhook_token.expose_secret().trim());
        let url = format!("https://discord.com/api/webhooks/{id}/{token}?wait=true");
        let http = HttpRequest::new(::http::Method::POST, url).json(&message);
        let secrets = vec![self.webhook_token.clone(), self.webhook_id.clone()];
        Request::new(Wire::Http(http), Repeat::Duplicates, secrets)
    }
}

/// As everywhere, but the wait that a 429 asks for is in its body, in seconds with a fraction.
pub(super) fn classify(response: &Response<'_>, repeat: Repeat) -> Verdict {
    let mut response = *response;
    if response.status == 429 && response.not_before.is_none() {
        let reply: Value = serde_json::from_str(response.body).unwrap_or_default();
        let wait = reply["retry_after"].as_f64().and_then(|wait| SignedDuration::try_from_secs_f64(wait).ok());
        response.not_before =
            wait.filter(|wait| wait.is_positive()).and_then(|wait| response.now.checked_add(wait).ok());
    }
    taken(&response, repeat, "id")
}
