//! Vectors about signed requests: is it PagerDuty's (v3), Slack's (v0), a Standard Webhook?

use super::same;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use trackside_connect::pagerduty::webhook as pagerduty;
use trackside_connect::slack::interact as slack;
use trackside_connect::webhook;

#[derive(Debug, Deserialize)]
pub(super) struct Signed {
    kind: Kind,
    body: String,
    headers: BTreeMap<String, String>,
    secrets: Vec<String>,
    /// Unix seconds.
    now: i64,
    /// Absent: either answer is right.
    valid: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Kind {
    #[serde(rename = "pagerduty-v3")]
    Pagerduty,
    #[serde(rename = "slack-v0")]
    Slack,
    #[serde(rename = "standard-webhooks")]
    StandardWebhooks,
}

pub(super) fn signature(case: Signed) -> Result<(), String> {
    let now = Timestamp::from_second(case.now).map_err(|error| error.to_string())?;
    let secrets: Vec<SecretString> = case.secrets.into_iter().map(SecretString::from).collect();
    let header = |wanted: &str| {
        let found = case.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let body = case.body.as_bytes();
    let verified = match case.kind {
        Kind::Pagerduty => pagerduty::verify(header, body, &secrets, now),
        Kind::Slack => slack::verify(header, body, &secrets, now),
        Kind::StandardWebhooks => webhook::verify(header, body, &secrets, now),
    };
    match case.valid {
        Some(valid) => same("authentic", &verified.is_ok(), &valid).map_err(|why| format!("{why}: {verified:?}")),
        None => Ok(()),
    }
}
