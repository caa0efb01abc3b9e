//! Prefect's event JSON (Prefect 3, `prefect.server.events.schemas.events.Event`).
//!
//! The envelope is kept as it is, because rules written for Prefect match on it; unknown fields are ignored as Prefect
//! ignores them. What Prefect refuses is refused, and what it drops in silence (an event that is too large) as well.
//! State changes of flow runs and task runs become facts; the event id of a state change is its state's id, so the same
//! change read twice, or through two ways, is one event.

use super::state::{flow_run_fact, task_run_fact};
use crate::door::{Delivered, Reject, array_or_one, decode, seal, timestamp};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use trackside_core::event::{Event, Fact, Labels};
use trackside_core::ids::EventId;
use trackside_core::run::RunUpdate;
use uuid::Uuid;

/// Largest event as JSON, in bytes (`PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES`).
pub const EVENT_BYTES: usize = 1_500_000;

/// Where an event comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Source of the event: name of the token or of the connection.
    pub source: &'a str,
    /// Team of the token; the first owner candidate.
    pub team: Option<&'a str>,
    /// Base address of the server's pages (see [`super::feed::pages_of`]), for links to runs. No trailing slash.
    pub pages: Option<&'a str>,
    /// When it was received.
    pub received: Timestamp,
}

/// Reads the body of `POST /api/events`: an array of events, as the Prefect client sends it, or one event.
///
/// # Errors
/// 400 for what is not JSON, 413 for too many events or one that is too large, 422 for what Prefect would refuse.
pub fn parse(delivered: &Delivered<'_>) -> Result<Vec<Event>, Reject> {
    let origin = Origin { source: delivered.token, team: delivered.team, pages: None, received: delivered.received };
    array_or_one::<Wire>(delivered.body)?
        .into_iter()
        .map(|(place, wire)| read(wire, &origin, &place, delivered.body.len()))
        .collect()
}

/// Reads one event: a frame of `/events/in`, or the `event` of a frame of `/events/out`.
///
/// # Errors
/// As [`parse`].
pub fn parse_one(json: &[u8], origin: &Origin<'_>) -> Result<Event, Reject> {
    read(decode(json)?, origin, "", json.len())
}

/// An event as Prefect writes it.
#[derive(Debug, Deserialize)]
struct Wire {
    id: Uuid,
    #[serde(deserialize_with = "timestamp")]
    occurred: Timestamp,
    event: String,
    resource: Labels,
    #[serde(default)]
    related: Vec<Labels>,
    #[serde(default)]
    payload: Map<String, Value>,
    #[serde(default)]
    follows: Option<Uuid>,
}

/// `at_most` is an upper bound of the event's size in bytes; an event is only measured when it could be too large.
fn read(wire: Wire, origin: &Origin<'_>, place: &str, at_most: usize) -> Result<Event, Reject> {
    let fact = fact(&wire, origin);
    let payload = if wire.payload.is_empty() { Value::Null } else { Value::Object(wire.payload) };
    let event = Event {
        id: EventId(wire.id),
        source: origin.source.to_owned(),
        occurred: wire.occurred,
        received: origin.received,
        event: wire.event,
        resource: wire.resource,
        related: wire.related,
        payload,
        follows: wire.follows.map(EventId),
        fact: fact.map(|update| Fact::Run(Box::new(update))),
    };
    if at_most > EVENT_BYTES && serde_json::to_string(&event).is_ok_and(|json| json.len() > EVENT_BYTES) {
        let problem =
            format!("the event has more than {EVENT_BYTES} bytes, which is Prefect's limit; send less payload");
        return Err(Reject::new(413, place, &problem));
    }
    seal(event, place)
}

fn fact(wire: &Wire, origin: &Origin<'_>) -> Option<RunUpdate> {
    let change = super::state::Change {
        event: &wire.event,
        occurred: wire.occurred,
        resource: &wire.resource,
        related: &wire.related,
        payload: &wire.payload,
    };
    let mut update = flow_run_fact(&change, origin.pages).or_else(|| task_run_fact(&change, origin.pages))?;
    if let Some(team) = origin.team {
        update.owners.insert(0, team.to_owned());
    }
    Some(update)
}
