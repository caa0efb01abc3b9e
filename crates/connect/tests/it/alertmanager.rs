//! The Alertmanager doors: what Prometheus repeats, what Alertmanager posts.

use crate::samples::{delivered, now};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trackside_connect::alertmanager::{accepted, parse_api, parse_webhook, refused};
use trackside_connect::door::{AnswerBody, Delivered};
use trackside_core::event::{Event, Fact, Report, ReportAction, Severity};

fn at(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

/// What Prometheus sends for an alert that began an hour ago.
fn alert(ends: Option<Timestamp>) -> Value {
    let mut alert = json!({
        "labels": {"alertname": "DiskFull", "instance": "db1:9100", "job": "node", "severity": "page", "team": "storage", "empty": ""},
        "annotations": {"summary": "Disk of db1 is full", "runbook_url": "https://runbooks/disk", "value": "99%"},
        "startsAt": at(-60), "generatorURL": "http://prom:9090/graph?g0.expr=x",
    });
    if let Some(ends) = ends {
        alert["endsAt"] = json!(ends);
    }
    alert
}

fn sent(alert: &Value, received: Timestamp) -> Event {
    let body = json!([alert]).to_string();
    parse_api(&Delivered { received, ..delivered(body.as_bytes()) }).unwrap().remove(0)
}

fn report(event: &Event) -> &Report {
    match &event.fact {
        Some(Fact::Report(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_firing_alert_in_full() {
    insta::assert_json_snapshot!(sent(&alert(Some(at(4))), now()));
}

#[test]
fn repeats_extend_a_firing_alert_and_say_nothing_new_of_a_resolved_one() {
    let first = sent(&alert(Some(at(4))), now());
    let retried = sent(&alert(Some(at(4))), at(1));
    let repeated = sent(&alert(Some(at(5))), at(1));
    assert_eq!(first.id, retried.id, "the same body again");
    assert_ne!(first.id, repeated.id, "a later end is news");
    assert_eq!(report(&first).key, report(&repeated).key);
    assert_eq!(report(&repeated).ends, Some(at(5)));
    let resolved = sent(&alert(Some(at(6))), at(6));
    assert_eq!((report(&resolved).action, report(&resolved).ends), (ReportAction::Resolve, None));
    assert_eq!(resolved.occurred, at(6));
    assert_eq!(resolved.id, sent(&alert(Some(at(6))), at(7)).id, "repeated for 15 minutes");
    assert_ne!(resolved.id, first.id);
    assert_eq!(report(&resolved).key, report(&first).key);
}

#[test]
fn an_alert_without_an_end_lasts_five_minutes() {
    let event = sent(&alert(None), now());
    assert_eq!((report(&event).action, report(&event).ends), (ReportAction::Trigger, Some(at(5))));
    let mut zero = alert(None);
    zero["endsAt"] = json!("0001-01-01T00:00:00Z");
    assert_eq!(report(&sent(&zero, now())).ends, Some(at(5)));
    let bare = sent(&json!({"labels": {"alertname": "X"}}), now());
    assert_eq!((bare.occurred, report(&bare).summary.as_str(), report(&bare).severity), (now(), "X", Severity::Error));
}

#[test]
fn severities_are_mapped() {
    for (label, expect) in [
        ("page", Severity::Critical),
        ("CRITICAL", Severity::Critical),
        ("error", Severity::Error),
        ("high", Severity::Error),
        ("warning", Severity::Warning),
        ("info", Severity::Info),
        ("none", Severity::Info),
        ("whatever", Severity::Error),
    ] {
        let event = sent(&json!({"labels": {"alertname": "X", "severity": label}}), now());
        assert_eq!(report(&event).severity, expect, "{label}");
    }
}

#[test]
fn bad_alerts_are_refused_as_alertmanager_does() {
    let check = |body: &str, at: &str, problem: &str| {
        let reject = parse_api(&delivered(body.as_bytes())).unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (400, at), "{reject}");
        assert!(reject.problem.contains(problem), "{reject}");
        assert!(matches!(refused(&reject).body, AnswerBody::Json(Value::String(_))));
    };
    check("[{not json", "", "not JSON");
    check("{}", "", "expected a sequence");
    check(r#"[{"labels":{}}]"#, "/0/labels", "at least one label pair required");
    check(r#"[{"labels":{"a":""}}]"#, "/0/labels", "at least one label pair required");
    check(r#"[{"labels":{"a":"b"}},{"annotations":{}}]"#, "/1", "missing field `labels`");
    check(r#"[{"labels":{"a":1}}]"#, "/0/labels/a", "expected a string");
    check(r#"[{"labels":{"a":"b"},"startsAt":"now"}]"#, "/0/startsAt", "RFC 3339");
    let inverted = json!([{"labels": {"a": "b"}, "startsAt": at(5), "endsAt": at(1)}]).to_string();
    check(&inverted, "/0", "start time must be before end time");
    assert_eq!(accepted().status, 200);
}

fn notification(status: &str, ends: &str) -> Value {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "trackside",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am:9093",
        "alerts": [{
            "status": status, "labels": {"alertname": "DiskFull", "owner": "storage"}, "annotations": {"description": "d"},
            "startsAt": at(-60), "endsAt": ends, "generatorURL": "", "fingerprint": "c3f4a5b6d7e8f901",
        }],
    })
}

#[test]
fn the_webhook_of_alertmanager() {
    let read = |body: Value| parse_webhook(&delivered(body.to_string().as_bytes())).unwrap().remove(0);
    let firing = read(notification("firing", "0001-01-01T00:00:00Z"));
    let resolved = read(notification("resolved", &at(0).to_string()));
    assert_eq!(report(&firing).key, "c3f4a5b6d7e8f901");
    assert_eq!((report(&firing).action, report(&firing).ends), (ReportAction::Trigger, None));
    assert_eq!(report(&firing).owners, ["storage"]);
    assert_eq!(report(&firing).links[0].href, "http://am:9093");
    assert_eq!(firing.id, read(notification("firing", "0001-01-01T00:00:00Z")).id);
    assert_eq!(
        (report(&resolved).action, resolved.event.as_str()),
        (ReportAction::Resolve, "alertmanager.alert.resolved")
    );
    assert_ne!(firing.id, resolved.id);
    assert_eq!(parse_webhook(&delivered(b"{}")).unwrap_err().status, 400);
}
