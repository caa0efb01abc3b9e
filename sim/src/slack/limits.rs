//! What Slack refuses: empty, too long or malformed messages (slack_sdk 3.47 `models/blocks`).

use serde_json::Value;

const TEXT: usize = 40_000;
const BLOCKS: usize = 50;
const ATTACHMENTS: usize = 100;
const HEADER: usize = 150;
const SECTION: usize = 3_000;
const FIELDS: usize = 10;
const FIELD: usize = 2_000;
const CONTEXT: usize = 10;
const ACTIONS: usize = 25;
const BUTTON: usize = 75;
const VALUE: usize = 2_000;
const ID: usize = 255;

/// The error name for the first thing that is wrong.
pub(super) fn problem(body: &Value) -> Option<&'static str> {
    let text = body["text"].as_str().unwrap_or_default();
    let empty = |name: &str| body[name].as_array().is_none_or(Vec::is_empty);
    if text.is_empty() && empty("blocks") && empty("attachments") {
        return Some("no_text");
    }
    if length(text) > TEXT {
        return Some("msg_too_long");
    }
    let malformed = |name: &str| !matches!(body[name], Value::Null | Value::Array(_));
    if malformed("blocks") {
        return Some("invalid_blocks_format");
    }
    if malformed("attachments") || body["attachments"].as_array().is_some_and(|a| a.len() > ATTACHMENTS) {
        return Some("too_many_attachments");
    }
    let blocks = body["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if blocks.len() > BLOCKS || !blocks.iter().all(fits) {
        return Some("invalid_blocks");
    }
    None
}

fn fits(block: &Value) -> bool {
    let id_fits = block["block_id"].as_str().is_none_or(|id| length(id) <= ID);
    let shape_fits = match block["type"].as_str() {
        Some("header") => text_fits(&block["text"], &["plain_text"], HEADER),
        Some("section") => {
            let fields = block["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            let text = &block["text"];
            (!text.is_null() || !fields.is_empty())
                && (text.is_null() || text_fits(text, &["mrkdwn", "plain_text"], SECTION))
                && fields.len() <= FIELDS
                && fields.iter().all(|field| text_fits(field, &["mrkdwn", "plain_text"], FIELD))
        }
        Some("context") => block["elements"].as_array().is_some_and(|elements| {
            (1..=CONTEXT).contains(&elements.len())
                && elements.iter().all(|e| e["type"] == "image" || text_fits(e, &["mrkdwn", "plain_text"], SECTION))
        }),
        Some("actions") => block["elements"]
            .as_array()
            .is_some_and(|elements| (1..=ACTIONS).contains(&elements.len()) && elements.iter().all(button_fits)),
        Some("divider" | "image" | "rich_text" | "input" | "video" | "file") => true,
        _ => false,
    };
    id_fits && shape_fits
}

/// A button; other elements are not looked at.
fn button_fits(element: &Value) -> bool {
    let within = |name: &str, limit| element[name].as_str().is_none_or(|text| length(text) <= limit);
    element["type"] != "button"
        || (text_fits(&element["text"], &["plain_text"], BUTTON) && within("value", VALUE) && within("action_id", ID))
}

fn text_fits(object: &Value, types: &[&str], limit: usize) -> bool {
    let typed = object["type"].as_str().is_some_and(|kind| types.contains(&kind));
    typed && object["text"].as_str().is_some_and(|text| (1..=limit).contains(&length(text)))
}

/// Characters as Slack's clients count them.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}
