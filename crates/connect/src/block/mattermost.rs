//! Mattermost, incoming webhook: one post per channel, or one to the webhook's own. Limit: 16 383 characters.

use super::{InvalidBlock, http, joined};
use crate::far_end::{Repeat, Request, Wire};
use crate::template::truncate_utf16;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

const TEXT_CHARS: usize = 16_383;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mattermost {
    hostname: String,
    #[serde(default)]
    secure: bool,
    token: SecretString,
    #[serde(default)]
    botname: Option<String>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default = "default_port")]
    port: u32,
}

fn default_port() -> u32 {
    8065
}

impl Mattermost {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        let mut problems = Vec::new();
        if self.port == 0 || self.port > u32::from(u16::MAX) {
            problems.push(InvalidBlock::new("port", "must be 1 to 65535"));
        } else if let Err(problem) = http::parse(&self.url()) {
            problems.push(InvalidBlock::new("hostname", format!("makes no address: it {problem}")));
        }
        problems
    }

    pub(super) fn recipients(&self) -> usize {
        self.channels.as_ref().map_or(1, |channels| channels.len().max(1))
    }

    pub(super) fn requests(&self, subject: &str, body: &str) -> Result<Vec<Request>, String> {
        let text = truncate_utf16(&joined(subject, body), TEXT_CHARS);
        let post = |channel: Option<&String>| {
            let mut message = json!({ "text": text });
            if let Some(botname) = &self.botname {
                message["username"] = json!(botname);
            }
            if let Some(channel) = channel {
                message["channel"] = json!(channel.trim().trim_start_matches('#'));
            }
            let http = http::request(::http::Method::POST, &self.url())?.json(&message);
            Ok(Request::new(Wire::Http(http), Repeat::Duplicates, vec![self.token.clone()]))
        };
        match self.channels.as_deref() {
            None | Some([]) => Ok(vec![post(None)?]),
            Some(channels) => channels.iter().map(|channel| post(Some(channel))).collect(),
        }
    }

    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let path = self.path.as_deref().unwrap_or_default().trim_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        format!("{scheme}://{}:{}{path}/hooks/{}", self.hostname.trim(), self.port, self.token.expose_secret())
    }
}
