//! Proactive triggers with `after`: an opening event that the expected ones do not follow in time.
//!
//! An opening event opens a deadline, `within` after it occurred, unless one of its key is open already: that one stays
//! until it is satisfied or missed. Expected events count when they occurred at or after the opening one, in whatever
//! order they come. A deadline that is missed fires at its instant and is resolved when the expected events come late.
//! Invariants: nothing is asked of the past, so an opening event that comes after its own deadline gives the expected
//! ones [`BACKLOG`] to arrive; an event exactly at the deadline is too late.

use super::keyed::{Key, KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::signal::{Bucket, EventBase, Happening, Held, Moment, Place, Signal};
use super::time::{Instant, Span};
use super::times::Times;
use super::words;
use super::{BACKLOG, KEPT, LATENESS, SHORTEST_ABSENCE};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::view::BucketView;
use serde::{Deserialize, Serialize};

/// A proactive trigger with `after`.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    base: EventBase,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    threshold: usize,
    within: Span,
}

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The open deadline.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    wait: Option<Wait>,
    /// Expected events.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    seen: Option<Box<Seen>>,
    /// What else there is.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    rest: Option<Box<Rest>>,
}

/// An opening event and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Wait {
    /// When it occurred: expected events count from then on.
    #[serde(rename = "f")]
    from: Instant,
    /// The opening event.
    #[serde(rename = "e")]
    event: Held,
}

/// Expected events, as many as the threshold, for an opening event that occurred before them and comes after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    #[serde(rename = "t")]
    times: Times,
    /// When one was received last.
    #[serde(rename = "at")]
    touched: Instant,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rest {
    /// The newest opening event while a deadline is open.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    newest: Option<(Instant, Held)>,
    /// When the open deadline is, if not `within` after it was opened.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    due: Option<Instant>,
    /// The deadline that was missed last.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    missed: Option<(Instant, Instant)>,
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, rule: &Rule) -> Option<Instant> {
        let wait = self.wait?;
        let other = self.rest.as_ref().and_then(|rest| rest.due);
        Some(other.unwrap_or_else(|| wait.from.plus(rule.within)))
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        let seen = self.seen.as_ref().map(|seen| seen.touched.plus(rule.within).plus(LATENESS));
        let missed = self.missed().map(|(_, due)| due.plus(KEPT));
        seen.max(missed)
    }

    fn touched(&self, rule: &Rule) -> Instant {
        let seen = self.seen.as_ref().map(|seen| seen.touched);
        let missed = self.missed().map(|(_, due)| due);
        self.due(rule).max(seen).max(missed).unwrap_or(Instant::FIRST)
    }

    fn is_blank(&self) -> bool {
        self.wait.is_none() && self.seen.is_none() && self.rest.is_none()
    }

    fn due_event(&self) -> Option<Held> {
        self.wait.map(|wait| wait.event)
    }
}

impl State {
    fn missed(&self) -> Option<(Instant, Instant)> {
        self.rest.as_ref().and_then(|rest| rest.missed)
    }

    fn seen_from(&self, from: Instant) -> usize {
        self.seen.as_ref().map_or(0, |seen| seen.times.count_from(from))
    }

    /// Takes an expected event. When it makes up for a missed deadline: that deadline.
    fn expected(&mut self, rule: &Rule, time: Instant, now: Instant) -> Option<Instant> {
        let seen = self.seen.get_or_insert_with(|| Box::new(Seen { times: Times::None, touched: now }));
        seen.touched = now;
        seen.times.insert(time);
        seen.times.keep_newest(rule.threshold);
        let enough_until = seen.times.newest().unwrap_or(time);
        if self.wait.is_some_and(|wait| self.seen_from(wait.from) >= rule.threshold) {
            self.close();
            let newest = self.rest.as_mut().and_then(|rest| rest.newest.take());
            if let Some((from, event)) = newest.filter(|(from, _)| *from > enough_until) {
                self.forget_before(from);
                self.open(rule, from, event, now);
            }
        }
        let missed = self.missed().filter(|(from, _)| self.seen_from(*from) >= rule.threshold);
        if missed.is_some() {
            self.rest_mut().missed = None;
        }
        self.tidy();
        missed.map(|(_, due)| due)
    }

    /// Takes an opening event. Expected events that occurred before `counts_from` do not follow it.
    fn opening(&mut self, rule: &Rule, opened: (Instant, Held), counts_from: Instant, now: Instant) {
        let (from, event) = opened;
        let satisfied = self.seen_from(counts_from) >= rule.threshold;
        let covered = self.missed().is_some_and(|(_, due)| from < due);
        match self.wait {
            _ if satisfied || covered => {}
            Some(wait) => {
                let newest = self.rest.as_ref().and_then(|rest| rest.newest).map_or(wait.from, |(from, _)| from);
                if from > newest {
                    self.rest_mut().newest = Some(opened);
                }
            }
            None => {
                self.forget_before(counts_from);
                self.open(rule, from, event, now);
            }
        }
        self.tidy();
    }

    fn open(&mut self, rule: &Rule, from: Instant, event: Held, now: Instant) {
        self.wait = Some(Wait { from, event });
        if from.plus(rule.within) <= now {
            self.rest_mut().due = Some(now.plus(rule.within.min(BACKLOG)));
        }
    }

    fn close(&mut self) -> Option<Wait> {
        if let Some(rest) = &mut self.rest {
            rest.due = None;
        }
        self.wait.take()
    }

    /// Drops expected events that no open deadline counts. An opening event older than the open one changes nothing, so
    /// they are of no use to it either.
    fn forget_before(&mut self, from: Instant) {
        if let Some(seen) = &mut self.seen {
            seen.times.drop_until(from.minus(Span::TICK));
        }
    }

    /// The deadline has passed. The opening event, and how many expected ones came.
    fn miss(&mut self, rule: &Rule) -> Option<(Wait, usize)> {
        let due = self.due(rule)?;
        let wait = self.close()?;
        let seen = self.seen_from(wait.from);
        // Opening events that came meanwhile are covered by this firing.
        *self.rest_mut() = Rest { missed: Some((wait.from, due)), ..Rest::default() };
        Some((wait, seen))
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.rest.get_or_insert_with(Box::default)
    }

    fn tidy(&mut self) {
        if self.seen.as_ref().is_some_and(|seen| seen.times.is_empty()) {
            self.seen = None;
        }
        if self.rest.as_ref().is_some_and(|rest| **rest == Rest::default()) {
            self.rest = None;
        }
    }
}

impl Deadline {
    pub(super) fn new(base: EventBase, keepers: usize) -> Self {
        let within = if base.within().is_zero() { SHORTEST_ABSENCE } else { base.within() };
        let rule = Rule { threshold: base.threshold(), within };
        Self { keys: Keyed::new(key_limit(keepers, rule.threshold)), base, rule }
    }

    fn miss(&mut self, key: &Key, moment: Moment, signals: &mut Vec<Signal>) {
        let missed = self.keys.change(&self.rule, key, moment.now, State::default, |state| state.miss(&self.rule));
        let Some((wait, seen)) = missed else { return };
        let trigger = &self.base.trigger;
        let (expected, opening) = (words::names(&trigger.expect), words::names(&trigger.after));
        let (threshold, within) = (self.rule.threshold, self.rule.within);
        let what = if threshold == 1 { format!("no {expected}") } else { format!("{seen} of {threshold} {expected}") };
        let because = format!("{what} within {within} after {opening} (at {})", wait.from);
        signals.push(self.base.fired(key, Some(wait.event), moment.now, moment, because));
    }
}

impl Leaf for Deadline {
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
        let (expected, opens) = (self.base.expects(event), self.base.starts(event));
        if !expected && !opens {
            return;
        }
        let key = self.base.key(event);
        let now = moment.now;
        // What is due at this very moment, and is not what the event prevents, comes first.
        let state = self.keys.get(&key);
        let due = state.and_then(|state| state.due(&self.rule)).filter(|due| *due <= now);
        let from = state.and_then(|state| state.wait).map_or(time, |wait| wait.from);
        if due.is_some_and(|due| !expected || time < from || due <= time) {
            self.miss(&key, moment, signals);
        }
        let rule = &self.rule;
        let made_up = self.keys.change(rule, &key, now, State::default, |state| {
            let made_up = if expected { state.expected(rule, time, now) } else { None };
            if opens {
                // An event that is expected too does not count for the deadline that it opens itself.
                let counts_from = if expected { time.just_after() } else { time };
                state.opening(rule, (time, at.into()), counts_from, now);
            }
            made_up
        });
        if let Some(due) = made_up {
            let late = time.since(due);
            let because = if time < due {
                format!("`{}` was in time, but was received after the deadline", event.event)
            } else {
                format!("`{}` came, {late} after the deadline", event.event)
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
        let due = now.plus(self.rule.within);
        self.keys.change_all(&self.rule, |state| {
            let waiting = state.wait.is_some();
            if waiting {
                state.rest_mut().due = Some(due);
            }
            waiting
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
                let missed = state.missed();
                let touched = state.touched(&self.rule);
                let open = state.wait.map(|wait| wait.from).zip(state.due(&self.rule));
                let (start, end) = open.or(missed).unwrap_or((touched, touched));
                let view = Bucket { start, end, count: state.seen_from(start) };
                self.base.place.bucket(key, view, state.wait.map(|wait| wait.event))
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
