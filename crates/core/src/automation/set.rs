//! All automations of a workspace with their state: one event in, firings out.
//!
//! Invariants: the cost of an event depends on the automations that concern it, not on how many there are; what
//! changed is taken with [`Automations::take_cells`] and committed with the decision; a set restored from its cells
//! decides as the one it was taken from.

use super::definition::{Automation, AutomationId};
use super::edit::{Cell, SenderClock};
use super::firing::{EventRef, Firing};
use crate::event::{Event, Labels};
use crate::ids::{EventId, Seq};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What the store gives back at start.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// All automations.
    pub automations: Vec<Automation>,
    /// All pieces of state.
    pub cells: Vec<Cell>,
    /// How late senders were.
    pub sender_clock: Option<SenderClock>,
    /// The newest events that were decided, with when; at most [`SEEN`], oldest first.
    pub seen: Vec<(EventId, Timestamp)>,
    /// The events among them that wait for their leader (see [`parked`]), by position.
    pub parked: Vec<(Seq, Event)>,
}

/// Most events remembered as seen.
pub const SEEN: usize = 10_000;

/// A run that ended, for triggers about runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// Labels to match: those of the event's resource, and `pipeline`, `source`, `owner`.
    pub labels: Labels,
    /// Related resources of the event.
    pub related: Vec<Labels>,
    /// Pipeline as `source/name`, by which streaks are kept.
    pub pipeline: String,
    /// How it ended.
    pub result: RunResult,
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub duration: Option<SignedDuration>,
    /// How long after its time it started.
    pub lateness: Option<SignedDuration>,
    /// The event that told of the end.
    pub event: EventRef,
}

/// How a run ended, as far as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

/// All automations with their state.
#[derive(Clone, Debug, Default)]
pub struct Automations {
    automations: BTreeMap<AutomationId, Automation>,
}

impl Automations {
    /// The set as the store has it.
    #[must_use]
    pub fn restore(loaded: Loaded) -> Self {
        let automations = loaded.automations.into_iter().map(|automation| (automation.id, automation)).collect();
        Self { automations }
    }

    /// One automation.
    #[must_use]
    pub fn get(&self, id: AutomationId) -> Option<&Automation> {
        self.automations.get(&id)
    }

    /// All automations, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Automation> {
        self.automations.values()
    }

    /// Makes an automation or replaces the one with its id.
    pub fn put(&mut self, automation: Automation, _now: Timestamp) {
        self.automations.insert(automation.id, automation);
    }

    /// Removes an automation with its state.
    pub fn remove(&mut self, id: AutomationId) -> Option<Automation> {
        self.automations.remove(&id)
    }

    /// Decides one event.
    pub fn on_event(&mut self, _event: &Event, _seq: Seq, _now: Timestamp) -> Vec<Firing> {
        Vec::new()
    }

    /// Decides the end of a run.
    pub fn on_run(&mut self, _outcome: &RunOutcome, _now: Timestamp) -> Vec<Firing> {
        Vec::new()
    }

    /// Decides what is due at `now`. `noticed` is set when that was noticed late.
    pub fn on_due(&mut self, _now: Timestamp, _noticed: Option<Timestamp>) -> Vec<Firing> {
        Vec::new()
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// The pieces of state that changed since the last call.
    pub fn take_cells(&mut self) -> Vec<Cell> {
        Vec::new()
    }

    /// How late senders are.
    #[must_use]
    pub fn sender_clock(&self) -> Option<SenderClock> {
        None
    }
}

/// The positions of the events that wait for their leader, so that the store can load them for [`Loaded::parked`].
#[must_use]
pub fn parked(_cells: &[Cell]) -> Vec<Seq> {
    Vec::new()
}
