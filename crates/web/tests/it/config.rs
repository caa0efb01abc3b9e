//! Plan and apply over HTTP: what the shell is asked, and how its answers look. The shell's own work has its own tests.

use crate::world::{Answer, World, bearer};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use trackside_identity::role::Role;
async fn ask(world: &World, path: &str, body: &Value) -> Answer {
    let headers = [bearer(Role::Admin), ("content-type", "application/json".to_owned())];
    world.send(Method::POST, path, &headers, Body::from(body.to_string())).await
}

fn upload(text: &str) -> Value {
    json!({"files": [{"name": "a.yaml", "text": text}], "in_force": "then"})
}

#[tokio::test]
async fn a_plan_and_what_was_applied_are_answered_alike() {
    let world = World::new().await;
    let plan = ask(&world, "/api/v1/config/plan", &upload("payments")).await;
    let expect = json!({
        "in_force": "admin true",
        "changes": [{"section": "teams", "name": "payments", "change": "changed",
            "fields": [{"path": "aliases[0]", "after": "x"}], "needs_restart": false}],
        "warnings": [{"file": "a.yaml", "line": 3, "column": 5, "path": "teams.x", "problem": "no"}],
        "errors": [], "applied": false,
    });
    assert_eq!((plan.status.as_u16(), plan.json()), (200, expect));
    let apply = ask(&world, "/api/v1/config/apply", &upload("payments")).await.json();
    assert_eq!((&apply["applied"], &apply["in_force"]), (&json!(true), &json!("admin false")));
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_where() {
    let world = World::new().await;
    let invalid = ask(&world, "/api/v1/config/apply", &upload("invalid")).await;
    assert_eq!(invalid.header("content-type"), "application/problem+json");
    let body = invalid.json();
    assert_eq!((invalid.status.as_u16(), &body["status"], &body["errors"][0]["line"]), (422, &json!(422), &json!(3)));
    for (body, status, expect) in [
        (upload("conflict"), 409, "somebody was faster"),
        (upload("failed"), 503, "not now"),
        (json!({"files": [{"name": "a.yaml"}]}), 400, "missing field `text`"),
        (upload(&"x".repeat(17 * 1024 * 1024)), 413, "larger than 16 MiB"),
    ] {
        let answer = ask(&world, "/api/v1/config/plan", &body).await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(answer.text().contains(expect), "{}", answer.text());
    }
}
