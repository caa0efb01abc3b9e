//! Alertmanager, as Prometheus sees it and as its receivers see it.
//!
//! [`parse_api`] reads `POST /api/v2/alerts`, what Prometheus sends to an Alertmanager
//! (<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>); [`parse_webhook`] reads the body that an
//! Alertmanager posts to a webhook receiver (version 4, <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).
//!
//! Identity of an alert: its fingerprint, or a digest of its labels. Identity of an event: alert, start, status and end.
//! - Prometheus repeats a firing alert about every minute, each time with a later `endsAt`: that is news (the alert ends
//!   by itself when nobody repeats it), so it is another event. A repeated post of the same body is not.
//! - It repeats a resolved alert for 15 minutes with the same `endsAt`: stored once.
//! - Alertmanager's webhook repeats a firing alert without an end: stored once. An incident that a person resolved while
//!   the alert goes on firing therefore stays resolved until the alert ends and starts again.

use crate::door::{
    Answer, AnswerBody, Delivered, Reject, array, cut, decode, labels, name, seal, timestamp_or_none, web_address,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use trackside_core::event::{Event, Fact, Labels, Link, Report, ReportAction, Severity};
use trackside_core::ids::{EventId, derive};
use trackside_core::limits;

/// How long an alert without `endsAt` lasts unless it is repeated (Alertmanager's `resolve_timeout`).
pub const RESOLVE_TIMEOUT: SignedDuration = SignedDuration::from_mins(5);
/// Longest text kept of one label or annotation, in bytes.
const TEXT_BYTES: usize = 2 * 1024;

/// Reads the alerts that Prometheus sends.
///
/// # Errors
/// 400 as Alertmanager answers. One bad alert refuses the whole body, so that the sender sees it.
pub fn parse_api(delivered: &Delivered<'_>) -> Result<Vec<Event>, Reject> {
    let alerts: Vec<Alert> = array(delivered.body).map_err(as_bad_request)?;
    let read = |(index, alert): (usize, Alert)| {
        let place = format!("/{index}");
        let now = delivered.received;
        let ends = real(alert.ends_at);
        let starts = real(alert.starts_at).or(ends).unwrap_or(now).min(ends.unwrap_or(Timestamp::MAX));
        if real(alert.starts_at).is_some_and(|given| ends.is_some_and(|ends| given > ends)) {
            return Err(Reject::new(400, place, "start time must be before end time"));
        }
        let ends = ends.unwrap_or_else(|| now.saturating_add(RESOLVE_TIMEOUT).unwrap_or(Timestamp::MAX));
        let status = if ends <= now { Status::Resolved } else { Status::Firing };
        let when = When { status, starts, ends: Some(ends) };
        event(alert, &when, None, delivered, &place)
    };
    alerts.into_iter().enumerate().map(read).collect()
}

/// Reads the body of Alertmanager's webhook.
///
/// # Errors
/// 400 for what is not such a body.
pub fn parse_webhook(delivered: &Delivered<'_>) -> Result<Vec<Event>, Reject> {
    let notification: Notification = decode(delivered.body).map_err(as_bad_request)?;
    let external = notification.external_url.as_deref();
    let read = |(index, alert): (usize, Alert)| {
        let place = format!("/alerts/{index}");
        let status = alert.status.or(notification.status).unwrap_or(Status::Firing);
        let ends = real(alert.ends_at);
        let starts = real(alert.starts_at).unwrap_or(delivered.received);
        let when = When { status, starts, ends };
        event(alert, &when, external, delivered, &place)
    };
    notification.alerts.into_iter().enumerate().map(read).collect()
}

/// The answer to accepted alerts: Alertmanager's is empty.
#[must_use]
pub fn accepted() -> Answer {
    Answer { status: 200, body: AnswerBody::Text(Cow::Borrowed("")) }
}

/// The answer to refused alerts: a JSON text, as Alertmanager's.
#[must_use]
pub fn refused(reject: &Reject) -> Answer {
    let place = if reject.at.is_empty() { String::new() } else { format!(" (at {})", reject.at) };
    Answer { status: reject.status, body: AnswerBody::Json(json!(format!("{}{place}", reject.problem))) }
}

/// An alert as sent, in both formats.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default, deserialize_with = "timestamp_or_none")]
    starts_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "timestamp_or_none")]
    ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    status: Option<Status>,
}

/// The body of the webhook.
#[derive(Debug, Deserialize)]
struct Notification {
    #[serde(default)]
    status: Option<Status>,
    #[serde(default, rename = "externalURL")]
    external_url: Option<String>,
    alerts: Vec<Alert>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Status and times of an alert, with the defaults of its format filled in.
struct When {
    status: Status,
    starts: Timestamp,
    ends: Option<Timestamp>,
}

/// Go writes an absent time as year 1.
fn real(time: Option<Timestamp>) -> Option<Timestamp> {
    time.filter(|time| time.as_second() > 0)
}

fn event(
    mut alert: Alert,
    when: &When,
    external: Option<&str>,
    delivered: &Delivered<'_>,
    place: &str,
) -> Result<Event, Reject> {
    // Alertmanager drops labels without a value, then wants at least one.
    alert.labels.retain(|_, value| !value.is_empty());
    if alert.labels.is_empty() {
        return Err(Reject::new(400, format!("{place}/labels"), "at least one label pair required"));
    }
    let source = name(delivered.token);
    let key = key(&alert);
    let ends = when.ends.map(|ends| ends.to_string()).unwrap_or_default();
    let id = derive("alertmanager", &[&source, &key, &when.starts.to_string(), when.status.as_str(), &ends]);
    let firing = when.status == Status::Firing;
    let report = Report {
        key: key.clone(),
        action: if firing { ReportAction::Trigger } else { ReportAction::Resolve },
        severity: severity(alert.labels.get("severity").map(String::as_str)),
        summary: summary(&alert),
        owners: owners(delivered.team, &alert.labels),
        component: ["service", "job", "instance"].iter().find_map(|label| alert.labels.get(*label)).map(|c| name(c)),
        links: links(&alert, external),
        details: details(&alert),
        ends: when.ends.filter(|_| firing),
    };
    let title = alert.labels.get("alertname").map_or(key.as_str(), String::as_str);
    let mut resource = labels(format!("alertmanager.alert.{source}.{key}"), title);
    let of_labels = alert.labels.iter().take(limits::LIST_ITEMS);
    resource
        .extend(of_labels.map(|(label, value)| (format!("alertmanager.{label}"), cut(value, TEXT_BYTES).to_owned())));
    let event = Event {
        id: EventId(id),
        source,
        occurred: if firing { when.starts } else { when.ends.unwrap_or(delivered.received) },
        received: delivered.received,
        event: format!("alertmanager.alert.{}", when.status.as_str()),
        resource,
        related: Vec::new(),
        payload: json!({"labels": alert.labels, "annotations": alert.annotations, "startsAt": when.starts,
            "endsAt": when.ends, "generatorURL": alert.generator_url}),
        follows: None,
        fact: Some(Fact::Report(Box::new(report))),
    };
    seal(event, place).map_err(as_bad_request)
}

fn key(alert: &Alert) -> String {
    match alert.fingerprint.as_deref().filter(|fingerprint| !fingerprint.is_empty()) {
        Some(fingerprint) => name(fingerprint),
        None => {
            let parts: Vec<&str> = alert.labels.iter().flat_map(|(label, value)| [label.as_str(), value]).collect();
            derive("alertmanager.labels", &parts).simple().to_string()
        }
    }
}

/// Our severity of a `severity` label. An alert without one, or with one that is not known, is an error: somebody
/// made it to be told.
fn severity(label: Option<&str>) -> Severity {
    match label.unwrap_or_default().to_ascii_lowercase().as_str() {
        "page" | "critical" | "fatal" | "emergency" | "disaster" | "p1" | "sev1" => Severity::Critical,
        "warning" | "warn" | "minor" | "p3" | "sev3" | "ticket" => Severity::Warning,
        "info" | "informational" | "information" | "notice" | "debug" | "none" | "p4" | "p5" | "sev4" => Severity::Info,
        _ => Severity::Error,
    }
}

fn summary(alert: &Alert) -> String {
    let said = ["summary", "title", "message", "description"].iter().find_map(|name| alert.annotations.get(*name));
    if let Some(said) = said.filter(|said| !said.trim().is_empty()) {
        return cut(said.trim(), TEXT_BYTES).to_owned();
    }
    let alertname = alert.labels.get("alertname").map_or("An alert", String::as_str);
    match alert.labels.get("instance").or(alert.labels.get("job")) {
        Some(place) => format!("{alertname} on {place}"),
        None => alertname.to_owned(),
    }
}

fn owners(team: Option<&str>, labels: &Labels) -> Vec<String> {
    let named = ["owner", "team"].iter().filter_map(|label| labels.get(*label)).map(String::as_str);
    team.into_iter().chain(named).map(name).collect()
}

fn links(alert: &Alert, external: Option<&str>) -> Vec<Link> {
    let annotation = |name: &str| alert.annotations.get(name).map(String::as_str);
    let dashboard =
        ["dashboard", "dashboard_url", "dashboardURL", "grafana_url"].iter().find_map(|name| annotation(name));
    let given = [
        ("Runbook", annotation("runbook_url").or(annotation("runbook"))),
        ("Dashboard", dashboard),
        ("Graph", alert.generator_url.as_deref()),
        ("Alertmanager", external),
    ];
    let link = |(text, href): (&str, Option<&str>)| Some(Link { text: text.to_owned(), href: web_address(href?)? });
    given.into_iter().filter_map(link).collect()
}

fn details(alert: &Alert) -> BTreeMap<String, String> {
    let told =
        ["summary", "title", "runbook_url", "runbook", "dashboard", "dashboard_url", "dashboardURL", "grafana_url"];
    let annotations = alert.annotations.iter().filter(|(name, _)| !told.contains(&name.as_str()));
    annotations
        .chain(&alert.labels)
        .take(limits::LIST_ITEMS)
        .map(|(name, text)| (cut(name, limits::NAME_BYTES).to_owned(), cut(text, TEXT_BYTES).to_owned()))
        .collect()
}

/// Alertmanager answers 400 to everything that is wrong with an alert.
fn as_bad_request(reject: Reject) -> Reject {
    Reject { status: if reject.status == 422 { 400 } else { reject.status }, ..reject }
}
