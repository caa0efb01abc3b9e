//! PagerDuty webhooks v3: what people do with a page there, told back to us.
//!
//! Sources: PagerDuty developer docs "Webhooks" (overview, behavior, verifying signatures). The signature covers the raw
//! body and has no time in it, so whoever takes these remembers [`Heard::id`] for as long as PagerDuty may repeat it.
//! `data.incident_key` is the deduplication key we sent, which is our incident's id; notes and responders name only
//! PagerDuty's own id ([`Theirs`]). Invariants: every event type is understood or left alone, none is an error; what
//! our own integration did is an echo and says nothing; texts are redacted and bounded.

use crate::door::{Reject, cut, decode, one_line, parse_time, web_address};
use crate::redact;
use crate::signature::{self, BadSignature};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use trackside_core::ids::IncidentId;

/// Largest body, in bytes; PagerDuty drops what is larger.
pub const BODY_BYTES: usize = 256 * 1024;
/// Header of the signatures, separated by commas.
pub const SIGNATURE: &str = "x-pagerduty-signature";
/// Header of the webhook's name, the same over all attempts. Not signed.
pub const WEBHOOK_ID: &str = "x-webhook-id";
/// Longest text of a note that is kept, in bytes.
const TEXT_BYTES: usize = 2_000;
/// Most names in a text ("reassigned to A, B").
const NAMES: usize = 10;

/// Whether a request is PagerDuty's: any `v1` signature made with any of the secrets. `now` does not matter.
///
/// # Errors
/// Why it is not.
pub fn verify<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secrets: &[SecretString],
    _now: Timestamp,
) -> Result<(), BadSignature> {
    let signatures = header(SIGNATURE).ok_or(BadSignature::Missing(SIGNATURE))?;
    let given = || signatures.split(',').filter_map(|signature| signature.trim().strip_prefix("v1="));
    for secret in secrets {
        let mac = signature::mac(secret, &[body])?;
        if given().any(|signature| signature::fits_hex(mac.clone(), signature)) {
            return Ok(());
        }
    }
    Err(BadSignature::Mismatch(SIGNATURE))
}

/// What a webhook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Name of the event at PagerDuty, the same however often it is sent.
    pub id: Option<String>,
    /// `incident.acknowledged`, `pagey.ping`, ….
    pub event_type: String,
    /// When it happened there.
    pub occurred: Option<Timestamp>,
    /// Our incident, when the event names it.
    pub incident: Option<IncidentId>,
    /// PagerDuty's incident.
    pub theirs: Option<Theirs>,
    /// Who did it, by the names PagerDuty knows: user id, e-mail address, name. Empty when nobody in particular did.
    pub agent: Vec<String>,
    /// What it means.
    pub said: Said,
}

/// An incident as PagerDuty knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theirs {
    /// Its id (`PGR0VU2`).
    pub id: String,
    /// Its page.
    pub page: Option<String>,
}

/// What an event means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Somebody has it.
    Acknowledged,
    /// Nobody has it after all.
    Unacknowledged,
    /// It is over.
    Resolved,
    /// Something for the timeline.
    Noted(String),
    /// Nothing to do, and why.
    Nothing(&'static str),
}

/// Reads a webhook that was verified.
///
/// # Errors
/// 400 for what is no JSON object. PagerDuty switches off a webhook whose calls are refused three times in a row, so
/// nothing else is an error.
pub fn parse(body: &[u8]) -> Result<Heard, Reject> {
    let body: Value = decode(body).map_err(|reject| Reject { status: 400, ..reject })?;
    if !body.is_object() {
        return Err(Reject::new(400, "", "a webhook is a JSON object with `event`"));
    }
    let event = &body["event"];
    let data = &event["data"];
    let agent = &event["agent"];
    let event_type = one_line(&event["event_type"]).unwrap_or_default();
    let key = data["incident_key"].as_str().or_else(|| data["incident"]["incident_key"].as_str());
    let said = if is_integration(agent) && event_type != "incident.triggered" {
        Said::Nothing("it is the echo of what was sent from here")
    } else {
        said(&event_type, data)
    };
    Ok(Heard {
        id: one_line(&event["id"]),
        occurred: event["occurred_at"].as_str().and_then(parse_time),
        incident: key.and_then(|key| key.parse().ok()),
        theirs: theirs(data),
        agent: ["id", "email", "summary"].iter().filter_map(|name| one_line(&agent[name])).collect(),
        said,
        event_type,
    })
}

/// An event of the integration is made by an event of ours: nobody else has its key.
fn is_integration(agent: &Value) -> bool {
    agent["type"].as_str().is_some_and(|kind| kind.ends_with("inbound_integration_reference"))
}

/// The incident that the event is or is about.
fn theirs(data: &Value) -> Option<Theirs> {
    let incident = match data["type"].as_str() {
        Some("incident") => data,
        _ => &data["incident"],
    };
    let id = one_line(&incident["id"])?;
    Some(Theirs { id, page: incident["html_url"].as_str().and_then(web_address) })
}

fn said(event_type: &str, data: &Value) -> Said {
    let line = match event_type {
        "incident.acknowledged" => return Said::Acknowledged,
        "incident.unacknowledged" => return Said::Unacknowledged,
        "incident.resolved" => return Said::Resolved,
        "incident.triggered" => return Said::Nothing("it is known here"),
        "incident.annotated" => return note("", &data["content"]),
        "incident.status_update_published" => return note("status update: ", &data["message"]),
        "incident.escalated" => with("escalated", "to", &names(&data["assignees"])),
        "incident.reassigned" => with("reassigned", "to", &names(&data["assignees"])),
        "incident.delegated" => with("delegated", "to", &summary(&data["escalation_policy"])),
        "incident.priority_updated" => with("priority changed", "to", &summary(&data["priority"])),
        "incident.reopened" => "opened again".to_owned(),
        "incident.responder.added" => with("asked for help", "from", &summary(&data["user"])),
        "incident.responder.replied" => {
            let state = one_line(&data["state"]).unwrap_or_default();
            with(&format!("{} replied", summary(&data["user"])), "with", &state)
        }
        other => match other.strip_prefix("incident.") {
            Some(rest) => rest.replace(['.', '_'], " "),
            None => return Said::Nothing("it is not about an incident"),
        },
    };
    Said::Noted(cut(&line, TEXT_BYTES).to_owned())
}

fn note(prefix: &str, content: &Value) -> Said {
    match content.as_str().map(str::trim).filter(|content| !content.is_empty()) {
        Some(content) => Said::Noted(format!("{prefix}{}", cut(&redact::text(content), TEXT_BYTES))),
        None => Said::Nothing("the note is empty"),
    }
}

/// `escalated to Ana`, or `escalated` when nobody is named.
fn with(what: &str, preposition: &str, whom: &str) -> String {
    if whom.is_empty() { what.to_owned() } else { format!("{what} {preposition} {whom}") }
}

fn names(list: &Value) -> String {
    let named = list.as_array().into_iter().flatten().map(summary).filter(|name| !name.is_empty());
    named.take(NAMES).collect::<Vec<_>>().join(", ")
}

fn summary(object: &Value) -> String {
    one_line(&object["summary"]).or_else(|| one_line(&object["id"])).unwrap_or_default()
}

#[cfg(test)]
mod tests;
