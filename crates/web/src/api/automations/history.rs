//! What became of an automation: its edits with who made them and what changed, and its firings.

use super::{diff, find, text};
use crate::api::model::{EditOut, FiringOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use trackside_core::automation::definition::AutomationId;
use trackside_store::Page;
use trackside_store::automations::{HistoryKind, HistoryRow};
use trackside_store::firings::FiringFilter;
use trackside_store::page::PAGE_ITEMS;
use utoipa::IntoParams;

/// A page of a history.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// Which firings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FiringQuery {
    /// Only those that this event completed.
    pub(crate) event: Option<String>,
    /// Only those after this one in the listing (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// Edits of an automation, newest first, also when it is gone: who, when, and what changed.
#[utoipa::path(get, path = "/api/v1/automations/{id}/history", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation"), HistoryQuery),
    responses((status = 200, body = PageOut<EditOut>), (status = 404, body = Problem)))]
pub(crate) async fn history(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<PageOut<EditOut>>, Problem> {
    let page = edits(&state, &text, &query).await?;
    Ok(Json(PageOut { items: page.items, next: page.next }))
}

/// Firings of an automation, newest first, with what each action became.
#[utoipa::path(get, path = "/api/v1/automations/{id}/firings", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation"), FiringQuery),
    responses((status = 200, body = PageOut<FiringOut>), (status = 404, body = Problem)))]
pub(crate) async fn firings(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
    Params(query): Params<FiringQuery>,
) -> Result<Json<PageOut<FiringOut>>, Problem> {
    let filter = FiringFilter {
        automation: Some(find(&state, &text).await?.id),
        event: filled(query.event).map(|text| id("an event", &text)).transpose()?,
        since: None,
        before: query.before,
        limit: query.limit.unwrap_or(PAGE_DEFAULT),
    };
    Ok(Json(PageOut::of(&state.store.firings(&filter).await?)))
}

/// A page of edits, each compared with the one before.
pub(crate) async fn edits(state: &AppState, text: &str, query: &HistoryQuery) -> Result<Page<EditOut>, Problem> {
    let id: AutomationId = id("an automation", text)?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_ITEMS - 1);
    // One more than is shown: the oldest on the page is compared with the one before it.
    let rows = state.store.automation_history(id, query.before, limit + 1).await?.items;
    if rows.is_empty() && query.before.is_none() {
        return Err(Problem::missing("automation", text));
    }
    let mut items = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate().take(limit) {
        items.push(compared(row, rows.get(index + 1))?);
    }
    let next = (rows.len() > limit).then(|| items.last().map(|edit| edit.position)).flatten();
    Ok(Page { items, next })
}

fn compared(row: &HistoryRow, before: Option<&HistoryRow>) -> Result<EditOut, Problem> {
    let known_before = |row: &HistoryRow| text::yaml(&row.automation);
    let lines = match (row.kind, before) {
        (HistoryKind::Delete, _) => diff::lines(&known_before(row)?, ""),
        (HistoryKind::Edit, Some(before)) if before.kind == HistoryKind::Edit => {
            diff::lines(&known_before(before)?, &text::yaml(&row.automation)?)
        }
        (HistoryKind::Edit, _) if row.version == 1 => diff::lines("", &text::yaml(&row.automation)?),
        // The version before is no longer kept.
        (HistoryKind::Edit, _) => Vec::new(),
    };
    let kind = match row.kind {
        HistoryKind::Delete => "deleted",
        HistoryKind::Edit if row.version == 1 => "created",
        HistoryKind::Edit => "edited",
    };
    Ok(EditOut {
        position: row.position,
        version: row.version,
        at: row.at,
        subject: row.caller.subject.clone(),
        via: row.caller.via.clone(),
        kind,
        lines,
    })
}
