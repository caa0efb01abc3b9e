//! CloudEvents 1.0 over HTTP (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>):
//! binary mode (attributes in `ce-` headers), structured mode and batches in JSON.
//!
//! Identity is the standard's own: (source, id). The source of the event is the `source` attribute. CDEvents
//! (<https://cdevents.dev>) about pipeline runs become facts, and about task runs that belong to no pipeline run, which
//! are then pipelines of their own. A task run inside a pipeline run names the run but not the pipeline, and CDEvents
//! builds carry neither name nor outcome: those are kept without a fact rather than guessed at.

use crate::door::{
    Delivered, Reject, array, decode, labels, name, parse_time, related, seal, text_at, value_at, web_address,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_core::event::{Event, Fact};
use trackside_core::ids::EventId;
use trackside_core::limits;
use trackside_core::run::{RunReport, RunUpdate, System};

/// Reads the events of a request in any of the three modes.
///
/// # Errors
/// 400 for what is not JSON, 413 for too many events, 415 for another event format than JSON, 422 for an event that
/// lacks a required attribute.
pub fn parse(delivered: &Delivered<'_>) -> Result<Vec<Event>, Reject> {
    let content_type = delivered.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/cloudevents-batch+json" => {
            let events: Vec<Value> = array(delivered.body)?;
            let read = |(index, event)| read_structured(event, delivered, &format!("/{index}"));
            events.into_iter().enumerate().map(read).collect()
        }
        "application/cloudevents+json" | "application/cloudevents" => {
            Ok(vec![read_structured(decode(delivered.body)?, delivered, "")?])
        }
        other if other.starts_with("application/cloudevents") => {
            Err(Reject::new(415, "Content-Type", "only the JSON event format is read: application/cloudevents+json"))
        }
        _ if delivered.headers.contains_key("ce-specversion") => Ok(vec![read_binary(delivered, &media_type)?]),
        _ => Err(Reject::new(
            415,
            "Content-Type",
            "this is no CloudEvent: send application/cloudevents+json, application/cloudevents-batch+json, or `ce-` headers",
        )),
    }
}

/// An event in its parts, whichever mode it came in.
struct Parts {
    attributes: BTreeMap<String, String>,
    data: Value,
}

fn read_structured(event: Value, delivered: &Delivered<'_>, place: &str) -> Result<Event, Reject> {
    let Value::Object(mut members) = event else {
        return Err(Reject::shape(place, "a CloudEvent is a JSON object"));
    };
    let data = match (members.remove("data"), members.remove("data_base64")) {
        (Some(_), Some(_)) => return Err(Reject::shape(format!("{place}/data"), "`data` excludes `data_base64`")),
        (Some(data), None) => data,
        (None, Some(Value::String(encoded))) => match STANDARD.decode(&encoded) {
            Ok(bytes) => data_of(&bytes, members.get("datacontenttype").and_then(Value::as_str).unwrap_or_default()),
            Err(_) => return Err(Reject::shape(format!("{place}/data_base64"), "`data_base64` is not base64")),
        },
        (None, Some(_)) => return Err(Reject::shape(format!("{place}/data_base64"), "`data_base64` must be a text")),
        (None, None) => Value::Null,
    };
    let attributes = members.into_iter().filter_map(|(attribute, value)| match value {
        Value::String(text) => Some((attribute, text)),
        Value::Bool(_) | Value::Number(_) => Some((attribute, value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    event_of(Parts { attributes: attributes.collect(), data }, delivered, place)
}

fn read_binary(delivered: &Delivered<'_>, media_type: &str) -> Result<Event, Reject> {
    let mut attributes = BTreeMap::new();
    for (header, value) in delivered.headers {
        let Some(attribute) = header.as_str().strip_prefix("ce-") else {
            continue;
        };
        let text = percent_decoded(value.as_bytes())
            .ok_or_else(|| Reject::shape(header.as_str(), &format!("`{header}` is not UTF-8")))?;
        attributes.insert(attribute.to_owned(), text);
    }
    let data = if delivered.body.is_empty() { Value::Null } else { data_of(delivered.body, media_type) };
    event_of(Parts { attributes, data }, delivered, "")
}

/// Data as JSON: parsed where its media type says JSON, else as text, else as base64.
fn data_of(bytes: &[u8], media_type: &str) -> Value {
    let json = media_type.is_empty() || media_type.ends_with("/json") || media_type.ends_with("+json");
    if let Some(data) = json.then(|| serde_json::from_slice(bytes).ok()).flatten() {
        return data;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

fn event_of(parts: Parts, delivered: &Delivered<'_>, place: &str) -> Result<Event, Reject> {
    let attribute =
        |attribute: &str| parts.attributes.get(attribute).map(String::as_str).filter(|text| !text.is_empty());
    let required = |name: &str| {
        attribute(name)
            .ok_or_else(|| Reject::shape(format!("{place}/{name}"), &format!("the attribute `{name}` is missing")))
    };
    if required("specversion")? != "1.0" {
        return Err(Reject::shape(format!("{place}/specversion"), "only `specversion` 1.0 is read"));
    }
    let (id, ce_source, kind) = (required("id")?, required("source")?, required("type")?);
    let occurred = match attribute("time") {
        None => delivered.received,
        Some(time) => parse_time(time).ok_or_else(|| {
            Reject::shape(format!("{place}/time"), "`time` is not RFC 3339, for example 2026-11-20T16:31:56Z")
        })?,
    };
    let source = name(ce_source);
    let subject = attribute("subject");
    let resource_id = subject.map_or_else(|| source.clone(), |subject| format!("{source}/{subject}"));
    let mut resource = labels(name(&resource_id), subject.unwrap_or_default());
    let others = parts.attributes.iter().filter(|(name, _)| !["id", "time", "specversion"].contains(&name.as_str()));
    let as_label = |(attribute, value): (&String, &String)| (format!("cloudevents.{attribute}"), value.clone());
    resource.extend(others.take(limits::LIST_ITEMS).map(as_label));
    let mut all = Vec::new();
    let fact = cd_event(kind, &parts.data, occurred, delivered.team);
    if let Some(update) = &fact {
        all.push(related("pipeline", format!("pipeline.{source}.{}", update.pipeline), &update.pipeline));
    }
    let event = Event {
        id: EventId::from_native(&source, id),
        occurred,
        received: delivered.received,
        event: kind.to_owned(),
        resource,
        related: all,
        payload: match parts.data {
            data @ (Value::Object(_) | Value::Null) => data,
            data => Value::Object(Map::from_iter([("data".to_owned(), data)])),
        },
        follows: None,
        fact: fact.map(|update| Fact::Run(Box::new(update))),
        source,
    };
    seal(event, place)
}

/// The fact of a CDEvent about a run. Types look like `dev.cdevents.pipelinerun.finished.0.2.0`.
fn cd_event(kind: &str, data: &Value, occurred: Timestamp, team: Option<&str>) -> Option<RunUpdate> {
    let mut words = kind.strip_prefix("dev.cdevents.")?.split('.');
    let (subject, predicate) = (words.next()?, words.next()?);
    let content = value_at(data, &["subject", "content"]).unwrap_or(&Value::Null);
    let pipeline = match subject {
        "pipelinerun" => text_at(content, &["pipelineName"])?,
        "taskrun" if content.get("pipelineRun").is_none_or(Value::is_null) => text_at(content, &["taskName"])?,
        _ => return None,
    };
    let report = match (predicate, text_at(content, &["outcome"])) {
        ("queued", _) => RunReport::Scheduled,
        ("started", _) => RunReport::Started,
        ("finished", Some("success")) => RunReport::Succeeded,
        ("finished", Some("failure" | "error")) => RunReport::Failed,
        ("finished", Some("cancel" | "cancelled" | "canceled")) => RunReport::Cancelled,
        _ => return None,
    };
    let ended = predicate == "finished";
    Some(RunUpdate {
        system: System::Other,
        pipeline: name(pipeline),
        run_id: Some(name(text_at(data, &["subject", "id"])?)),
        run_aliases: Vec::new(),
        attempt: None,
        report,
        started: (report == RunReport::Started).then_some(occurred),
        ended: ended.then_some(occurred),
        nominal: None,
        error: text_at(content, &["errors"]).filter(|_| report == RunReport::Failed).map(str::to_owned),
        owners: team.map(str::to_owned).into_iter().collect(),
        tags: Vec::new(),
        url: text_at(content, &["url"]).or(text_at(content, &["uri"])).and_then(web_address),
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: BTreeMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    })
}

/// The value of a `ce-` header (HTTP binding, section 3.1.3.2): percent-encoded UTF-8, perhaps in double quotes.
fn percent_decoded(value: &[u8]) -> Option<String> {
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let digits = (*byte == b'%').then(|| after.get(..2)).flatten();
        let encoded = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
