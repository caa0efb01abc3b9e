//! Approvals over HTTP, in the browser and in Slack: who sees them, whose word counts, what a yes is worth.

use crate::answers::{press_answer, slack};
use crate::world::{Answer, World, bearer, ruleset};
use axum::body::Body;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_core::ruleset::Ruleset;
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::role::Role;
use trackside_identity::token::TokenHash;
use trackside_store::Store;

/// People with tokens of their own: ana of payments, bob of platform, zoe of neither.
async fn guarded() -> World {
    let mut rules = serde_json::to_value(ruleset()).unwrap();
    rules["people"] =
        json!({"ana": {"zone": "UTC", "aliases": ["U061F7AUR"]}, "bob": {"zone": "UTC"}, "zoe": {"zone": "UTC"}});
    rules["teams"]["payments"]["members"] = json!(["ana"]);
    rules["teams"]["platform"]["members"] = json!(["bob"]);
    rules["route_approvals"] = json!({"billing": {"team": "payments", "approval": {
        "any_of": [{"all_of": [{"from": ["payments"]}, {"from": ["platform", "approvers"]}]}],
        "justification": "required", "grant": "30m", "notify": ["slack-data"]}}});
    let rules: Ruleset = serde_json::from_value(rules).unwrap();
    let token = |name: &str| Grant {
        name: name.to_owned(),
        role: Role::Service,
        team: None,
        scopes: [].into(),
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(&format!("secret-of-{name}")),
    };
    World::with_tokens(Store::memory().unwrap(), rules, ["ana", "bob", "zoe", "eve"].map(token).into()).await
}

fn of(name: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer secret-of-{name}"))
}

async fn post(world: &World, who: (&'static str, String), path: &str, body: &Value) -> Answer {
    world.send(Method::POST, path, &[who, ("content-type", "application/json".to_owned())], body.to_string()).await
}

async fn get(world: &World, who: (&'static str, String), path: &str) -> Value {
    world.send(Method::GET, path, &[who], Body::empty()).await.json()
}

/// Zoe asks; the id of the question.
async fn asked(world: &World) -> String {
    let wanted = json!({"route": "billing", "justification": "figures of the month"});
    let answer = post(world, of("zoe"), "/api/v1/approvals", &wanted).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, detail: &str) {
    assert_eq!((answer.status.as_u16(), answer.json()["detail"].as_str()), (status, Some(detail)));
}

#[tokio::test]
async fn access_is_asked_for_agreed_to_and_revoked() {
    let world = guarded().await;
    let none = post(&world, of("zoe"), "/api/v1/approvals", &json!({"route": "billing"})).await;
    refused(&none, 409, "access to route billing needs a justification");
    let nowhere = post(&world, of("zoe"), "/api/v1/approvals", &json!({"route": "nowhere"})).await;
    refused(&nowhere, 400, "there is no route `nowhere` that needs an approval");
    let id = asked(&world).await;
    assert_eq!(asked(&world).await, id, "asked again it is the same");
    let path = format!("/api/v1/approvals/{id}");
    let own = post(&world, of("zoe"), &format!("{path}/approve"), &json!({})).await;
    refused(&own, 409, "approval #1: you are not asked; it needs 1 of payments and 1 of approvers or platform");
    let stranger = post(&world, of("eve"), &format!("{path}/approve"), &json!({})).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND, "what does not concern somebody is not there for them");

    assert_eq!(get(&world, of("ana"), "/api/v1/approvals?mine=waiting").await["items"][0]["id"], *id);
    let yes = post(&world, of("ana"), &format!("{path}/approve"), &json!({"remark": "fine"})).await.json();
    assert_eq!((&yes["state"], &yes["missing"]), (&json!("open"), &json!("1 of approvers or platform")));
    assert_eq!(get(&world, of("ana"), "/api/v1/approvals?mine=waiting").await["items"], json!([]));
    let twice = post(&world, of("ana"), &format!("{path}/approve"), &json!({})).await;
    refused(&twice, 409, "approval #1: you said yes already, at 2026-11-19T02:14:00Z");
    let done = post(&world, bearer(Role::Approver), &format!("{path}/approve"), &json!({})).await.json();
    assert_eq!((&done["state"], &done["note"]), (&json!("approved"), &json!("approved by ana, approver")));
    let late = post(&world, of("bob"), &format!("{path}/deny"), &json!({})).await;
    refused(&late, 409, "approval #1 is approved since 2026-11-19T02:14:00Z; it cannot be decided again");

    let grants = get(&world, of("zoe"), "/api/v1/grants").await;
    assert_eq!(
        (&grants["items"][0]["subject"], &grants["items"][0]["until"]),
        (&json!("zoe"), &json!("2026-11-19T02:44:00Z"))
    );
    assert_eq!(get(&world, of("eve"), "/api/v1/grants").await["items"], json!([]));
    let revoke = format!("/api/v1/grants/{id}/revoke");
    assert_eq!(post(&world, of("bob"), &revoke, &json!({})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&world, bearer(Role::Approver), &revoke, &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&world, of("zoe"), "/api/v1/grants").await["items"], json!([]));
    assert_eq!(get(&world, of("zoe"), "/api/v1/grants?state=ended").await["items"][0]["id"], *id);
}

#[tokio::test]
async fn what_nobody_decides_is_over_and_what_is_taken_back_too() {
    let world = guarded().await;
    let id = asked(&world).await;
    let path = format!("/api/v1/approvals/{id}");
    assert_eq!(post(&world, of("bob"), &format!("{path}/withdraw"), &json!({})).await.status, StatusCode::CONFLICT);
    world.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(get(&world, of("zoe"), &path).await["state"], "expired");
    let id = asked(&world).await;
    let back = post(&world, of("zoe"), &format!("/api/v1/approvals/{id}/withdraw"), &json!({})).await;
    assert_eq!(back.json()["state"], "withdrawn");
    let all = get(&world, bearer(Role::Viewer), "/api/v1/approvals?requester=zoe&about=route%20billing").await;
    let states: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["withdrawn", "expired"]);
}

#[tokio::test]
async fn the_pages_decide_without_a_script() {
    let world = guarded().await;
    let id = asked(&world).await;
    let html = ("accept", "text/html".to_owned());
    let page = async |who: &str, path: &str| {
        let answer = world.send(Method::GET, path, &[of(who), html.clone()], Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text()
    };
    let inbox = page("ana", "/approvals").await;
    assert!(inbox.contains("wait for you") && inbox.contains(&format!("/approvals/{id}/approve")), "{inbox}");
    assert!(!page("zoe", "/approvals").await.contains(&format!("/approvals/{id}/approve")));
    assert!(page("zoe", &format!("/approvals/{id}")).await.contains("Take it back"));
    assert!(page("zoe", "/approvals/new?route=billing").await.contains("A yes holds for 30m"));
    assert!(page("ana", &format!("/approvals/{id}")).await.contains("figures of the month"));
    let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
    let deny = format!("/approvals/{id}/deny");
    let answer = world.send(Method::POST, &deny, &[of("ana"), form, html.clone()], "remark=not+on+a+Friday").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, &*format!("/approvals/{id}")));
    assert!(page("zoe", &format!("/approvals/{id}")).await.contains("denied by ana: not on a Friday"));
    let history = page("zoe", "/approvals/history?state=denied&mine=asked").await;
    assert!(history.contains("#1 route billing"), "{history}");
    assert!(!page("zoe", "/approvals/history?state=open").await.contains("#1 route billing"));
}

#[tokio::test]
async fn a_button_in_slack_is_a_voice_of_a_person_whom_somebody_knows() {
    let world = guarded().await;
    let id = asked(&world).await;
    slack(&world, &press_answer("trackside.approve", &id, "U0404", "1.0")).await;
    slack(&world, &press_answer("trackside.approve", &id, "U061F7AUR", "2.0")).await;
    slack(&world, &press_answer("trackside.approve", &id, "U061F7AUR", "2.0")).await;
    let now = get(&world, of("zoe"), &format!("/api/v1/approvals/{id}")).await;
    let voices: Vec<(&Value, &Value)> =
        now["voices"].as_array().unwrap().iter().map(|v| (&v["who"], &v["via"])).collect();
    assert_eq!(voices, [(&json!("ana"), &json!("slack"))]);
    let rows = get(&world, bearer(Role::Viewer), "/api/v1/deliveries").await;
    let told = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["action"].as_str().unwrap(), row["title"].as_str().unwrap()));
    let mut told: Vec<String> = told.collect();
    told.reverse();
    assert_eq!(
        told,
        [
            "trigger Approval #1: zoe wants to use route billing for 30m",
            "message Your answer was not counted",
            "update Approval #1: zoe wants to use route billing for 30m",
        ]
    );
}
