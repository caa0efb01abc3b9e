//! The native door: defaults, ids, and refusals that name the mistake.

use http::HeaderMap;
use serde_json::{Value, json};
use trackside_connect::door::{Delivered, Reject};
use trackside_connect::native::{IDEMPOTENCY_KEY, parse};
use trackside_core::event::Event;
use uuid::Uuid;

fn send(body: &Value, headers: &HeaderMap) -> Result<Vec<Event>, Reject> {
    let body = body.to_string();
    let received = "2026-11-20T18:00:00Z".parse().unwrap();
    let delivered = Delivered { headers, body: body.as_bytes(), token: "ci", team: Some("web"), received };
    parse(&delivered, Uuid::from_u128(7))
}

fn one(body: &Value) -> Event {
    send(body, &HeaderMap::new()).unwrap().remove(0)
}

#[test]
fn the_smallest_event_takes_its_defaults() {
    let event = one(&json!({"event": "deploy.done"}));
    assert_eq!(event.id.0, Uuid::from_u128(7));
    assert_eq!((event.source.as_str(), event.resource["prefect.resource.id"].as_str()), ("ci", "source.ci"));
    assert_eq!(event.occurred, event.received);
    assert!(event.fact.is_none() && event.payload.is_null());
}

#[test]
fn a_failed_run_in_full() {
    insta::assert_json_snapshot!(one(&json!({
        "id": "export-7", "source": "billing", "event": "billing.export.failed", "occurred": "2026-11-20T17:00:00+01:00",
        "payload": {"password": "x", "rows": 3},
        "run": {"pipeline": "export", "run_id": "2026-11-20", "state": "failed", "task": "load", "try": 2,
            "error": "no route to postgres://u:pw@db/x", "owners": ["pay"], "tags": ["tier:1"], "rows": 0,
            "inputs": ["warehouse/raw"], "outputs": ["warehouse/orders"], "url": "https://ci/7", "log_url": "https://ci/7/log?token=abc", "started": "2026-11-20T15:00:00Z"},
    })));
}

#[test]
fn ids_repeat_when_the_request_does() {
    let body = json!([{"event": "a"}, {"event": "b"}, {"event": "c", "id": "01a1fa20-5c49-77b8-ac19-d6daf814acfb"}]);
    let ids = |headers: &HeaderMap| send(&body, headers).unwrap().iter().map(|event| event.id).collect::<Vec<_>>();
    let keyed = HeaderMap::from_iter([(http::HeaderName::from_static(IDEMPOTENCY_KEY), "k1".parse().unwrap())]);
    assert_eq!(ids(&keyed), ids(&keyed));
    let (keyed, fresh) = (ids(&keyed), ids(&HeaderMap::new()));
    assert_ne!(keyed[0], keyed[1]);
    assert_ne!(fresh[0], fresh[1]);
    assert_ne!(keyed[0], fresh[0]);
    assert_eq!(keyed[2], fresh[2]);
    assert_eq!(keyed[2].to_string(), "01a1fa20-5c49-77b8-ac19-d6daf814acfb");
    let named = |source: &str| one(&json!({"event": "a", "id": "7", "source": source})).id;
    assert_eq!(named("x"), named("x"));
    assert_ne!(named("x"), named("y"));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let check = |body: Value, at: &str, problem: &str| {
        let reject = send(&body, &HeaderMap::new()).unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (422, at), "{reject}");
        assert!(reject.problem.contains(problem), "{reject}");
    };
    let run = |extra: Value| {
        let mut run = json!({"pipeline": "p", "run_id": "r", "state": "failed"});
        run.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([{"event": "x"}, {"event": "x", "run": run}])
    };
    check(json!({}), "", "missing field `event`");
    check(json!({"event": "x", "ocurred": "2026-11-20T17:00:00Z"}), "/ocurred", "did you mean `occurred`?");
    check(json!({"event": "x", "occurred": "today"}), "/occurred", "RFC 3339");
    check(json!({"event": "x", "id": ""}), "/id", "must not be empty");
    check(json!({"event": ""}), "/event", "1 to 1024 bytes");
    check(json!({"event": "x", "source": "s".repeat(600)}), "/source", "1 to 512 bytes");
    check(json!({"event": "x", "resource": {"a": "b"}}), "/resource", "prefect.resource.id");
    check(run(json!({"state": "faild"})), "/1/run/state", "did you mean `failed`?");
    check(run(json!({"runid": 1})), "/1/run/runid", "did you mean `run_id`?");
    check(run(json!({"pipeline": ""})), "/1/run/pipeline", "1 to 512 bytes");
    check(run(json!({"try": 1})), "/1/run/task", "`task` is missing");
    check(run(json!({"task": "t", "try": 0})), "/1/run/try", "from 1");
    check(run(json!({"url": "javascript:alert(1)"})), "/1/run/url", "http or https");
    check(run(json!({"rows": -1})), "/1/run/rows", "-1");
    check(run(json!({"inputs": ["w/a", "orders"]})), "/1/run/inputs/1", "namespace/name");
    check(run(json!({"outputs": vec!["w/a"; 65]})), "/1/run/outputs", "at most 64");
    check(run(json!({"started": 7})), "/1/run/started", "invalid type");
}
