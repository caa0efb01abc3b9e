//! Simulated PagerDuty, Slack and a webhook receiver, as their documents describe them, and the ways they fail.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trackside_connect::far_end::{Answer, HttpRequest, Request, Wire};
use trackside_connect::sender::Sender;

/// How a far end treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Healthy,
    /// Answers 503.
    Broken,
    /// Answers 429 with `Retry-After: 3`.
    Busy,
    /// Nobody listens.
    Gone,
    /// Takes the request and never answers.
    LosesAnswers,
    /// Hangs before it takes the request.
    Hangs,
}

#[derive(Debug, Default)]
struct Ends {
    moods: BTreeMap<String, Mood>,
    /// dedup_key → state, and how often it was opened.
    pages: BTreeMap<String, (String, u32)>,
    /// Slack messages: (ts, delivery, text).
    messages: Vec<(String, String, String)>,
    /// webhook-id → body.
    hooks: BTreeMap<String, BTreeSet<String>>,
    failures: u64,
    lost: u64,
}

/// All far ends; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FarEnds(Arc<Mutex<Ends>>);

impl FarEnds {
    pub(crate) fn set(&self, host: &str, mood: Mood) {
        self.0.lock().unwrap().moods.insert(host.to_owned(), mood);
    }

    pub(crate) fn heal(&self) {
        self.0.lock().unwrap().moods.clear();
    }

    pub(crate) fn pages(&self) -> BTreeMap<String, (String, u32)> {
        self.0.lock().unwrap().pages.clone()
    }

    /// Delivery ids of Slack messages, one per message.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.0.lock().unwrap().messages.iter().map(|(_, delivery, _)| delivery.clone()).collect()
    }

    /// Effects that came under one webhook id, which must be one.
    pub(crate) fn hooks(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.0.lock().unwrap().hooks.clone()
    }

    pub(crate) fn failures(&self) -> (u64, u64) {
        let ends = self.0.lock().unwrap();
        (ends.failures, ends.lost)
    }
}

impl Sender for FarEnds {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let Wire::Http(http) = &request.wire else {
            panic!("no mail in this world");
        };
        let mut ends = self.0.lock().unwrap();
        let host = http.url.split('/').nth(2).unwrap_or_default().to_owned();
        let mood = ends.moods.get(&host).copied().unwrap_or(Mood::Healthy);
        if mood != Mood::Healthy {
            ends.failures += 1;
        }
        match mood {
            Mood::Healthy => ends.take(&host, http),
            Mood::Broken => answer(503, &[], "down for maintenance"),
            Mood::Busy => answer(429, &[("retry-after", "3")], r#"{"ok":false,"error":"rate_limited"}"#),
            Mood::Gone => Answer::NotSent { error: "connection refused".into() },
            Mood::LosesAnswers => {
                ends.lost += 1;
                let _ = ends.take(&host, http);
                Answer::Lost { error: "reset after sending".into() }
            }
            Mood::Hangs => {
                ends.lost += 1;
                Answer::Lost { error: "timed out".into() }
            }
        }
    }
}

impl Ends {
    fn take(&mut self, host: &str, http: &HttpRequest) -> Answer {
        let body: Value = serde_json::from_str(&http.body).unwrap_or_default();
        match host {
            "pagerduty.test" => self.page(&body),
            "slack.test" => self.slack(http, &body),
            "hook.test" => self.hook(http, &body),
            other => panic!("nobody is called {other}"),
        }
    }

    fn page(&mut self, body: &Value) -> Answer {
        let key = body["dedup_key"].as_str().unwrap().to_owned();
        let action = body["event_action"].as_str().unwrap();
        let (state, opened) = self.pages.entry(key.clone()).or_insert_with(|| ("none".to_owned(), 0));
        match (action, state.as_str()) {
            ("trigger", "none" | "resolved") => {
                *state = "triggered".to_owned();
                *opened += 1;
            }
            // Dropped when nothing is open, as PagerDuty does.
            ("acknowledge", "triggered") => *state = "acknowledged".to_owned(),
            ("resolve", "triggered" | "acknowledged") => *state = "resolved".to_owned(),
            _ => {}
        }
        answer(202, &[], &json!({"status": "success", "message": "Event processed", "dedup_key": key}).to_string())
    }

    fn slack(&mut self, http: &HttpRequest, body: &Value) -> Answer {
        let method = http.url.rsplit('/').next().unwrap_or_default();
        let reply = if method.starts_with("chat.postMessage") {
            let ts = format!("1700000000.{:06}", self.messages.len() + 1);
            let delivery = body["metadata"]["event_payload"]["delivery"].as_str().unwrap_or("none").to_owned();
            let thread = if body["thread_ts"].is_string() { " in thread" } else { "" };
            self.messages.push((ts.clone(), format!("{delivery}{thread}"), body["text"].to_string()));
            json!({"ok": true, "ts": ts, "channel": "C0123456789"})
        } else if method.starts_with("chat.update") {
            let ts = body["ts"].as_str().unwrap_or_default();
            match self.messages.iter_mut().find(|(message, ..)| message == ts) {
                Some((_, _, text)) => {
                    *text = body["text"].to_string();
                    json!({"ok": true, "ts": ts, "channel": "C0123456789"})
                }
                None => json!({"ok": false, "error": "message_not_found"}),
            }
        } else {
            let thread = method.starts_with("conversations.replies");
            let messages: Vec<Value> = self
                .messages
                .iter()
                .filter(|(_, delivery, _)| delivery.ends_with(" in thread") == thread)
                .map(|(ts, delivery, _)| {
                    let delivery = delivery.trim_end_matches(" in thread");
                    let payload = json!({"delivery": delivery});
                    json!({"ts": ts, "metadata": {"event_type": "trackside_delivery", "event_payload": payload}})
                })
                .collect();
            json!({"ok": true, "messages": messages})
        };
        answer(200, &[], &reply.to_string())
    }

    fn hook(&mut self, http: &HttpRequest, body: &Value) -> Answer {
        let id = http.headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone();
        self.hooks.entry(id).or_default().insert(body.to_string());
        answer(200, &[], "")
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::Response { status, headers, body: body.to_owned() }
}
