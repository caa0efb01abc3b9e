//! When the events that automations themselves are ([`emitted`]) enter the log.
//!
//! They enter it with the commit and are evaluated like any other. Invariant: a chain of automations that set
//! each other off has a bound ([`limits::AUTOMATION_CHAIN`]); Prefect has none and can run for ever.

use super::super::turn::Turn;
use crate::automation::act::Act;
use crate::automation::definition::Automation;
use crate::automation::emitted::{self, Trail, about, related};
use crate::automation::firing::Firing;
use crate::event::{Event, Labels, RESOURCE_ID, RESOURCE_ROLE};
use crate::ids::{DeliveryId, EventId, derive};
use crate::input::{DeliveryResult, Outcome};
use crate::limits;
use serde_json::{Map, Value, json};

impl Turn<'_> {
    /// `prefect.automation.triggered` or `.resolved`. `None` when the chain that led here is too long.
    pub(super) fn emit_state_change(
        &mut self,
        automation: &Automation,
        firing: &Firing,
        triggering: Option<&Event>,
        ordinal: u32,
    ) -> Option<EventId> {
        if Trail::of(automation, triggering).chain > limits::AUTOMATION_CHAIN {
            let why = format!(
                "automation {}: {} automations have set each other off; its own event is not passed on",
                automation.spec.name,
                limits::AUTOMATION_CHAIN
            );
            self.audit("automation.chain_stopped", why.clone(), None, None);
            self.follows(why);
            return None;
        }
        let id = EventId(derive("automation-event", &[&self.seq.to_string(), &ordinal.to_string()]));
        self.emit(emitted::state_change(id, automation, firing, triggering));
        Some(id)
    }

    /// `prefect.automation.action.triggered`: an action goes out.
    pub(super) fn emit_action(&mut self, act: &Act, delivery: DeliveryId) {
        if act.trail.chain > limits::AUTOMATION_CHAIN {
            return;
        }
        let id = EventId(derive("action-event", &["triggered", &delivery.to_string()]));
        let payload = json!({
            "action_index": act.index, "action_type": act.action.kind(), "invocation": delivery, "trackside": act.trail,
        });
        let mut event = about(id, &act.automation, "action.triggered", self.at, payload);
        event.related.extend(act.firing.event.map(|event| related(event.id, "triggering-event")));
        self.emit(event);
    }

    /// `prefect.automation.action.executed` or `.failed`: an action's delivery ended.
    pub(in crate::engine) fn emit_action_outcome(&mut self, outcome: &Outcome) {
        let Some(act) = outcome.act.as_ref().filter(|act| act.trail.chain <= limits::AUTOMATION_CHAIN) else { return };
        let (word, reason) = match &outcome.result {
            DeliveryResult::Delivered => ("executed", None),
            DeliveryResult::Dead { error } => ("failed", Some(error)),
            DeliveryResult::Superseded { why } => ("failed", Some(why)),
        };
        let mut payload = json!({
            "action_index": act.index, "action_type": act.action.kind(), "invocation": outcome.delivery,
            "trackside": act.trail,
        });
        if let Value::Object(payload) = &mut payload {
            payload.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
            payload.extend(outcome.status.map(|status| ("status_code".to_owned(), json!(status))));
        }
        let id = EventId(derive("action-event", &[word, &outcome.delivery.to_string(), &self.seq.to_string()]));
        let mut event = about(id, &act.automation, &format!("action.{word}"), self.at, payload);
        event.related.extend(outcome.far_ref.as_deref().and_then(started));
        event.related.extend(act.cause.map(|cause| related(cause, "automation-triggered-event")));
        event.related.extend(act.firing.event.map(|event| related(event.id, "triggering-event")));
        event.follows = Some(EventId(derive("action-event", &["triggered", &outcome.delivery.to_string()])));
        self.emit(event);
    }

    /// `prefect.automation.created`, `.updated`, `.deleted`.
    pub(super) fn emit_lifecycle(&mut self, word: &str, automation: &Automation) {
        let id = EventId(derive("automation-event", &[word, &self.seq.to_string(), &automation.id.to_string()]));
        self.emit(about(id, automation, word, self.at, Value::Object(Map::new())));
    }
}

/// The flow run that an action started, as a related resource.
fn started(far_ref: &str) -> Option<Labels> {
    far_ref.starts_with("prefect.flow-run.").then(|| {
        Labels::from([(RESOURCE_ID.to_owned(), far_ref.to_owned()), (RESOURCE_ROLE.to_owned(), "flow-run".to_owned())])
    })
}
