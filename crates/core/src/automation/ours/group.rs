//! One group of a composite trigger: firings of its children that belong together, and when they are enough.
//!
//! What counts is event time: when the completing event of a child occurred, or the due instant of one that was missed.
//! A firing of the composite uses up everything of the group up to its last child, also what comes late and belongs
//! there. Invariants: of each child the newest [`HELD`] firings are kept; all choices are a function of what is held.

use super::keyed::KeyState;
use super::signal::{Held, Place, Signal};
use super::time::{Instant, Span};
use super::{KEPT, LATENESS};
use crate::automation::firing::{EventRef, Firing, FiringState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Firings of one child that a group keeps.
pub const HELD: usize = 16;

/// What a composite asks of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// So many of them, in any order.
    Any(usize),
    /// All of them, in the order written.
    Written(usize),
}

impl Order {
    /// How many children must have fired.
    pub(super) fn needed(self) -> usize {
        match self {
            Self::Any(needed) | Self::Written(needed) => needed,
        }
    }

    /// The children on which it depends how long a firing lasts: all of them, or the last step.
    pub(super) fn lasting(self, chosen: &[Child]) -> &[Child] {
        match self {
            Self::Any(_) => chosen,
            Self::Written(_) => &chosen[chosen.len().saturating_sub(1)..],
        }
    }

    /// How many of them must last.
    pub(super) fn lasting_needed(self) -> usize {
        match self {
            Self::Any(needed) => needed,
            Self::Written(_) => 1,
        }
    }
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) order: Order,
    /// `None`: no bound.
    pub(super) within: Option<Span>,
    /// Labels that tell groups apart; without there is one group.
    pub(super) names: Vec<String>,
    /// Whether there are firings that count in every group.
    pub(super) sharing: Sharing,
}

/// Whether some children's firings count in every group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// They do: a group must know how long it has used them up.
    Some,
    /// None do.
    None,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    /// Firings that are not used up, by time.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<Child>,
    /// When a child fired or cleared last.
    #[serde(rename = "at")]
    touched: Instant,
    /// It fired.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    fired: Option<Box<Fired>>,
}

/// That a group fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Fired {
    /// Everything up to here is used up.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    spent: Option<Instant>,
    /// The children that took part and have not cleared; none when that is over, or nobody asks.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    open: Vec<u32>,
}

/// A firing of a child, without what its trigger says anyway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Child {
    /// When, in event time.
    #[serde(rename = "t")]
    time: Instant,
    /// When it was decided.
    #[serde(rename = "d")]
    at: Instant,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    event: Option<Held>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    more: Option<Box<More>>,
    /// Which child.
    #[serde(rename = "c")]
    index: u32,
    #[serde(rename = "w", default, skip_serializing_if = "Punctual::is_in_time")]
    punctual: Punctual,
}

/// What is not as it mostly is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct More {
    /// Its labels, if they are not those of the group.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    /// Why, if that is not what the child always says.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// Firings of its children.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    children: Vec<Firing>,
}

/// Whether it was decided when it was due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Punctual {
    #[default]
    InTime,
    Late,
}

impl Punctual {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_in_time(&self) -> bool {
        *self == Self::InTime
    }
}

impl Child {
    /// A child's firing as a group with these labels keeps it; `usual` is what the child always says.
    pub(super) fn new(index: u32, signal: Signal, group: &BTreeMap<String, String>, usual: &str) -> Self {
        let Signal { time, firing } = signal;
        let more = More {
            labels: (firing.labels != *group).then_some(firing.labels),
            because: (firing.because != usual).then_some(firing.because),
            children: firing.children,
        };
        Self {
            time,
            at: Instant::of(firing.at),
            event: firing.event.map(Held::from),
            more: (more != More::default()).then(|| Box::new(more)),
            index,
            punctual: if firing.due.is_some() { Punctual::Late } else { Punctual::InTime },
        }
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn time(&self) -> Instant {
        self.time
    }

    /// The event that completed it.
    pub(super) fn event(&self) -> Option<Held> {
        self.event
    }

    /// The firing again. `place` is the child's, `group` the labels of the group if it has any.
    pub(super) fn firing(&self, place: &Place, group: &BTreeMap<String, String>, usual: &str) -> Firing {
        let more = self.more.as_deref().cloned().unwrap_or_default();
        Firing {
            automation: place.automation,
            trigger: place.path.clone(),
            state: FiringState::Triggered,
            at: self.at.timestamp(),
            due: (self.punctual == Punctual::Late).then(|| self.time.timestamp()),
            labels: more.labels.unwrap_or_else(|| group.clone()),
            event: self.event.map(EventRef::from),
            children: more.children,
            because: more.because.unwrap_or_else(|| usual.to_owned()),
        }
    }

    fn has_labels(&self, labels: &BTreeMap<String, String>, group: &BTreeMap<String, String>) -> bool {
        self.more.as_ref().and_then(|more| more.labels.as_ref()).unwrap_or(group) == labels
    }
}

impl KeyState for Group {
    type Rule = Rule;

    fn due(&self, _: &Rule) -> Option<Instant> {
        None
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        if self.is_open() {
            return (!rule.names.is_empty()).then(|| self.touched.plus(KEPT));
        }
        let only_spent = self.held.is_empty() && rule.sharing == Sharing::None;
        let useful = if only_spent { LATENESS } else { rule.within?.plus(LATENESS) };
        Some(self.touched.plus(useful))
    }

    fn touched(&self, _: &Rule) -> Instant {
        self.touched
    }

    fn is_blank(&self) -> bool {
        self.held.is_empty() && self.fired.is_none()
    }
}

impl Group {
    pub(super) fn new(now: Instant) -> Self {
        Self { held: Vec::new(), touched: now, fired: None }
    }

    pub(super) fn held(&self) -> &[Child] {
        &self.held
    }

    /// Keeps a firing of a child, unless the time it belongs to is used up.
    pub(super) fn hold(&mut self, child: Child, now: Instant) {
        self.touched = now;
        if self.is_spent(child.time) {
            return;
        }
        let of_same = self.held.iter().filter(|other| other.index == child.index).count();
        self.held.reserve_exact(1);
        let place = self.held.partition_point(|other| other.time <= child.time);
        let index = child.index;
        self.held.insert(place, child);
        if of_same >= HELD
            && let Some(oldest) = self.held.iter().position(|other| other.index == index)
        {
            self.held.remove(oldest);
        }
    }

    /// Forgets the firings of a child that has cleared.
    pub(super) fn withdraw(&mut self, index: u32, labels: &BTreeMap<String, String>, group: &BTreeMap<String, String>) {
        self.held.retain(|child| child.index != index || !child.has_labels(labels, group));
    }

    /// Whether it matters to the group when this child clears.
    pub(super) fn depends_on(&self, index: u32) -> bool {
        self.held.iter().any(|child| child.index == index)
            || self.fired.as_ref().is_some_and(|fired| fired.open.contains(&index))
    }

    /// Takes note that it fired with these children, and waits for them to clear.
    pub(super) fn opened(&mut self, children: impl Iterator<Item = u32>, now: Instant) {
        self.touched = now;
        let open = &mut self.fired.get_or_insert_with(Box::default).open;
        open.extend(children);
        open.sort_unstable();
        open.dedup();
    }

    /// Takes note that a child has cleared; whether too few are left of those that took part.
    pub(super) fn cleared(&mut self, index: u32, needed: usize, now: Instant) -> bool {
        let Some(fired) = self.fired.as_deref_mut().filter(|fired| !fired.open.is_empty()) else { return false };
        self.touched = now;
        fired.open.retain(|other| *other != index);
        let over = fired.open.len() < needed;
        if over {
            fired.open.clear();
            if fired.spent.is_none() {
                self.fired = None;
            }
        }
        over
    }

    /// Uses up everything until `last`.
    pub(super) fn spend(&mut self, last: Instant) {
        self.held.retain(|child| child.time > last);
        let spent = &mut self.fired.get_or_insert_with(Box::default).spent;
        *spent = (*spent).max(Some(last));
    }

    pub(super) fn is_spent(&self, time: Instant) -> bool {
        self.fired.as_ref().is_some_and(|fired| Some(time) <= fired.spent)
    }

    fn is_open(&self) -> bool {
        self.fired.as_ref().is_some_and(|fired| !fired.open.is_empty())
    }
}

/// The firings among `held` (by time) that are enough together with `new`, in the order of the children.
pub(super) fn complete(rule: &Rule, held: &[&Child], new: &Child) -> Option<Vec<Child>> {
    match rule.order {
        Order::Any(needed) => some_of(needed, rule.within, held, new),
        Order::Written(children) => in_order(children, rule.within, held, new),
    }
}

/// The tightest window around `new` that has firings of enough children: the newest of each in it.
fn some_of(needed: usize, within: Option<Span>, held: &[&Child], new: &Child) -> Option<Vec<Child>> {
    let inside =
        |start: Instant, time: Instant| start <= time && within.is_none_or(|within| time.since(start) < within);
    let starts = held.iter().map(|child| child.time).chain([new.time]).filter(|start| inside(*start, new.time));
    let mut starts: Vec<Instant> = starts.collect();
    starts.sort_unstable();
    starts.into_iter().rev().find_map(|start| {
        let mut newest: BTreeMap<u32, &Child> = BTreeMap::new();
        for child in held.iter().filter(|child| inside(start, child.time)) {
            newest.insert(child.index, child);
        }
        newest.insert(new.index, new);
        (newest.len() >= needed).then(|| newest.into_values().cloned().collect())
    })
}

/// The shortest chain through `new` that has every child in the order written. At the same instant any order will do,
/// but one event does not fill two places.
fn in_order(children: usize, within: Option<Span>, held: &[&Child], new: &Child) -> Option<Vec<Child>> {
    let place = new.index as usize;
    let mut chain = vec![new.clone()];
    let fits = |chain: &[Child], child: &Child, index: usize| {
        let same_event = |other: &Child| other.event == child.event && other.time == child.time;
        child.index as usize == index && (child.event.is_none() || !chain.iter().any(same_event))
    };
    for index in (0..place).rev() {
        let last = chain.first().map_or(new.time, |child| child.time);
        let before = held.iter().rev().find(|child| child.time <= last && fits(&chain, child, index))?;
        chain.insert(0, (*before).clone());
    }
    for index in place + 1..children {
        let first = chain.last().map_or(new.time, |child| child.time);
        let behind = held.iter().find(|child| child.time >= first && fits(&chain, child, index))?;
        chain.push((*behind).clone());
    }
    let (first, last) = (chain.first()?.time, chain.last()?.time);
    within.is_none_or(|within| last.since(first) < within).then_some(chain)
}
