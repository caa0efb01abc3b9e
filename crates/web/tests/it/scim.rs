//! The SCIM door: what Okta and Entra send, what is refused, and what follows for access and turns on call.

use crate::world::{World, bearer, ruleset};
use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::role::Role;
use trackside_identity::token::TokenHash;
use trackside_store::Store;

const TOKEN: &str = "a-token-for-scim";

/// A server with a token for SCIM; Ana and Ben take turns.
async fn world() -> World {
    let mut rules = serde_json::to_value(ruleset()).unwrap();
    rules["people"] = json!({
        "ana": {"aliases": ["ana@example.net"], "contacts": [{"via": "slack-data", "to": "U1"}]},
        "ben": {"aliases": ["ben.okafor@example.net"], "contacts": [{"via": "slack-data", "to": "U2"}]}
    });
    rules["schedules"] = json!({"primary": {"layers": [{"name": "weeks", "rotation": {"tz": "UTC",
        "start": "2026-11-16T09:00:00", "unit": "week", "participants": ["ana", "ben"]}}]}});
    World::with_tokens(Store::memory().unwrap(), serde_json::from_value(rules).unwrap(), vec![grant()]).await
}

fn grant() -> Grant {
    Grant {
        name: "okta".to_owned(),
        role: Role::Service,
        team: None,
        scopes: BTreeSet::from(["scim".to_owned()]),
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(TOKEN),
    }
}

async fn ask(
    world: &World,
    method: &str,
    path: &str,
    body: &Value,
    more: &[(&'static str, String)],
) -> (StatusCode, Value) {
    let mut headers =
        vec![("authorization", format!("Bearer {TOKEN}")), ("content-type", "application/scim+json".to_owned())];
    headers.extend_from_slice(more);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let answer = world.send(method.parse().unwrap(), &format!("/scim/v2{path}"), &headers, body).await;
    let known = matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if known {
        return (answer.status, Value::Null);
    }
    assert_eq!(answer.header("content-type"), "application/scim+json", "{method} {path}: {}", answer.text());
    (answer.status, answer.json())
}

/// Sends what a provider sent, and compares the answers.
async fn replay(world: &World, recording: &str) {
    let steps: Vec<Value> = serde_json::from_str(recording).unwrap();
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for step in steps {
        let mut text = step.to_string();
        for (name, id) in &kept {
            text = text.replace(&format!("{{{name}}}"), id);
        }
        let step: Value = serde_json::from_str(&text).unwrap();
        let (method, path) = (step["method"].as_str().unwrap(), step["path"].as_str().unwrap());
        let (status, body) = ask(world, method, path, &step["body"], &[]).await;
        assert_eq!(u64::from(status.as_u16()), step["status"], "{method} {path}: {body}");
        for (pointer, expect) in step["expect"].as_object().into_iter().flatten() {
            assert_eq!(body.pointer(pointer).unwrap_or(&Value::Null), expect, "{method} {path} {pointer}: {body}");
        }
        if let Some(name) = step["keep"].as_str() {
            kept.insert(name.to_owned(), body["id"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn what_okta_sends() {
    replay(&world().await, include_str!("../../../../testdata/scim/okta.json")).await;
}

#[tokio::test]
async fn what_entra_sends() {
    replay(&world().await, include_str!("../../../../testdata/scim/entra.json")).await;
}

#[tokio::test]
async fn refusals_have_the_form_of_scim() {
    let world = world().await;
    let check = async |method: &str, path: &str, body: Value, status: u16, kind: Option<&str>| {
        let (found, answer) = ask(&world, method, path, &body, &[]).await;
        assert_eq!((found.as_u16(), answer["scimType"].as_str()), (status, kind), "{method} {path}: {answer}");
        assert_eq!(answer["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
    };
    let (_, ana) = ask(&world, "POST", "/Users", &json!({"userName": "ana@example.net"}), &[]).await;
    let ana = ana["id"].as_str().unwrap();
    check("GET", "/Users?filter=userName%20is%20x", Value::Null, 400, Some("invalidFilter")).await;
    check("GET", "/Users?startIndex=first", Value::Null, 400, Some("invalidValue")).await;
    check("GET", "/Users/nobody", Value::Null, 404, None).await;
    check("GET", "/Nothing", Value::Null, 404, None).await;
    check("DELETE", "/Users", Value::Null, 405, None).await;
    check("POST", "/.search", json!({}), 501, None).await;
    check("POST", "/Users/.search", json!({}), 501, None).await;
    check("POST", "/Bulk", json!({}), 501, None).await;
    check("POST", "/Users", json!({"name": {}}), 400, Some("invalidValue")).await;
    check("POST", "/Users", json!([]), 400, Some("invalidSyntax")).await;
    check(
        "POST",
        "/Groups",
        json!({"displayName": "x", "members": [{"value": "00000000-0000-0000-0000-000000000000"}]}),
        400,
        Some("invalidValue"),
    )
    .await;
    let patch = |operation: Value| json!({"Operations": [operation]});
    let path = format!("/Users/{ana}");
    check("PATCH", &path, patch(json!({"op": "replace", "path": "id", "value": "x"})), 400, Some("mutability")).await;
    check("PATCH", &path, patch(json!({"op": "remove"})), 400, Some("noTarget")).await;
    check("PATCH", &path, patch(json!({"op": "replace", "path": "a[", "value": 1})), 400, Some("invalidPath")).await;
    let long = "x".repeat(2 * 1024 * 1024);
    check("POST", "/Users", json!({"userName": long}), 413, None).await;
    let others = world.send(Method::GET, "/scim/v2/Users", &[bearer(Role::Admin)], Body::empty()).await;
    assert_eq!((others.status, others.json()["status"].as_str()), (StatusCode::FORBIDDEN, Some("403")));
}

#[tokio::test]
async fn versions_windows_and_attributes() {
    let world = world().await;
    for name in ["a", "b", "c"] {
        ask(&world, "POST", "/Users", &json!({"userName": name, "title": "t", "active": name != "b"}), &[]).await;
    }
    let names = async |query: &str| {
        let (_, body) = ask(&world, "GET", &format!("/Users?{query}"), &Value::Null, &[]).await;
        let list: Vec<&str> =
            body["Resources"].as_array().unwrap().iter().filter_map(|one| one["userName"].as_str()).collect();
        format!("{} of {}: {}", body["itemsPerPage"], body["totalResults"], list.join(" "))
    };
    assert_eq!(names("startIndex=2&count=1").await, "1 of 3: b");
    assert_eq!(names("count=0").await, "0 of 3: ");
    assert_eq!(names("startIndex=-5&count=9999").await, "3 of 3: a b c");
    assert_eq!(names("filter=active%20eq%20true%20and%20title%20pr&startIndex=2&count=5").await, "1 of 2: c");
    assert_eq!(
        names("filter=not%20(userName%20eq%20%22a%22)%20or%20userName%20eq%20%22zz%22").await,
        "2 of 3: b c".replace("of 3", "of 2")
    );
    let (_, cut) = ask(&world, "GET", "/Users?count=1&attributes=userName", &Value::Null, &[]).await;
    assert_eq!((cut["Resources"][0]["title"].is_null(), cut["Resources"][0]["userName"].as_str()), (true, Some("a")));
    let path = format!("/Users/{}", cut["Resources"][0]["id"].as_str().unwrap());
    let with = |name, value: &str| [(name, value.to_owned())];
    let (status, _) = ask(&world, "GET", &path, &Value::Null, &with("if-none-match", "W/\"1\"")).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    let (status, _) = ask(&world, "PUT", &path, &json!({"userName": "a2"}), &with("if-match", "W/\"7\"")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let (status, now) = ask(&world, "PUT", &path, &json!({"userName": "a2"}), &with("if-match", "W/\"1\"")).await;
    assert_eq!((status, now["meta"]["version"].as_str()), (StatusCode::OK, Some("W/\"2\"")));
    for path in [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group",
    ] {
        assert_eq!(ask(&world, "GET", path, &Value::Null, &[]).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn whoever_is_deactivated_leaves_their_turns_and_comes_back() {
    let world = world().await;
    let (_, ana) = ask(&world, "POST", "/Users", &json!({"userName": "Ana@example.net"}), &[]).await;
    let path = format!("/Users/{}", ana["id"].as_str().unwrap());
    let on_call = async || world.get("/api/v1/oncall", Role::Viewer).await.json()[0]["people"].to_string();
    assert!(on_call().await.contains("ana"), "{}", on_call().await);
    let patch = |active: bool| json!({"Operations": [{"op": "Replace", "path": "active", "value": active}]});
    ask(&world, "PATCH", &path, &patch(false), &[]).await;
    assert!(!on_call().await.contains("ana"), "{}", on_call().await);
    let audit = world.get("/api/v1/audit?action=oncall.", Role::Viewer).await.text();
    assert!(audit.contains("oncall.gap") && audit.contains("nobody is on call"), "{audit}");
    assert_eq!(world.store.absences().await.unwrap().len(), 1);
    ask(&world, "PATCH", &path, &patch(true), &[]).await;
    assert!(on_call().await.contains("ana"), "{}", on_call().await);
    ask(&world, "DELETE", &path, &Value::Null, &[]).await;
    assert!(!on_call().await.contains("ana"), "{}", on_call().await);
    ask(&world, "POST", "/Users", &json!({"userName": "ana@example.net"}), &[]).await;
    assert!(world.store.absences().await.unwrap().is_empty());
}
