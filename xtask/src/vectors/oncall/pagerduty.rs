//! Vectors about PagerDuty's Events v2: what a body is answered, and which alerts a row of events leads to.
//!
//! Bodies go through the door that programs use, events through the engine.

use super::same;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_connect::door::{Answer, AnswerBody, Delivered, Reject};
use trackside_connect::pagerduty::door;
use trackside_core::caller::Caller;
use trackside_core::decision::Change;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact};
use trackside_core::ids::IncidentId;
use trackside_core::incident::Incident;
use trackside_core::input::{Entry, Input};
use trackside_core::state::State;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub(super) struct Posted {
    /// JSON, or how to build it.
    body: Option<Value>,
    /// Text instead.
    raw_body: Option<String>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
struct Expect {
    status: u16,
    status_text: Option<String>,
    message: Option<String>,
    /// A key, or that it is made up.
    dedup_key: Option<String>,
}

pub(super) fn event(case: &Posted) -> Result<(), String> {
    let body = match (&case.body, &case.raw_body) {
        (Some(body), None) => match body.get("_generate").and_then(Value::as_str) {
            Some(recipe) => padded(recipe)?,
            None => body.to_string(),
        },
        (None, Some(text)) => text.clone(),
        _ => return Err("the case needs one of `body` and `raw_body`".to_owned()),
    };
    let taken = take(body.as_bytes(), "the-token", 0);
    let answer = match &taken {
        Ok(events) => door::accepted(events),
        Err(reject) => door::refused(reject),
    };
    check_answer(&answer, &case.expect)?;
    let sent = case.body.as_ref().and_then(|body| body.pointer("/payload/summary")).and_then(Value::as_str);
    let kept = taken.ok().and_then(|events| match events.into_iter().next()?.fact? {
        Fact::Report(report) => Some(report.summary),
        _ => None,
    });
    match sent.zip(kept) {
        Some((sent, kept)) => same("summary", &kept, &sent.chars().take(door::SUMMARY_CHARS).collect()),
        None => Ok(()),
    }
}

/// What the door at `/v2/enqueue` does with a body.
fn take(body: &[u8], token: &str, number: u64) -> Result<Vec<Event>, Reject> {
    let headers = HeaderMap::new();
    let received = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(i64::try_from(number).unwrap_or(0));
    let delivered = Delivered { headers: &headers, body, token, team: None, received };
    let events = door::parse(&delivered, Uuid::from_u128(1 + u128::from(number)))?;
    // Without a key nobody has sent it.
    match door::routing_key(body) {
        Some(_) => Ok(events),
        None => Err(Reject::new(400, "/routing_key", "'routing_key' is missing or blank")),
    }
}

fn check_answer(answer: &Answer, expect: &Expect) -> Result<(), String> {
    let AnswerBody::Json(body) = &answer.body else { return Err("the answer is not JSON".to_owned()) };
    same("status", &answer.status, &expect.status).map_err(|why| format!("{why}: {body}"))?;
    for (member, wanted) in [("status", &expect.status_text), ("message", &expect.message)] {
        if let Some(wanted) = wanted {
            same(member, &body[member].as_str(), &Some(wanted))?;
        }
    }
    match expect.dedup_key.as_deref() {
        None => {}
        Some(made) if made.starts_with("generated") => {
            same("a dedup_key is made", &body["dedup_key"].as_str().is_some_and(|key| !key.is_empty()), &true)?;
        }
        Some(key) => same("dedup_key", &body["dedup_key"].as_str(), &Some(key))?,
    }
    let told = |member: &str| body[member].as_str().is_some_and(|text| !text.is_empty());
    let errors = body["errors"].as_array().is_some_and(|errors| !errors.is_empty());
    if answer.status == 400 && !(told("status") && told("message") && errors) {
        return Err(format!("a refusal needs status, message and errors: {body}"));
    }
    Ok(())
}

/// A good trigger of exactly as many bytes as the recipe says.
fn padded(recipe: &str) -> Result<String, String> {
    let number = recipe.split_whitespace().find_map(|word| word.parse::<usize>().ok());
    let bytes = number.ok_or_else(|| format!("`_generate` names no number of bytes: {recipe}"))?;
    let body = |pad: usize| {
        json!({"routing_key": "0123456789abcdef0123456789abcdef", "event_action": "trigger",
            "payload": {"summary": "s", "source": "x", "severity": "info", "custom_details": {"pad": "p".repeat(pad)}}})
        .to_string()
    };
    let pad = bytes.checked_sub(body(0).len()).ok_or_else(|| format!("{bytes} bytes are too few for a trigger"))?;
    Ok(body(pad))
}

#[derive(Debug, Deserialize)]
pub(super) struct Sequence {
    events: Vec<Map<String, Value>>,
    alerts: Vec<Alert>,
}

/// An alert at the end of a row of events.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Alert {
    key: String,
    rk: String,
    triggers: u32,
    status: String,
}

pub(super) fn dedup(case: Sequence) -> Result<(), String> {
    let mut entries = vec![Input::Ruleset { caller: Caller::rules(), ruleset: Box::new(carry_everything()?) }];
    for (number, event) in (1..).zip(case.events) {
        let token = event.get("routing_key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = Value::Object(completed(event, number)).to_string();
        let events = take(body.as_bytes(), &token, number).map_err(|reject| reject.to_string())?;
        entries.extend(events.into_iter().map(|event| Input::Event(Box::new(event))));
    }
    let entries: Vec<Entry> = (1..)
        .zip(entries)
        .map(|(seq, input)| Entry {
            seq,
            at: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seq as i64),
            input,
        })
        .collect();
    same("alerts", &alerts(&entries), &case.alerts)
}

/// A whole event: the vectors leave out the payload. Each says something new, so that it counts.
fn completed(mut event: Map<String, Value>, number: u64) -> Map<String, Value> {
    let payload = json!({"summary": format!("news {number}"), "source": "vectors", "severity": "error"});
    event.entry("payload").or_insert(payload);
    event
}

/// Rules under which every report is an incident of its own.
fn carry_everything() -> Result<trackside_core::ruleset::Ruleset, String> {
    let rules = json!({"teams": {"data": {}}, "owners": {"default": "data"},
        "rules": [{"name": "reported", "when": "reported"}]});
    serde_json::from_value(rules).map_err(|error| error.to_string())
}

/// Every incident that the entries open, in order.
fn alerts(entries: &[Entry]) -> Vec<Alert> {
    let mut state = State::new("vectors");
    let mut incidents: BTreeMap<IncidentId, Incident> = BTreeMap::new();
    for entry in entries {
        for change in decide(&mut state, std::slice::from_ref(entry)).changes {
            if let Change::Incident(incident) = change {
                incidents.insert(incident.id, incident);
            }
        }
    }
    let mut incidents: Vec<Incident> = incidents.into_values().collect();
    incidents.sort_by_key(|incident| incident.number);
    let alert = |incident: Incident| Alert {
        key: incident.pipeline.name.to_string(),
        rk: incident.pipeline.source.to_string(),
        triggers: incident.occurrences,
        status: incident.state.as_str().to_owned(),
    };
    incidents.into_iter().map(alert).collect()
}
