//! What people do about incidents, what they see of them, and what is left for the talk afterwards.

use crate::duty::{fails, post, refusals, send, staffed, world};
use crate::world::World;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_identity::role::Role;
use trackside_store::Store;

async fn get(world: &World, path: &str) -> Value {
    let answer = world.get(path, Role::Viewer).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    answer.json()
}

/// Does something about the first incident; gives the incident.
async fn act(world: &World, what: &str, body: Value) -> Value {
    let found = post(world, &format!("/api/v1/incidents/1/{what}"), Role::Responder, body, 200).await;
    // Whatever is due at this instant.
    world.set(world.now()).await;
    found
}

/// Who was paged: `step person`.
fn paged(incident: &Value) -> Vec<String> {
    let pages = incident["pages"].as_array().expect("pages");
    let whom = |page: &Value| page["person"].as_str().or(page["target"].as_str()).unwrap_or_default().to_owned();
    pages.iter().map(|page| format!("{} {}", page["step"], whom(page))).collect()
}

#[tokio::test]
async fn an_incident_says_who_was_paged_and_who_will_be() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    let found = get(&world, "/api/v1/incidents/1").await;
    insta::assert_json_snapshot!(json!({"course": found["course"], "pages": found["pages"]}));
    world.pass(SignedDuration::from_mins(15)).await;
    let later = get(&world, "/api/v1/incidents/1").await;
    assert_eq!(paged(&later), ["1 ana", "1 ana", "2 cleo", "2 channel:slack-data"]);
}

#[tokio::test]
async fn an_acknowledgement_stops_the_escalation_and_runs_out() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    let taken = act(&world, "acknowledge", Value::Null).await;
    assert_eq!((&taken["state"], &taken["acknowledged_by"]), (&json!("acknowledged"), &json!("bo")));
    assert_eq!(
        (&taken["course"]["stands"], &taken["course"]["restarts"]),
        (&json!("acknowledged"), &json!("2026-11-19T04:14:00Z"))
    );
    assert_eq!(taken["course"]["to_come"][0]["due"], "2026-11-19T04:14:00Z");
    world.pass(SignedDuration::from_hours(1)).await;
    assert_eq!(paged(&get(&world, "/api/v1/incidents/1").await), ["1 ana"]);
    world.pass(SignedDuration::from_hours(1)).await;
    let again = get(&world, "/api/v1/incidents/1").await;
    assert_eq!((&again["state"], paged(&again)), (&json!("triggered"), vec!["1 ana".to_owned(), "1 ana".to_owned()]));
    let back = act(&world, "acknowledge", Value::Null).await;
    assert_eq!(back["state"], "acknowledged");
    assert_eq!(act(&world, "unacknowledge", Value::Null).await["state"], "triggered");
}

#[tokio::test]
async fn an_incident_is_put_off_escalated_and_given_to_somebody() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    let asleep = act(&world, "snooze", json!({"for": "1h"})).await;
    assert_eq!((&asleep["state"], &asleep["snoozed_until"]), (&json!("snoozed"), &json!("2026-11-19T03:14:00Z")));
    assert_eq!(get(&world, "/api/v1/incidents?state=snoozed").await["items"][0]["number"], 1);
    let refused = send(&world, Method::POST, "/api/v1/incidents/1/escalate", Role::Responder, &Value::Null).await;
    assert_eq!(refused.status.as_u16(), 409, "it sleeps: {}", refused.text());
    act(&world, "unacknowledge", Value::Null).await;
    act(&world, "escalate", Value::Null).await;
    let found = get(&world, "/api/v1/incidents/1").await;
    assert_eq!(paged(&found).last().map(String::as_str), Some("2 channel:slack-data"));
    let given = act(&world, "reassign", json!({"to": "person:U0ANA"})).await;
    assert_eq!((&given["assigned"], &given["owner"]), (&json!("person:ana"), &json!("payments")));
    let given = act(&world, "reassign", json!({"to": "team:platform"})).await;
    assert_eq!((&given["owner"], given.get("course")), (&json!("platform"), None));
    let over = act(&world, "resolve", Value::Null).await;
    assert_eq!(over["state"], "resolved");
    assert_eq!(act(&world, "note", json!({"text": "the disk was full"})).await["state"], "resolved");
}

#[tokio::test]
async fn an_incident_is_merged_into_another() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    fails(&world, "orders_hourly").await;
    let merged = act(&world, "merge", json!({"into": "2"})).await;
    assert_eq!((&merged["state"], &merged["part_of"]["number"]), (&json!("resolved"), &json!(2)));
    let other = get(&world, "/api/v1/incidents/2").await;
    assert_eq!((&other["members"][0]["number"], other["alerts"].as_array().map(Vec::len)), (&json!(1), Some(2)));
    let path = "/api/v1/incidents/2/merge";
    refusals(
        &world,
        path,
        Role::Responder,
        &[
            (json!({"into": "2"}), 400, "into", "into itself"),
            (json!({"into": "1"}), 409, "into", "is resolved already"),
            (json!({"into": "77"}), 404, "into", "there is no incident"),
        ],
    )
    .await;
}

#[tokio::test]
async fn requests_that_are_refused() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    refusals(
        &world,
        "/api/v1/incidents/1/snooze",
        Role::Responder,
        &[
            (json!({}), 400, "for", "write either"),
            (json!({"for": "8d"}), 400, "for", "1 second to 7 days"),
            (json!({"for": "0s"}), 400, "for", "1 second to 7 days"),
            (json!({"until": "2026-11-19T02:00:00Z"}), 400, "until", "1 second to 7 days"),
            (json!({"for": "1h", "until": "2026-11-19T03:00:00Z"}), 400, "for", "write either"),
        ],
    )
    .await;
    refusals(
        &world,
        "/api/v1/incidents/1/reassign",
        Role::Responder,
        &[
            (json!({"to": "ana"}), 400, "body", "is not a target"),
            (json!({"to": "person:dan"}), 400, "to", "declared are ana, bo, cleo"),
            (json!({"to": "oncall:night"}), 400, "to", "declared are backup, primary"),
            (json!({"to": "team:ml"}), 400, "to", "declared are payments, platform"),
            (json!({"to": "channel:mail"}), 400, "to", "pd-payments, slack-data"),
        ],
    )
    .await;
    refusals(
        &world,
        "/api/v1/incidents/1/note",
        Role::Responder,
        &[(json!({"text": " "}), 400, "text", "1 to 4000 bytes")],
    )
    .await;
    act(&world, "resolve", Value::Null).await;
    for what in ["acknowledge", "unacknowledge", "escalate", "resolve"] {
        let path = format!("/api/v1/incidents/1/{what}");
        refusals(&world, &path, Role::Responder, &[(Value::Null, 409, "", "is resolved already")]).await;
    }
    for path in [
        "/api/v1/incidents/1/timeline?format=pdf",
        "/api/v1/incidents/1/timeline?zone=Mars",
        "/api/v1/incidents?severity=bad",
    ] {
        assert_eq!(world.get(path, Role::Viewer).await.status.as_u16(), 400, "{path}");
    }
    assert_eq!(world.get("/api/v1/incidents/7/timeline", Role::Viewer).await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_storm_has_members() {
    let mut rules = staffed();
    rules.incidents.storm = serde_json::from_value(json!({"incidents": 1, "within": "1m"})).expect("a limit");
    let world = World::with(Store::memory().expect("a database in memory"), rules).await;
    for pipeline in ["orders_a", "orders_b", "orders_c"] {
        fails(&world, pipeline).await;
    }
    let open = get(&world, "/api/v1/incidents?state=open").await;
    let storm =
        open["items"].as_array().expect("items").iter().find(|incident| incident["source"] == "trackside.storm");
    let number = &storm.expect("a storm")["number"];
    let found = get(&world, &format!("/api/v1/incidents/{number}")).await;
    let titles: Vec<&Value> =
        found["members"].as_array().expect("members").iter().map(|member| &member["title"]).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    let member = get(&world, &format!("/api/v1/incidents/{}", found["members"][0]["number"])).await;
    assert_eq!((&member["part_of"]["number"], &member["suppressed_by"][0]["by"]), (number, &json!("storm")));
}

#[tokio::test]
async fn the_story_is_told_for_afterwards() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    world.pass(SignedDuration::from_mins(16)).await;
    act(&world, "acknowledge", Value::Null).await;
    act(&world, "note", json!({"text": "disk full on | db1\nfreed 40 GB"})).await;
    world.pass(SignedDuration::from_mins(30)).await;
    act(&world, "resolve", Value::Null).await;
    let json = get(&world, "/api/v1/incidents/1/timeline").await;
    assert_eq!((&json["time_to_acknowledge_s"], &json["time_to_resolve_s"]), (&json!(960), &json!(2760)));
    assert_eq!((&json["first_acknowledged_by"], &json["cut"]), (&json!("bo"), &json!(false)));
    assert_eq!(json["alerts"][0]["rule"], "failed");
    let fired =
        json["steps"].as_array().expect("steps").iter().find(|step| step["action"] == "alert.fired").expect("a step");
    assert!(fired["because"][0].as_str().is_some_and(|why| why.starts_with("rule failed: ")), "{fired}");
    let answer = world.get("/api/v1/incidents/1/timeline?format=markdown&zone=Europe/Berlin", Role::Viewer).await;
    assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
    insta::assert_snapshot!(answer.text());
}
