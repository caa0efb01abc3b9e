//! Automations in the state: the set, its edits, and the bodies of the events that firings refer to.

use super::State;
use crate::automation::definition::{Automation, AutomationId};
use crate::automation::edit::SenderClock;
use crate::automation::set::Automations;
use crate::caller::Caller;
use crate::decision::{AutomationChange, Change};
use crate::event::Event;
use crate::ids::Seq;
use crate::incident::AlertKey;
use crate::run::Name;
use jiff::Timestamp;
use std::sync::Arc;

impl State {
    /// All automations with their state.
    #[must_use]
    pub fn automations(&self) -> &Automations {
        &self.automations
    }

    pub(crate) fn automations_mut(&mut self) -> &mut Automations {
        &mut self.automations
    }

    /// One automation.
    #[must_use]
    pub fn automation(&self, id: AutomationId) -> Option<&Automation> {
        self.automations.get(id)
    }

    pub(crate) fn put_automation(&mut self, automation: Automation, by: Caller, now: Timestamp) {
        self.automations.put(automation.clone(), now);
        drop(self.edited(automation, by));
    }

    /// Stops evaluating an automation. Its name, or nothing when it is not there or paused already.
    pub(crate) fn pause_automation(&mut self, id: AutomationId, by: Caller, now: Timestamp) -> Option<String> {
        let automation = self.automations.pause(id, now)?.clone();
        Some(self.edited(automation, by))
    }

    /// Goes on evaluating an automation. Its name, or nothing when it is not there or not paused.
    pub(crate) fn resume_automation(&mut self, id: AutomationId, by: Caller, now: Timestamp) -> Option<String> {
        let automation = self.automations.resume(id, now)?.clone();
        Some(self.edited(automation, by))
    }

    fn edited(&mut self, automation: Automation, by: Caller) -> String {
        let name = automation.spec.name.clone();
        self.automation_edits.push(Change::Automation(Box::new(AutomationChange { automation, by })));
        name
    }

    pub(crate) fn remove_automation(&mut self, id: AutomationId, by: Caller, at: Timestamp) {
        self.automations.remove(id, at);
        self.automation_edits.push(Change::AutomationGone { id, by, at });
    }

    /// The edits of automations and the pieces of their state that changed, in order.
    pub(super) fn take_automation_changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.automation_edits);
        changes.extend(self.automations.take_cells().into_iter().map(Change::AutomationCell));
        changes
    }

    /// How late senders are.
    #[must_use]
    pub fn sender_clock(&self) -> Option<SenderClock> {
        self.automations.sender_clock()
    }

    /// The body of an event that was loaded for a firing.
    pub(crate) fn event_body(&self, seq: Seq) -> Option<Arc<Event>> {
        self.events.get(&seq).cloned()
    }

    /// The alerts of a rule, over all pipelines. Costs a look at every alert: for edits and clearing, not for events.
    pub(crate) fn alerts_of_rule(&self, rule: &Name) -> impl Iterator<Item = &AlertKey> {
        self.alerts.keys().filter(move |key| key.rule == *rule)
    }
}
