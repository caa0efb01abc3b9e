//! The PagerDuty door on the Events v2 vectors and on what Airflow's PagerDuty provider really sent.

use crate::samples::{delivered, fresh, lines, read};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use trackside_connect::door::{Answer, AnswerBody, Delivered};
use trackside_connect::pagerduty::door::{
    BODY_BYTES, accepted, change_accepted, parse, parse_change, refused, routing_key,
};
use trackside_core::event::{Event, Fact, Report, ReportAction, Severity};
use uuid::Uuid;

fn report(event: &Event) -> &Report {
    match &event.fact {
        Some(Fact::Report(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn answer(body: &[u8]) -> Answer {
    match parse(&delivered(body), fresh()) {
        Ok(events) => accepted(&events),
        Err(reject) => refused(&reject),
    }
}

/// A body of exactly so many bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let body = |pad: usize| {
        json!({"routing_key": "k", "event_action": "trigger", "payload": {"summary": "s", "source": "x",
            "severity": "info", "custom_details": {"pad": "p".repeat(pad)}}})
        .to_string()
    };
    body(bytes - body(0).len()).into_bytes()
}

#[test]
fn the_vectors_of_events_v2() {
    let vectors: Value = serde_json::from_slice(&read("oncall/pd_events_v2.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    for case in cases {
        let body = match (case["raw_body"].as_str(), &case["body"]["_generate"]) {
            (Some(raw), _) => raw.as_bytes().to_vec(),
            (None, Value::Null) => case["body"].to_string().into_bytes(),
            (None, _) if case["expect"]["status"] == 413 => padded(BODY_BYTES + 1),
            (None, _) => padded(BODY_BYTES),
        };
        let answer = answer(&body);
        assert_eq!(json!(answer.status), case["expect"]["status"], "{} {}: {answer:?}", case["id"], case["note"]);
        let AnswerBody::Json(said) = answer.body else { panic!() };
        if answer.status == 202 {
            assert_eq!(said["status"], "success");
            assert_eq!(said["message"], "Event processed");
            let sent = case["body"]["dedup_key"].as_str().filter(|key| !key.is_empty());
            let generated = fresh().simple().to_string();
            assert_eq!(said["dedup_key"].as_str(), sent.or(Some(&generated)), "{}", case["id"]);
        } else {
            assert_eq!(said["status"], "invalid event");
            assert!(!said["errors"].as_array().unwrap().is_empty());
        }
    }
    assert!(cases.len() >= 30);
}

#[test]
fn what_airflows_provider_sent_is_understood() {
    let lines: Vec<String> = lines("airflow/pagerduty/requests.jsonl")
        .iter()
        .map(|line| {
            let request: Value = serde_json::from_str(line).unwrap();
            let body = request["body"].to_string();
            assert_eq!(routing_key(body.as_bytes()).unwrap().expose_secret(), "R0ROUTINGKEY0000000000000000000");
            let read = if request["path"] == "/v2/change/enqueue" { parse_change } else { parse };
            let event = read(&delivered(body.as_bytes()), fresh()).unwrap().remove(0);
            assert!(!serde_json::to_string(&event).unwrap().contains("R0ROUTINGKEY"));
            match &event.fact {
                Some(Fact::Report(r)) => {
                    format!("{} {} {:?} {} component={:?}", event.event, r.key, r.severity, r.summary, r.component)
                }
                _ => format!("{} {}", event.event, event.payload["payload"]["summary"]),
            }
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_trigger_in_full() {
    let body = json!({
        "routing_key": "SECRETKEY", "event_action": "trigger", "dedup_key": "etl/load", "client": "Airflow",
        "client_url": "https://airflow.example.com",
        "payload": {"summary": "DAG etl failed: password=hunter2", "source": "airflow/etl", "severity": "critical",
            "timestamp": "2015-07-17T08:42:58.315+0000", "component": "load", "group": "etl", "class": "dag failure",
            "custom_details": {"try": 3, "team": "payments", "api_key": "k", "nested": {"a": [1, null, true]}}},
        "links": [{"href": "https://x.example/log?token=abc", "text": "log"}, {"href": "javascript:x"}],
    })
    .to_string();
    let events = parse(&Delivered { team: Some("web"), ..delivered(body.as_bytes()) }, fresh()).unwrap();
    insta::assert_json_snapshot!(events[0]);
}

#[test]
fn keys_actions_and_times() {
    let body = json!({"routing_key": "k", "event_action": "resolve", "dedup_key": "d1"}).to_string();
    let resolve = parse(&delivered(body.as_bytes()), fresh()).unwrap().remove(0);
    assert_eq!((report(&resolve).action, report(&resolve).key.as_str()), (ReportAction::Resolve, "d1"));
    assert_eq!(resolve.occurred, resolve.received);
    let body = json!({"routing_key": "k", "event_action": "trigger", "payload": {"summary": "s", "source": "x", "severity": "warning"}}).to_string();
    let first = parse(&delivered(body.as_bytes()), fresh()).unwrap().remove(0);
    let second = parse(&delivered(body.as_bytes()), Uuid::from_u128(9)).unwrap().remove(0);
    assert_ne!(report(&first).key, report(&second).key, "without a key each trigger is an alert of its own");
    assert_eq!(report(&first).severity, Severity::Warning);
    assert!(routing_key(b"{}").is_none());
    assert!(routing_key(b"{not json").is_none());
    assert!(routing_key(br#"{"routing_key":""}"#).is_none());
}

#[test]
fn a_change_needs_a_summary() {
    let check = |body: Value, expect: Result<(), &str>| {
        let got = parse_change(&delivered(body.to_string().as_bytes()), fresh());
        assert_eq!(
            got.map(|_| ()).map_err(|reject| (reject.status, reject.at)),
            expect.map_err(|at| (400, at.to_owned()))
        );
    };
    check(json!({"payload": {"summary": "deploy 42"}, "links": [{"href": "https://tc/42"}]}), Ok(()));
    check(json!({"payload": {}}), Err("/payload/summary"));
    check(json!({"payload": {"summary": "x", "timestamp": "now"}}), Err("/payload/timestamp"));
    check(json!({"payload": {"summary": "x"}, "links": [{"text": "t"}]}), Err("/links/0/href"));
    check(json!({"payload": 7}), Err("/payload"));
    assert_eq!(change_accepted().status, 202);
}
