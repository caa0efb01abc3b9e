//! Deliveries in the API: look at them, put a dead one back.

use crate::api::model::{DeliveryDetailOut, DeliveryOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id, word};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use trackside_core::caller::Caller;
use trackside_core::ids::DeliveryId;
use trackside_store::Error as StoreError;
use trackside_store::outbox::{DeliveryDetail, DeliveryFilter};
use utoipa::IntoParams;

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// `pending`, `sending`, `delivered`, `dead` or `superseded`.
    pub(crate) state: Option<String>,
    /// Only through this connection.
    pub(crate) connection: Option<String>,
    /// Only about this incident.
    pub(crate) incident: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

impl DeliveryQuery {
    /// The store's filter.
    pub(crate) fn filter(&self) -> Result<DeliveryFilter, Problem> {
        Ok(DeliveryFilter {
            state: word("state", self.state.as_deref())?,
            connection: filled(self.connection.clone()),
            incident: filled(self.incident.clone()).map(|text| id("an incident", &text)).transpose()?,
            before: self.before,
            limit: self.limit.unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// Deliveries, newest first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(DeliveryQuery),
    responses((status = 200, body = PageOut<DeliveryOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<DeliveryQuery>,
) -> Result<Json<PageOut<DeliveryOut>>, Problem> {
    Ok(Json(PageOut::of(&state.store.deliveries(&query.filter()?).await?)))
}

/// One delivery with its attempts.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = uuid::Uuid, Path, description = "Id of the delivery")),
    responses((status = 200, body = DeliveryDetailOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<DeliveryDetailOut>, Problem> {
    Ok(Json(DeliveryDetailOut::from(&find(&state, &text).await?)))
}

/// Puts a dead delivery back; it is sent as soon as its turn comes.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = uuid::Uuid, Path, description = "Id of the delivery")),
    responses((status = 200, body = DeliveryDetailOut), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The delivery is not dead")))]
pub(crate) async fn retry(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<Json<DeliveryDetailOut>, Problem> {
    put_back(&state, &who.caller, &text).await?;
    Ok(Json(DeliveryDetailOut::from(&find(&state, &text).await?)))
}

/// The delivery of this id.
pub(crate) async fn find(state: &AppState, text: &str) -> Result<DeliveryDetail, Problem> {
    let delivery: DeliveryId = id("a delivery", text)?;
    state.store.delivery(delivery).await?.ok_or_else(|| Problem::missing("delivery", text))
}

/// Puts a dead delivery back and wakes the loop that sends.
pub(crate) async fn put_back(state: &AppState, caller: &Caller, text: &str) -> Result<(), Problem> {
    let found = find(state, text).await?;
    state.store.retry(found.delivery.effect.id, state.now(), caller).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            let now = found.delivery.state.as_str();
            Problem::new(StatusCode::CONFLICT, format!("only a dead delivery can be put back; this one is {now}"))
        }
        error => error.into(),
    })?;
    (state.wake_sender)();
    Ok(())
}
