//! Invariant of every door: any bytes give events or a refusal, never a panic; and what comes out is bounded, checked
//! and redacted.

use crate::samples::{fresh, lines, now};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use trackside_connect::door::{Delivered, Reject, inflate};
use trackside_connect::heartbeat::{self, Ping};
use trackside_connect::prefect::door::Origin;
use trackside_connect::{alertmanager, cloudevents, native, openlineage, pagerduty, prefect, redact, slack};
use trackside_core::event::Event;
use uuid::Uuid;

type Parse = fn(&Delivered<'_>, Uuid) -> Result<Vec<Event>, Reject>;

/// Every door that reads a body.
const DOORS: [(&str, Parse); 12] = [
    ("native", native::parse),
    ("openlineage", |d, _| openlineage::parse(d)),
    ("prefect", |d, _| prefect::door::parse(d)),
    ("pagerduty", pagerduty::door::parse),
    ("pagerduty change", pagerduty::door::parse_change),
    ("slack webhook", slack::door::parse_webhook),
    ("slack call", slack::door::parse_post_message),
    ("alertmanager api", |d, _| alertmanager::parse_api(d)),
    ("alertmanager webhook", |d, _| alertmanager::parse_webhook(d)),
    ("cloudevents", |d, _| cloudevents::parse(d)),
    ("prefect page", |d, _| {
        let origin = Origin { source: d.token, team: d.team, pages: None, received: d.received };
        let page = prefect::feed::read_page(d.body, &origin)?;
        Ok(page.events.into_iter().filter_map(Result::ok).collect())
    }),
    ("heartbeat", |d, fresh| heartbeat::parse(d, &Ping::new("slug", Some("fail"), None)?, fresh)),
];

fn headers(content_type: &str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())])
}

fn knock(body: &[u8]) {
    let kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ];
    for kind in kinds {
        let headers = headers(kind);
        let delivered = Delivered { headers: &headers, body, token: "tok", team: Some("web"), received: now() };
        for (door, parse) in DOORS {
            match parse(&delivered, fresh()) {
                Ok(events) => events.iter().for_each(|event| check(door, event)),
                Err(reject) => assert!((400..=422).contains(&reject.status) && !reject.problem.is_empty(), "{door}"),
            }
        }
    }
    if let Ok(frame) = std::str::from_utf8(body) {
        let origin = Origin { source: "p", team: None, pages: None, received: now() };
        let _ = prefect::socket::read_auth(frame);
        let _ = prefect::socket::read_said(frame, &origin);
    }
    let _ = pagerduty::door::routing_key(body);
    if let Err(reject) = pagerduty::webhook::parse(body) {
        assert_eq!(reject.status, 400);
    }
    if let Err(reject) = slack::interact::parse(body) {
        assert_eq!(reject.status, 400);
    }
    let _ = inflate(Some("gzip"), body, 10_000);
}

fn check(door: &str, event: &Event) {
    assert!(event.validate().is_ok(), "{door}: {event:?}");
    let mut again = event.clone();
    redact::event(&mut again);
    assert_eq!(*event, again, "{door}: redacting again changes nothing");
    let kept = serde_json::to_string(event).unwrap();
    assert_eq!(*event, serde_json::from_str(&kept).unwrap(), "{door}: the log gives back what was put in");
}

/// Names that doors look for.
const NAMES: &str = "id event occurred resource related payload run job dataset facets eventType eventTime runId namespace \
    name outputs labels annotations alerts startsAt endsAt event_action dedup_key summary severity source \
    text blocks attachments channel type specversion data password events next_page pipeline run_id state \
    task custom_details prefect.resource.id prefect.resource.role airflow dagRun tags links href status token";

/// Texts that doors understand.
const TEXTS: &[&str] = &[
    "",
    "x",
    "START",
    "FAIL",
    "trigger",
    "critical",
    "2026-11-20T16:31:56Z",
    "0001-01-01T00:00:00Z",
    "1.0",
    "failed",
    "01a1f9cc-bd40-7ba1-9a3b-c3da00bebf1d",
    "prefect.flow-run.Failed",
    "https://x/?token=abc",
    "[{\"a\":1}]",
    "firing",
    "dev.cdevents.pipelinerun.finished.0.2.0",
    "postgres://u:p@h",
    "event",
];

/// JSON of any shape, with the names that doors look for.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(NAMES.split_whitespace().collect::<Vec<_>>());
    let texts = prop::sample::select(TEXTS.to_vec());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bodies each of which some door accepts.
static GOOD: LazyLock<Vec<Value>> = LazyLock::new(good);

fn good() -> Vec<Value> {
    let parsed = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let mut good: Vec<Value> =
        lines("airflow/openlineage/airflow-2.9.2.jsonl.gz").iter().step_by(9).map(parsed).collect();
    good.extend(lines("airflow/openlineage/airflow-3.3.2.jsonl.gz").iter().step_by(40).map(parsed));
    good.extend(lines("airflow/pagerduty/requests.jsonl").iter().map(|line| parsed(line)["body"].take()));
    good.extend(lines("airflow/slack/webhook.jsonl").iter().map(|line| parsed(line)["body"].take()));
    let page: Value = serde_json::from_slice(&crate::samples::read("prefect/events_page.json")).unwrap();
    good.push(page["events"][1].clone());
    good.push(json!([{"labels": {"alertname": "X", "severity": "page"}, "startsAt": "2026-11-20T16:31:56Z"}]));
    good.push(json!({"event": "x", "run": {"pipeline": "p", "run_id": "r", "state": "failed", "task": "t", "try": 1}}));
    good.push(json!({"specversion": "1.0", "id": "1", "source": "s", "type": "dev.cdevents.taskrun.started.0.2.0",
        "data": {"subject": {"id": "7", "content": {"taskName": "t"}}}}));
    good
}

/// Replaces the `at`-th value of a tree, counted depth first.
fn graft(tree: &mut Value, at: &mut usize, graft_in: &Value) -> bool {
    if *at == 0 {
        *tree = graft_in.clone();
        return true;
    }
    *at -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().any(|item| graft(item, at, graft_in)),
        Value::Object(members) => members.values_mut().any(|member| graft(member, at, graft_in)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        knock(&body);
    }

    #[test]
    fn any_json_body(body in any_json()) {
        knock(body.to_string().as_bytes());
    }

    #[test]
    fn good_bodies_with_one_part_replaced(which in any::<prop::sample::Index>(), at in 0usize..200, part in any_json()) {
        let mut body = which.get(GOOD.as_slice()).clone();
        graft(&mut body, &mut at.clone(), &part);
        knock(body.to_string().as_bytes());
    }

    #[test]
    fn good_bodies_cut_short(which in any::<prop::sample::Index>(), end in any::<prop::sample::Index>()) {
        let body = which.get(GOOD.as_slice()).to_string();
        knock(&body.as_bytes()[..end.index(body.len())]);
    }
}

#[test]
fn good_bodies_reach_their_doors() {
    let headers = headers("application/cloudevents+json");
    let opened = |body: &Value| {
        let body = body.to_string();
        let delivered = Delivered { headers: &headers, body: body.as_bytes(), token: "t", team: None, received: now() };
        DOORS.iter().filter(|(door, parse)| *door != "heartbeat" && parse(&delivered, fresh()).is_ok()).count()
    };
    assert!(GOOD.iter().all(|body| opened(body) > 0));
}

#[test]
fn hostile_bodies() {
    let deep = format!("{{\"event\":\"x\",\"payload\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    knock(deep.as_bytes());
    knock(b"{\"event\":\"x\",\"payload\":1e999}");
    knock(b"{\"event\":\"x\",\"payload\":123456789012345678901234567890123456789012345678901234567890}");
    knock(b"{\"event\":\"x\",\"event\":\"y\"}");
    knock(b"\xef\xbb\xbf{}");
    knock(b"[\"\\ud800\"]");
    knock(format!("[{}]", "{},".repeat(50_000)).as_bytes());
    knock(format!("{{\"event\":\"x\",\"payload\":\"{}\"}}", "password=a ".repeat(20_000)).as_bytes());
    knock(
        format!(
            "{{\"event\":\"x\",\"payload\":{{{}\"z\":1}}}}",
            (0..20_000).map(|n| format!("\"k{n}\":1,")).collect::<String>()
        )
        .as_bytes(),
    );
}
