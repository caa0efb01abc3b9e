//! Vectors about texts in Slack: escaped, cut to the limits of what they stand in, never empty.
//!
//! A text goes out as the body of a message, as any program's error text does; what Slack would get is looked at.

use super::same;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use trackside_connect::connection::{Acting, Connection, Target};
use trackside_connect::far_end::{self, Wire};
use trackside_connect::slack::send::{HEADER_CHARS, SECTION_CHARS};
use trackside_connect::template::{MessageTemplates, sample_effect, truncate_utf16};
use trackside_core::effect::Action;

#[derive(Debug, Deserialize)]
pub(super) struct Text {
    input: String,
    /// What the text is in Slack's markup, or `non-empty`.
    mrkdwn: Option<String>,
    /// Limit of a section, which it stands in unless it is a header.
    section_max: Option<usize>,
    /// Limit of a header, which is plain text.
    header_max: Option<usize>,
    expect_len_max: Option<usize>,
    expect_truncated: Option<bool>,
    #[serde(default)]
    expect_no_partial_entity: bool,
}

pub(super) fn text(case: &Text) -> Result<(), String> {
    let message = message(&case.input)?;
    if case.mrkdwn.as_deref() == Some("non-empty") {
        let text = message["text"].as_str().unwrap_or_default();
        same("the message says something", &!text.trim().is_empty(), &true)?;
        return same("empty blocks", &texts(&message).filter(|text| text.is_empty()).count(), &0);
    }
    let got = match case.header_max {
        Some(limit) => {
            same("limit of a header", &HEADER_CHARS, &limit)?;
            truncate_utf16(&case.input, HEADER_CHARS)
        }
        None => {
            same("limit of a section", &SECTION_CHARS, &case.section_max.unwrap_or(SECTION_CHARS))?;
            let section = message.pointer("/blocks/1/text/text").and_then(Value::as_str);
            section.ok_or("the message has no section")?.to_owned()
        }
    };
    if let Some(wanted) = &case.mrkdwn {
        same("mrkdwn", &&got, &wanted)?;
    }
    if let Some(limit) = case.expect_len_max {
        same("it fits", &(got.encode_utf16().count() <= limit), &true)?;
    }
    // Escaping makes a text longer, so it is the end that tells.
    if let Some(wanted) = case.expect_truncated {
        same("truncated", &got.ends_with('…'), &wanted)?;
    }
    if case.expect_no_partial_entity {
        let whole = got.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        same("partial entities", &whole.matches('&').count(), &0)?;
    }
    Ok(())
}

/// The message that Slack gets for a problem with this text.
fn message(text: &str) -> Result<Value, String> {
    let target = Target::SlackApi {
        api_url: "https://slack.example/api".to_owned(),
        token: SecretString::from("the token"),
        channel: "C0123456789".to_owned(),
    };
    let message = MessageTemplates { body: Some("{{ summary }}".to_owned()), ..MessageTemplates::default() };
    let name = "slack".to_owned();
    let connection = Connection { name, public_url: None, message, acting: Acting::Buttons, target };
    let mut effect = sample_effect(Action::Trigger, Timestamp::UNIX_EPOCH);
    effect.notice.summary = text.to_owned();
    let request = far_end::request(&connection, &effect, None, Timestamp::UNIX_EPOCH).map_err(|e| e.to_string())?;
    let Wire::Http(http) = request.wire else { return Err("the request is not HTTP".to_owned()) };
    serde_json::from_str(&http.body).map_err(|error| error.to_string())
}

/// Every text in the blocks of a message.
fn texts(message: &Value) -> impl Iterator<Item = &str> {
    let blocks = message["blocks"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block.pointer("/text/text").and_then(Value::as_str))
}
