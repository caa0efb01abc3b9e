//! PagerDuty Events API v2, outgoing: `POST /v2/enqueue` with trigger, acknowledge or resolve.
//!
//! `dedup_key` is the effect's key (the incident id): the same key under the same routing key is the same alert, so a
//! repeat changes nothing and a trigger that raises the severity updates the open alert. A reminder is such a trigger
//! too: PagerDuty writes it into the alert's log and pages nobody anew, because its own escalation goes on. Limits: summary 1024
//! characters, body 512 kB, key 255 characters (developer docs "Send an Event", api-schema `reference/events-v2`).

use crate::connection::Connection;
use crate::far_end::{HttpRequest, Repeat, Request, Response, Verdict, Wire};
use crate::template::{self, Markup, Rendered, truncate_bytes, truncate_utf16};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use trackside_core::effect::{Action, Effect};
use trackside_core::ids::derive;

/// Longest `payload.summary`, in characters.
pub const SUMMARY_CHARS: usize = 1024;
/// Largest body, in bytes.
pub const BODY_BYTES: usize = 512_000;
/// Longest `dedup_key`, in characters.
pub const KEY_CHARS: usize = 255;
/// Longest `source`, `component`, `group` or `class` sent, in bytes.
const FIELD_BYTES: usize = 512;
/// What a value of `custom_details` is cut to when the body is too large, in bytes.
const CUT_DETAIL_BYTES: usize = 1_000;

/// The event for `effect`.
pub(crate) fn request(connection: &Connection, url: &str, routing_key: &SecretString, effect: &Effect) -> Request {
    let (body, note) = body(connection, effect, routing_key.expose_secret());
    let http = HttpRequest::new(http::Method::POST, format!("{url}/v2/enqueue")).body("application/json", body);
    let mut request = Request::new(Wire::Http(http), Repeat::Harmless, vec![routing_key.clone()]);
    request.note = note;
    request
}

/// 202 is accepted; 400 will never be; 429 and 5xx may later.
pub(crate) fn classify(response: &Response<'_>) -> Verdict {
    let reply: Value = serde_json::from_str(response.body).unwrap_or_default();
    let accepted = response.status == 202 || (response.status == 200 && reply["status"] == "success");
    match response.status {
        _ if accepted => Verdict::Done { far_ref: reply["dedup_key"].as_str().map(str::to_owned) },
        200..=299 => {
            Verdict::Refused { why: format!("{}; PagerDuty answers 202, so this is another server", response.reason()) }
        }
        _ => response.failure(),
    }
}

fn body(connection: &Connection, effect: &Effect, routing_key: &str) -> (String, Option<String>) {
    let event_action = match effect.action {
        Action::Trigger
        | Action::Update
        | Action::Remind
        | Action::Message
        | Action::Test
        | Action::Act
        | Action::Job => "trigger",
        Action::Acknowledge => "acknowledge",
        Action::Resolve => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": event_action,
        "dedup_key": dedup_key(&effect.key),
    });
    if event_action != "trigger" {
        return (event.to_string(), None);
    }
    let rendered = template::render(connection, effect, Markup::Plain);
    let places = template::places(connection, effect);
    event["client"] = json!("Trackside");
    if let Some(page) = template::incident_url(connection, effect).or_else(|| connection.public_url.clone()) {
        event["client_url"] = json!(page);
    }
    event["links"] = places.iter().map(|place| json!({"href": place.href, "text": place.text})).collect();
    event["payload"] = payload(connection, effect, &rendered);
    (fit(event), rendered.note)
}

fn payload(connection: &Connection, effect: &Effect, rendered: &Rendered) -> Value {
    let notice = &effect.notice;
    let pipeline = notice.pipeline.as_ref();
    let task = notice.run.as_ref().and_then(|run| run.task.as_deref());
    let class = match (effect.action, notice.alerts.first()) {
        (Action::Test, _) => "test",
        (Action::Message, _) => "message",
        (_, Some(alert)) => &alert.rule,
        (_, None) => "incident",
    };
    let mut payload = json!({
        "summary": truncate_utf16(&rendered.title, SUMMARY_CHARS),
        "source": field(pipeline.map_or("trackside", |pipeline| &pipeline.source)),
        "severity": notice.severity.as_str(),
        "timestamp": notice.at,
        "class": field(class),
        "custom_details": details(connection, effect, rendered),
    });
    if let Some(pipeline) = pipeline {
        payload["component"] = json!(field(task.unwrap_or(&pipeline.name)));
        payload["group"] = json!(field(&pipeline.name));
    }
    payload
}

/// What helps at 2 a.m., in words; PagerDuty shows it as a table.
fn details(connection: &Connection, effect: &Effect, rendered: &Rendered) -> Value {
    let notice = &effect.notice;
    let mut details = Map::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            details.insert(name.to_owned(), Value::from(value));
        }
    };
    add("what happened", Some(notice.passthrough.as_ref().map_or(&notice.summary, |m| &m.text).clone()));
    if let Some(page) = &notice.page {
        add("paged", Some(format!("{}, step {} of {}", page.whom, page.step, page.steps)));
        add("next", page.next.clone());
    }
    if let Some(incident) = &notice.incident {
        add("affected", Some(incident.affected.join(", ")));
    }
    if let Some(run) = &notice.run {
        add("error", run.error.clone());
        add("run", Some(run.id.clone()));
        add("task", run.task.clone());
        add("try", run.try_number.map(|number| number.to_string()));
        add("log", run.log_url.clone());
    }
    if let Some(pipeline) = &notice.pipeline {
        add("pipeline", Some(format!("{} on {}", pipeline.name, pipeline.system)));
        add("runbook", pipeline.runbook.clone());
        add("last success", Some(pipeline.last_success.map_or("none seen".to_owned(), |at| at.to_string())));
        add("failures in a row", Some(pipeline.streak.to_string()));
    }
    for (index, alert) in notice.alerts.iter().enumerate().skip(1) {
        add(&format!("alert {}", index + 1), Some(format!("{} ({})", alert.summary, alert.rule)));
    }
    add("more alerts", (notice.more_alerts > 0).then(|| notice.more_alerts.to_string()));
    let owner = &notice.owner;
    add("owner", (!owner.team.is_empty()).then(|| format!("{} ({})", owner.team, owner.because)));
    for (name, value) in &notice.details {
        add(name, Some(value.clone()));
    }
    if connection.message.body.is_some() {
        add("message", Some(rendered.body.clone()));
    }
    Value::Object(details)
}

/// The event as text within [`BODY_BYTES`]: long details are cut first, then all of them give way to a note.
pub(crate) fn fit(mut event: Value) -> String {
    let text = event.to_string();
    if text.len() <= BODY_BYTES {
        return text;
    }
    if let Some(details) = event["payload"]["custom_details"].as_object_mut() {
        for value in details.values_mut() {
            if let Some(long) = value.as_str() {
                *value = Value::from(truncate_bytes(long, CUT_DETAIL_BYTES));
            }
        }
    }
    let text = event.to_string();
    if text.len() <= BODY_BYTES {
        return text;
    }
    event["payload"]["custom_details"] =
        json!({ "note": "details left out: more than PagerDuty takes; see the links" });
    let text = event.to_string();
    if text.len() > BODY_BYTES {
        event["links"] = json!([]);
        return event.to_string();
    }
    text
}

fn field(text: &str) -> String {
    truncate_bytes(text, FIELD_BYTES)
}

/// The key itself, or one derived from it when it is too long for PagerDuty.
fn dedup_key(key: &str) -> String {
    if key.chars().count() <= KEY_CHARS { key.to_owned() } else { derive("pagerduty", &[key]).to_string() }
}

#[cfg(test)]
mod tests;
