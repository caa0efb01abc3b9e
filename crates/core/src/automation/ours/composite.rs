//! Compound and sequence triggers: their children's firings, correlated by key.
//!
//! The labels that all children with `for_each` have in common tell groups apart: what one run did and what another did
//! never add up. A firing of a child without `for_each` counts in every group. Invariants: a firing of a child completes
//! at most one firing per group; a trigger that needs one child only keeps no firings.

use super::group::{Child, Group, Order, Rule, Sharing, complete};
use super::keyed::{Key, Keyed, key_limit};
use super::node::Node;
use super::signal::{Moment, Place, Said, Signal};
use super::time::{Instant, Span};
use super::words;
use crate::automation::edit::Cell;
use crate::automation::firing::{Firing, FiringState};
use crate::automation::view::ChildView;
use std::collections::{BTreeMap, BTreeSet};

/// Key of what counts in every group. No other key looks like it.
const SHARED: &str = "*";

/// A compound or sequence trigger.
#[derive(Clone, Debug)]
pub(super) struct Composite {
    place: Place,
    children: Vec<Node>,
    about: Vec<About>,
    rule: Rule,
    groups: Keyed<Group>,
    /// [`SHARED`]
    shared: Key,
}

/// What a composite knows of a child.
#[derive(Clone, Debug)]
struct About {
    belongs: Belongs,
    /// What its firings say, most often.
    usual: String,
}

/// Which groups a child's firings belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    /// The one of its labels.
    ToOne,
    /// All of them.
    ToAll,
}

impl Composite {
    pub(super) fn new(place: Place, children: Vec<Node>, order: Order, within: Option<Span>, keepers: usize) -> Self {
        let names = common_names(&children);
        let about = children
            .iter()
            .map(|child| About {
                belongs: if child.names().is_empty() && !names.is_empty() { Belongs::ToAll } else { Belongs::ToOne },
                usual: child.usual(),
            })
            .collect();
        let sharing = if children.iter().any(|child| child.names().is_empty()) && !names.is_empty() {
            Sharing::Some
        } else {
            Sharing::None
        };
        let rule = Rule { order, within, names, sharing };
        let groups = Keyed::new(key_limit(keepers, 1));
        Self { place, children, about, rule, groups, shared: Key::from_text(SHARED) }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The labels that its firings have, sorted.
    pub(super) fn names(&self) -> &[String] {
        &self.rule.names
    }

    pub(super) fn children(&self) -> &[Node] {
        &self.children
    }

    pub(super) fn children_mut(&mut self) -> &mut [Node] {
        &mut self.children
    }

    /// Has each child do something, and takes what it said.
    pub(super) fn each_child(
        &mut self,
        moment: Moment,
        signals: &mut Vec<Signal>,
        mut act: impl FnMut(&mut Node, &mut Vec<Signal>),
    ) {
        for index in 0..self.children.len() {
            let mut said = Vec::new();
            act(&mut self.children[index], &mut said);
            for signal in said {
                self.take(u32::try_from(index).unwrap_or(u32::MAX), signal, moment, signals);
            }
        }
    }

    /// When groups may be forgotten next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.groups.next_due()
    }

    /// Firings of its children that wait for those of others.
    pub(super) fn waiting(&self, waiting: &mut Vec<ChildView>) {
        for (key, group) in self.groups.iter() {
            waiting.extend(group.held().iter().map(|child| ChildView {
                parent: self.place.path.clone(),
                child: self.children[child.index() as usize].place().path.clone(),
                firing: self.firing_of(child, &key.labels(self.names_of(key))),
            }));
        }
    }

    /// Removes all groups.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    /// What of its groups changed since the last call.
    pub(super) fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        self.groups.take_cells(&self.place, cells);
    }

    /// Takes back a group.
    pub(super) fn restore(&mut self, key: &str, body: &str) {
        self.groups.restore(&self.rule, key, body);
    }

    /// Whether it will tell when it is over: when children do that it depends on.
    pub(super) fn resolves(&self) -> bool {
        match self.rule.order {
            Order::Any(_) => self.children.iter().any(Node::resolves),
            Order::Written(_) => self.children.last().is_some_and(Node::resolves),
        }
    }

    /// Forgets groups that may be forgotten.
    pub(super) fn clear_up(&mut self, moment: Moment) {
        let due = self.groups.due(&self.rule, moment.now);
        assert!(due.is_empty(), "a group waits for nothing but its children");
    }

    fn take(&mut self, index: u32, signal: Signal, moment: Moment, signals: &mut Vec<Signal>) {
        match signal.firing.state {
            FiringState::Triggered => self.triggered(index, signal, moment, signals),
            FiringState::Resolved => self.resolved(index, &signal, moment, signals),
        }
    }

    fn triggered(&mut self, index: u32, signal: Signal, moment: Moment, signals: &mut Vec<Signal>) {
        let key = self.key(index, &signal.firing);
        if self.rule.order.needed() <= 1 {
            let labels = key.labels(self.names_of(&key));
            if self.resolves() {
                self.change(&key, moment, |group| group.opened(std::iter::once(index), moment.now));
            }
            let said = Said {
                labels,
                event: signal.firing.event.map(Into::into),
                because: format!("1 of {} fired", words::counted(self.children.len(), "trigger")),
                children: vec![signal.firing],
            };
            signals.push(self.place.signal(FiringState::Triggered, signal.time, moment, said));
            return;
        }
        let labels = key.labels(self.names_of(&key));
        let child = Child::new(index, signal, &labels, &self.about[index as usize].usual);
        self.change(&key, moment, |group| group.hold(child.clone(), moment.now));
        if self.groups.get(&key).is_none_or(|group| group.is_spent(child.time())) {
            return;
        }
        let fired = self.evaluate(&key, &child, moment, signals);
        if key == self.shared && fired.is_none() {
            // A group that holds nothing of its own has just been judged by what all share.
            for key in self.keys_where(|group| !group.held().is_empty()) {
                if key != self.shared {
                    self.evaluate(&key, &child, moment, signals);
                }
            }
        }
    }

    /// Fires if the group is complete with `new`.
    fn evaluate(&mut self, key: &Key, new: &Child, moment: Moment, signals: &mut Vec<Signal>) -> Option<()> {
        let group = self.groups.get(key)?;
        let shared = self.groups.get(&self.shared).filter(|_| *key != self.shared).map_or(&[][..], Group::held);
        let mut held: Vec<&Child> = group.held().iter().collect();
        held.extend(shared.iter().filter(|child| !group.is_spent(child.time())));
        held.sort_by_key(|child| child.time());
        if group.is_spent(new.time()) {
            return None;
        }
        let chosen = complete(&self.rule, &held, new)?;
        let first = chosen.iter().map(|child| child.time()).min()?;
        let last = chosen.iter().map(|child| child.time()).max()?;
        let (resolves, order) = (self.resolves(), self.rule.order);
        self.change(key, moment, |group| {
            group.spend(last);
            if resolves {
                group.opened(order.lasting(&chosen).iter().map(Child::index), moment.now);
            }
        });
        let labels = key.labels(self.names_of(key));
        let children: Vec<Firing> = chosen.iter().map(|child| self.firing_of(child, &labels)).collect();
        let event = new.event();
        let because = self.because(children.len(), last.since(first));
        let said = Said { labels, event, children, because };
        signals.push(self.place.signal(FiringState::Triggered, last, moment, said));
        Some(())
    }

    /// A child's firing as it was.
    fn firing_of(&self, child: &Child, group: &BTreeMap<String, String>) -> Firing {
        let index = child.index();
        let none = BTreeMap::new();
        let labels = if self.belongs(index) == Belongs::ToAll { &none } else { group };
        child.firing(self.children[index as usize].place(), labels, &self.about[index as usize].usual)
    }

    fn because(&self, fired: usize, apart: Span) -> String {
        let within = self.rule.within.map_or_else(String::new, |within| format!(" within {within}"));
        let of = words::counted(self.children.len(), "trigger");
        match self.rule.order {
            Order::Any(_) => format!("{fired} of {of} fired{within}, {apart} apart"),
            Order::Written(_) => format!("{of} fired in order{within}, {apart} apart"),
        }
    }

    /// A child's condition no longer holds. In a compound trigger it does not count any more, and the trigger's own
    /// condition is over when too few of the children that took part are left; a sequence is over when its last step is.
    fn resolved(&mut self, index: u32, signal: &Signal, moment: Moment, signals: &mut Vec<Signal>) {
        let own = self.key(index, &signal.firing);
        let keys = match self.belongs(index) {
            Belongs::ToOne => vec![own],
            Belongs::ToAll => self.keys_where(|group| group.depends_on(index)),
        };
        let withdraws = matches!(self.rule.order, Order::Any(_)) && self.children[index as usize].lasts();
        let needed = self.rule.order.lasting_needed();
        for key in keys {
            let labels = key.labels(self.names_of(&key));
            let over = self.change(&key, moment, |group| {
                if withdraws {
                    group.withdraw(index, &signal.firing.labels, &labels);
                }
                group.cleared(index, needed, moment.now)
            });
            if over {
                let said = Said {
                    labels,
                    event: signal.firing.event.map(Into::into),
                    because: format!("no longer: {}", signal.firing.because),
                    children: vec![signal.firing.clone()],
                };
                signals.push(self.place.signal(FiringState::Resolved, signal.time, moment, said));
            }
        }
    }

    fn change<R>(&mut self, key: &Key, moment: Moment, change: impl FnOnce(&mut Group) -> R) -> R {
        self.groups.change(&self.rule, key, moment.now, || Group::new(moment.now), change)
    }

    fn key(&self, index: u32, firing: &Firing) -> Key {
        match self.belongs(index) {
            Belongs::ToAll => self.shared.clone(),
            Belongs::ToOne => {
                let value = |name| firing.labels.get(name).map_or("", String::as_str);
                Key::of(self.rule.names.iter().map(value))
            }
        }
    }

    /// The keys of the groups that are so, in order.
    fn keys_where(&self, is_so: impl Fn(&Group) -> bool) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.groups.iter().filter(|(_, group)| is_so(group)).map(|(key, _)| key.clone()).collect();
        keys.sort_unstable_by(|one, other| one.text().cmp(other.text()));
        keys
    }

    fn names_of(&self, key: &Key) -> &[String] {
        if *key == self.shared { &[] } else { &self.rule.names }
    }

    fn belongs(&self, index: u32) -> Belongs {
        self.about[index as usize].belongs
    }
}

/// The labels that all children that have any have in common, sorted.
fn common_names(children: &[Node]) -> Vec<String> {
    let mut labelled = children.iter().map(Node::names).filter(|names| !names.is_empty());
    let Some(first) = labelled.next() else { return Vec::new() };
    let mut common: BTreeSet<&String> = first.iter().collect();
    for names in labelled {
        common.retain(|name| names.contains(name));
    }
    common.into_iter().cloned().collect()
}
