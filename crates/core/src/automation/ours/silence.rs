//! Proactive triggers without `after`: too few expected events of one key lately.
//!
//! A key is watched without a gap: always the last `within` counts. Without `for_each` there is one key, watched from
//! the beginning; with it, every key from its first event on. It fires at the instant when the window holds too few,
//! once per silence, goes on watching, and is resolved by the event that makes it enough again. Invariants: a deadline
//! only moves later; an event exactly at the deadline is too late.

use super::keyed::{Key, KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::signal::{Bucket, EventBase, Happening, Held, Moment, Place, Signal};
use super::time::{Instant, Span};
use super::times::Times;
use super::words;
use super::{KEPT, SHORTEST_ABSENCE};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::view::BucketView;
use serde::{Deserialize, Serialize};

/// A proactive trigger without `after`.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    base: EventBase,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    threshold: usize,
    within: Span,
    watched: Watched,
}

/// How long a key is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// There is one, and it is watched always.
    Always,
    /// Until it has been silent for [`KEPT`] after it fired.
    WhileSeen,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The beginning of watching; with threshold 1 the last event, when that is later.
    #[serde(rename = "b")]
    base: Instant,
    /// The last event.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    event: Option<Held>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    more: Option<Box<More>>,
}

/// What not every key has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct More {
    /// The newest events, as many as the threshold, when that is above 1.
    #[serde(rename = "t", default, skip_serializing_if = "Times::is_empty")]
    times: Times,
    #[serde(rename = "p", default)]
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// There are enough, or not too few for long enough.
    #[default]
    Watching,
    /// It fired.
    Fired,
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, rule: &Rule) -> Option<Instant> {
        (self.phase() == Phase::Watching).then(|| self.deadline(rule))
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        (rule.watched == Watched::WhileSeen).then(|| self.deadline(rule).plus(KEPT))
    }

    fn touched(&self, rule: &Rule) -> Instant {
        self.deadline(rule)
    }

    fn is_blank(&self) -> bool {
        false
    }

    fn due_event(&self) -> Option<Held> {
        self.event
    }
}

/// What an event did to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    /// There are enough again; since when there were not.
    Resolved {
        since: Instant,
    },
}

impl State {
    fn new(since: Instant) -> Self {
        Self { base: since, event: None, more: None }
    }

    fn phase(&self) -> Phase {
        self.more.as_ref().map_or(Phase::Watching, |more| more.phase)
    }

    fn turn(&mut self, phase: Phase) {
        self.more.get_or_insert_with(Box::default).phase = phase;
        self.more.take_if(|more| **more == More::default());
    }

    /// Since when there have not been enough events.
    fn since(&self, rule: &Rule) -> Instant {
        let enough = self.more.as_ref().and_then(|more| more.times.nth_newest(rule.threshold));
        enough.map_or(self.base, |enough| enough.max(self.base))
    }

    /// When the window holds too few, if nothing comes.
    fn deadline(&self, rule: &Rule) -> Instant {
        self.since(rule).plus(rule.within)
    }

    /// Takes an expected event.
    fn take(&mut self, rule: &Rule, time: Instant, event: Held, now: Instant) -> Change {
        let since = self.since(rule);
        let newest = self.more.as_ref().and_then(|more| more.times.newest()).unwrap_or(self.base);
        if self.event.is_none() || newest <= time {
            self.event = Some(event);
        }
        if rule.threshold == 1 {
            self.base = self.base.max(time);
        } else {
            let times = &mut self.more.get_or_insert_with(Box::default).times;
            times.insert(time);
            times.keep_newest(rule.threshold);
        }
        // An event so old that it changes nothing about now does not end a silence.
        if self.phase() == Phase::Fired && self.deadline(rule) > now {
            self.turn(Phase::Watching);
            return Change::Resolved { since };
        }
        Change::Nothing
    }

    /// How many events the window before the deadline holds.
    fn in_window(&self, rule: &Rule) -> usize {
        let open = self.deadline(rule).minus(rule.within).just_after();
        self.more.as_ref().map_or(0, |more| more.times.count_from(open))
    }
}

impl Silence {
    /// A trigger that is watched from `now` on.
    pub(super) fn new(base: EventBase, keepers: usize, now: Instant) -> Self {
        let within = if base.within().is_zero() { SHORTEST_ABSENCE } else { base.within() };
        let watched = if base.names.is_empty() { Watched::Always } else { Watched::WhileSeen };
        let rule = Rule { threshold: base.threshold(), within, watched };
        let mut keys = Keyed::new(key_limit(keepers, rule.threshold));
        if watched == Watched::Always {
            keys.change(&rule, &Key::of(std::iter::empty()), now, || State::new(now), |_| ());
        }
        Self { keys, base, rule }
    }

    fn miss(&mut self, key: &Key, moment: Moment, signals: &mut Vec<Signal>) {
        let (rule, now) = (&self.rule, moment.now);
        let (event, because) = self.keys.change(
            rule,
            key,
            now,
            || State::new(now),
            |state| {
                state.turn(Phase::Fired);
                let (names, within) = (words::names(&self.base.trigger.expect), rule.within);
                let because = match rule.threshold {
                    1 => format!("no {names} for {within}, since {}", state.since(rule)),
                    threshold => format!("{} of {threshold} {names} in the last {within}", state.in_window(rule)),
                };
                (state.event, because)
            },
        );
        signals.push(self.base.fired(key, event, now, moment, because));
    }
}

impl Leaf for Silence {
    fn place(&self) -> &Place {
        &self.base.place
    }

    fn names(&self) -> &[String] {
        &self.base.names
    }

    fn resolves(&self) -> bool {
        true
    }

    fn lasts(&self) -> bool {
        true
    }

    fn on_event(&mut self, happening: &Happening<'_>, signals: &mut Vec<Signal>) {
        let Happening { event, at, time, moment } = *happening;
        if !self.base.expects(event) {
            return;
        }
        let key = self.base.key(event);
        let (rule, now) = (&self.rule, moment.now);
        // What is due at this very moment, and is not what the event prevents, comes first.
        let state = self.keys.get(&key).filter(|state| state.due(rule).is_some_and(|due| due <= now && due <= time));
        if state.is_some() {
            self.miss(&key, moment, signals);
        }
        let rule = &self.rule;
        // A key that is first seen through an old event is watched from now on.
        let fresh = || State::new(if time.plus(rule.within) > now { time } else { now });
        let change = self.keys.change(rule, &key, now, fresh, |state| state.take(rule, time, at.into(), now));
        if let Change::Resolved { since } = change {
            let silent = time.since(since);
            let because = match rule.threshold {
                1 => format!("`{}` came after {silent}", event.event),
                threshold => {
                    let names = words::names(&self.base.trigger.expect);
                    format!("{threshold} of {threshold} {names} within {} again", rule.within)
                }
            };
            signals.push(self.base.resolved(&key, Some(at.into()), time, moment, because));
        }
    }

    fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>) {
        for key in self.keys.due(&self.rule, moment.now) {
            self.miss(&key, moment, signals);
        }
    }

    fn resume(&mut self, now: Instant) {
        self.keys.change_all(&self.rule, |state| {
            let watching = state.phase() == Phase::Watching;
            if watching {
                state.base = state.base.max(now);
            }
            watching
        });
    }

    fn next_due(&self) -> Option<Instant> {
        self.keys.next_due()
    }

    fn due_events(&self, until: Instant) -> Vec<EventRef> {
        self.keys.due_events(until).collect()
    }

    fn buckets(&self) -> Vec<BucketView> {
        self.keys
            .iter()
            .map(|(key, state)| {
                let (start, end) = (state.since(&self.rule), state.deadline(&self.rule));
                let view = Bucket { start, end, count: state.in_window(&self.rule) };
                self.base.place.bucket(key, view, state.event)
            })
            .collect()
    }

    fn clear(&mut self) {
        self.keys.clear();
    }

    fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        self.keys.take_cells(&self.base.place, cells);
    }

    fn restore(&mut self, key: &str, body: &str) {
        self.keys.restore(&self.rule, key, body);
    }
}
