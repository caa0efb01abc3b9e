//! Every write that went well leaves a row in the audit: asked after each request that a [`World`] takes, whatever the
//! test is about.

use crate::world::World;
use http::{Method, StatusCode};
use trackside_store::audit::{AuditFilter, AuditRow};
use trackside_web::{RouteInfo, routes};

/// Addresses that are posted to and change nothing: questions with a body.
const QUESTIONS: [&str; 20] = [
    "/api/automations/count",
    "/api/automations/filter",
    // Mostly nothing is owned; each automation that goes has a row.
    "/api/automations/owned-by/{resource}",
    "/api/automations/templates/validate",
    "/api/block_documents/count",
    "/api/block_documents/filter",
    "/api/block_schemas/filter",
    // Types and schemas of blocks are built in: to make one that is there gives it back, another is refused.
    "/api/block_schemas/",
    "/api/block_types/",
    "/api/block_types/{id}",
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

pub(crate) async fn since(world: &World, position: u64) -> Vec<AuditRow> {
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
