//! Silences and maintenance windows: made, tried beforehand, ended, by those who may.

use crate::duty::{fails, post, refusals, send, world};
use crate::world::World;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_identity::role::Role;

async fn get(world: &World, path: &str) -> Value {
    let answer = world.get(path, Role::Viewer).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    answer.json()
}

async fn delete(world: &World, path: &str, id: &Value, role: Role) -> u16 {
    let path = format!("{path}/{}", id.as_str().expect("an id"));
    send(world, Method::DELETE, &path, role, &Value::Null).await.status.as_u16()
}

#[tokio::test]
async fn a_silence_holds_back_what_its_preview_said() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    fails(&world, "reports_daily").await;
    let of_orders = json!({"matchers": ["pipeline=~\"orders_.*\"", "tier=\"1\"", "team=payments"]});
    let preview = post(&world, "/api/v1/silences/preview", Role::Viewer, of_orders.clone(), 200).await;
    assert_eq!(preview["held"], 1);
    let held = &preview["incidents"][0];
    assert_eq!((&held["number"], &held["held"], &held["alerts"]), (&json!(1), &json!(true), &json!(1)));
    assert_eq!(held["matching"].as_array().map(Vec::len), Some(1));
    let none = post(&world, "/api/v1/silences/preview", Role::Viewer, json!({"matchers": ["team=ml"]}), 200).await;
    assert_eq!(none, json!({"held": 0, "incidents": []}));

    let body = json!({"matchers": of_orders["matchers"], "for": "2h", "reason": "the vendor is down"});
    let made = post(&world, "/api/v1/silences", Role::Responder, body, 201).await;
    // The token `responder` is an alias of bo.
    assert_eq!(
        (&made["state"], &made["by"], &made["ends"]),
        (&json!("active"), &json!("bo"), &json!("2026-11-19T04:14:00Z"))
    );
    let incident = get(&world, "/api/v1/incidents/1").await;
    assert_eq!(incident["suppressed_by"][0]["by"], "silence");
    assert_eq!(incident["suppressed_by"][0]["silence"], made["id"]);
    assert_eq!(incident["course"]["stands"], "suspended");
    assert_eq!(get(&world, "/api/v1/incidents?suppressed=true").await["items"][0]["number"], 1);
    assert_eq!(get(&world, "/api/v1/incidents?suppressed=false").await["items"][0]["number"], 2);
    assert_eq!(
        get(&world, "/api/v1/incidents?state=open&severity=critical").await["items"].as_array().map(Vec::len),
        Some(1)
    );
    world.pass(SignedDuration::from_hours(2)).await;
    assert_eq!(get(&world, "/api/v1/incidents/1").await["suppressed_by"], json!([]));
    assert_eq!(get(&world, "/api/v1/silences").await, json!([]));
    assert_eq!(get(&world, "/api/v1/silences?state=expired").await[0]["id"], made["id"]);
}

#[tokio::test]
async fn people_end_their_own_silences_and_operators_anybodys() {
    let world = world().await;
    let body = json!({"matchers": ["team=payments"], "ends": "2026-11-20T00:00:00Z", "reason": "work"});
    let path = "/api/v1/silences";
    let of_bo = post(&world, path, Role::Responder, body.clone(), 201).await;
    let of_operator = post(&world, path, Role::Operator, body.clone(), 201).await;
    let pending =
        json!({"matchers": ["team=payments"], "starts": "2026-11-19T22:00:00Z", "for": "1h", "reason": "later"});
    let pending = post(&world, path, Role::Operator, pending, 201).await;
    assert_eq!(get(&world, "/api/v1/silences?state=pending").await, json!([pending]));
    assert_eq!(delete(&world, path, &of_operator["id"], Role::Responder).await, 403);
    assert_eq!(delete(&world, path, &of_bo["id"], Role::Responder).await, 204);
    assert_eq!(delete(&world, path, &of_bo["id"], Role::Responder).await, 404, "it is over");
    let again = post(&world, path, Role::Responder, body, 201).await;
    for id in [&again["id"], &of_operator["id"]] {
        assert_eq!(delete(&world, path, id, Role::Operator).await, 204);
    }
    let audit = get(&world, "/api/v1/audit?action=silence.").await;
    assert_eq!(audit["items"][0]["action"], "silence.expired");
}

#[tokio::test]
async fn silences_that_are_refused() {
    let world = world().await;
    let ends = "2026-11-20T00:00:00Z";
    refusals(
        &world,
        "/api/v1/silences",
        Role::Responder,
        &[
            (json!({"matchers": [], "ends": ends, "reason": "x"}), 400, "matchers", "hold back everything"),
            (json!({"matchers": ["team"], "ends": ends, "reason": "x"}), 400, "matchers", "is not a matcher"),
            (json!({"matchers": ["team=~\"(\""], "ends": ends, "reason": "x"}), 400, "matchers", "cannot be used"),
            (json!({"matchers": vec!["a=b"; 51], "ends": ends, "reason": "x"}), 400, "matchers", "too many"),
            (json!({"matchers": ["a=b"], "ends": ends, "reason": " "}), 400, "reason", "say why"),
            (json!({"matchers": ["a=b"], "ends": ends}), 400, "body", "missing field `reason`"),
            (json!({"matchers": ["a=b"], "reason": "x"}), 400, "ends", "either `ends`"),
            (json!({"matchers": ["a=b"], "ends": ends, "for": "1h", "reason": "x"}), 400, "ends", "either `ends`"),
            (json!({"matchers": ["a=b"], "ends": "2026-11-19T02:00:00Z", "reason": "x"}), 400, "ends", "is not after"),
            (
                json!({"matchers": ["a=b"], "starts": "2026-11-01T00:00:00Z", "for": "1h", "reason": "x"}),
                400,
                "ends",
                "in the past",
            ),
            (json!({"matchers": ["a=b"], "for": "400d", "reason": "x"}), 400, "ends", "longer than 366 days"),
            (json!({"matchers": ["a=b"], "for": "soon", "reason": "x"}), 400, "body", "not a length of time"),
        ],
    )
    .await;
    let answer = world.get("/api/v1/silences?state=loud", Role::Viewer).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["at"]), (400, &json!("state")));
}

#[tokio::test]
async fn maintenance_windows_are_made_and_ended() {
    let world = world().await;
    let path = "/api/v1/maintenance";
    let body = json!({"name": "warehouse upgrade", "matchers": ["pipeline=orders_daily"], "announce": ["slack-data"],
        "when": {"tz": "Europe/Berlin", "start": "2026-11-19T03:00:00", "end": "2026-11-19T05:00:00"}, "reason": "new version"});
    let made = post(&world, path, Role::Operator, body.clone(), 201).await;
    assert_eq!(made["active"], json!({"start": "2026-11-19T02:00:00Z", "end": "2026-11-19T04:00:00Z"}));
    fails(&world, "orders_daily").await;
    let incident = get(&world, "/api/v1/incidents/1").await;
    assert_eq!(incident["suppressed_by"][0]["reason"], "in maintenance `warehouse upgrade` until 2026-11-19T04:00:00Z");
    let listed = get(&world, path).await;
    let names: Vec<&Value> = listed.as_array().expect("windows").iter().map(|window| &window["name"]).collect();
    assert_eq!(names, ["warehouse upgrade", "nightly reload"]);
    assert_eq!(
        (&listed[1]["origin"], &listed[1]["next"][0]["start"]),
        (&json!("configuration"), &json!("2026-11-20T00:00:00Z"))
    );
    refusals(&world, path, Role::Operator, &[(body, 409, "name", "already")]).await;
    assert_eq!(delete(&world, path, &made["id"], Role::Operator).await, 204);
    assert_eq!(delete(&world, path, &made["id"], Role::Operator).await, 404);
    assert_eq!(get(&world, "/api/v1/incidents/1").await["suppressed_by"], json!([]));
}

#[tokio::test]
async fn windows_that_are_refused() {
    let world = world().await;
    let window = |name: &str, when: Value| json!({"name": name, "when": when});
    let good = json!({"tz": "UTC", "start": "2026-12-01T00:00:00", "end_time": "02:00"});
    let mut unknown = window("w", good.clone());
    unknown["announce"] = json!(["prefect"]);
    let mut matcher = window("w", good.clone());
    matcher["matchers"] = json!(["team"]);
    refusals(
        &world,
        "/api/v1/maintenance",
        Role::Operator,
        &[
            (window(" ", good.clone()), 400, "name", "1 to 200 bytes"),
            (window("nightly reload", good), 409, "name", "already"),
            (unknown, 400, "announce", "pd-payments, slack-data"),
            (matcher, 400, "matchers", "is not a matcher"),
            (window("w", json!({})), 400, "when", "`start` is missing"),
            (
                window("w", json!({"start": "2026-12-01T02:00:00", "end": "2026-12-01T01:00:00"})),
                400,
                "when",
                "is not after",
            ),
            (window("w", json!({"start": "2025-12-01T02:00:00", "duration_s": 60})), 400, "when", "it is over"),
            (
                window("w", json!({"start": "2026-12-01T02:00:00", "end": "2029-12-01T01:00:00"})),
                400,
                "when",
                "longer than 366 days",
            ),
            (window("w", json!({"tz": "Mars", "start": "2026-12-01T02:00:00", "duration_s": 60})), 400, "body", "IANA"),
            (window("w", json!({"starts": "2026-12-01T02:00:00"})), 400, "body", "unknown field `starts`"),
        ],
    )
    .await;
}
