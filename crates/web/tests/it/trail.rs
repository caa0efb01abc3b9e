//! Every write leaves a row in the audit, and so does every refusal of somebody who is known.
//!
//! [`held`] is asked after each request of each test here: whatever a test is about, a write that went well and left no
//! row fails it.

use crate::world::{World, bearer, secret};
use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use trackside_identity::role::Role;
use trackside_store::audit::{AuditFilter, AuditRow};
use trackside_web::{RouteInfo, routes};

/// Addresses that are posted to and change nothing: questions with a body.
const QUESTIONS: [&str; 17] = [
    "/api/automations/count",
    "/api/automations/filter",
    "/api/automations/templates/validate",
    "/api/block_documents/count",
    "/api/block_documents/filter",
    "/api/block_schemas/filter",
    // Types and schemas of blocks are built in: to make one that is there gives it back, another is refused.
    "/api/block_schemas/",
    "/api/block_types/filter",
    "/api/templates/validate",
    "/api/v1/automations/backtest",
    "/api/v1/automations/check",
    "/api/v1/automations/explain",
    "/api/v1/config/plan",
    "/api/v1/silences/preview",
    "/automations/backtest",
    "/automations/check",
    "/automations/try",
];

/// Position of the newest row.
pub(crate) async fn newest(world: &World) -> u64 {
    let page = world.store.audit(&AuditFilter { limit: 1, ..AuditFilter::default() }).await.expect("readable");
    page.items.first().map_or(0, |row| row.position)
}

async fn since(world: &World, position: u64) -> Vec<AuditRow> {
    world.store.audit_after(position, 500).await.expect("readable")
}

/// The route of the table that a request goes to.
fn route_of(method: &Method, path: &str) -> Option<RouteInfo> {
    let path = path.split('?').next().unwrap_or(path);
    let segments = |path: &str| path.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    let (asked, fits) = (segments(path), |known: &String, asked: &String| known.starts_with('{') || known == asked);
    let mut found: Vec<RouteInfo> = routes()
        .into_iter()
        .filter(|route| {
            let known = segments(route.path);
            route.method == method && known.len() == asked.len() && known.iter().zip(&asked).all(|(k, a)| fits(k, a))
        })
        .collect();
    found.sort_by_key(|route| route.path.matches('{').count());
    found.into_iter().next()
}

/// Whether a route changes something for a caller who is known. Doors add events, which are in the log.
fn writes(route: &RouteInfo) -> bool {
    let known = !matches!(route.needs.as_str(), "ingest" | "anybody" | "a signature");
    known && !route.method.is_safe() && !QUESTIONS.contains(&route.path)
}

/// Asserts that what was done since `before` by one request is in the audit.
pub(crate) async fn held(world: &World, before: u64, method: &Method, path: &str, status: StatusCode) {
    let Some(route) = route_of(method, path).filter(writes) else { return };
    if status.is_success() || status == StatusCode::SEE_OTHER {
        let rows = since(world, before).await;
        assert!(!rows.is_empty(), "{method} {path} ({status}) left no row in the audit");
        let row = &rows[0];
        assert!(row.caller.subject != "trackside" && !row.caller.via.is_empty(), "{method} {path}: {row:?}");
        let acts = |row: &&AuditRow| row.caller.subject == rows[0].caller.subject;
        let why = rows.iter().filter(acts).find(|row| row.detail.because.is_some());
        assert!(why.is_some(), "{method} {} does not say why it was allowed: {rows:?}", route.path);
    }
}

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
