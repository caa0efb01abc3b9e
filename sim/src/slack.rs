//! A far end that behaves like Slack: incoming webhooks under `/services/`, and the Web API under `/api/`.
//!
//! Sources: api.slack.com/messaging/webhooks, `slack-api-specs` `web-api/slack_web_openapi_v2.json`, slack_sdk
//! `models/blocks` for the limits ([`limits`]). Failures of the Web API are `{"ok": false, "error": …}` with status 200.

use crate::far_ends::SLACK_SIGNING_SECRET;
use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use crate::signed::{Signed, hex_mac};
use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trackside_core::ids::derive;

mod limits;

/// Name in the journal.
pub const NAME: &str = "slack";

/// The far end's state.
#[derive(Debug)]
pub struct Slack {
    journal: Journal,
    token: String,
    messages: Mutex<Vec<Message>>,
    /// Messages ever posted; makes each `ts` unique.
    posted: AtomicU32,
}

/// A message in Slack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// Channel id; `webhook` for incoming webhooks.
    pub channel: String,
    /// Identity in the channel.
    pub ts: String,
    /// The message it answers.
    pub thread_ts: Option<String>,
    /// Text.
    pub text: String,
    /// Blocks.
    pub blocks: Value,
    /// Metadata.
    pub metadata: Value,
    /// Times it was edited.
    pub edits: u32,
}

/// Channel of messages that came through an incoming webhook.
const WEBHOOK_CHANNEL: &str = "webhook";

impl Slack {
    /// `token` is the bot token that the Web API accepts.
    pub(crate) fn new(journal: Journal, token: &str) -> Self {
        Self { journal, token: token.to_owned(), messages: Mutex::default(), posted: AtomicU32::new(0) }
    }

    /// All messages, oldest first, as they read now.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.lock().clone()
    }

    /// Deletes a message, as a person can; it cannot be edited any more.
    pub fn delete(&self, ts: &str) {
        self.lock().retain(|message| message.ts != ts);
    }

    /// What Slack sends when somebody presses a button of a message; `None` when the message has no such button.
    #[must_use]
    pub fn press(&self, ts: &str, action_id: &str, user: &str) -> Option<Signed> {
        let message = self.lock().iter().find(|message| message.ts == ts).cloned()?;
        let blocks = message.blocks.as_array()?;
        let mut buttons = blocks.iter().filter(|block| block["type"] == "actions").filter_map(|block| {
            let elements = block["elements"].as_array()?;
            elements.iter().find(|element| element["action_id"] == action_id)
        });
        let button = buttons.next()?;
        let now = self.journal.now();
        let action = json!({ "type": "button", "action_id": action_id, "value": button["value"],
            "text": button["text"], "action_ts": format!("{}.{:06}", now.as_second(), now.subsec_microsecond()) });
        let payload = json!({
            "type": "block_actions",
            "user": { "id": user, "username": user.to_lowercase(), "team_id": "T000" },
            "trigger_id": derive("trigger", &[user, action_id, &now.to_string()]).simple().to_string(),
            "container": { "type": "message", "message_ts": ts, "channel_id": message.channel },
            "message": shown(&message),
            "actions": [action],
        });
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("payload", &payload.to_string()).finish();
        let time = now.as_second().to_string();
        let signature = format!("v0={}", hex_mac(SLACK_SIGNING_SECRET, &["v0:", &time, ":", &body]));
        let headers = vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("x-slack-request-timestamp", time),
            ("x-slack-signature", signature),
        ];
        Some(Signed { headers, body })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Incoming webhook: `ok`, or a plain word and 400.
    fn webhook(&self, body: &[u8]) -> Reply {
        let Some(body) = serde_json::from_slice(body).ok().filter(Value::is_object) else {
            return Reply::text(400, "invalid_payload");
        };
        match limits::problem(&body) {
            Some(problem) => Reply::text(400, problem),
            None => {
                self.post(WEBHOOK_CHANNEL, &body, "webhook");
                Reply::text(200, "ok")
            }
        }
    }

    fn call(&self, method: &str, asked: &Asked<'_>) -> Reply {
        let bearer = asked.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if bearer != format!("Bearer {}", self.token) {
            return failed(if bearer.is_empty() { "not_authed" } else { "invalid_auth" });
        }
        let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
        match method {
            "auth.test" => Reply::json(200, &json!({ "ok": true, "team": "Sim", "user": "trackside", "bot_id": "B1" })),
            "chat.postMessage" => self.post_message(&body),
            "chat.update" => self.update(&body),
            "conversations.history" => self.history(asked.query, None),
            "conversations.replies" => {
                let thread = parameter(asked.query, "ts").unwrap_or_default();
                self.history(asked.query, Some(&thread))
            }
            _ => failed("unknown_method"),
        }
    }

    fn post_message(&self, body: &Value) -> Reply {
        let Some(channel) = body["channel"].as_str().and_then(channel_id) else { return failed("channel_not_found") };
        if let Some(problem) = limits::problem(body) {
            return failed(problem);
        }
        if let Some(thread) = body["thread_ts"].as_str()
            && !self.lock().iter().any(|message| message.channel == channel && message.ts == thread)
        {
            return failed("thread_not_found");
        }
        let message = self.post(&channel, body, "chat.postMessage");
        Reply::json(200, &json!({ "ok": true, "channel": channel, "ts": message.ts, "message": shown(&message) }))
    }

    fn update(&self, body: &Value) -> Reply {
        if let Some(problem) = limits::problem(body) {
            return failed(problem);
        }
        let (channel, ts) = (body["channel"].as_str().unwrap_or_default(), body["ts"].as_str().unwrap_or_default());
        let edited = {
            let mut messages = self.lock();
            let Some(message) = messages.iter_mut().find(|m| m.channel == channel && m.ts == ts) else {
                return failed("message_not_found");
            };
            message.text = body["text"].as_str().unwrap_or_default().to_owned();
            message.blocks = body["blocks"].clone();
            message.edits += 1;
            message.clone()
        };
        self.record(&edited, "chat.update", body);
        Reply::json(200, &json!({ "ok": true, "channel": channel, "ts": ts, "text": edited.text }))
    }

    fn history(&self, query: &str, thread: Option<&str>) -> Reply {
        let channel = parameter(query, "channel").unwrap_or_default();
        if channel.starts_with('#') || channel.is_empty() {
            return failed("channel_not_found");
        }
        let oldest: f64 = parameter(query, "oldest").and_then(|oldest| oldest.parse().ok()).unwrap_or(0.0);
        let limit: usize = parameter(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
        let messages = self.lock();
        let mut found: Vec<_> = messages
            .iter()
            .filter(|m| m.channel == channel && m.ts.parse::<f64>().is_ok_and(|ts| ts >= oldest))
            .filter(|m| match thread {
                Some(thread) => m.ts == thread || m.thread_ts.as_deref() == Some(thread),
                None => m.thread_ts.is_none(),
            })
            .map(shown)
            .collect();
        if thread.is_none() {
            found.reverse();
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        Reply::json(200, &json!({ "ok": true, "messages": found, "has_more": has_more }))
    }

    fn post(&self, channel: &str, body: &Value, action: &str) -> Message {
        let message = {
            let mut messages = self.lock();
            let now = self.journal.now();
            let message = Message {
                channel: channel.to_owned(),
                // As in Slack: seconds, and a count that makes it unique.
                ts: format!("{}.{:06}", now.as_second(), self.posted.fetch_add(1, Ordering::Relaxed) + 1),
                thread_ts: body["thread_ts"].as_str().map(str::to_owned),
                text: body["text"].as_str().unwrap_or_default().to_owned(),
                blocks: body["blocks"].clone(),
                metadata: body["metadata"].clone(),
                edits: 0,
            };
            messages.push(message.clone());
            message
        };
        let action = if message.thread_ts.is_some() { "thread reply" } else { action };
        self.record(&message, action, body);
        message
    }

    fn record(&self, message: &Message, action: &str, body: &Value) {
        let delivery = &body["metadata"]["event_payload"]["delivery"];
        let identity = match delivery.as_str() {
            Some(delivery) => format!("{action}/{delivery}"),
            None => format!("{action}/{}/{}", message.ts, derive("slack", &[&body.to_string()])),
        };
        self.journal.record(
            NAME,
            Entry {
                identity,
                key: format!("{}:{}", message.channel, message.thread_ts.as_ref().unwrap_or(&message.ts)),
                action: action.to_owned(),
                summary: message.text.clone(),
                body: body.to_string(),
            },
        );
    }
}

impl App for Slack {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        if let Some(method) = asked.path.strip_prefix("/api/") {
            return self.call(method, asked);
        }
        match asked.path.strip_prefix("/services/").map(|rest| rest.split('/').count()) {
            Some(3) if asked.method == Method::POST => self.webhook(asked.body),
            Some(_) => Reply::text(404, "no_service"),
            None => Reply::text(404, "not found"),
        }
    }

    fn failure(&self, status: u16, retry_after: Option<u32>) -> Reply {
        match (status, retry_after) {
            (429, Some(seconds)) => {
                Reply::json(429, &json!({ "retry_after": seconds, "ok": false, "error": "rate_limited" }))
            }
            (200, _) => failed("internal_error"),
            _ => Reply::text(status, "the far end was told to fail"),
        }
    }
}

fn failed(error: &str) -> Reply {
    Reply::json(200, &json!({ "ok": false, "error": error }))
}

fn shown(message: &Message) -> Value {
    let mut shown = json!({ "type": "message", "ts": message.ts, "text": message.text, "bot_id": "B1" });
    for (name, value) in [("blocks", &message.blocks), ("metadata", &message.metadata)] {
        if !value.is_null() {
            shown[name] = value.clone();
        }
    }
    if let Some(thread) = &message.thread_ts {
        shown["thread_ts"] = json!(thread);
    }
    shown
}

/// The id of a channel: itself, or one made from its name.
fn channel_id(channel: &str) -> Option<String> {
    match channel.strip_prefix('#').unwrap_or(channel) {
        "" => None,
        id if is_id(id, &['C', 'G', 'D']) => Some(id.to_owned()),
        // A message to a user is a message in the bot's conversation with them.
        id if is_id(id, &['U', 'W']) => Some(format!("D{}", &id[1..])),
        name => {
            let digest = derive("channel", &[name]).simple().to_string();
            Some(format!("C{}", digest[..10].to_uppercase()))
        }
    }
}

fn is_id(text: &str, kinds: &[char]) -> bool {
    text.len() >= 9 && text.starts_with(kinds) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// A parameter of a query whose values need no decoding here: ids, numbers and words.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v.to_owned())
}

#[cfg(test)]
mod tests;
