//! Automations that set off themselves: the event that says that they fired makes them fire again.
//!
//! Under Prefect's semantics that goes on for ever; under ours an automation never reacts to its own events. Invariant:
//! asks the matching itself, with the events that the automation would make.

use super::super::definition::{EventTrigger, Posture, Trigger};
use super::super::{emitted, matching};
use super::{Code, Notes};
use crate::event::Event;
use crate::ids::EventId;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

pub(super) fn check(notes: &mut Notes<'_>) {
    if !notes.is_prefect() {
        return;
    }
    let Some(trigger) = immediate(&notes.automation.spec.trigger) else { return };
    let own = ["triggered", "action.triggered", "action.executed", "action.failed"];
    let Some(event) = own.map(|word| of_itself(notes, word)).into_iter().find(|event| fires_on(trigger, event)) else {
        return;
    };
    let message = format!("fires on its own event `{}`, which makes it fire again, without end", event.event);
    let field = if trigger.expect.is_empty() { "expect" } else { "match" };
    let suggestion = "expect only the events that you want, or match prefect.resource.id: \"!prefect.automation.*\"";
    notes.error(Code::SelfTrigger, vec!["trigger".into(), field.into()], message, suggestion);
}

/// The trigger of an automation that one event makes fire.
fn immediate(trigger: &Trigger) -> Option<&EventTrigger> {
    match trigger {
        Trigger::Event(event) => {
            (event.posture == Posture::Reactive && event.threshold <= 1 && event.after.is_empty()).then_some(event)
        }
        Trigger::Compound(compound) if compound.require.count(compound.triggers.len()) == 1 => {
            compound.triggers.iter().find_map(immediate)
        }
        _ => None,
    }
}

fn fires_on(trigger: &EventTrigger, event: &Event) -> bool {
    matching::interested(trigger, event) && matching::expects(trigger, &event.event)
}

/// An event that the automation would make.
fn of_itself(notes: &Notes<'_>, word: &str) -> Event {
    let id = EventId(Uuid::nil());
    let mut event = emitted::about(id, notes.automation, word, Timestamp::UNIX_EPOCH, Value::Null);
    event.related.push(emitted::related(id, "triggering-event"));
    event
}
