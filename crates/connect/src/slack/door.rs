//! Slack's two ways to post a message, as doors: incoming webhooks (<https://api.slack.com/messaging/webhooks>) and
//! `chat.postMessage` (<https://api.slack.com/methods/chat.postMessage>), so that a notifier only changes its host.
//!
//! A post carries no id, so every post is a new event, as it is a new message at Slack. Blocks and attachments are
//! passed on; as JSON, or as text that holds JSON, which is how form posts and Airflow's hook send them.

use crate::door::{Answer, AnswerBody, Delivered, Reject, cut, decode, labels, name, seal};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use trackside_core::event::{Event, Fact, Message};
use trackside_core::ids::EventId;
use trackside_core::limits;
use uuid::Uuid;

/// Longest text, in characters (Slack truncates there; a notifier that sends more has lost its way).
pub const TEXT_CHARS: usize = 40_000;
/// Longest text made from blocks or attachments when a message has no text of its own, in bytes.
const FALLBACK_BYTES: usize = 3_000;

/// Reads a post to an incoming webhook: JSON, or a form with the JSON in `payload`. `fresh` becomes the event's id.
///
/// # Errors
/// 400 in Slack's words: `invalid_payload`, `no_text`, `invalid_blocks`, `invalid_attachments`, `msg_too_long`.
pub fn parse_webhook(delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let body = if is_form(delivered) {
        let payload = url::form_urlencoded::parse(delivered.body).find(|(field, _)| field == "payload");
        let (_, payload) = payload.ok_or_else(|| refuse("invalid_payload", "", "the form has no field `payload`"))?;
        Cow::Owned(payload.into_owned().into_bytes())
    } else {
        Cow::Borrowed(delivered.body)
    };
    message(read_json(&body, "invalid_payload")?, delivered, fresh)
}

/// Reads a call of `chat.postMessage`: JSON, or a form. `fresh` becomes the event's id.
///
/// # Errors
/// As [`parse_webhook`], with `invalid_json` for what is not JSON and `channel_not_found` without a channel.
pub fn parse_post_message(delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let wire = if is_form(delivered) { read_form(delivered.body) } else { read_json(delivered.body, "invalid_json")? };
    if wire.channel.as_deref().is_none_or(str::is_empty) {
        return Err(refuse("channel_not_found", "/channel", "`channel` is missing"));
    }
    message(wire, delivered, fresh)
}

/// The answer of an incoming webhook to an accepted post.
#[must_use]
pub fn webhook_accepted() -> Answer {
    Answer { status: 200, body: AnswerBody::Text(Cow::Borrowed("ok")) }
}

/// The answer of an incoming webhook to a refused post: one word of Slack's.
#[must_use]
pub fn webhook_refused(reject: &Reject) -> Answer {
    Answer { status: reject.status, body: AnswerBody::Text(Cow::Owned(word(reject).to_owned())) }
}

/// The answer of `chat.postMessage` to an accepted call. `ts`, Slack's name of the message, is the time of receipt.
#[must_use]
pub fn post_message_accepted(events: &[Event]) -> Answer {
    let event = events.first();
    let message = event.and_then(|event| match &event.fact {
        Some(Fact::Message(message)) => Some(message),
        _ => None,
    });
    let micros = event.map_or(0, |event| event.received.as_microsecond());
    let ts = format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let body = json!({
        "ok": true,
        "channel": message.and_then(|message| message.channel.as_deref()),
        "ts": ts,
        "message": {"type": "message", "text": message.map(|message| message.text.as_str()), "ts": ts},
    });
    Answer { status: 200, body: AnswerBody::Json(body) }
}

/// The answer of `chat.postMessage` to a refused call: status 200 and `ok: false`, as Slack has it.
#[must_use]
pub fn post_message_refused(reject: &Reject) -> Answer {
    let detail = format!("[ERROR] {} [json-pointer:{}]", reject.problem, reject.at);
    let body = json!({"ok": false, "error": word(reject), "response_metadata": {"messages": [detail]}});
    Answer { status: 200, body: AnswerBody::Json(body) }
}

/// A message as sent. Fields that only say how Slack should show it are ignored.
#[derive(Debug, Default, Deserialize)]
struct Wire {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    blocks: Value,
    #[serde(default)]
    attachments: Value,
}

fn is_form(delivered: &Delivered<'_>) -> bool {
    let content_type = delivered.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
        || delivered.body.starts_with(b"payload=")
}

fn read_json(body: &[u8], word: &str) -> Result<Wire, Reject> {
    decode(body).map_err(|reject| refuse(word, &reject.at, &reject.problem))
}

fn read_form(body: &[u8]) -> Wire {
    let mut wire = Wire::default();
    for (field, value) in url::form_urlencoded::parse(body) {
        let value = value.into_owned();
        match &*field {
            "text" => wire.text = Some(value),
            "channel" => wire.channel = Some(value),
            "username" => wire.username = Some(value),
            "blocks" => wire.blocks = Value::String(value),
            "attachments" => wire.attachments = Value::String(value),
            _ => {}
        }
    }
    wire
}

fn message(wire: Wire, delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let blocks = list(wire.blocks, "blocks", "invalid_blocks")?;
    let attachments = list(wire.attachments, "attachments", "invalid_attachments")?;
    let text = wire.text.filter(|text| !text.trim().is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS) {
        return Err(refuse("msg_too_long", "/text", &format!("`text` has more than {TEXT_CHARS} characters")));
    }
    if text.is_none() && blocks.is_empty() && attachments.is_empty() {
        return Err(refuse("no_text", "/text", "a message needs `text`, `blocks` or `attachments`"));
    }
    let text = text.unwrap_or_else(|| fallback(&blocks, &attachments));
    let channel = wire.channel.filter(|channel| !channel.is_empty()).map(|channel| name(&channel));
    let source = name(delivered.token);
    let place = channel.as_deref().unwrap_or("webhook");
    let mut extra = Map::new();
    for (field, items) in [("blocks", blocks), ("attachments", attachments)] {
        if !items.is_empty() {
            extra.insert(field.to_owned(), Value::Array(items));
        }
    }
    let message = Message {
        text,
        channel: channel.clone(),
        blocks: if extra.is_empty() { Value::Null } else { Value::Object(extra) },
        owners: delivered.team.map(str::to_owned).into_iter().collect(),
    };
    let event = Event {
        id: EventId(fresh),
        occurred: delivered.received,
        received: delivered.received,
        event: "slack.message".to_owned(),
        resource: labels(format!("slack.channel.{source}.{place}"), place),
        related: Vec::new(),
        payload: wire.username.map_or(Value::Null, |username| json!({"username": cut(&username, limits::NAME_BYTES)})),
        follows: None,
        fact: Some(Fact::Message(Box::new(message))),
        source,
    };
    Ok(vec![seal(event, "")?])
}

/// A list that may come as text that holds JSON.
fn list(value: Value, field: &str, word: &str) -> Result<Vec<Value>, Reject> {
    let value = match value {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => decode(text.as_bytes()).map_err(|reject| refuse(word, &reject.at, &reject.problem))?,
        other => other,
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) if items.iter().all(Value::is_object) => Ok(items),
        _ => Err(refuse(word, &format!("/{field}"), &format!("`{field}` must be a list of objects"))),
    }
}

/// Text of a message that has none: what its attachments and blocks say first.
fn fallback(blocks: &[Value], attachments: &[Value]) -> String {
    let of_attachment = attachments.iter().flat_map(|attachment| {
        let said = ["fallback", "pretext", "title", "text"].iter().find_map(|field| attachment.get(field)?.as_str());
        let inner = attachment.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        said.into_iter().chain(inner.iter().filter_map(of_block))
    });
    let lines: Vec<&str> =
        blocks.iter().filter_map(of_block).chain(of_attachment).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        "(a message without text)".to_owned()
    } else {
        cut(&lines.join("\n"), FALLBACK_BYTES).to_owned()
    }
}

fn of_block(block: &Value) -> Option<&str> {
    block.get("text")?.get("text")?.as_str()
}

fn refuse(word: &str, at: &str, problem: &str) -> Reject {
    Reject::new(400, at, &format!("{word}: {problem}"))
}

/// Slack's word of a refusal; refusals of other layers (size, content coding) have none.
fn word(reject: &Reject) -> &str {
    let known = [
        "invalid_payload",
        "invalid_json",
        "no_text",
        "invalid_blocks",
        "invalid_attachments",
        "msg_too_long",
        "channel_not_found",
    ];
    let first = reject.problem.split(':').next().unwrap_or_default();
    if known.contains(&first) { first } else { "invalid_payload" }
}
