//! Reactive triggers with `after`: enough expected events of one key follow an opening event.
//!
//! Every opening event has a window of its own, `within` from when it occurred (the end exclusive); without `within` the
//! window has no end. What counts is when events occurred, not in which order they came. A firing uses up everything of
//! its key up to its last event, opening events too: the next one needs a new opening event. What comes late and belongs
//! there is used up as well. Invariant: at most one firing per event.

use super::count::Open;
use super::keyed::{KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::signal::{Bucket, EventBase, Happening, Held, Moment, Place, Resolving, Signal};
use super::time::{Instant, Span};
use super::times::Times;
use super::words;
use super::{KEPT, LATE_TIMES, LATENESS};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::view::BucketView;
use serde::{Deserialize, Serialize};

/// A reactive trigger with `after`.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    base: EventBase,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    threshold: usize,
    /// `None`: no end.
    within: Option<Span>,
    resolving: Resolving,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// From when on expected events count, for each opening event.
    #[serde(rename = "a", default, skip_serializing_if = "Times::is_empty")]
    opened: Times,
    /// Expected events.
    #[serde(rename = "t", default, skip_serializing_if = "Times::is_empty")]
    counted: Times,
    /// Everything up to here is used up.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    spent: Option<Box<Instant>>,
    /// When an event was received last.
    #[serde(rename = "at")]
    touched: Instant,
    /// It fired, and events go on.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    open: Option<Box<Open>>,
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, rule: &Rule) -> Option<Instant> {
        let within = rule.within?;
        self.open.as_ref().map(|open| open.over(within, self.touched))
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        let useful = match rule.within {
            Some(within) => within.plus(LATENESS),
            None if self.opened.is_empty() => LATENESS,
            None => KEPT,
        };
        Some(self.touched.plus(useful))
    }

    fn touched(&self, _: &Rule) -> Instant {
        self.touched
    }

    fn is_blank(&self) -> bool {
        self.opened.is_empty() && self.counted.is_empty() && self.spent.is_none() && self.open.is_none()
    }

    fn due_event(&self) -> Option<Held> {
        self.open.as_ref().map(|open| open.event())
    }
}

/// What an event is to the trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Role {
    expected: bool,
    opens: bool,
}

impl State {
    fn new(now: Instant) -> Self {
        Self { opened: Times::None, counted: Times::None, spent: None, touched: now, open: None }
    }

    /// Takes an event; when the last event of the window occurred that it completes.
    fn take(&mut self, rule: &Rule, happening: &Happening<'_>, role: Role) -> Option<Instant> {
        self.touched = happening.moment.now;
        let time = happening.time;
        if self.spent.as_ref().is_some_and(|spent| time <= **spent) {
            return None;
        }
        if role.expected {
            self.counted.insert(time);
            self.counted.keep_newest(rule.threshold + LATE_TIMES);
        }
        if role.opens {
            // An event that is expected too does not count for the window that it opens itself.
            self.opened.insert(if role.expected { time.just_after() } else { time });
            self.opened.keep_newest(LATE_TIMES);
        }
        let full = self.full(rule);
        if let Some(last) = full {
            self.opened.drop_until(last);
            self.counted.drop_until(last);
            self.spent = Some(Box::new(last));
        }
        if role.expected && rule.tracks() && (full.is_some() || self.open.is_some()) {
            Open::note(&mut self.open, time, happening.at.into());
        }
        full
    }

    /// When the earliest window that has enough in it is full.
    fn full(&self, rule: &Rule) -> Option<Instant> {
        let counted = self.counted.as_slice();
        self.opened.as_slice().iter().find_map(|from| {
            let first = counted.partition_point(|time| time < from);
            let last = counted.get(first + rule.threshold - 1)?;
            rule.within.is_none_or(|within| last.since(*from) < within).then_some(*last)
        })
    }
}

impl Rule {
    fn tracks(&self) -> bool {
        self.resolving == Resolving::Tracked && self.within.is_some()
    }
}

impl Opened {
    pub(super) fn new(base: EventBase, keepers: usize, resolving: Resolving) -> Self {
        let within = Some(base.within()).filter(|within| !within.is_zero());
        let rule = Rule { threshold: base.threshold(), within, resolving };
        Self { keys: Keyed::new(key_limit(keepers, rule.threshold)), base, rule }
    }
}

impl Leaf for Opened {
    fn place(&self) -> &Place {
        &self.base.place
    }

    fn names(&self) -> &[String] {
        &self.base.names
    }

    fn resolves(&self) -> bool {
        self.rule.tracks()
    }

    fn lasts(&self) -> bool {
        false
    }

    fn on_event(&mut self, happening: &Happening<'_>, signals: &mut Vec<Signal>) {
        let Happening { event, at, moment, .. } = *happening;
        let role = Role { expected: self.base.expects(event), opens: self.base.starts(event) };
        if !role.expected && !role.opens {
            return;
        }
        let key = self.base.key(event);
        let (rule, now) = (&self.rule, moment.now);
        let full = self.keys.change(rule, &key, now, || State::new(now), |state| state.take(rule, happening, role));
        if let Some(last) = full {
            let trigger = &self.base.trigger;
            let (expected, opening) = (words::names(&trigger.expect), words::names(&trigger.after));
            let many = if rule.threshold > 1 { format!("{0} of {0} ", rule.threshold) } else { String::new() };
            let within = rule.within.map_or_else(String::new, |within| format!("within {within} "));
            let because = format!("{many}{expected} {within}after {opening}, the last at {last}");
            signals.push(self.base.fired(&key, Some(at.into()), last, moment, because));
        }
    }

    fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>) {
        let now = moment.now;
        for key in self.keys.due(&self.rule, now) {
            let open = self.keys.change(&self.rule, &key, now, || State::new(now), |state| state.open.take());
            if let (Some(open), Some(within)) = (open, self.rule.within) {
                let because = format!("no more {} for {within}", words::names(&self.base.trigger.expect));
                signals.push(self.base.resolved(&key, Some(open.event()), now, moment, because));
            }
        }
    }

    fn resume(&mut self, now: Instant) {
        self.keys.change_all(&self.rule, |state| {
            let open = state.open.is_some();
            if open {
                state.touched = now;
            }
            open
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
                let start = state.opened.newest().unwrap_or(state.touched);
                let end = self.rule.within.map_or(start, |within| start.plus(within));
                let view = Bucket { start, end, count: state.counted.count_from(start) };
                self.base.place.bucket(key, view, state.open.as_ref().map(|open| open.event()))
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
