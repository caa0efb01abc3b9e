//! A receiver of signed webhooks (Standard Webhooks 1), written against the specification alone, so that it is a second
//! opinion on what Trackside sends.

use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::Method;
use serde_json::Value;
use sha2::Sha256;

/// Name in the journal.
pub const NAME: &str = "webhook";
/// How old or early a message may be, in seconds.
const TOLERANCE_S: u64 = 300;

/// The far end's state.
#[derive(Debug)]
pub struct Webhook {
    journal: Journal,
    secret: String,
}

impl Webhook {
    /// `secret` is `whsec_` and base64.
    pub(crate) fn new(journal: Journal, secret: &str) -> Self {
        Self { journal, secret: secret.to_owned() }
    }

    /// What is wrong with the signature.
    fn problem(&self, asked: &Asked<'_>) -> Option<&'static str> {
        let header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(time), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Some("a webhook- header is missing");
        };
        let Ok(seconds) = time.parse::<i64>() else { return Some("webhook-timestamp is no number") };
        if self.journal.now().as_second().abs_diff(seconds) > TOLERANCE_S {
            return Some("webhook-timestamp is too far away");
        }
        let key = self.secret.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        let Some(mut mac) = key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok()) else {
            return Some("the far end's own secret is unusable");
        };
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(asked.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        (!signatures.split(' ').any(|signature| signature == expected)).then_some("no signature fits")
    }
}

impl App for Webhook {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        if asked.method != Method::POST {
            return Reply::text(405, "POST only");
        }
        if let Some(problem) = self.problem(asked) {
            return Reply::text(401, problem);
        }
        let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = asked.headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.journal.record(
            NAME,
            Entry {
                identity: id.to_owned(),
                key: text(&body["data"]["key"]),
                action: text(&body["type"]),
                summary: text(&body["data"]["title"]),
                body: String::from_utf8_lossy(asked.body).into_owned(),
            },
        );
        Reply::text(204, "")
    }

    fn failure(&self, status: u16, _: Option<u32>) -> Reply {
        Reply::text(status, "the far end was told to fail")
    }
}
