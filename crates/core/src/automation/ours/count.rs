//! Reactive triggers without `after`: enough events of one key lie close together.
//!
//! The window slides over the times at which events occurred; `within` is exclusive, so events exactly `within` apart
//! do not lie in one window. A firing uses up the events that it counted. An event that comes late is put where it
//! belongs. Invariants: at most one firing per event; no state is kept by a trigger that fires on every event, unless
//! somebody wants to know when it is over.

use super::keyed::{KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::signal::{Bucket, EventBase, Happening, Held, Moment, Place, Resolving, Signal};
use super::time::{Instant, Span};
use super::times::Times;
use super::words;
use super::{LATE_TIMES, LATENESS};
use crate::automation::definition::{EventTrigger, Posture};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::view::BucketView;
use serde::{Deserialize, Serialize};

/// A reactive trigger without `after`.
#[derive(Clone, Debug)]
pub(super) struct Count {
    base: EventBase,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    threshold: usize,
    within: Span,
    resolving: Resolving,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Events that no firing has used up.
    #[serde(rename = "t", default, skip_serializing_if = "Times::is_empty")]
    times: Times,
    /// When one was received last.
    #[serde(rename = "at")]
    touched: Instant,
    /// It fired, and events go on.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    open: Option<Box<Open>>,
}

/// That a key fired and is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    /// When the newest event occurred.
    #[serde(rename = "t")]
    newest: Instant,
    /// That event.
    #[serde(rename = "e")]
    event: Held,
}

impl Open {
    /// Takes note of an event of the key.
    pub(super) fn note(open: &mut Option<Box<Self>>, newest: Instant, event: Held) {
        match open {
            Some(open) if open.newest > newest => {}
            _ => *open = Some(Box::new(Self { newest, event })),
        }
    }

    /// When its window has slid empty, but not before `known`.
    pub(super) fn over(&self, within: Span, known: Instant) -> Instant {
        self.newest.plus(within).max(known)
    }

    pub(super) fn event(&self) -> Held {
        self.event
    }
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, rule: &Rule) -> Option<Instant> {
        self.open.as_ref().map(|open| open.over(rule.within, self.touched))
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        Some(self.touched.plus(rule.within).plus(LATENESS))
    }

    fn touched(&self, _: &Rule) -> Instant {
        self.touched
    }

    fn is_blank(&self) -> bool {
        self.times.is_empty() && self.open.is_none()
    }

    fn due_event(&self) -> Option<Held> {
        self.open.as_ref().map(|open| open.event())
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self { times: Times::None, touched: now, open: None }
    }

    /// Counts an event; the first and last time of the window that it completes.
    fn count(&mut self, rule: &Rule, happening: &Happening<'_>) -> Option<(Instant, Instant)> {
        self.touched = happening.moment.now;
        let place = self.times.insert(happening.time);
        let window = self.complete(rule, place);
        if window.is_none() {
            self.times.keep_newest(rule.threshold - 1 + LATE_TIMES);
        }
        if self.open.is_some() || (window.is_some() && rule.tracks()) {
            let newest = self.times.newest().map_or(happening.time, |newest| newest.max(happening.time));
            Open::note(&mut self.open, newest, happening.at.into());
        }
        window
    }

    /// Uses up the earliest full window around the time at `place`.
    fn complete(&mut self, rule: &Rule, place: usize) -> Option<(Instant, Instant)> {
        let times = self.times.as_slice();
        let first = (place + 1).saturating_sub(rule.threshold);
        let start = (first..=place).find(|start| {
            let last = times.get(start + rule.threshold - 1);
            last.is_some_and(|last| rule.threshold == 1 || last.since(times[*start]) < rule.within)
        })?;
        let window = (times[start], times[start + rule.threshold - 1]);
        self.times.remove(start..start + rule.threshold);
        Some(window)
    }
}

impl Rule {
    /// Whether it matters that a window has slid empty.
    fn tracks(&self) -> bool {
        self.resolving == Resolving::Tracked && !self.within.is_zero()
    }
}

/// Whether every expected event fires and nothing is kept.
pub(super) fn fires_always(trigger: &EventTrigger, resolving: Resolving) -> bool {
    let windowless = trigger.within.is_zero() || resolving == Resolving::Ignored;
    trigger.posture == Posture::Reactive && trigger.after.is_empty() && trigger.threshold <= 1 && windowless
}

impl Count {
    pub(super) fn new(base: EventBase, keepers: usize, resolving: Resolving) -> Self {
        let rule = Rule { threshold: base.threshold(), within: base.within(), resolving };
        Self { keys: Keyed::new(key_limit(keepers, rule.threshold)), base, rule }
    }
}

impl Leaf for Count {
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

    fn usual(&self) -> String {
        format!("{} came", words::names(&self.base.trigger.expect))
    }

    fn on_event(&mut self, happening: &Happening<'_>, signals: &mut Vec<Signal>) {
        let Happening { event, at, time, moment } = *happening;
        if !self.base.expects(event) {
            return;
        }
        let key = self.base.key(event);
        let rule = &self.rule;
        let window = if fires_always(&self.base.trigger, rule.resolving) {
            Some((time, time))
        } else if rule.threshold > 1 && rule.within.is_zero() {
            // No window holds two events.
            None
        } else {
            self.keys.change(rule, &key, moment.now, || State::new(moment.now), |state| state.count(rule, happening))
        };
        if let Some((first, last)) = window {
            let because = match rule.threshold {
                1 => format!("`{}` came", event.event),
                threshold => format!(
                    "{threshold} of {threshold} {} within {}, the first at {first}, the last at {last}",
                    words::names(&self.base.trigger.expect),
                    rule.within,
                ),
            };
            signals.push(self.base.fired(&key, Some(at.into()), last, moment, because));
        }
    }

    fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>) {
        for key in self.keys.due(&self.rule, moment.now) {
            let fresh = || State::new(moment.now);
            if let Some(open) = self.keys.change(&self.rule, &key, moment.now, fresh, |state| state.open.take()) {
                let because = format!("no more {} for {}", words::names(&self.base.trigger.expect), self.rule.within);
                signals.push(self.base.resolved(&key, Some(open.event()), moment.now, moment, because));
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
                let newest = state.times.newest().unwrap_or(state.touched);
                let start = state.times.as_slice().first().copied().unwrap_or(newest);
                let view = Bucket { start, end: newest.plus(self.rule.within), count: state.times.as_slice().len() };
                self.base.place.bucket(key, view, state.open.as_ref().map(|open| open.event))
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
