//! A team with people, schedules and an escalation, for tests of what concerns them.
//!
//! At the beginning it is Thursday, 2026-11-19, 02:14 UTC: 03:14 in Berlin, 21:14 of the day before in New York.

use crate::world::{Answer, World, bearer, ruleset};
use http::Method;
use serde_json::{Value, json};
use trackside_core::ruleset::Ruleset;
use trackside_identity::role::Role;
use trackside_store::Store;

/// Payments: ana and bo take weekly turns, nobody is on call on Saturday night; cleo is behind them.
pub(crate) fn staffed() -> Ruleset {
    let mut rules = serde_json::to_value(ruleset()).expect("JSON");
    rules["people"] = json!({
        "ana": {"name": "Ana Müller", "zone": "Europe/Berlin", "aliases": ["U0ANA", "ana@example.net"],
            "contacts": [{"via": "slack-data", "to": "U0ANA"}, {"via": "pd-payments", "after": "5m"}]},
        "bo": {"zone": "America/New_York", "aliases": ["responder"], "contacts": [{"via": "slack-data", "to": "U0BO"}]},
        "cleo": {"contacts": [{"via": "pd-payments"}],
            "quiet": {"during": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}], "below": "critical"}},
    });
    let weekly =
        json!({"tz": "Europe/Berlin", "start": "2026-11-02T09:00:00", "unit": "week", "participants": ["ana", "bo"]});
    rules["schedules"] = json!({
        "primary": {"announce": ["slack-data"], "layers": [{"name": "week", "rotation": weekly, "restrict": [
            {"location": "Europe/Berlin", "weekdays": ["sunday:friday"]},
            {"location": "Europe/Berlin", "weekdays": ["saturday"], "times": [{"start_time": "08:00", "end_time": "24:00"}]},
        ]}]},
        "backup": {"layers": [{"name": "always", "rotation":
            {"tz": "UTC", "start": "2026-11-01T00:00:00", "unit": "month", "participants": ["cleo"]}}]},
    });
    rules["escalations"] = json!({
        "payments-oncall": {"ack_timeout": "2h", "repeat": {"times": 1, "every": "30m"}, "steps": [
            {"targets": ["oncall:primary"]},
            {"after": "15m", "targets": ["oncall:backup", "channel:slack-data"]},
        ]},
    });
    rules["maintenance"] = json!([{"name": "nightly reload", "matchers": ["pipeline=\"warehouse_reload\""],
        "when": {"tz": "Europe/Berlin", "start": "2026-11-01T01:00:00", "end_time": "02:00", "rrule": {"freq": "daily"}}}]);
    rules["teams"]["payments"]["escalation"] = json!("payments-oncall");
    rules["teams"]["payments"]["members"] = json!(["ana", "bo"]);
    serde_json::from_value(rules).expect("a ruleset")
}

/// A server with these people.
pub(crate) async fn world() -> World {
    World::with(Store::memory().expect("a database in memory"), staffed()).await
}

/// A failed run of a pipeline of payments.
pub(crate) async fn fails(world: &World, pipeline: &str) {
    world.event(&json!({"event": "run", "source": "airflow-prod",
        "run": {"pipeline": pipeline, "run_id": format!("{pipeline} {}", world.now()), "state": "failed", "error": "disk full"}})).await;
    world.set(world.now()).await;
    world.decide().await;
    world.set(world.now()).await;
}

/// Sends JSON, or nothing for `null`.
pub(crate) async fn send(world: &World, method: Method, path: &str, role: Role, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    world.send(method, path, &[bearer(role), ("content-type", "application/json".to_owned())], body).await
}

/// Posts JSON with a status that is expected; gives the answer.
pub(crate) async fn post(world: &World, path: &str, role: Role, body: Value, status: u16) -> Value {
    let answer = send(world, Method::POST, path, role, &body).await;
    assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text());
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// Refusals: body, status, what the problem is about, and a part of what it says.
pub(crate) async fn refusals(world: &World, path: &str, role: Role, table: &[(Value, u16, &str, &str)]) {
    for (body, status, at, part) in table {
        let problem = post(world, path, role, body.clone(), *status).await;
        assert_eq!(problem["at"].as_str().unwrap_or_default(), *at, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap_or_default().contains(part), "{body}: {problem}");
    }
}
