//! What an automation set off itself. Its own rules never react to it, however long the chain is.
//!
//! The events that automations emit carry the automations that led to them, in the payload under
//! `trackside.caused_by`. Whoever emits such an event puts [`caused_by`] there.

use crate::automation::definition::AutomationId;
use crate::event::{Event, RESOURCE_ID};
use serde_json::Value;

/// Where an emitted event's payload lists the automations that led to it.
pub const CAUSED_BY: &str = "/trackside/caused_by";
/// Most automations listed. A longer chain forgets its beginning.
const LISTED: usize = 32;

/// The automations that led to an event that `automation` emits because of `triggering`, oldest first.
#[must_use]
pub fn caused_by(automation: AutomationId, triggering: Option<&Event>) -> Vec<String> {
    let mut causes: Vec<String> =
        triggering.map(|event| causes(event).map(str::to_owned).collect()).unwrap_or_default();
    let own = automation.to_string();
    causes.retain(|cause| *cause != own);
    causes.push(own);
    causes.split_off(causes.len().saturating_sub(LISTED))
}

/// Whether an event is about the automation, or was caused by it.
pub(super) fn is_own(automation: AutomationId, event: &Event) -> bool {
    let about = event.resource.get(RESOURCE_ID).and_then(|id| id.strip_prefix("prefect.automation."));
    let is_own = |text: &str| text.parse() == Ok(automation);
    about.is_some_and(is_own) || causes(event).any(is_own)
}

fn causes(event: &Event) -> impl Iterator<Item = &str> {
    event.payload.pointer(CAUSED_BY).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
