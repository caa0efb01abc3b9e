//! Compound and sequence triggers: which children fired, and whether that is enough.
//!
//! As in Prefect: the newest firing of each child is kept, whatever keys it had; the horizon and the order are those of
//! processing, not of the events; what made the parent fire is used up. Invariant: the order of processing is a number
//! of its own, so that two firings of one instant have an order too.

use crate::automation::definition::Trigger;
use crate::automation::firing::Firing;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A place in a composite: which one, and which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Position among the automation's composites, in the order written.
    pub(super) composite: usize,
    /// Position among its children.
    pub(super) child: usize,
}

/// One compound or sequence trigger with its state.
#[derive(Clone, Debug)]
pub(super) struct Composite {
    /// Its path.
    pub(super) path: Box<str>,
    /// Where it is a child; `None` for the root.
    pub(super) parent: Option<Place>,
    within: Option<SignedDuration>,
    enough: Enough,
    fired: Box<[Option<Box<ChildFiring>>]>,
    changed: BTreeSet<usize>,
}

/// When the children's firings are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enough {
    /// So many, in any order.
    Count(usize),
    /// All, in the order written.
    InOrder,
}

/// The newest firing of one child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildFiring {
    /// Its place in the order of processing among those that are kept.
    ordinal: u64,
    /// The firing.
    pub(super) firing: Firing,
}

impl Composite {
    /// A composite in which nothing has fired; `None` for any other trigger.
    pub(super) fn new(trigger: &Trigger, path: &str, parent: Option<Place>) -> Option<Self> {
        let (within, enough) = match trigger {
            Trigger::Compound(compound) => {
                (compound.within, Enough::Count(compound.require.count(compound.triggers.len())))
            }
            Trigger::Sequence(sequence) => (sequence.within, Enough::InOrder),
            Trigger::Event(_) | Trigger::Metric(_) | Trigger::Consecutive(_) => return None,
        };
        let fired = trigger.children().iter().map(|_| None).collect();
        Some(Self { path: path.into(), parent, within, enough, fired, changed: BTreeSet::new() })
    }

    /// Takes a child's firing. When it completes the condition, gives the firings that led to it, in the order of
    /// processing; they are used up.
    pub(super) fn child_fired(&mut self, child: usize, firing: Firing) -> Option<Vec<Firing>> {
        if self.one_is_enough() {
            return Some(vec![firing]);
        }
        if let Some(within) = self.within {
            let oldest = firing.at.saturating_sub(within).unwrap_or(Timestamp::MIN);
            self.keep_only(|kept| kept.firing.at >= oldest);
        }
        let newest = self.fired.iter().flatten().map(|fired| fired.ordinal).max();
        let ordinal = newest.map_or(0, |newest| newest + 1);
        self.fired[child] = Some(Box::new(ChildFiring { ordinal, firing }));
        self.changed.insert(child);
        if !self.is_complete() {
            return None;
        }
        let mut complete: Vec<Box<ChildFiring>> = self.fired.iter().flatten().cloned().collect();
        complete.sort_by_key(|fired| fired.ordinal);
        self.keep_only(|_| false);
        Some(complete.into_iter().map(|fired| fired.firing).collect())
    }

    /// The children that fired, each with its newest firing.
    pub(super) fn fired(&self) -> impl Iterator<Item = (usize, &ChildFiring)> {
        self.fired.iter().enumerate().filter_map(|(child, fired)| Some((child, fired.as_deref()?)))
    }

    /// The children whose firing changed since the last call; `None`: gone.
    pub(super) fn take_changed(&mut self) -> Vec<(usize, Option<&ChildFiring>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|child| (child, self.fired[child].as_deref())).collect()
    }

    /// Takes back what [`Self::take_changed`] gave. A child that is not there any more is forgotten.
    pub(super) fn restore(&mut self, child: usize, fired: ChildFiring) {
        if let Some(place) = self.fired.get_mut(child) {
            *place = Some(Box::new(fired));
        }
    }

    /// Removes all state.
    pub(super) fn clear(&mut self) {
        self.keep_only(|_| false);
    }

    /// The condition with its numbers, for people.
    pub(super) fn because(&self, fired: usize) -> String {
        let all = self.fired.len();
        let how = match self.enough {
            Enough::InOrder => " in order".to_owned(),
            Enough::Count(needed) if needed < all => format!(" ({needed} needed)"),
            Enough::Count(_) => String::new(),
        };
        let within = self.within.map_or_else(String::new, |within| format!(" within {within:#}"));
        format!("{fired} of {all} triggers{how}{within}")
    }

    fn one_is_enough(&self) -> bool {
        match self.enough {
            Enough::Count(needed) => needed == 1,
            Enough::InOrder => self.fired.len() == 1,
        }
    }

    fn is_complete(&self) -> bool {
        match self.enough {
            Enough::Count(needed) => self.fired.iter().flatten().count() >= needed,
            Enough::InOrder => {
                let ordinals: Option<Vec<u64>> = self.fired.iter().map(|fired| Some(fired.as_ref()?.ordinal)).collect();
                ordinals.is_some_and(|ordinals| ordinals.is_sorted())
            }
        }
    }

    fn keep_only(&mut self, keep: impl Fn(&ChildFiring) -> bool) {
        for (child, place) in self.fired.iter_mut().enumerate() {
            if place.as_ref().is_some_and(|fired| !keep(fired)) {
                *place = None;
                self.changed.insert(child);
            }
        }
    }
}
