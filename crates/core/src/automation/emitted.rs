//! The events that automations themselves are: `prefect.automation.…`, in Prefect's shape
//! (`Trigger.create_automation_state_change_event`, `Action.succeed` and `.fail` of its server).
//!
//! Invariant: a function of the automation and the firing, so that whoever renders an action makes the same event
//! that the log has. When they are made is decided in [`crate::engine`].

use super::definition::{Automation, Trigger};
use super::firing::{Firing, FiringState};
use super::ours;
use crate::event::{Event, Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use crate::ids::EventId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Source of the events that Trackside makes.
pub const SOURCE: &str = "trackside";

/// What led to an event of an automation; carried in its payload as `trackside`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// How many automations have set each other off, this one included.
    pub chain: u64,
    /// The automations among them.
    pub caused_by: Vec<String>,
}

impl Trail {
    /// The trail of what an automation does because of an event.
    #[must_use]
    pub fn of(automation: &Automation, triggering: Option<&Event>) -> Self {
        let before = triggering.and_then(|event| event.payload.pointer("/trackside/chain")).and_then(Value::as_u64);
        Self { chain: before.unwrap_or(0) + 1, caused_by: ours::caused_by(automation.id, triggering) }
    }
}

/// The event that a firing is: `prefect.automation.triggered` or `.resolved`.
#[must_use]
pub fn state_change(id: EventId, automation: &Automation, firing: &Firing, triggering: Option<&Event>) -> Event {
    let word = match firing.state {
        FiringState::Triggered => "triggered",
        FiringState::Resolved => "resolved",
    };
    let payload = json!({
        "triggering_labels": firing.labels,
        "triggering_event": triggering.map(without_fact),
        "trackside": Trail::of(automation, triggering),
        "because": firing.because,
    });
    let mut event = about(id, automation, word, firing.at, payload);
    event.related.extend(firing.event.map(|event| related(event.id, "triggering-event")));
    event
}

/// An event as its sender sees it, without the events that led to it in turn.
fn without_fact(event: &Event) -> Value {
    let mut payload = event.payload.clone();
    if let Value::Object(payload) = &mut payload {
        payload.remove("triggering_event");
    }
    json!({
        "id": event.id, "occurred": event.occurred, "received": event.received, "event": event.event,
        "resource": event.resource, "related": event.related, "payload": payload, "follows": event.follows,
    })
}

/// An event about an automation, `prefect.automation.{word}`.
pub(crate) fn about(id: EventId, automation: &Automation, word: &str, at: Timestamp, payload: Value) -> Event {
    let mut resource = Labels::from([
        (RESOURCE_ID.to_owned(), format!("prefect.automation.{}", automation.id)),
        (RESOURCE_NAME.to_owned(), automation.spec.name.clone()),
    ]);
    if word.starts_with("action.") {
        resource.insert("prefect.trigger-type".into(), automation.spec.trigger.kind().into());
    }
    if let Trigger::Event(trigger) = &automation.spec.trigger {
        resource.insert("prefect.posture".into(), trigger.posture.as_str().into());
    }
    Event {
        id,
        source: SOURCE.to_owned(),
        occurred: at,
        received: at,
        event: format!("prefect.automation.{word}"),
        resource,
        related: Vec::new(),
        payload,
        follows: None,
        fact: None,
    }
}

/// A related resource that names another event.
pub(crate) fn related(event: EventId, role: &str) -> Labels {
    Labels::from([
        (RESOURCE_ID.to_owned(), format!("prefect.event.{event}")),
        (RESOURCE_ROLE.to_owned(), role.to_owned()),
    ])
}
