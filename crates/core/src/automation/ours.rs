//! Trackside's own semantics: Prefect's trigger language with what hurts there mended.
//!
//! The differences, point by point and with examples, are in `docs/concepts/automation-semantics.md`. The main ones:
//! windows slide; missing events have no blind gap; `for_each` without `after` keeps watching; a deadline that passes
//! while nothing runs still fires, marked late; composites go by event time and correlate by key; conditions resolve;
//! an automation never reacts to itself.
//!
//! Invariants: a firing is a function of the events, runs and moments so far; what is due fires at its own instant, in
//! order of time; independent keys do not influence each other; state restored from its cells has the same future;
//! state has a bound (keys, times per key, expiry).
//!
//! - [`node`]: the tree of triggers; [`signal`]: what goes between them; [`leaf`]: what each of them can do
//! - [`count`], [`opened`]: events that came; [`silence`], [`deadline`]: events that did not
//! - [`composite`], [`group`]: several triggers together
//! - [`metric`], [`samples`], [`streak`], [`runs`]: ends of runs
//! - [`keyed`], [`time`], [`times`]: state in compact form
//! - [`own`]: what an automation set off itself

mod composite;
mod count;
mod deadline;
mod group;
mod keyed;
mod leaf;
mod metric;
mod node;
mod opened;
mod own;
mod runs;
mod samples;
mod signal;
mod silence;
mod streak;
mod time;
mod times;
mod words;

pub use group::HELD;
pub use keyed::{KEYS_PER_AUTOMATION, TIMES_PER_AUTOMATION};
pub use own::{CAUSED_BY, caused_by};
pub use samples::SAMPLES;
pub use signal::THRESHOLD_MAX;

use super::action::ActionSpec;
use super::definition::{Automation, AutomationId, AutomationSpec, Trigger};
use super::edit::Cell;
use super::firing::{EventRef, Firing};
use super::set::RunOutcome;
use super::view::{BucketView, ChildView};
use crate::event::Event;
use jiff::Timestamp;
use node::{Concerned, Node, Plan};
use signal::{Happening, Moment, Resolving, Signal};
use time::{Instant, Span};

/// How long a key is remembered beyond its window for events that come late.
const LATENESS: Span = Span::minutes(60);
/// How long a key that fired, and is silent since, is remembered so that it can be resolved.
const KEPT: Span = Span::minutes(7 * 24 * 60);
/// How long expected events have to arrive when the event that opens their deadline arrives after it.
const BACKLOG: Span = Span::minutes(1);
/// The window of a proactive trigger that has none.
const SHORTEST_ABSENCE: Span = Span::seconds(10);
/// Times beyond the threshold that a key keeps for events that come late.
const LATE_TIMES: usize = 16;

/// One automation under [`Semantics::Trackside`](super::definition::Semantics::Trackside), with its state.
#[derive(Clone, Debug)]
pub struct Watch {
    automation: AutomationId,
    evaluation: Evaluation,
    root: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evaluation {
    On,
    Paused,
}

impl Watch {
    /// An automation that is watched from `now` on.
    #[must_use]
    pub fn new(automation: &Automation, now: Timestamp) -> Self {
        let spec = &automation.spec;
        let plan = Plan {
            automation: automation.id,
            keepers: keepers(&spec.trigger, resolving(spec)),
            resolving: resolving(spec),
            now: Instant::of(now),
        };
        Self {
            automation: automation.id,
            evaluation: if spec.enabled { Evaluation::On } else { Evaluation::Paused },
            root: Node::new(&spec.trigger, String::new(), plan),
        }
    }

    /// An automation with the state that [`Self::take_cells`] gave.
    #[must_use]
    pub fn restore(automation: &Automation, cells: &[Cell]) -> Self {
        let mut watch = Self::new(automation, automation.updated);
        watch.root.take_cells(&mut Vec::new());
        for cell in cells {
            let Some(body) = cell.body.as_deref().filter(|_| cell.automation == Some(automation.id)) else { continue };
            let (path, key) = cell.key.split_at(cell.key.find(['[', '*']).unwrap_or(cell.key.len()));
            watch.root.restore(path, key, body);
        }
        watch
    }

    /// Whether state may be kept when one version of an automation replaces another: all that it depends on is the same.
    #[must_use]
    pub fn same_trigger(old: &Automation, new: &Automation) -> bool {
        old.semantics == new.semantics
            && old.spec.trigger == new.spec.trigger
            && resolving(&old.spec) == resolving(&new.spec)
    }

    /// Decides an event. `leaves` are the positions, in
    /// [`event_triggers`](super::matching::event_triggers), of the triggers that it concerns. Gives the firings of the
    /// whole automation, with those of its parts inside.
    pub fn on_event(&mut self, leaves: &[usize], event: &Event, at: EventRef, now: Timestamp) -> Vec<Firing> {
        let mut signals = Vec::new();
        if self.evaluation == Evaluation::On && !own::is_own(self.automation, event) {
            self.catch_up(now, &mut signals);
            let happening = Happening::new(event, at, now);
            self.root.on_event(Concerned { leaves, first: 0 }, &happening, &mut signals);
        }
        firings(signals)
    }

    /// Decides the end of a run.
    pub fn on_run(&mut self, outcome: &RunOutcome, now: Timestamp) -> Vec<Firing> {
        let mut signals = Vec::new();
        if self.evaluation == Evaluation::On {
            self.catch_up(now, &mut signals);
            self.root.on_run(outcome, Moment::at(now), &mut signals);
        }
        firings(signals)
    }

    /// The events that firings due at `until` or before will name.
    pub fn due_events(&self, until: Timestamp, events: &mut Vec<EventRef>) {
        self.root.due_events(Instant::of(until), events);
    }

    /// Decides everything that is due at `now` or before, each at its own instant. `noticed` is when that was noticed,
    /// if nothing was running at `now`.
    pub fn on_due(&mut self, now: Timestamp, noticed: Option<Timestamp>) -> Vec<Firing> {
        let mut signals = Vec::new();
        if self.evaluation == Evaluation::On {
            self.decide_due(noticed, &mut signals, |due| due <= Instant::of(now));
        }
        firings(signals)
    }

    /// When something is due next; nothing while it is paused.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = self.root.next_due().filter(|_| self.evaluation == Evaluation::On);
        due.map(Instant::timestamp)
    }

    /// Stops evaluating; the state stays.
    pub fn pause(&mut self, _now: Timestamp) {
        self.evaluation = Evaluation::Paused;
    }

    /// Goes on evaluating. Nothing was seen in the meantime, so whatever is waited for gets its full time from now on.
    pub fn resume(&mut self, now: Timestamp) {
        if self.evaluation == Evaluation::Paused {
            self.evaluation = Evaluation::On;
            self.root.resume(Instant::of(now));
        }
    }

    /// The pieces of state that changed since the last call.
    pub fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        self.root.take_cells(cells);
    }

    /// Removes all state, so that the next cells tell that it is gone.
    pub fn clear(&mut self) {
        self.root.clear();
    }

    /// The live state of its triggers on events and runs, by trigger in the order written, then by key.
    #[must_use]
    pub fn buckets(&self) -> Vec<BucketView> {
        let mut buckets = Vec::new();
        self.root.buckets(&mut buckets);
        buckets
    }

    /// The firings of its parts that wait for those of others.
    #[must_use]
    pub fn child_firings(&self) -> Vec<ChildView> {
        let mut waiting = Vec::new();
        self.root.child_firings(&mut waiting);
        waiting
    }

    /// Decides what was due before `now`, if that was not asked for.
    fn catch_up(&mut self, now: Timestamp, signals: &mut Vec<Signal>) {
        let now = Instant::of(now);
        self.decide_due(None, signals, |due| due < now);
    }

    fn decide_due(&mut self, noticed: Option<Timestamp>, signals: &mut Vec<Signal>, is_up: impl Fn(Instant) -> bool) {
        while let Some(due) = self.root.next_due().filter(|due| is_up(*due)) {
            self.root.on_due(Moment::due(due, noticed), signals);
            assert!(self.root.next_due().is_none_or(|next| next > due), "what was due at {due} is decided");
        }
    }
}

fn firings(signals: Vec<Signal>) -> Vec<Firing> {
    signals.into_iter().map(|signal| signal.firing).collect()
}

/// Whether anybody acts when a condition no longer holds.
fn resolving(spec: &AutomationSpec) -> Resolving {
    let mut actions = spec.actions.iter().chain(&spec.actions_on_trigger);
    let resolves = actions.any(|action| matches!(action, ActionSpec::ResolveIncident {}));
    if resolves || !spec.actions_on_resolve.is_empty() { Resolving::Tracked } else { Resolving::Ignored }
}

/// How many triggers of a tree keep keys. A trigger that fires on every event does not.
fn keepers(trigger: &Trigger, resolving: Resolving) -> usize {
    let keeps = match trigger {
        Trigger::Event(event) => !count::fires_always(event, resolving),
        _ => true,
    };
    usize::from(keeps) + trigger.children().iter().map(|child| keepers(child, resolving)).sum::<usize>()
}
