//! Slack, outgoing: incoming webhooks and the Web API (`chat.postMessage`, `chat.update`).
//!
//! Through the Web API an incident is one message: later news edits it in place (`far_ref` is `channel:ts`). Its end
//! and a reminder that nobody has it are told in its thread too, because an edit notifies nobody; the reminder is shown
//! to the whole channel and names whom it pages. When the message to edit is gone, the news is posted anew. An incoming
//! webhook can only post, so each piece of news is a message there. Every post carries the delivery id as metadata, by
//! which [`super::ask`] finds it again. An address of the effect takes the channel's place; a user id is a direct
//! message. With [`Acting::Buttons`] the message of an incident has buttons ([`super::button`]).
//!
//! Limits: slack_sdk `models/blocks` (header 150, section 3000, 10 elements in a context); `&`, `<` and `>` are escaped.
//! A message that came through a Slack-compatible door is passed on as it came.

use super::button;
use crate::connection::{Acting, Connection};
use crate::far_end::{HttpRequest, Repeat, Request, Response, Verdict, Wire};
use crate::template::{self, Markup, Rendered, slack_escape, truncate_mrkdwn, truncate_utf16};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Severity;

/// Longest text of a section, in characters.
pub const SECTION_CHARS: usize = 3_000;
/// Longest header, in characters.
pub const HEADER_CHARS: usize = 150;
/// Longest `text`; Slack cuts at 40 000 and advises 4 000.
pub const TEXT_CHARS: usize = 4_000;
/// Most blocks in a message.
pub const BLOCKS: usize = 50;
/// `metadata.event_type` of every post.
pub(crate) const METADATA_TYPE: &str = "trackside_delivery";

const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Where the Web API is and how to authenticate.
pub(crate) struct Api<'a> {
    pub(crate) base: &'a str,
    pub(crate) token: &'a SecretString,
    pub(crate) channel: &'a str,
}

impl<'a> Api<'a> {
    /// Where a message for `effect` goes.
    pub(crate) fn of(base: &'a str, token: &'a SecretString, channel: &'a str, effect: &'a Effect) -> Self {
        Self { base, token, channel: effect.to.as_deref().unwrap_or(channel) }
    }

    /// The headers of a call with a body.
    fn post(&self, method: &str, body: &Value, repeat: Repeat) -> Request {
        let http = HttpRequest::new(http::Method::POST, format!("{}/{method}", self.base))
            .body(CONTENT_TYPE, body.to_string())
            .header("authorization", self.authorization());
        Request::new(Wire::Http(http), repeat, vec![self.token.clone()])
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.token.expose_secret())
    }
}

/// The post for `effect` through an incoming webhook.
pub(crate) fn webhook_request(connection: &Connection, url: &SecretString, effect: &Effect) -> Request {
    let (body, note) = content(connection, effect);
    let url = url.expose_secret().trim();
    let http = HttpRequest::new(http::Method::POST, url).body(CONTENT_TYPE, Value::Object(body).to_string());
    // The path alone opens the door too, so it is hidden wherever it shows.
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let secrets = [Some(url), path].into_iter().flatten().map(SecretString::from).collect();
    let mut request = Request::new(Wire::Http(http), Repeat::Duplicates, secrets);
    request.note = note;
    request
}

/// The call for `effect` through the Web API: an edit when the incident has a message, else a post.
pub(crate) fn api_request(connection: &Connection, api: &Api<'_>, effect: &Effect, previous: Option<&str>) -> Request {
    let (content, note) = content(connection, effect);
    let post = |channel: &str, thread: Option<&str>, content: &Map<String, Value>| {
        let mut body = content.clone();
        body.insert("channel".to_owned(), json!(channel));
        body.insert("metadata".to_owned(), metadata(effect));
        if let Some(thread) = thread {
            body.insert("thread_ts".to_owned(), json!(thread));
        }
        api.post("chat.postMessage", &Value::Object(body), Repeat::Duplicates)
    };
    let edits = matches!(effect.action, Action::Update | Action::Remind | Action::Acknowledge | Action::Resolve);
    let mut request = match previous.and_then(|previous| previous.split_once(':')).filter(|_| edits) {
        None => post(api.channel, None, &content),
        Some((channel, ts)) => {
            let mut body = content.clone();
            body.insert("channel".to_owned(), json!(channel));
            body.insert("ts".to_owned(), json!(ts));
            let mut edit = api.post("chat.update", &Value::Object(body), Repeat::Harmless);
            edit.otherwise = Some(Box::new(post(channel, None, &content)));
            edit.then = reply(effect, &content).map(|reply| Box::new(post(channel, Some(ts), &reply)));
            edit
        }
    };
    request.note = note;
    request
}

/// What is said in the thread beside the edit, which notifies nobody.
fn reply(effect: &Effect, content: &Map<String, Value>) -> Option<Map<String, Value>> {
    match effect.action {
        Action::Resolve => Some(Map::from_iter([("text".to_owned(), content["text"].clone())])),
        Action::Remind => {
            let text = format!("{} {}", sign(effect), slack_escape(&template::paged(&effect.notice)));
            let text = json!(truncate_mrkdwn(&text, TEXT_CHARS));
            Some(Map::from_iter([("text".to_owned(), text), ("reply_broadcast".to_owned(), json!(true))]))
        }
        _ => None,
    }
}

fn metadata(effect: &Effect) -> Value {
    json!({
        "event_type": METADATA_TYPE,
        "event_payload": { "delivery": effect.id, "key": effect.key, "action": effect.action },
    })
}

/// `text` and `blocks` of the message, and what went wrong with a template.
fn content(connection: &Connection, effect: &Effect) -> (Map<String, Value>, Option<String>) {
    if let Some(message) = &effect.notice.passthrough
        && effect.action == Action::Message
    {
        return (passed_on(&message.text, &message.blocks), None);
    }
    let rendered = template::render(connection, effect, Markup::Slack);
    let sign = sign(effect);
    let title = format!("{sign} {}", rendered.title);
    let mut content = Map::new();
    let summary = format!("{sign} {}: {}", slack_escape(&rendered.title), slack_escape(&effect.notice.summary));
    content.insert("text".to_owned(), json!(truncate_mrkdwn(&summary, TEXT_CHARS)));
    let mut blocks = blocks(effect, &title, &rendered);
    if matches!(connection.acting, Acting::Buttons) {
        blocks.extend(button::block(effect));
    }
    content.insert("blocks".to_owned(), Value::Array(blocks));
    content.insert("unfurl_links".to_owned(), json!(false));
    content.insert("unfurl_media".to_owned(), json!(false));
    (content, rendered.note)
}

fn blocks(effect: &Effect, title: &str, rendered: &Rendered) -> Vec<Value> {
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": truncate_utf16(title, HEADER_CHARS), "emoji": true },
    })];
    if !rendered.body.is_empty() {
        blocks.push(section(&rendered.body));
    }
    let mut facts = match &effect.notice.approval {
        Some(approval) => vec![format!("approval #{}", approval.number), slack_escape(&approval.state)],
        None => vec![format!("severity *{}*", effect.notice.severity.as_str())],
    };
    if let Some(incident) = &effect.notice.incident {
        facts.push(format!("incident #{}", incident.number));
        facts.push(slack_escape(&incident.state));
        if incident.occurrences > 1 {
            facts.push(format!("{} failures", incident.occurrences));
        }
    }
    let facts = truncate_mrkdwn(&facts.join(" · "), SECTION_CHARS);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": facts }] }));
    blocks
}

/// A section of escaped `mrkdwn`, cut to the limit.
fn section(mrkdwn: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": truncate_mrkdwn(mrkdwn, SECTION_CHARS) } })
}

/// Text and blocks as another program sent them. A list without block types is the older `attachments`.
fn passed_on(text: &str, extra: &Value) -> Map<String, Value> {
    let mut content = Map::new();
    match extra {
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) if items.iter().all(|item| item.get("type").is_some()) => {
            content.insert("blocks".to_owned(), extra.clone());
        }
        Value::Array(_) => {
            content.insert("attachments".to_owned(), extra.clone());
        }
        Value::Object(fields) => {
            for name in ["blocks", "attachments"] {
                if let Some(value) = fields.get(name).filter(|value| value.as_array().is_some_and(|v| !v.is_empty())) {
                    content.insert(name.to_owned(), value.clone());
                }
            }
        }
        _ => {}
    }
    // Slack refuses a message without text, blocks and attachments.
    let text = if text.is_empty() && content.is_empty() { "(empty message)" } else { text };
    if !text.is_empty() {
        content.insert("text".to_owned(), json!(text));
    }
    content
}

/// What a reader sees first in a list of messages.
fn sign(effect: &Effect) -> &'static str {
    if let Some(approval) = &effect.notice.approval {
        return match approval.state.as_str() {
            "open" => "🔐",
            "approved" => "✅",
            _ => "⛔",
        };
    }
    match (effect.action, effect.notice.severity) {
        (Action::Resolve, _) => "✅",
        (Action::Acknowledge, _) => "👀",
        (Action::Test, _) => "🧪",
        (Action::Remind, _) => "🔔",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Error) => "🟠",
        (_, Severity::Warning) => "🟡",
        (_, Severity::Info) => "🔵",
    }
}

/// Both ways at once: a webhook answers `ok` as text, the Web API JSON whose `ok` decides whatever the status is.
///
/// Error names: `slack-api-specs` `web-api/slack_web_openapi_v2.json`. A name that is not known to pass will not.
pub(crate) fn classify(response: &Response<'_>, repeat: Repeat) -> Verdict {
    let body = response.body.trim();
    let reply = serde_json::from_str::<Value>(body).ok().filter(Value::is_object);
    let Some(reply) = reply else {
        return match (response.status, body) {
            (200, "ok") => Verdict::Done { far_ref: None },
            (200..=299, _) => Verdict::Refused {
                why: format!("{}; Slack answers `ok`, so this is another server", response.reason()),
            },
            // A gateway gave up waiting; what stands behind it may have posted.
            (502 | 504, _) if repeat == Repeat::Duplicates => {
                Verdict::Unknown { not_before: response.not_before, why: response.reason() }
            }
            _ => response.failure(),
        };
    };
    if (200..=299).contains(&response.status) && reply["ok"] == true {
        return Verdict::Done { far_ref: far_ref(&reply["channel"], &reply["ts"]) };
    }
    let error = reply["error"].as_str().unwrap_or("no reason given");
    let not_before = response.not_before.or_else(|| {
        let seconds = reply["retry_after"].as_i64().filter(|seconds| *seconds >= 0)?;
        response.now.checked_add(SignedDuration::from_secs(seconds)).ok()
    });
    match error {
        "ratelimited"
        | "rate_limited"
        | "message_limit_exceeded"
        | "service_unavailable"
        | "team_added_to_org"
        | "accesslimited" => Verdict::Retry { not_before, why: format!("Slack answered `{error}`") },
        // Slack: "it's possible some aspect of the operation succeeded before the error was raised".
        "fatal_error" | "internal_error" | "request_timeout" => match repeat {
            Repeat::Harmless => Verdict::Retry { not_before, why: format!("Slack answered `{error}`") },
            Repeat::Duplicates => {
                Verdict::Unknown { not_before, why: format!("Slack answered `{error}`; it may have arrived") }
            }
        },
        _ if response.status == 200 => Verdict::Refused { why: format!("Slack answered `{error}`") },
        _ => match response.failure() {
            Verdict::Retry { why, .. } => Verdict::Retry { not_before, why },
            verdict => verdict,
        },
    }
}

/// `channel:ts`.
pub(crate) fn far_ref(channel: &Value, ts: &Value) -> Option<String> {
    Some(format!("{}:{}", channel.as_str()?, ts.as_str()?))
}

#[cfg(test)]
mod tests;
