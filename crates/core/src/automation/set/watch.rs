//! One automation in the set: its definition, its state by its semantics, and when it must be looked at again.

use super::super::definition::{Automation, Semantics};
use super::super::edit::Cell;
use super::super::firing::{EventRef, Firing};
use super::super::ours;
use super::super::prefect::{self, Clocks, Dues};
use super::super::view::{BucketView, ChildView};
use super::RunOutcome;
use crate::event::Event;
use jiff::Timestamp;

/// The lines that flows log are events as well; Prefect asks no trigger about them.
const LOG_LINE: &str = "prefect.log.write";

/// An automation with its state.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) automation: Automation,
    pub(super) watch: Watch,
    /// As the agenda has them.
    pub(super) dues: Dues,
}

/// The state of an automation, by its semantics.
#[derive(Clone, Debug)]
pub(super) enum Watch {
    Prefect(prefect::Watch),
    Trackside(ours::Watch),
}

impl Entry {
    pub(super) fn new(automation: Automation, now: Timestamp) -> Self {
        let watch = match automation.semantics {
            Semantics::Prefect => Watch::Prefect(prefect::Watch::new(&automation, now)),
            Semantics::Trackside => Watch::Trackside(ours::Watch::new(&automation, now)),
        };
        Self { automation, watch, dues: Dues::default() }
    }

    /// Whether another version may go on with the state of this one.
    pub(super) fn keeps_state_for(&self, new: &Automation) -> bool {
        matches!(self.watch, Watch::Trackside(_)) && ours::Watch::same_trigger(&self.automation, new)
    }

    /// Another version with the same state.
    pub(super) fn becomes(mut self, new: Automation, now: Timestamp) -> Self {
        match (self.automation.spec.enabled, new.spec.enabled) {
            (true, false) => self.pause(now),
            (false, true) => self.resume(now),
            (true, true) | (false, false) => {}
        }
        Self { automation: new, ..self }
    }

    pub(super) fn restore(automation: Automation, cells: &[Cell]) -> Self {
        let watch = match automation.semantics {
            Semantics::Prefect => Watch::Prefect(prefect::Watch::restore(&automation, cells)),
            Semantics::Trackside => Watch::Trackside(ours::Watch::restore(&automation, cells)),
        };
        Self { automation, watch, dues: Dues::default() }
    }

    pub(super) fn on_event(&mut self, leaves: &[usize], event: &Event, at: EventRef, now: Timestamp) -> Vec<Firing> {
        match &mut self.watch {
            Watch::Prefect(_) if event.event == LOG_LINE => Vec::new(),
            Watch::Prefect(watch) => watch.on_event(&self.automation, leaves, event, at, now),
            Watch::Trackside(watch) => watch.on_event(leaves, event, at, now),
        }
    }

    /// Prefect's open server has no triggers on runs.
    pub(super) fn on_run(&mut self, outcome: &RunOutcome, now: Timestamp) -> Vec<Firing> {
        match &mut self.watch {
            Watch::Prefect(_) => Vec::new(),
            Watch::Trackside(watch) => watch.on_run(outcome, now),
        }
    }

    /// Decides what is due, but for what Prefect removes only after that (see [`Self::sweep`]).
    pub(super) fn on_due(&mut self, now: Timestamp, noticed: Option<Timestamp>, clocks: Clocks) -> Vec<Firing> {
        match &mut self.watch {
            Watch::Prefect(watch) if self.automation.spec.enabled => watch.look_for_absences(&self.automation, clocks),
            Watch::Prefect(_) => Vec::new(),
            Watch::Trackside(watch) => watch.on_due(now, noticed),
        }
    }

    /// The events that firings due at `until` or before will name.
    pub(super) fn due_events(&self, until: Timestamp, events: &mut Vec<EventRef>) {
        match &self.watch {
            Watch::Prefect(watch) => watch.due_events(until, events),
            Watch::Trackside(watch) => watch.due_events(until, events),
        }
    }

    pub(super) fn sweep(&mut self, clocks: Clocks) {
        if let Watch::Prefect(watch) = &mut self.watch {
            watch.sweep(clocks);
        }
    }

    /// Prefect's look for absences is due at this moment, and not before.
    pub(super) fn look_from(&mut self, now: Timestamp) {
        if let Watch::Prefect(watch) = &mut self.watch {
            watch.look_from(&self.automation, now);
        }
    }

    pub(super) fn pause(&mut self, now: Timestamp) {
        if let Watch::Trackside(watch) = &mut self.watch {
            watch.pause(now);
        }
    }

    pub(super) fn resume(&mut self, now: Timestamp) {
        match &mut self.watch {
            Watch::Prefect(watch) => watch.look_from(&self.automation, now),
            Watch::Trackside(watch) => watch.resume(now),
        }
    }

    /// Removes all state, so that the next cells tell that it is gone.
    pub(super) fn clear(&mut self) {
        match &mut self.watch {
            Watch::Prefect(watch) => watch.clear(),
            Watch::Trackside(watch) => watch.clear(),
        }
    }

    pub(super) fn current_dues(&self) -> Dues {
        match &self.watch {
            Watch::Prefect(watch) => watch.dues(&self.automation),
            Watch::Trackside(watch) => Dues { server: watch.next_due(), senders: None },
        }
    }

    pub(super) fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        match &mut self.watch {
            Watch::Prefect(watch) => watch.take_cells(&self.automation, cells),
            Watch::Trackside(watch) => watch.take_cells(cells),
        }
    }

    pub(super) fn buckets(&self) -> Vec<BucketView> {
        match &self.watch {
            Watch::Prefect(watch) => watch.buckets(),
            Watch::Trackside(watch) => watch.buckets(),
        }
    }

    pub(super) fn child_firings(&self) -> Vec<ChildView> {
        match &self.watch {
            Watch::Prefect(watch) => watch.child_firings(),
            Watch::Trackside(watch) => watch.child_firings(),
        }
    }
}
