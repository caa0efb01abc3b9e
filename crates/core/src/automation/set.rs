//! All automations of a workspace with their state: one event in, firings out.
//!
//! Invariants: the cost of an event depends on the automations that concern it, not on how many there are; what
//! changed is taken with [`Automations::take_cells`] and committed with the decision; a set restored from its cells
//! decides as the one it was taken from. What concerns several automations is decided in the order in which they were
//! made.
//!
//! - `agenda`: when which automation must be looked at; `watch`: one automation and its state
//! - `turn`: an event's way through order, index and state

mod agenda;
mod turn;
mod watch;

use super::definition::{Automation, AutomationId, Posture, RelatedSpec, ResourceSpec, Semantics, Trigger};
use super::edit::{Cell, SenderClock};
use super::firing::EventRef;
use super::index::{Bin, Index};
use super::matching;
use super::parking::{self, Follower, Parking};
use super::view::{BucketView, ChildView};
use crate::event::{Event, Labels};
use crate::ids::{EventId, Seq};
use agenda::Agenda;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use watch::Entry;

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
    entries: BTreeMap<AutomationId, Entry>,
    /// Event triggers of the automations that are evaluated.
    events: Index,
    /// Automations with triggers on runs that are evaluated; the position is of no meaning.
    runs: Bin,
    /// Those of them that look for absences as Prefect does.
    absences: BTreeSet<AutomationId>,
    agenda: Agenda,
    parking: Parking,
    clock: Option<SenderClock>,
    /// An edit after which Prefect's look for absences is due at once.
    edited: Edited,
    changed: BTreeSet<AutomationId>,
    /// Cells of automations that were replaced.
    replaced: Vec<Cell>,
    /// Followers that the last call decided; their leaders came, or did not in time.
    released: Vec<Follower>,
}

/// That automations were edited.
#[derive(Clone, Copy, Debug, Default)]
struct Edited {
    /// When; `None` once all have looked for absences since.
    at: Option<Timestamp>,
    /// Whether that changed since the last commit.
    changed: bool,
}

/// Key of the cell that says when automations were edited.
const EDITED_CELL: &str = "edited";

/// Automations and how they change.
impl Automations {
    /// The set as the store has it.
    #[must_use]
    pub fn restore(loaded: Loaded) -> Self {
        let Loaded { automations, mut cells, sender_clock, seen, parked } = loaded;
        cells.sort_by_key(|cell| cell.automation);
        let of = |id: Option<AutomationId>| {
            let start = cells.partition_point(|cell| cell.automation < id);
            let end = cells.partition_point(|cell| cell.automation <= id);
            &cells[start..end]
        };
        let edited = of(None).iter().find(|cell| cell.key == EDITED_CELL).and_then(|cell| cell.body.as_deref());
        let mut set = Self {
            parking: Parking::restore(seen, of(None), parked),
            clock: sender_clock,
            edited: Edited { at: edited.and_then(|at| at.parse().ok()), changed: false },
            ..Self::default()
        };
        for automation in automations {
            let id = automation.id;
            let entry = Entry::restore(automation, of(Some(id)));
            set.enter(entry);
        }
        set
    }

    /// One automation.
    #[must_use]
    pub fn get(&self, id: AutomationId) -> Option<&Automation> {
        self.entries.get(&id).map(|entry| &entry.automation)
    }

    /// All automations, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Automation> {
        self.entries.values().map(|entry| &entry.automation)
    }

    /// Makes an automation or replaces the one with its id. Under Trackside's semantics state is kept when the trigger is
    /// the same; under Prefect's it begins afresh, as there a replaced trigger is another one.
    pub fn put(&mut self, automation: Automation, now: Timestamp) {
        let id = automation.id;
        let entry = match self.leave(id) {
            Some(old) if old.keeps_state_for(&automation) => old.becomes(automation, now),
            Some(mut old) => {
                old.clear();
                old.take_cells(&mut self.replaced);
                Entry::new(automation, now)
            }
            None => Entry::new(automation, now),
        };
        self.enter(entry);
        self.changed.insert(id);
        self.look_at_once(now);
    }

    /// Removes an automation with its state.
    pub fn remove(&mut self, id: AutomationId, now: Timestamp) -> Option<Automation> {
        let entry = self.leave(id)?;
        self.changed.remove(&id);
        self.replaced.retain(|cell| cell.automation != Some(id));
        self.look_at_once(now);
        Some(entry.automation)
    }

    /// Stops evaluating an automation; its state stays. Gives it as it is now, or nothing if there is nothing to stop.
    pub fn pause(&mut self, id: AutomationId, now: Timestamp) -> Option<&Automation> {
        let mut entry = self.leave_if(id, |automation| automation.spec.enabled, now)?;
        entry.automation.spec.enabled = false;
        entry.pause(now);
        self.enter_edited(entry, now)
    }

    /// Goes on evaluating an automation, with the state it had. Gives it as it is now, or nothing if it was not paused.
    pub fn resume(&mut self, id: AutomationId, now: Timestamp) -> Option<&Automation> {
        let mut entry = self.leave_if(id, |automation| !automation.spec.enabled, now)?;
        entry.automation.spec.enabled = true;
        entry.resume(now);
        self.enter_edited(entry, now)
    }

    fn leave_if(&mut self, id: AutomationId, condition: fn(&Automation) -> bool, now: Timestamp) -> Option<Entry> {
        if condition(self.get(id)?) {
            return self.leave(id);
        }
        // To Prefect that was an edit all the same.
        self.look_at_once(now);
        None
    }

    fn enter_edited(&mut self, mut entry: Entry, now: Timestamp) -> Option<&Automation> {
        let id = entry.automation.id;
        entry.automation.updated = now;
        entry.automation.version += 1;
        self.changed.insert(id);
        self.enter(entry);
        self.look_at_once(now);
        self.get(id)
    }

    /// Puts an automation into the set and its indexes.
    fn enter(&mut self, mut entry: Entry) {
        let id = entry.automation.id;
        let Automation { spec, semantics, .. } = &entry.automation;
        if spec.enabled {
            for (position, (_, trigger)) in matching::event_triggers(&spec.trigger).iter().enumerate() {
                self.events.insert((id, position), trigger);
                if trigger.posture == Posture::Proactive && *semantics == Semantics::Prefect {
                    self.absences.insert(id);
                }
            }
            for (matches, related) in run_triggers(&spec.trigger) {
                self.runs.insert((id, 0), matches, related);
            }
        }
        entry.dues = entry.current_dues();
        self.agenda.enter(id, entry.dues);
        self.entries.insert(id, entry);
    }

    /// Takes an automation out of the set and its indexes.
    fn leave(&mut self, id: AutomationId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.agenda.leave(id, entry.dues);
        self.absences.remove(&id);
        let spec = &entry.automation.spec;
        if spec.enabled {
            for (position, (_, trigger)) in matching::event_triggers(&spec.trigger).iter().enumerate() {
                self.events.remove((id, position), trigger);
            }
            for (matches, related) in run_triggers(&spec.trigger) {
                self.runs.remove((id, 0), matches, related);
            }
        }
        Some(entry)
    }

    /// Any edit of automations makes Prefect look for absences at once.
    fn look_at_once(&mut self, now: Timestamp) {
        if !self.absences.is_empty() {
            self.edited = Edited { at: Some(now), changed: true };
        }
    }
}

/// What can be seen of the state.
impl Automations {
    /// The pieces of state that changed since the last call.
    pub fn take_cells(&mut self) -> Vec<Cell> {
        let mut cells = std::mem::take(&mut self.replaced);
        for id in std::mem::take(&mut self.changed) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.take_cells(&mut cells);
            }
        }
        self.parking.take_cells(&mut cells);
        if std::mem::take(&mut self.edited.changed) {
            let body = self.edited.at.map(|at| at.to_string());
            cells.push(Cell { automation: None, key: EDITED_CELL.to_owned(), body });
        }
        // Of a cell that was told twice (gone with what was replaced, made again since) the later word counts.
        let newest: BTreeMap<(Option<AutomationId>, String), Option<String>> =
            cells.into_iter().map(|cell| ((cell.automation, cell.key), cell.body)).collect();
        newest.into_iter().map(|((automation, key), body)| Cell { automation, key, body }).collect()
    }

    /// How late senders are.
    #[must_use]
    pub fn sender_clock(&self) -> Option<SenderClock> {
        self.clock
    }

    /// The live buckets of an automation, by trigger in the order written, then by key.
    #[must_use]
    pub fn buckets(&self, id: AutomationId) -> Vec<BucketView> {
        self.entries.get(&id).map(Entry::buckets).unwrap_or_default()
    }

    /// The firings of its child triggers that wait for those of their siblings.
    #[must_use]
    pub fn child_firings(&self, id: AutomationId) -> Vec<ChildView> {
        self.entries.get(&id).map(Entry::child_firings).unwrap_or_default()
    }

    /// The events that wait for the one they follow, by id.
    pub fn waiting(&self) -> impl Iterator<Item = EventId> {
        self.parking.waiting()
    }
}

/// The positions of the events that wait for their leader, so that the store can load them for [`Loaded::parked`].
#[must_use]
pub fn parked(cells: &[Cell]) -> Vec<Seq> {
    parking::positions(cells)
}

fn run_triggers(trigger: &Trigger) -> Vec<(&ResourceSpec, &RelatedSpec)> {
    match trigger {
        Trigger::Metric(metric) => vec![(&metric.matches, &metric.match_related)],
        Trigger::Consecutive(consecutive) => vec![(&consecutive.matches, &consecutive.match_related)],
        other => other.children().iter().flat_map(run_triggers).collect(),
    }
}
