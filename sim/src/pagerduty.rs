//! A far end that behaves like PagerDuty's Events API v2, and is stricter than PagerDuty where the prose of its
//! documentation is.
//!
//! Sources: `PagerDuty/api-schema` `reference/events-v2/openapiv3.json` and `PagerDuty/developer-docs`
//! `docs/events-API-v2/` (deduplication in "Trigger Events"). PagerDuty states no status for a body that is too large;
//! this one answers 413.

use crate::far_ends::PAGERDUTY_WEBHOOK_SECRET;
use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use crate::signed::{Signed, hex_mac};
use hyper::Method;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trackside_core::ids::derive;

/// Name in the journal.
pub const NAME: &str = "pagerduty";
/// Largest body, in bytes.
pub const BODY_BYTES: usize = 512 * 1024;
/// Length of a routing key, in characters.
const ROUTING_KEY_CHARS: usize = 32;

/// The far end's state.
#[derive(Debug)]
pub struct Pagerduty {
    journal: Journal,
    alerts: Mutex<Vec<Alert>>,
}

/// An alert in PagerDuty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Integration it came through.
    pub routing_key: String,
    /// Deduplication key.
    pub dedup_key: String,
    /// Where it stands.
    pub status: Status,
    /// Triggers received for it.
    pub triggers: u32,
    /// Latest summary.
    pub summary: String,
    /// Latest severity.
    pub severity: String,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    Triggered,
    Acknowledged,
    Resolved,
}

impl Pagerduty {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, alerts: Mutex::default() }
    }

    /// All alerts, oldest first.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.lock().clone()
    }

    /// What PagerDuty sends to a webhook when a user does something about the latest alert of a key; `None` when there is
    /// no such alert.
    #[must_use]
    pub fn webhook(&self, event_id: &str, event_type: &str, dedup_key: &str, user: &str) -> Option<Signed> {
        let alert = self.alerts().into_iter().rev().find(|alert| alert.dedup_key == dedup_key)?;
        let incident = derive("incident", &[dedup_key]).simple().to_string()[..6].to_uppercase();
        let body = json!({ "event": {
            "id": event_id, "event_type": event_type, "resource_type": "incident", "occurred_at": self.journal.now(),
            "agent": { "id": user, "type": "user_reference", "summary": user }, "client": { "name": "PagerDuty" },
            "data": { "id": format!("P{incident}"), "type": "incident", "title": alert.summary,
                "incident_key": dedup_key, "html_url": format!("https://sim.pagerduty.com/incidents/P{incident}") },
        } })
        .to_string();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-webhook-id", derive("webhook", &[event_id]).to_string()),
            ("x-pagerduty-signature", format!("v1={}", hex_mac(PAGERDUTY_WEBHOOK_SECRET, &[&body]))),
        ];
        Some(Signed { headers, body })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Alert>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, body: &[u8]) -> Reply {
        let event = match checked(body, problems_of_event) {
            Ok(event) => event,
            Err(reply) => return reply,
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (routing_key, action) = (text(&event["routing_key"]), text(&event["event_action"]));
        let dedup_key = match event["dedup_key"].as_str() {
            Some(key) if !key.is_empty() => key.to_owned(),
            _ => derive("pagerduty", &[&self.lock().len().to_string(), &event.to_string()]).simple().to_string(),
        };
        let own = text(&event["payload"]["summary"]);
        let summary = self.apply(&routing_key, &dedup_key, &action, &event["payload"]);
        self.journal.record(
            NAME,
            Entry {
                identity: format!("{routing_key}/{dedup_key}/{action}/{own}"),
                key: dedup_key.clone(),
                action,
                summary,
                body: String::from_utf8_lossy(body).into_owned(),
            },
        );
        Reply::json(202, &json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key }))
    }

    /// Same key and routing key: same open alert; after a resolve a trigger opens another; nothing else opens one.
    /// Gives the summary of the alert it is about, or its own where there is no such alert.
    fn apply(&self, routing_key: &str, dedup_key: &str, action: &str, payload: &Value) -> String {
        let mut alerts = self.lock();
        let open = alerts
            .iter_mut()
            .find(|a| a.routing_key == routing_key && a.dedup_key == dedup_key && a.status != Status::Resolved);
        let about = open.as_ref().filter(|_| action != "trigger").map(|alert| alert.summary.clone());
        let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
        match (action, open) {
            ("trigger", Some(alert)) => {
                alert.triggers += 1;
                (alert.summary, alert.severity) = (text("summary"), text("severity"));
            }
            ("trigger", None) => alerts.push(Alert {
                routing_key: routing_key.to_owned(),
                dedup_key: dedup_key.to_owned(),
                status: Status::Triggered,
                triggers: 1,
                summary: text("summary"),
                severity: text("severity"),
            }),
            ("acknowledge", Some(alert)) => alert.status = Status::Acknowledged,
            ("resolve", Some(alert)) => alert.status = Status::Resolved,
            _ => {}
        }
        about.unwrap_or_else(|| text("summary"))
    }

    fn change(&self, body: &[u8]) -> Reply {
        let event = match checked(body, problems_of_change) {
            Ok(event) => event,
            Err(reply) => return reply,
        };
        let summary = event["payload"]["summary"].as_str().unwrap_or_default().to_owned();
        self.journal.record(
            NAME,
            Entry {
                identity: derive("change", &[&event.to_string()]).to_string(),
                key: String::new(),
                action: "change".to_owned(),
                summary,
                body: String::from_utf8_lossy(body).into_owned(),
            },
        );
        Reply::json(202, &json!({ "status": "success", "message": "Change event processed" }))
    }
}

impl App for Pagerduty {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        match (asked.method, asked.path) {
            (&Method::POST, "/v2/enqueue") => self.enqueue(asked.body),
            (&Method::POST, "/v2/change/enqueue") => self.change(asked.body),
            _ => Reply::text(404, "Not Found"),
        }
    }

    fn failure(&self, status: u16, _: Option<u32>) -> Reply {
        let message = if status == 429 { "Too many requests" } else { "the far end was told to fail" };
        Reply::json(status, &json!({ "status": "error", "message": message, "errors": [message] }))
    }
}

fn checked(body: &[u8], problems: fn(&Value) -> Vec<String>) -> Result<Value, Reply> {
    let invalid = |errors: &[String]| {
        Reply::json(400, &json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors }))
    };
    if body.len() > BODY_BYTES {
        return Err(Reply::json(413, &json!({ "status": "error", "message": "Payload too large", "errors": [] })));
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| invalid(&[error.to_string()]))?;
    if !event.is_object() {
        return Err(invalid(&["the body must be an object".to_owned()]));
    }
    let errors = problems(&event);
    if errors.is_empty() { Ok(event) } else { Err(invalid(&errors)) }
}

fn problems_of_event(event: &Value) -> Vec<String> {
    let mut errors = problems_of_routing_key(event);
    let action = event["event_action"].as_str().unwrap_or_default();
    if !matches!(action, "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' must be one of trigger, acknowledge, resolve".to_owned());
    }
    match &event["dedup_key"] {
        Value::Null if action == "trigger" => {}
        Value::String(key) if key.chars().count() <= 255 && (action == "trigger" || !key.is_empty()) => {}
        _ => errors.push("'dedup_key' must be a string of at most 255 characters and is required".to_owned()),
    }
    if action == "trigger" {
        errors.extend(problems_of_payload(&event["payload"]));
    } else if !matches!(event["payload"], Value::Null | Value::Object(_)) {
        errors.push("'payload' must be an object".to_owned());
    }
    errors.extend(problems_of_list(event, "links", &["href"]));
    errors.extend(problems_of_list(event, "images", &["src"]));
    for name in ["client", "client_url"] {
        if !matches!(event[name], Value::Null | Value::String(_)) {
            errors.push(format!("'{name}' must be a string"));
        }
    }
    errors
}

fn problems_of_change(event: &Value) -> Vec<String> {
    let mut errors = problems_of_routing_key(event);
    errors.extend(problem_of_summary(&event["payload"]));
    errors.extend(problems_of_list(event, "links", &["href"]));
    errors
}

fn problems_of_routing_key(event: &Value) -> Vec<String> {
    match event["routing_key"].as_str() {
        Some(key) if key.chars().count() == ROUTING_KEY_CHARS => Vec::new(),
        Some(_) => vec![format!("'routing_key' must have {ROUTING_KEY_CHARS} characters")],
        None => vec!["'routing_key' is missing or no string".to_owned()],
    }
}

fn problem_of_summary(payload: &Value) -> Option<String> {
    match payload["summary"].as_str() {
        Some(summary) if !summary.is_empty() && summary.chars().count() <= 1024 => None,
        _ => Some("'payload.summary' must have 1 to 1024 characters".to_owned()),
    }
}

fn problems_of_payload(payload: &Value) -> Vec<String> {
    let mut errors: Vec<String> = problem_of_summary(payload).into_iter().collect();
    if payload["source"].as_str().is_none_or(str::is_empty) {
        errors.push("'payload.source' is missing".to_owned());
    }
    if !matches!(payload["severity"].as_str(), Some("critical" | "error" | "warning" | "info")) {
        errors.push("'payload.severity' must be one of critical, error, warning, info".to_owned());
    }
    for name in ["component", "group", "class"] {
        if !matches!(payload[name], Value::Null | Value::String(_)) {
            errors.push(format!("'payload.{name}' must be a string"));
        }
    }
    let time = &payload["timestamp"];
    if !time.is_null() && !time.as_str().is_some_and(is_time) {
        errors.push("'payload.timestamp' must be an ISO 8601 time".to_owned());
    }
    if !matches!(payload["custom_details"], Value::Null | Value::Object(_) | Value::String(_)) {
        errors.push("'payload.custom_details' must be an object".to_owned());
    }
    errors
}

/// RFC 3339, or ISO 8601 with an offset without colon, as in PagerDuty's examples.
fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).is_ok()
}

fn problems_of_list(event: &Value, name: &str, required: &[&str]) -> Vec<String> {
    let items = match &event[name] {
        Value::Null => return Vec::new(),
        Value::Array(items) => items,
        _ => return vec![format!("'{name}' must be an array")],
    };
    let lacks = |item: &Value| required.iter().any(|field| item[*field].as_str().is_none_or(str::is_empty));
    if items.iter().any(lacks) { vec![format!("each of '{name}' needs {}", required.join(", "))] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
