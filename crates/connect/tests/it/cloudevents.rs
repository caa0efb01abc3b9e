//! The CloudEvents door in its three modes, and CDEvents.

use crate::samples::{delivered, now};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use trackside_connect::cloudevents::parse;
use trackside_connect::door::{Delivered, Reject};
use trackside_core::event::{Event, Fact};
use trackside_core::run::RunReport;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn send(pairs: &[(&'static str, &str)], body: &[u8]) -> Result<Vec<Event>, Reject> {
    let headers = headers(pairs);
    parse(&Delivered { headers: &headers, ..delivered(body) })
}

fn structured(event: &Value) -> Result<Vec<Event>, Reject> {
    send(&[("content-type", "application/cloudevents+json; charset=utf-8")], event.to_string().as_bytes())
}

fn minimal(extra: Value) -> Value {
    let mut event =
        json!({"specversion": "1.0", "id": "A234", "source": "/teamcity/builds", "type": "com.example.built"});
    event.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    event
}

#[test]
fn the_three_modes_give_the_same_event() {
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "A234"),
        ("ce-source", "/teamcity/builds"),
        ("ce-type", "com.example.built"),
        ("ce-time", "2026-11-20T17:31:00Z"),
        ("ce-subject", "Build%20%E2%82%AC"),
        ("ce-branch", "\"main\""),
        ("content-type", "application/json"),
    ];
    let binary = send(&attributes, br#"{"password":"x","n":1}"#).unwrap();
    let event = minimal(
        json!({"time": "2026-11-20T17:31:00Z", "subject": "Build €", "branch": "main", "data": {"password": "x", "n": 1}}),
    );
    assert_eq!(binary, structured(&event).unwrap());
    let batch =
        send(&[("content-type", "application/cloudevents-batch+json")], json!([event, event]).to_string().as_bytes());
    assert_eq!(batch.unwrap(), [binary.clone(), binary.clone()].concat());
    insta::assert_json_snapshot!(binary[0]);
}

#[test]
fn data_of_any_kind_is_kept() {
    let payload = |extra: Value| structured(&minimal(extra)).unwrap()[0].payload.clone();
    assert_eq!(payload(json!({})), Value::Null);
    assert_eq!(payload(json!({"data": [1, 2]})), json!({"data": [1, 2]}));
    assert_eq!(payload(json!({"data": "text"})), json!({"data": "text"}));
    assert_eq!(payload(json!({"data_base64": "eyJhIjoxfQ=="})), json!({"a": 1}));
    assert_eq!(payload(json!({"data_base64": "/w==", "datacontenttype": "image/png"})), json!({"base64": "/w=="}));
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "t"),
        ("content-type", "text/plain"),
    ];
    let event = send(&attributes, b"hello").unwrap().remove(0);
    assert_eq!((event.payload, event.occurred), (json!({"data": "hello"}), now()));
}

#[test]
fn ids_are_unique_per_source() {
    let id = |source: &str| structured(&minimal(json!({"source": source}))).unwrap()[0].id;
    assert_eq!(id("/a"), id("/a"));
    assert_ne!(id("/a"), id("/b"));
}

#[test]
fn what_is_not_a_cloudevent_is_refused() {
    let check = |got: Result<Vec<Event>, Reject>, status: u16, at: &str| {
        let reject = got.unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (status, at), "{reject}");
    };
    check(structured(&minimal(json!({"id": ""}))), 422, "/id");
    check(structured(&minimal(json!({"specversion": "0.3"}))), 422, "/specversion");
    check(structured(&minimal(json!({"type": null}))), 422, "/type");
    check(structured(&minimal(json!({"time": "today"}))), 422, "/time");
    check(structured(&minimal(json!({"data": 1, "data_base64": ""}))), 422, "/data");
    check(structured(&minimal(json!({"data_base64": "%"}))), 422, "/data_base64");
    check(structured(&json!([])), 422, "");
    check(send(&[("content-type", "application/cloudevents+json")], b"{"), 400, "");
    check(send(&[("content-type", "application/cloudevents+avro")], b"{}"), 415, "Content-Type");
    check(send(&[("content-type", "application/json")], b"{}"), 415, "Content-Type");
    check(send(&[("ce-specversion", "1.0"), ("ce-id", "1")], b""), 422, "/source");
    let batch = json!([minimal(json!({})), minimal(json!({"source": ""}))]).to_string();
    check(send(&[("content-type", "application/cloudevents-batch+json")], batch.as_bytes()), 422, "/1/source");
}

#[test]
fn cdevents_about_runs_are_facts() {
    let report = |kind: &str, content: Value| {
        let data = json!({"context": {"version": "0.4.1"}, "subject": {"id": "run-7", "type": "pipelineRun", "content": content}});
        let event = structured(&minimal(json!({"type": format!("dev.cdevents.{kind}.0.2.0"), "data": data})))
            .unwrap()
            .remove(0);
        event.fact.map(|fact| match fact {
            Fact::Run(update) => {
                (update.pipeline.clone(), update.run_id.clone().unwrap(), update.report, update.error.clone())
            }
            other => panic!("{other:?}"),
        })
    };
    let is = |report: RunReport, error: Option<&str>| {
        Some(("nightly".into(), "run-7".into(), report, error.map(str::to_owned)))
    };
    let named = |extra: Value| {
        let mut content = json!({"pipelineName": "nightly"});
        content.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        content
    };
    assert_eq!(report("pipelinerun.queued", named(json!({}))), is(RunReport::Scheduled, None));
    assert_eq!(report("pipelinerun.started", named(json!({}))), is(RunReport::Started, None));
    assert_eq!(report("pipelinerun.finished", named(json!({"outcome": "success"}))), is(RunReport::Succeeded, None));
    let failed = named(json!({"outcome": "failure", "errors": "token=abc"}));
    assert_eq!(report("pipelinerun.finished", failed), is(RunReport::Failed, Some("token=[redacted]")));
    assert_eq!(report("taskrun.started", json!({"taskName": "nightly"})), is(RunReport::Started, None));
    assert_eq!(report("pipelinerun.finished", named(json!({}))), None, "no outcome");
    assert_eq!(report("pipelinerun.finished", json!({"outcome": "success"})), None, "no name");
    assert_eq!(report("taskrun.started", json!({"taskName": "t", "pipelineRun": {"id": "run-1"}})), None);
    assert_eq!(report("build.finished", json!({"artifactId": "pkg:x"})), None);
}
