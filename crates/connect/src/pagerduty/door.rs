//! PagerDuty Events API v2 as a door (<https://developer.pagerduty.com/docs/events-api-v2/overview/>): alert events
//! (`/v2/enqueue`) and change events (`/v2/change/enqueue`), accepted and refused as PagerDuty does.
//!
//! The `routing_key` is an API token of this server, so an alert's identity is (token, `dedup_key`), as PagerDuty's is
//! (routing key, `dedup_key`). Unknown fields are ignored: real clients send some. The protocol has no event id, so a
//! post that is repeated is a new event; what it means is idempotent through the `dedup_key`. Change events are kept
//! without a fact.

use crate::door::{Answer, AnswerBody, Delivered, Reject, cut, decode, labels, name, parse_time, seal, web_address};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_core::event::{Event, Fact, Labels, Link, Report, ReportAction, Severity};
use trackside_core::ids::EventId;
use trackside_core::limits;
use uuid::Uuid;

/// Largest body, in bytes (PagerDuty's limit for one event).
pub const BODY_BYTES: usize = 512 * 1024;
/// Longest `dedup_key`, in characters.
pub const DEDUP_KEY_CHARS: usize = 255;
/// Characters of a summary that are kept; longer ones are accepted and cut.
pub const SUMMARY_CHARS: usize = 1024;
/// Longest text kept of one custom detail, in bytes.
const DETAIL_BYTES: usize = 2 * 1024;

/// The routing key of a body: the API token that the call must be authenticated with, before anything else is read.
#[must_use]
pub fn routing_key(body: &[u8]) -> Option<SecretString> {
    #[derive(Deserialize)]
    struct Key {
        routing_key: String,
    }
    let key: Key = serde_json::from_slice(body).ok()?;
    Some(key.routing_key).filter(|key| !key.is_empty()).map(SecretString::from)
}

/// Reads an alert event. `fresh` becomes its id, and its `dedup_key` when it triggers without one.
///
/// # Errors
/// 400 as PagerDuty refuses, 413 for more than [`BODY_BYTES`]. [`refused`] puts it into PagerDuty's words.
pub fn parse(delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let wire: Enqueue = read(delivered.body)?;
    let action = match wire.event_action.as_deref() {
        Some("trigger") => ReportAction::Trigger,
        Some("acknowledge") => ReportAction::Acknowledge,
        Some("resolve") => ReportAction::Resolve,
        _ => return Err(invalid("/event_action", "must be 'trigger', 'acknowledge' or 'resolve'")),
    };
    let key = dedup_key(wire.dedup_key.as_deref(), action, fresh)?;
    wire.links_and_images()?;
    let payload = wire.payload.unwrap_or_default();
    if action == ReportAction::Trigger {
        payload.check_trigger()?;
    }
    let summary = payload.text("summary").unwrap_or_default();
    let source = name(delivered.token);
    let mut resource = labels(format!("pagerduty.alert.{source}.{key}"), cut(summary, limits::NAME_BYTES));
    for field in ["severity", "source", "component", "group", "class"] {
        if let Some(text) = payload.text(field) {
            resource.insert(format!("pagerduty.{field}"), text.to_owned());
        }
    }
    let verb = match action {
        ReportAction::Trigger => "triggered",
        ReportAction::Acknowledge => "acknowledged",
        ReportAction::Resolve => "resolved",
    };
    let report = Report {
        key: name(&key),
        action,
        severity: payload.severity().unwrap_or(Severity::Info),
        summary: summary.chars().take(SUMMARY_CHARS).collect(),
        owners: owners(delivered.team, &payload),
        component: payload.text("component").or(payload.text("source")).map(name),
        links: links(&wire.links, wire.client.as_deref(), wire.client_url.as_deref()),
        details: details(&payload),
        ends: None,
    };
    let occurred = payload.timestamp()?.unwrap_or(delivered.received);
    let fact = Some(Fact::Report(Box::new(report)));
    let content = json!({"payload": payload.0, "client": wire.client, "client_url": wire.client_url,
        "links": wire.links, "images": wire.images});
    event(delivered, fresh, occurred, format!("pagerduty.alert.{verb}"), resource, content, fact)
}

/// Reads a change event. `fresh` becomes its id.
///
/// # Errors
/// As [`parse`].
pub fn parse_change(delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let wire: Enqueue = read(delivered.body)?;
    wire.links_and_images()?;
    let payload = wire.payload.unwrap_or_default();
    payload.require("summary")?;
    let occurred = payload.timestamp()?.unwrap_or(delivered.received);
    let summary = payload.text("summary").unwrap_or_default();
    let resource = labels(format!("pagerduty.change.{fresh}"), cut(summary, limits::NAME_BYTES));
    let content = json!({"payload": payload.0, "links": wire.links, "images": wire.images});
    event(delivered, fresh, occurred, "pagerduty.change".to_owned(), resource, content, None)
}

/// The answer to an accepted alert event; its clients insist on the `dedup_key`.
#[must_use]
pub fn accepted(events: &[Event]) -> Answer {
    let key = events.iter().find_map(|event| match &event.fact {
        Some(Fact::Report(report)) => Some(report.key.as_str()),
        _ => None,
    });
    let body = json!({"status": "success", "message": "Event processed", "dedup_key": key});
    Answer { status: 202, body: AnswerBody::Json(body) }
}

/// The answer to an accepted change event.
#[must_use]
pub fn change_accepted() -> Answer {
    let body = json!({"status": "success", "message": "Change event processed"});
    Answer { status: 202, body: AnswerBody::Json(body) }
}

/// The answer to a refused event.
#[must_use]
pub fn refused(reject: &Reject) -> Answer {
    let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": [reject.problem]});
    Answer { status: reject.status, body: AnswerBody::Json(body) }
}

/// An alert or change event as sent.
#[derive(Debug, Deserialize)]
struct Enqueue {
    #[serde(default)]
    event_action: Option<String>,
    #[serde(default)]
    dedup_key: Option<String>,
    #[serde(default)]
    payload: Option<Payload>,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    client_url: Option<String>,
    #[serde(default)]
    links: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    images: Option<Vec<Map<String, Value>>>,
}

impl Enqueue {
    fn links_and_images(&self) -> Result<(), Reject> {
        for (list, items, needed) in [("links", &self.links, "href"), ("images", &self.images, "src")] {
            for (index, item) in items.iter().flatten().enumerate() {
                if item.get(needed).and_then(Value::as_str).is_none_or(str::is_empty) {
                    return Err(invalid(&format!("/{list}/{index}/{needed}"), "is missing or blank"));
                }
            }
        }
        Ok(())
    }
}

/// The `payload` of an event. Its fields are looked at one by one, because acknowledge and resolve ignore them.
#[derive(Debug, Default, Deserialize)]
struct Payload(Map<String, Value>);

impl Payload {
    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    fn require(&self, field: &str) -> Result<(), Reject> {
        match self.text(field) {
            Some(_) => Ok(()),
            None => Err(invalid(&format!("/payload/{field}"), "is missing or blank")),
        }
    }

    fn check_trigger(&self) -> Result<(), Reject> {
        self.require("summary")?;
        self.require("source")?;
        if self.severity().is_none() {
            let problem = "must be one of 'critical', 'error', 'warning' or 'info'";
            return Err(invalid("/payload/severity", problem));
        }
        Ok(())
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.text("severity")? {
            "critical" => Severity::Critical,
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            "info" => Severity::Info,
            _ => return None,
        })
    }

    fn timestamp(&self) -> Result<Option<Timestamp>, Reject> {
        match self.0.get("timestamp") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_str().and_then(parse_time) {
                Some(time) => Ok(Some(time)),
                None => Err(invalid("/payload/timestamp", "is not an ISO 8601 time")),
            },
        }
    }
}

fn read(body: &[u8]) -> Result<Enqueue, Reject> {
    if body.len() > BODY_BYTES {
        return Err(Reject::new(413, "", &format!("the event has more than {BODY_BYTES} bytes")));
    }
    decode(body).map_err(as_bad_request)
}

/// PagerDuty answers 400 to everything that is wrong with an event.
fn as_bad_request(reject: Reject) -> Reject {
    Reject { status: if reject.status == 422 { 400 } else { reject.status }, ..reject }
}

fn invalid(at: &str, problem: &str) -> Reject {
    let field = at.trim_start_matches('/').replace('/', ".");
    Reject::new(400, at, &format!("'{field}' {problem}"))
}

fn dedup_key(given: Option<&str>, action: ReportAction, fresh: Uuid) -> Result<String, Reject> {
    match given.filter(|key| !key.is_empty()) {
        Some(key) if key.chars().count() > DEDUP_KEY_CHARS => {
            Err(invalid("/dedup_key", &format!("has more than {DEDUP_KEY_CHARS} characters")))
        }
        Some(key) => Ok(key.to_owned()),
        None if action == ReportAction::Trigger => Ok(fresh.simple().to_string()),
        None => Err(invalid("/dedup_key", "is missing or blank; it says which alert is meant")),
    }
}

fn owners(team: Option<&str>, payload: &Payload) -> Vec<String> {
    let details = payload.0.get("custom_details");
    let named = ["owner", "team"].iter().filter_map(|field| details?.get(field)?.as_str());
    team.into_iter().chain(named).filter(|owner| !owner.is_empty()).map(name).collect()
}

fn links(links: &Option<Vec<Map<String, Value>>>, client: Option<&str>, client_url: Option<&str>) -> Vec<Link> {
    let text = |link: &Map<String, Value>| link.get("text").and_then(Value::as_str).unwrap_or("Link").to_owned();
    let given = links
        .iter()
        .flatten()
        .filter_map(|link| Some(Link { text: text(link), href: web_address(link.get("href")?.as_str()?)? }));
    let client =
        client_url.and_then(web_address).map(|href| Link { text: client.unwrap_or("Client").to_owned(), href });
    given.chain(client).take(limits::LIST_ITEMS).collect()
}

fn details(payload: &Payload) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => cut(text, DETAIL_BYTES).to_owned(),
        other => cut(&other.to_string(), DETAIL_BYTES).to_owned(),
    };
    let mut details: BTreeMap<String, String> = ["source", "component", "group", "class"]
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), text(payload.0.get(*field)?))))
        .collect();
    match payload.0.get("custom_details") {
        Some(Value::Object(members)) => {
            let members = members.iter().filter(|(_, value)| !value.is_null()).take(limits::LIST_ITEMS);
            details.extend(members.map(|(name, value)| (cut(name, limits::NAME_BYTES).to_owned(), text(value))));
        }
        None | Some(Value::Null) => {}
        Some(other) => {
            details.insert("details".to_owned(), text(other));
        }
    }
    details
}

fn event(
    delivered: &Delivered<'_>,
    id: Uuid,
    occurred: Timestamp,
    event: String,
    resource: Labels,
    mut payload: Value,
    fact: Option<Fact>,
) -> Result<Vec<Event>, Reject> {
    if let Some(members) = payload.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let event = Event {
        id: EventId(id),
        source: name(delivered.token),
        occurred,
        received: delivered.received,
        event,
        resource,
        related: Vec::new(),
        payload,
        follows: None,
        fact,
    };
    Ok(vec![seal(event, "").map_err(as_bad_request)?])
}
