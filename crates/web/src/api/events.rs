//! Events in the API.

use crate::api::model::{EventOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use trackside_core::ids::EventId;
use trackside_store::log::EventFilter;
use utoipa::IntoParams;

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only names that begin with this.
    name: Option<String>,
    /// Only this source.
    source: Option<String>,
    /// Only older than this position (`next` of the page before).
    before: Option<u64>,
    /// Only newer than this position, oldest first: for following the log. Excludes the other filters.
    after: Option<u64>,
    /// Most items, at most 500.
    limit: Option<usize>,
}

/// Events, newest first; with `after`, oldest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventQuery),
    responses((status = 200, body = PageOut<EventOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<EventQuery>,
) -> Result<Json<PageOut<EventOut>>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if let Some(after) = query.after {
        let events = state.store.tail(after, limit).await?;
        let next = events.last().map(|event| event.seq);
        return Ok(Json(PageOut { items: events.iter().map(EventOut::from).collect(), next }));
    }
    let filter =
        EventFilter { name_prefix: filled(query.name), source: filled(query.source), before: query.before, limit };
    Ok(Json(PageOut::of(&state.store.events(&filter).await?)))
}

/// One event.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events",
    params(("id" = uuid::Uuid, Path, description = "Id of the event")),
    responses((status = 200, body = EventOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<EventOut>, Problem> {
    let event: EventId = id("an event", &text)?;
    let found = state.store.event(event).await?.ok_or_else(|| Problem::missing("event", &text))?;
    Ok(Json(EventOut::from(&found)))
}
