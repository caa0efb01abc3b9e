//! The tree of an automation's triggers: events, runs and moments go down, signals come up.
//!
//! Invariant: a composite hears of its children in the order written, and of everything that is due in order of time.

use super::composite::Composite;
use super::count::Count;
use super::deadline::Deadline;
use super::group::Order;
use super::leaf::Leaf;
use super::metric::Metric;
use super::opened::Opened;
use super::signal::{EventBase, Happening, Moment, Place, Resolving, Signal};
use super::silence::Silence;
use super::streak::Streak;
use super::time::{Instant, Span};
use crate::automation::definition::{AutomationId, EventTrigger, Posture, Trigger};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::matching::child_path;
use crate::automation::set::RunOutcome;
use crate::automation::view::{BucketView, ChildView};

/// One trigger with its state.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(LeafNode),
    Composite(Box<Composite>),
}

#[derive(Clone, Debug)]
pub(super) enum LeafNode {
    Count(Box<Count>),
    Opened(Box<Opened>),
    Silence(Box<Silence>),
    Deadline(Box<Deadline>),
    Metric(Box<Metric>),
    Streak(Box<Streak>),
}

/// What a whole tree is built with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) automation: AutomationId,
    /// How many triggers keep keys; they share the limit.
    pub(super) keepers: usize,
    pub(super) resolving: Resolving,
    /// The beginning of watching.
    pub(super) now: Instant,
}

/// The event triggers that an event concerns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Concerned<'a> {
    /// Their numbers, in the order of the tree.
    pub(super) leaves: &'a [usize],
    /// The number of the first event trigger of the tree that is asked.
    pub(super) first: usize,
}

impl Node {
    pub(super) fn new(trigger: &Trigger, path: String, plan: Plan) -> Self {
        let place = Place { automation: plan.automation, path };
        match trigger {
            Trigger::Event(event) => Self::Leaf(event_leaf(event, place, plan)),
            Trigger::Metric(metric) => {
                Self::Leaf(LeafNode::Metric(Box::new(Metric::new(place, metric, plan.keepers, plan.now))))
            }
            Trigger::Consecutive(streak) => {
                Self::Leaf(LeafNode::Streak(Box::new(Streak::new(place, streak, plan.keepers))))
            }
            Trigger::Compound(compound) => {
                let order = Order::Any(compound.require.count(compound.triggers.len()).max(1));
                composite(&compound.triggers, order, compound.within.map(Span::of), place, plan)
            }
            Trigger::Sequence(sequence) => {
                let order = Order::Written(sequence.triggers.len());
                composite(&sequence.triggers, order, sequence.within.map(Span::of), place, plan)
            }
        }
    }

    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Leaf(leaf) => leaf.get().place(),
            Self::Composite(composite) => composite.place(),
        }
    }

    /// The labels that its firings have, sorted.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Leaf(leaf) => leaf.get().names(),
            Self::Composite(composite) => composite.names(),
        }
    }

    /// What its firings say, most often; a group keeps them without it.
    pub(super) fn usual(&self) -> String {
        match self {
            Self::Leaf(leaf) => leaf.get().usual(),
            Self::Composite(_) => String::new(),
        }
    }

    /// Whether it will tell when its condition no longer holds.
    pub(super) fn resolves(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.get().resolves(),
            Self::Composite(composite) => composite.resolves(),
        }
    }

    /// Whether its firing says that something is so, not that something happened.
    pub(super) fn lasts(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.get().lasts(),
            Self::Composite(_) => true,
        }
    }

    /// Takes an event.
    pub(super) fn on_event(&mut self, concerned: Concerned<'_>, happening: &Happening<'_>, signals: &mut Vec<Signal>) {
        let Concerned { leaves, first } = concerned;
        match self {
            Self::Leaf(leaf) if leaves.contains(&first) => leaf.get_mut().on_event(happening, signals),
            Self::Leaf(_) => {}
            Self::Composite(composite) => {
                let mut first = first;
                composite.each_child(happening.moment, signals, |child, said| {
                    child.on_event(Concerned { leaves, first }, happening, said);
                    first += child.event_triggers();
                });
            }
        }
    }

    /// Takes the end of a run.
    pub(super) fn on_run(&mut self, outcome: &RunOutcome, moment: Moment, signals: &mut Vec<Signal>) {
        match self {
            Self::Leaf(leaf) => leaf.get_mut().on_run(outcome, moment, signals),
            Self::Composite(composite) => {
                composite.each_child(moment, signals, |child, said| child.on_run(outcome, moment, said));
            }
        }
    }

    /// Decides what is due at the moment.
    pub(super) fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>) {
        if self.next_due().is_none_or(|due| due > moment.now) {
            return;
        }
        match self {
            Self::Leaf(leaf) => leaf.get_mut().on_due(moment, signals),
            Self::Composite(composite) => {
                composite.each_child(moment, signals, |child, said| child.on_due(moment, said));
                composite.clear_up(moment);
            }
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Leaf(leaf) => leaf.get().next_due(),
            Self::Composite(composite) => {
                composite.children().iter().filter_map(Self::next_due).chain(composite.next_due()).min()
            }
        }
    }

    /// The events that firings due at `until` or before will name.
    pub(super) fn due_events(&self, until: Instant, events: &mut Vec<EventRef>) {
        match self {
            Self::Leaf(leaf) => events.extend(leaf.get().due_events(until)),
            Self::Composite(composite) => {
                composite.children().iter().for_each(|child| child.due_events(until, events));
            }
        }
    }

    /// Goes on after a pause.
    pub(super) fn resume(&mut self, now: Instant) {
        match self {
            Self::Leaf(leaf) => leaf.get_mut().resume(now),
            Self::Composite(composite) => composite.children_mut().iter_mut().for_each(|child| child.resume(now)),
        }
    }

    /// Its keys and those of what is below it.
    pub(super) fn buckets(&self, buckets: &mut Vec<BucketView>) {
        match self {
            Self::Leaf(leaf) => buckets.extend(leaf.get().buckets()),
            Self::Composite(composite) => composite.children().iter().for_each(|child| child.buckets(buckets)),
        }
    }

    /// Firings that wait for those of siblings.
    pub(super) fn child_firings(&self, waiting: &mut Vec<ChildView>) {
        if let Self::Composite(composite) = self {
            composite.waiting(waiting);
            composite.children().iter().for_each(|child| child.child_firings(waiting));
        }
    }

    /// Removes all state.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Leaf(leaf) => leaf.get_mut().clear(),
            Self::Composite(composite) => {
                composite.clear();
                composite.children_mut().iter_mut().for_each(Self::clear);
            }
        }
    }

    /// What changed since the last call.
    pub(super) fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        match self {
            Self::Leaf(leaf) => leaf.get_mut().take_cells(cells),
            Self::Composite(composite) => {
                composite.take_cells(cells);
                composite.children_mut().iter_mut().for_each(|child| child.take_cells(cells));
            }
        }
    }

    /// Takes back a cell of the trigger at `path`.
    pub(super) fn restore(&mut self, path: &str, key: &str, body: &str) {
        match self {
            Self::Leaf(leaf) if leaf.get().place().path == path => leaf.get_mut().restore(key, body),
            Self::Leaf(_) => {}
            Self::Composite(composite) if composite.place().path == path => composite.restore(key, body),
            Self::Composite(composite) => {
                composite.children_mut().iter_mut().for_each(|child| child.restore(path, key, body));
            }
        }
    }

    /// How many event triggers there are in it.
    fn event_triggers(&self) -> usize {
        match self {
            Self::Leaf(LeafNode::Metric(_) | LeafNode::Streak(_)) => 0,
            Self::Leaf(_) => 1,
            Self::Composite(composite) => composite.children().iter().map(Self::event_triggers).sum(),
        }
    }
}

impl LeafNode {
    fn get(&self) -> &dyn Leaf {
        match self {
            Self::Count(leaf) => &**leaf,
            Self::Opened(leaf) => &**leaf,
            Self::Silence(leaf) => &**leaf,
            Self::Deadline(leaf) => &**leaf,
            Self::Metric(leaf) => &**leaf,
            Self::Streak(leaf) => &**leaf,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Leaf {
        match self {
            Self::Count(leaf) => &mut **leaf,
            Self::Opened(leaf) => &mut **leaf,
            Self::Silence(leaf) => &mut **leaf,
            Self::Deadline(leaf) => &mut **leaf,
            Self::Metric(leaf) => &mut **leaf,
            Self::Streak(leaf) => &mut **leaf,
        }
    }
}

fn event_leaf(trigger: &EventTrigger, place: Place, plan: Plan) -> LeafNode {
    let base = EventBase::new(place, trigger);
    match (trigger.posture, trigger.after.is_empty()) {
        (Posture::Reactive, true) => LeafNode::Count(Box::new(Count::new(base, plan.keepers, plan.resolving))),
        (Posture::Reactive, false) => LeafNode::Opened(Box::new(Opened::new(base, plan.keepers, plan.resolving))),
        (Posture::Proactive, true) => LeafNode::Silence(Box::new(Silence::new(base, plan.keepers, plan.now))),
        (Posture::Proactive, false) => LeafNode::Deadline(Box::new(Deadline::new(base, plan.keepers))),
    }
}

fn composite(triggers: &[Trigger], order: Order, within: Option<Span>, place: Place, plan: Plan) -> Node {
    let child = |(index, trigger)| Node::new(trigger, child_path(&place.path, index), plan);
    let children = triggers.iter().enumerate().map(child).collect();
    Node::Composite(Box::new(Composite::new(place, children, order, within, plan.keepers)))
}
