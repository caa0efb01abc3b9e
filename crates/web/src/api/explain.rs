//! Why: for an event or an incident, what matched, who owns it and by which rule, what was sent.

use crate::api::Segments;
use crate::api::model::{DeliveryDetailOut, EventOut, ExplanationOut, IncidentOut};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeSet;
use trackside_core::decision::Explanation;
use trackside_core::ids::{EventId, IncidentId};
use trackside_store::log::LoggedEvent;
use trackside_store::outbox::{DeliveryDetail, DeliveryFilter};
use utoipa::ToSchema;
use uuid::Uuid;

/// Most deliveries whose attempts are shown.
const DELIVERIES: usize = 50;

/// Everything that explains an event or an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyOut {
    /// The event, when the id was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventOut>,
    /// Incidents it concerns; the incident itself when the id was one.
    incidents: Vec<IncidentOut>,
    /// What each entry of the log meant, which rules looked at it, who owns it.
    explanations: Vec<ExplanationOut>,
    /// What was sent, with each attempt.
    deliveries: Vec<DeliveryDetailOut>,
}

/// Everything that explains an event or an incident, as values.
pub(crate) struct Why {
    /// The event, when the id was one.
    pub(crate) event: Option<LoggedEvent>,
    /// Incidents it concerns.
    pub(crate) incidents: Vec<trackside_core::incident::Incident>,
    /// Oldest first.
    pub(crate) explanations: Vec<Explanation>,
    /// Oldest first.
    pub(crate) deliveries: Vec<DeliveryDetail>,
}

/// Why an event or incident led to what it led to.
#[utoipa::path(get, path = "/api/v1/explain/{id}", tag = "events",
    params(("id" = Uuid, Path, description = "Id of an event or an incident")),
    responses((status = 200, body = WhyOut), (status = 404, body = Problem)))]
pub(crate) async fn explain(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<WhyOut>, Problem> {
    let id: Uuid = crate::api::id("an event or incident", &text)?;
    let why = match of_event(&state, EventId(id)).await? {
        Some(why) => why,
        None => {
            of_incident(&state, IncidentId(id)).await?.ok_or_else(|| Problem::missing("event or incident", &text))?
        }
    };
    Ok(Json(WhyOut {
        event: why.event.as_ref().map(EventOut::from),
        incidents: why.incidents.iter().map(IncidentOut::from).collect(),
        explanations: why.explanations.iter().map(ExplanationOut::from).collect(),
        deliveries: why.deliveries.iter().map(DeliveryDetailOut::from).collect(),
    }))
}

/// Why an event led to what it led to; `None` when there is no such event.
pub(crate) async fn of_event(state: &AppState, id: EventId) -> Result<Option<Why>, Problem> {
    let Some(event) = state.store.event(id).await? else { return Ok(None) };
    let explanations = state.store.explanations_of_event(id).await?;
    let concerned: BTreeSet<IncidentId> = explanations.iter().filter_map(|why| why.incident).collect();
    let mut incidents = Vec::new();
    let mut deliveries = Vec::new();
    for incident in concerned {
        incidents.extend(state.store.incident(incident).await?.map(|detail| detail.incident));
        let sent = deliveries_of(state, incident).await?;
        deliveries.extend(sent.into_iter().filter(|sent| sent.delivery.effect.cause == event.seq));
    }
    Ok(Some(Why { event: Some(event), incidents, explanations, deliveries }))
}

/// Why an incident opened, grew and ended; `None` when there is no such incident.
async fn of_incident(state: &AppState, id: IncidentId) -> Result<Option<Why>, Problem> {
    let Some(detail) = state.store.incident(id).await? else { return Ok(None) };
    let explanations = state.store.explanations_of_incident(id).await?;
    let deliveries = deliveries_of(state, id).await?;
    Ok(Some(Why { event: None, incidents: vec![detail.incident], explanations, deliveries }))
}

/// The deliveries of an incident with their attempts, oldest first.
pub(crate) async fn deliveries_of(state: &AppState, incident: IncidentId) -> Result<Vec<DeliveryDetail>, Problem> {
    let filter = DeliveryFilter { incident: Some(incident), limit: DELIVERIES, ..DeliveryFilter::default() };
    let page = state.store.deliveries(&filter).await?;
    let mut details = Vec::with_capacity(page.items.len());
    for row in page.items.iter().rev() {
        details.extend(state.store.delivery(row.effect.id).await?);
    }
    Ok(details)
}
