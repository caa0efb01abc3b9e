//! Automations in our own API: made, edited, paused, tried out, explained, removed.

use crate::world::{Answer, World, bearer};
use axum::body::Body;
use http::{Method, Request};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use trackside_identity::role::Role;

const THREE: &str = "\
name: three failures
trigger:
  expect: [billing.failed]
  for_each: [prefect.resource.id]
  threshold: 3
  within: 10m
actions: [page-owner]
";

async fn send(world: &World, role: Role, method: Method, path: &str, body: impl Into<Body>) -> Answer {
    world.send(method, path, &[bearer(role)], body).await
}

async fn made(world: &World, text: &str) -> String {
    let answer = send(world, Role::Admin, Method::POST, "/api/v1/automations", text.to_owned()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn failure(id: &str, resource: &str) -> Value {
    json!({"event": "billing.failed", "id": id, "resource": {"prefect.resource.id": resource}})
}

/// Lets `count` failures of a resource happen, a minute apart.
async fn failures(world: &World, resource: &str, count: usize) {
    for number in 0..count {
        world.pass(SignedDuration::from_mins(1)).await;
        world.event(&failure(&format!("{resource}-{number}"), resource)).await;
    }
    world.decide().await;
}

#[tokio::test]
async fn an_automation_is_made_edited_paused_and_removed() {
    let world = World::new().await;
    let id = made(&world, THREE).await;
    let path = format!("/api/v1/automations/{id}");
    let detail = world.get(&path, Role::Viewer).await.json();
    assert_eq!(
        detail["yaml"],
        THREE
            .replace("trigger:\n", "trigger:\n  type: event\n")
            .replace(
                "  expect: [billing.failed]\n  for_each: [prefect.resource.id]\n",
                "  expect:\n  - billing.failed\n  for_each:\n  - prefect.resource.id\n",
            )
            .replace("actions: [page-owner]", "actions:\n- type: page-owner")
    );
    assert_eq!(
        (&detail["version"], &detail["semantics"], &detail["origin"]),
        (&json!(1), &json!("trackside"), &json!("api"))
    );
    assert_eq!(detail["spec"]["trigger"]["within"], json!(600.0));
    let paused = send(&world, Role::Operator, Method::POST, &format!("{path}/pause"), "").await;
    assert_eq!((paused.status.as_u16(), &paused.json()["enabled"]), (200, &json!(false)));
    let resumed = send(&world, Role::Operator, Method::POST, &format!("{path}/resume"), "").await;
    assert_eq!(resumed.json()["enabled"], true);
    let edited = THREE.replace("threshold: 3", "threshold: 2");
    for (version, status) in [("?version=1", 409), ("?version=3", 200), ("", 200)] {
        let answer = send(&world, Role::Admin, Method::PUT, &format!("{path}{version}"), edited.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{version}: {}", answer.text());
    }
    let history = world.get(&format!("{path}/history"), Role::Viewer).await.json();
    let told: Vec<String> = history["items"].as_array().expect("items").iter().map(edit).collect();
    insta::assert_snapshot!(told.join("\n"));
    let page = world.get(&format!("{path}/history?limit=2"), Role::Viewer).await.json();
    let older = world.get(&format!("{path}/history?limit=2&before={}", page["next"]), Role::Viewer).await.json();
    assert_eq!(older["items"][0]["version"], 3, "{older}");
    assert_eq!(send(&world, Role::Admin, Method::DELETE, &path, "").await.status, 204);
    assert_eq!(world.get(&path, Role::Viewer).await.status, 404);
    let history = world.get(&format!("{path}/history"), Role::Viewer).await.json();
    assert_eq!(history["items"][0]["kind"], "deleted", "{history}");
}

/// One edit as people would read it.
fn edit(item: &Value) -> String {
    let lines = item["lines"].as_array().expect("lines").iter().map(|line| {
        let mark = match line["change"].as_str().expect("a word") {
            "added" => "+",
            "removed" => "-",
            "gap" => "~",
            _ => " ",
        };
        format!("\n  {mark}{}", line["text"].as_str().expect("a text"))
    });
    let (kind, version, by) = (&item["kind"], &item["version"], &item["subject"]);
    format!("{version} {kind} by {by}{}", lines.collect::<String>())
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_place() {
    let world = World::new().await;
    made(&world, THREE).await;
    for (body, status, at) in [
        (THREE.to_owned(), 409, json!("name")),
        ("name: [".to_owned(), 422, json!([""])),
        (
            "name: x\ntrigger: {expect: [a], treshold: 3}\nactions: [page-ownr]\n".to_owned(),
            422,
            json!(["trigger.treshold", "actions.0.type"]),
        ),
        (json!({"trigger": {"expect": ["a"]}, "actions": []}).to_string(), 422, json!(["name"])),
    ] {
        let answer = send(&world, Role::Admin, Method::POST, "/api/v1/automations", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        let places: Option<Vec<Value>> =
            problem["errors"].as_array().map(|errors| errors.iter().map(|error| error["at"].clone()).collect());
        assert_eq!(places.map_or(problem["at"].clone(), Value::from), at, "{problem}");
        let checked = send(&world, Role::Viewer, Method::POST, "/api/v1/automations/check", body.clone()).await;
        assert_eq!(checked.status, 200);
        let count = checked.json()["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(count, if status == 422 { at.as_array().map_or(0, Vec::len) } else { 0 }, "{}", checked.text());
    }
}

#[tokio::test]
async fn firings_and_figures_are_shown() {
    let world = World::new().await;
    let id = made(&world, THREE).await;
    failures(&world, "a", 3).await;
    let list = world.get("/api/v1/automations?q=THREE", Role::Viewer).await.json();
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &json!(id)));
    let days = list["items"][0]["days"].as_array().expect("days");
    assert_eq!((days.len(), &days[13]["fired"], &days[12]["fired"]), (14, &json!(1), &json!(0)), "{list}");
    assert_eq!(list["items"][0]["last_fired"], "2026-11-19T02:17:00Z");
    for (query, total) in
        [("enabled=false", 0), ("enabled=true", 1), ("origin=files", 0), ("tag=x", 0), ("q=nothing", 0)]
    {
        let list = world.get(&format!("/api/v1/automations?{query}"), Role::Viewer).await.json();
        assert_eq!(list["total"], total, "{query}");
    }
    let firings = world.get(&format!("/api/v1/automations/{id}/firings"), Role::Viewer).await.json();
    let firing = &firings["items"][0];
    assert_eq!(firing["labels"], json!({"prefect.resource.id": "a"}), "{firings}");
    assert!(firing["incident"].is_string(), "{firing}");
    assert_eq!(firing["state"], "Triggered");
}

#[tokio::test]
async fn an_event_is_explained_with_the_state_it_met() {
    let world = World::new().await;
    let id = made(&world, THREE).await;
    failures(&world, "a", 3).await;
    let events = world.get("/api/v1/events?name=billing.failed", Role::Viewer).await.json();
    let newest = events["items"][0]["id"].as_str().expect("an event").to_owned();
    let explain = async |body: Value| {
        send(&world, Role::Viewer, Method::POST, "/api/v1/automations/explain", body.to_string()).await
    };
    let why = explain(json!({"automation": id, "event": newest})).await.json();
    assert!(why["verdict"].as_str().is_some_and(|verdict| verdict.starts_with("it fires")), "{why}");
    assert_eq!(why["firings"].as_array().map(Vec::len), Some(1), "{why}");
    let other = THREE.replace("billing.failed", "export.failed");
    let why = explain(json!({"text": other, "event": newest})).await.json();
    assert_eq!(why["verdict"], "expect: wanted export.failed, found billing.failed");
    for (body, status) in [
        (json!({"event": newest}), 400),
        (json!({"automation": id, "event": "00000000-0000-0000-0000-000000000000"}), 404),
        (json!({"automation": "00000000-0000-0000-0000-000000000000", "event": newest}), 404),
        (json!({"text": "name: x", "event": newest}), 422),
        (json!({"automation": id, "event": newest, "colour": "red"}), 400),
    ] {
        assert_eq!(explain(body.clone()).await.status.as_u16(), status, "{body}");
    }
}

/// The lines of a back-test.
async fn backtest(world: &World, body: Value) -> Vec<Value> {
    let answer = send(world, Role::Viewer, Method::POST, "/api/v1/automations/backtest", body.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/x-ndjson"),
        "{}",
        answer.text()
    );
    answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_back_test_says_what_would_have_been_beside_what_is() {
    let world = World::new().await;
    failures(&world, "a", 3).await;
    failures(&world, "b", 2).await;
    let id = made(&world, THREE).await;
    world.pass(SignedDuration::from_mins(30)).await;
    let lines = backtest(&world, json!({"automation": id, "days": 1})).await;
    let kinds: Vec<&str> = lines.iter().map(|line| line["line"].as_str().expect("a word")).collect();
    assert!(kinds.contains(&"progress") && kinds.last() == Some(&"summary"), "{lines:?}");
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["tried"]["fired"], &summary["tried"]["events"]), (&json!(1), &json!(6)), "{summary}");
    assert_eq!(summary["tried"]["incidents"].as_array().map(Vec::len), Some(1), "{summary}");
    let edited = THREE.replace("threshold: 3", "threshold: 2");
    let lines = backtest(&world, json!({"automation": id, "text": edited})).await;
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["tried"]["fired"], &summary["in_force"]["fired"]), (&json!(2), &json!(1)), "{summary}");
    let firings = lines.iter().filter(|line| line["line"] == "firing");
    assert_eq!(firings.count(), 3, "{lines:?}");
    for (body, status) in [
        (json!({"automation": id, "days": 0}), 400),
        (json!({"automation": id, "days": 1, "from": "2026-11-19T00:00:00Z"}), 400),
        (json!({"automation": id, "from": "2027-01-01T00:00:00Z"}), 400),
        (json!({}), 400),
        (json!({"text": "name: x"}), 422),
    ] {
        let answer = send(&world, Role::Viewer, Method::POST, "/api/v1/automations/backtest", body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_probably_wrong_is_found_with_its_line() {
    let world = World::new().await;
    let id = made(&world, THREE).await;
    let text = "\
name: never
trigger:
  expect: [prefect.flow-run.Failed]
  match_related:
    prefect.resource.role: flow-run
actions:
  - type: notify-channel
    connection: slack-dta
    body: hi
";
    let checked = send(&world, Role::Viewer, Method::POST, "/api/v1/automations/check", text).await.json();
    let found: Vec<(Value, Value)> = checked["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| (finding["code"].clone(), finding["line"].clone()))
        .collect();
    assert_eq!(found, [(json!("own-kind-as-related"), json!(5)), (json!("missing-connection"), json!(8))], "{checked}");
    let mistaken =
        send(&world, Role::Viewer, Method::POST, "/api/v1/automations/check", "name: a\ntriger: 1\n").await.json();
    assert_eq!(
        (&mistaken["errors"][0]["at"], &mistaken["errors"][0]["line"]),
        (&json!("triger"), &json!(2)),
        "{mistaken}"
    );
    // An edit of an automation is not compared with itself; a new one that says the same is.
    for (query, count) in [(String::new(), 1), (format!("?automation={id}"), 0)] {
        let path = format!("/api/v1/automations/check{query}");
        let checked =
            send(&world, Role::Viewer, Method::POST, &path, THREE.replace("three failures", "again")).await.json();
        assert_eq!(checked["findings"].as_array().map(Vec::len), Some(count), "{checked}");
    }
    let never = made(&world, text).await;
    let of_one = world.get(&format!("/api/v1/automations/{never}/findings"), Role::Viewer).await.json();
    let of_all = world.get("/api/v1/automations/findings", Role::Viewer).await.json();
    assert_eq!((of_one.as_array().map(Vec::len), &of_one), (Some(2), &of_all), "{of_all}");
    let list = world.get("/api/v1/automations?q=never", Role::Viewer).await.json();
    assert_eq!(list["items"][0]["findings"], 2, "{list}");
}

#[tokio::test]
async fn a_back_test_ends_when_nobody_listens() {
    let world = World::new().await;
    let begin = async || {
        let (name, value) = bearer(Role::Viewer);
        let request = Request::post("/api/v1/automations/backtest").header(name, value);
        let request = request.body(Body::from(json!({"text": THREE}).to_string())).expect("a request");
        world.router.clone().oneshot(request).await.expect("infallible")
    };
    let (first, second) = (begin().await, begin().await);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let third = begin().await;
    assert_eq!((third.status().as_u16(), third.headers().get("retry-after").is_some()), (503, true));
    drop(first);
    assert_eq!(begin().await.status(), 200);
}
