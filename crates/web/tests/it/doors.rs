//! Every door with what its far end sends: the answer in the far end's own words, and the event stored once.

use crate::world::{Answer, World, bearer, secret};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use trackside_identity::role::Role;

/// A request at a door and what must come back.
struct Visit {
    path: &'static str,
    content_type: &'static str,
    body: String,
    status: u16,
    answer: Value,
}

fn visit(path: &'static str, body: &Value, status: u16, answer: Value) -> Visit {
    Visit { path, content_type: "application/json", body: body.to_string(), status, answer }
}

/// The body as JSON, or as text when it is not.
fn said(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| Value::String(answer.text()))
}

fn prefect_event() -> Value {
    json!({
        "id": "01a1f9cc-bd40-7ba1-9a3b-c3da00bebf1d", "occurred": "2026-11-19T02:00:00Z",
        "event": "prefect.flow-run.Completed", "resource": {"prefect.resource.id": "prefect.flow-run.1"},
    })
}

fn lineage_event() -> Value {
    json!({
        "eventType": "START", "eventTime": "2026-11-19T02:00:00Z", "producer": "p", "schemaURL": "s",
        "run": {"runId": "01a1f9cc-bd40-7ba1-9a3b-c3da00bebf1d"}, "job": {"namespace": "spark", "name": "sessions"},
    })
}

fn visits() -> Vec<Visit> {
    let key = secret(Role::Ingest);
    let alert = json!({"labels": {"alertname": "Down", "job": "db"}, "startsAt": "2026-11-19T02:00:00Z"});
    let slack = "/services/T/B/ingest00000000000000000000000000";
    assert!(slack.ends_with(&key), "the path holds the token");
    let ce = json!({"specversion": "1.0", "id": "a", "source": "/ci", "type": "dev.build.finished"});
    let page = json!({"routing_key": key, "event_action": "trigger", "dedup_key": "k",
        "payload": {"summary": "disk full", "source": "db-1", "severity": "error"}});
    let change = json!({"routing_key": key, "payload": {"summary": "deployed"}});
    let message = json!({"channel": "C1", "text": "hello"});
    let batch = json!({"status": "success", "failed_events": [],
        "summary": {"received": 2, "successful": 2, "failed": 0, "retriable": 0, "non_retriable": 0}});
    vec![
        visit("/api/v1/events", &json!({"id": "a", "event": "x.y"}), 202, json!({"accepted": 1})),
        visit("/api/v1/lineage", &lineage_event(), 201, json!("")),
        visit("/api/v1/lineage/batch", &json!([lineage_event(), lineage_event()]), 200, batch),
        visit("/api/events", &json!([prefect_event()]), 204, json!("")),
        visit("/v2/enqueue", &page, 202, json!({"status": "success", "message": "Event processed", "dedup_key": "k"})),
        visit("/v2/change/enqueue", &change, 202, json!({"status": "success", "message": "Change event processed"})),
        visit(slack, &json!({"text": "hello"}), 200, json!("ok")),
        visit("/slack/api/chat.postMessage", &message, 200, json!({"ok": true, "channel": "C1"})),
        visit("/api/v2/alerts", &json!([alert]), 200, json!("")),
        visit("/api/v1/alertmanager", &json!({"version": "4", "status": "firing", "alerts": [alert]}), 200, json!("")),
        visit("/ping/backup", &json!("done"), 200, json!("OK")),
        visit("/ping/backup/start", &json!(null), 200, json!("OK")),
        visit("/ping/backup/137", &json!(null), 200, json!("OK")),
        Visit {
            content_type: "application/cloudevents+json",
            ..visit("/api/v1/cloudevents", &ce, 202, json!({"accepted": 1}))
        },
    ]
}

/// Every field of `expect` stands in `got`.
fn contains(got: &Value, expect: &Value) -> bool {
    match (got, expect) {
        (Value::Object(got), Value::Object(expect)) => {
            expect.iter().all(|(name, value)| got.get(name).is_some_and(|got| contains(got, value)))
        }
        _ => got == expect,
    }
}

async fn knock(world: &World, visit: &Visit) -> Answer {
    let headers = [bearer(Role::Ingest), ("content-type", visit.content_type.to_owned())];
    world.send(Method::POST, visit.path, &headers, visit.body.clone()).await
}

#[tokio::test]
async fn every_door_stores_and_answers_in_the_words_of_its_far_end() {
    for visit in visits() {
        let world = World::new().await;
        let answer = knock(&world, &visit).await;
        assert_eq!(answer.status.as_u16(), visit.status, "{}: {}", visit.path, answer.text());
        assert!(contains(&said(&answer), &visit.answer), "{}: {}", visit.path, answer.text());
        assert_eq!(world.stored().await, 1, "{}", visit.path);
    }
}

#[tokio::test]
async fn the_same_event_again_is_a_success_and_stored_once() {
    let world = World::new().await;
    for visit in visits() {
        let once_only = matches!(
            visit.path,
            "/api/v1/events" | "/api/v1/lineage" | "/api/events" | "/api/v2/alerts" | "/api/v1/cloudevents"
        );
        if !once_only {
            continue;
        }
        knock(&world, &visit).await;
        let before = world.stored().await;
        let again = knock(&world, &visit).await;
        assert_eq!(again.status.as_u16(), visit.status, "{}", visit.path);
        assert_eq!(world.stored().await, before, "{}", visit.path);
    }
}

#[tokio::test]
async fn the_native_door_names_positions_and_duplicates() {
    let world = World::new().await;
    let body = json!([{"id": "a", "event": "x"}, {"id": "b", "event": "x"}, {"id": "a", "event": "x"}]);
    let answer = world.send(Method::POST, "/api/v1/events", &[bearer(Role::Ingest)], body.to_string()).await.json();
    let seen: Vec<(u64, bool)> = answer["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| (event["seq"].as_u64().expect("seq"), event["duplicate"].as_bool().expect("duplicate")))
        .collect();
    assert_eq!(seen, [(2, false), (3, false), (2, true)]);
}

#[tokio::test]
async fn a_ping_takes_its_token_from_the_address() {
    let world = World::new().await;
    let path = format!("/ping/backup?token={}&rid=7", secret(Role::Ingest));
    for method in [Method::GET, Method::POST] {
        let answer = world.send(method, &path, &[], Body::empty()).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "OK"));
    }
    let wrong = world.send(Method::GET, "/ping/backup?token=nonsense", &[], Body::empty()).await;
    assert_eq!(wrong.status.as_u16(), 401);
}

#[tokio::test]
async fn what_prefect_asks_before_it_sends() {
    let world = World::new().await;
    for (path, status, expect) in [
        ("/api/admin/version", 200, json!("3.8.8")),
        ("/api/health", 200, json!(true)),
        ("/api/csrf-token?client=x", 422, json!({"detail": "CSRF protection is disabled."})),
    ] {
        let answer = world.send(Method::GET, path, &[], Body::empty()).await;
        assert_eq!((answer.status.as_u16(), said(&answer)), (status, expect), "{path}");
    }
}
