//! Every write leaves a row in the audit, and so does every refusal of somebody who is known.
//!
//! That every write does is held by [`crate::told`], after each request of each test here.

use crate::told::{newest, since};
use crate::world::{World, bearer, secret};
use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use trackside_identity::role::Role;
use trackside_web::{RouteInfo, routes};

/// A caller whose role does not open a route: the lowest that is known.
fn stranger(route: &RouteInfo) -> Option<Role> {
    let needed: Role = match route.needs.as_str() {
        "anybody" | "a signature" | "a caller" | "ingest" => return None,
        needs if needs.starts_with("scope") => return Some(Role::Admin),
        needs => needs.trim_end_matches(" (team)").parse().expect("a role"),
    };
    Role::ALL.into_iter().find(|role| !role.allows(needed))
}

#[tokio::test]
async fn every_refusal_of_somebody_who_is_known_is_a_row() {
    let world = World::new().await;
    let mut tried = 0;
    for route in routes() {
        let Some(role) = stranger(&route) else { continue };
        let path = route.path.replace("{id}", "00000000-0000-0000-0000-000000000000").replace(['{', '}'], "");
        let headers = [bearer(role), ("content-type", "application/json".to_owned())];
        let before = newest(&world).await;
        let answer = world.send(route.method.clone(), &path, &headers, "{}").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {path} as {role}", route.method);
        let rows = since(&world, before).await;
        let [row] = &rows[..] else { panic!("{} {path} as {role}: {rows:?}", route.method) };
        let (caller, detail) = (&row.caller, &row.detail);
        assert_eq!(
            (row.action.as_str(), caller.subject.as_str(), caller.via.as_str(), caller.token.as_deref()),
            ("access.refused", role.as_str(), "token", Some(role.as_str())),
        );
        assert_eq!(detail.outcome.as_deref(), Some("refused"), "{row:?}");
        assert!(detail.because.as_ref().is_some_and(|because| because.starts_with("this needs")), "{row:?}");
        assert!(row.summary.starts_with(&format!("{} {}: ", route.method, route.path)), "{row:?}");
        tried += 1;
    }
    assert!(tried > 150, "{tried} routes ask for a role or a scope");
    // The same again is counted, not written.
    let before = newest(&world).await;
    let ingest = [bearer(Role::Ingest)];
    let ask = || world.send(Method::GET, "/api/v1/tokens", &ingest, Body::empty());
    assert_eq!((ask().await.status, ask().await.status), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    assert_eq!(since(&world, before).await, []);
    world.pass(jiff::SignedDuration::from_mins(1)).await;
    assert_eq!(ask().await.status, StatusCode::FORBIDDEN);
    let rows = since(&world, before).await;
    assert_eq!(rows.last().expect("a row").detail.facts["repeated"], "2");
}

#[tokio::test]
async fn who_is_not_known_leaves_no_row() {
    let world = World::new().await;
    let before = newest(&world).await;
    for headers in [vec![], vec![("authorization", "Bearer wrong".to_owned())]] {
        let answer = world.send(Method::POST, "/api/v1/tokens", &headers, "{}").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(since(&world, before).await, []);
}

#[tokio::test]
async fn a_row_of_a_token_shows_what_changed_and_how_one_row_follows_another() {
    let world = World::new().await;
    let before = newest(&world).await;
    let headers = [bearer(Role::Admin), ("content-type", "application/json".to_owned())];
    let post = |method: Method, path: &'static str, body: Value| world.send(method, path, &headers, body.to_string());
    let made = post(Method::POST, "/api/v1/tokens", json!({"name": "ci", "role": "service"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    post(Method::POST, "/api/v1/tokens/ci/rotate", json!({})).await;
    post(Method::DELETE, "/api/v1/tokens/ci", json!({})).await;
    let rows = since(&world, before).await;
    let [created, rotated, revoked] = &rows[..] else { panic!("{rows:?}") };
    for row in &rows {
        assert_eq!(row.detail.resource.as_deref(), Some("token:ci"));
        assert_eq!(row.caller.token.as_deref(), Some("admin"));
        assert_eq!(row.detail.because.as_deref(), Some("the role `admin` is held (admin)"));
        assert!(!row.summary.contains(&secret(Role::Admin)) && !row.summary.contains("ts_"), "{row:?}");
    }
    assert_eq!(created.detail.before, None);
    assert_eq!(created.detail.after, rotated.detail.before);
    assert_eq!(rotated.detail.after, revoked.detail.before);
    assert_ne!(rotated.detail.before, rotated.detail.after);
    assert_eq!(
        rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(),
        ["token.created", "token.rotated", "token.revoked"]
    );
}
