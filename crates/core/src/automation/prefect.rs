//! One automation as Prefect evaluates it: its triggers' state, what happens to it, when it must be looked at again.
//!
//! The algorithm is that of Prefect 3.8 (`prefect.server.events.triggers`), proven by recordings of the real server in
//! `testdata/automations`. What differs is only what Prefect leaves to chance: its two loops run every five seconds
//! there and at the exact moment here; the order in which children fire is a number, not the time.
//! Invariants: a function of what came before; what changed is told by [`Watch::take_cells`], and a watch restored
//! from its cells goes on as the one they came from. Triggers about runs are not Prefect's: they never fire here, and
//! [`super::request`] refuses them.
//!
//! - [`leaf`]: one event trigger; [`bucket`]: its counts; [`composite`]: compound and sequence; [`cell`]: what is stored

mod bucket;
mod cell;
mod composite;
mod leaf;
mod words;

use super::definition::{Automation, EventTrigger, Posture, Trigger};
use super::edit::Cell;
use super::firing::{EventRef, Firing, FiringState};
use super::matching;
use super::view::{BucketView, ChildView};
use crate::event::Event;
use bucket::Bucket;
use composite::{ChildFiring, Composite, Place};
use jiff::{SignedDuration, Timestamp};
use leaf::{Current, Fired, Leaf, Moment, NextRun};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a bucket stays after its window, so that late events still find it.
const SWEEP_AFTER: i64 = 60 * 1_000_000;

/// The state of one automation. Its definition is given with every call, so that it is in memory once.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    leaves: Vec<Planted>,
    composites: Vec<Composite>,
}

/// An event trigger in its place.
#[derive(Clone, Debug)]
struct Planted {
    path: Box<str>,
    parent: Option<Place>,
    leaf: Leaf,
}

/// When a watch must be looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dues {
    /// At this moment of the server's clock.
    pub(super) server: Option<Timestamp>,
    /// When the senders' clocks have reached this moment.
    pub(super) senders: Option<Timestamp>,
}

/// The moment of an evaluation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The server's clock.
    pub(super) now: Timestamp,
    /// How far the senders are behind it.
    pub(super) lag: SignedDuration,
    /// Whether the moment was noticed on time.
    pub(super) notice: Notice,
}

/// Whether something was noticed when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It was.
    OnTime,
    /// Nothing was running then.
    Late,
}

impl Clocks {
    fn moment(self) -> Moment {
        let now = self.now.as_microsecond();
        let lag = i64::try_from(self.lag.as_micros()).unwrap_or(i64::MAX);
        Moment { now, as_of: now.saturating_sub(lag) }
    }
}

/// What happens to an automation.
impl Watch {
    /// Nothing has happened yet. Absences count from `now`.
    pub(super) fn new(automation: &Automation, now: Timestamp) -> Self {
        let mut watch = Self::unwatched(automation);
        watch.look_from(automation, now);
        watch
    }

    fn unwatched(automation: &Automation) -> Self {
        let mut watch = Self { leaves: Vec::new(), composites: Vec::new() };
        watch.plant(&automation.spec.trigger, "", None);
        watch
    }

    /// Takes an event that concerns these of the event triggers (see [`matching::event_triggers`]).
    pub(super) fn on_event(
        &mut self,
        automation: &Automation,
        leaves: &[usize],
        event: &Event,
        at: EventRef,
        now: Timestamp,
    ) -> Vec<Firing> {
        let clocks = Clocks { now, lag: SignedDuration::ZERO, notice: Notice::OnTime };
        let mut fired = Vec::new();
        let mut firings = Vec::new();
        for &index in leaves {
            let Some(trigger) = event_trigger(automation, index) else { continue };
            self.leaves[index].leaf.on_event(trigger, Current { event, at }, &mut fired);
            for fired in fired.drain(..) {
                self.fired(automation, index, &fired, clocks, &mut firings);
            }
        }
        firings
    }

    /// Looks for what is missing, of every proactive trigger whose time it is.
    pub(super) fn look_for_absences(&mut self, automation: &Automation, clocks: Clocks) -> Vec<Firing> {
        let mut fired = Vec::new();
        let mut firings = Vec::new();
        for index in 0..self.leaves.len() {
            let Some(trigger) = event_trigger(automation, index) else { continue };
            if trigger.posture == Posture::Proactive {
                self.leaves[index].leaf.look_for_absences(trigger, clocks.moment(), &mut fired);
                for fired in fired.drain(..) {
                    self.fired(automation, index, &fired, clocks, &mut firings);
                }
            }
        }
        firings
    }

    /// Removes buckets that are over.
    pub(super) fn sweep(&mut self, clocks: Clocks) {
        let until = clocks.moment().as_of.saturating_sub(SWEEP_AFTER);
        for planted in &mut self.leaves {
            planted.leaf.sweep(until);
        }
    }

    /// Looks for absences at this moment, and not before: it was made or resumed then, or Prefect forgot when it wanted
    /// to look, as it does whenever an automation is edited.
    pub(super) fn look_from(&mut self, automation: &Automation, now: Timestamp) {
        for (index, planted) in self.leaves.iter_mut().enumerate() {
            if event_trigger(automation, index).is_some_and(|trigger| trigger.posture == Posture::Proactive) {
                planted.leaf.evaluate_at(now.as_microsecond());
            }
        }
    }

    /// Removes all state, so that [`Self::take_cells`] tells it is gone.
    pub(super) fn clear(&mut self) {
        for planted in &mut self.leaves {
            planted.leaf.clear();
        }
        for composite in &mut self.composites {
            composite.clear();
        }
    }

    /// The events that firings due at `until` or before will name.
    pub(super) fn due_events(&self, until: Timestamp, events: &mut Vec<EventRef>) {
        for planted in &self.leaves {
            let buckets = &planted.leaf.buckets;
            let ended = buckets.ended(until.as_microsecond());
            events.extend(ended.iter().filter_map(|key| buckets.get(key)?.last));
        }
    }

    /// When the automation must be looked at again.
    pub(super) fn dues(&self, automation: &Automation) -> Dues {
        let mut dues = Dues::default();
        for (index, planted) in self.leaves.iter().enumerate() {
            if let Some(end) = planted.leaf.buckets.first_end() {
                earlier(&mut dues.senders, timestamp(end.saturating_add(SWEEP_AFTER)));
            }
            let proactive = event_trigger(automation, index).is_some_and(|leaf| leaf.posture == Posture::Proactive);
            if !proactive || !automation.spec.enabled {
                continue;
            }
            match planted.leaf.next_run() {
                Some(NextRun::At(run)) => earlier(&mut dues.server, timestamp(run)),
                Some(NextRun::HeldBack(run)) => earlier(&mut dues.senders, timestamp(run)),
                None => earlier(&mut dues.server, automation.updated),
            }
        }
        dues
    }

    /// The live buckets.
    pub(super) fn buckets(&self) -> Vec<BucketView> {
        let of_leaf = |planted: &Planted| -> Vec<BucketView> {
            let view = |(key, bucket): (&Arc<str>, &Bucket)| BucketView {
                trigger: planted.path.to_string(),
                key: leaf::values_of(key),
                start: timestamp(bucket.start),
                end: timestamp(bucket.end),
                count: bucket.count,
                last_event: bucket.last,
            };
            planted.leaf.buckets.iter().map(view).collect()
        };
        self.leaves.iter().flat_map(of_leaf).collect()
    }

    /// The firings of children that wait for others.
    pub(super) fn child_firings(&self) -> Vec<ChildView> {
        let of_composite = |composite: &Composite| -> Vec<ChildView> {
            let view = |(child, fired): (usize, &ChildFiring)| ChildView {
                parent: composite.path.to_string(),
                child: matching::child_path(&composite.path, child),
                firing: fired.firing.clone(),
            };
            composite.fired().map(view).collect()
        };
        self.composites.iter().flat_map(of_composite).collect()
    }

    /// Tells what changed since the last call.
    pub(super) fn take_cells(&mut self, automation: &Automation, cells: &mut Vec<Cell>) {
        cell::take(self, automation.id, cells);
    }

    /// The watch that gave these cells.
    pub(super) fn restore(automation: &Automation, cells: &[Cell]) -> Self {
        let mut watch = Self::unwatched(automation);
        cell::restore(&mut watch, automation, cells);
        watch
    }
}

/// How firings rise.
impl Watch {
    fn plant(&mut self, trigger: &Trigger, path: &str, parent: Option<Place>) {
        if let Trigger::Event(_) = trigger {
            self.leaves.push(Planted { path: path.into(), parent, leaf: Leaf::default() });
        }
        let Some(composite) = Composite::new(trigger, path, parent) else { return };
        let position = self.composites.len();
        self.composites.push(composite);
        for (child, trigger) in trigger.children().iter().enumerate() {
            let place = Place { composite: position, child };
            self.plant(trigger, &matching::child_path(path, child), Some(place));
        }
    }

    fn fired(
        &mut self,
        automation: &Automation,
        index: usize,
        fired: &Fired,
        clocks: Clocks,
        firings: &mut Vec<Firing>,
    ) {
        let planted = &self.leaves[index];
        let Some(trigger) = event_trigger(automation, index) else { return };
        let firing = Firing {
            automation: automation.id,
            trigger: planted.path.to_string(),
            state: FiringState::Triggered,
            at: clocks.now,
            due: (clocks.notice == Notice::Late).then(|| timestamp(fired.end)),
            labels: trigger.for_each.iter().cloned().zip(leaf::values_of(&fired.key)).collect(),
            event: fired.event,
            children: Vec::new(),
            because: words::because(trigger, fired, clocks.now),
        };
        self.rise(firing, planted.parent, firings);
    }

    /// Takes a firing up the tree, as far as it completes something.
    fn rise(&mut self, mut firing: Firing, mut place: Option<Place>, firings: &mut Vec<Firing>) {
        while let Some(Place { composite, child }) = place {
            let composite = &mut self.composites[composite];
            let (at, due, event) = (firing.at, firing.due, firing.event);
            let Some(children) = composite.child_fired(child, firing) else { return };
            firing = Firing {
                automation: children[0].automation,
                trigger: composite.path.to_string(),
                state: FiringState::Triggered,
                at,
                due,
                labels: BTreeMap::new(),
                event,
                because: composite.because(children.len()),
                children,
            };
            place = composite.parent;
        }
        firings.push(firing);
    }
}

fn event_trigger(automation: &Automation, index: usize) -> Option<&EventTrigger> {
    matching::event_trigger(&automation.spec.trigger, index)
}

/// A moment in microseconds as a timestamp; one that lies beyond all calendars is their end.
fn timestamp(microseconds: i64) -> Timestamp {
    let bound = if microseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(microseconds).unwrap_or(bound)
}

fn earlier(due: &mut Option<Timestamp>, other: Timestamp) {
    *due = Some(due.map_or(other, |due| due.min(other)));
}
