//! One event trigger: how events and time fill and empty its buckets, and when it fires.
//!
//! Prefect's `reactive_evaluation`, `proactive_evaluation` and `evaluate` (`prefect.server.events.triggers`), step by
//! step, with what is odd there. Windows are in the time of the senders (`occurred`). Invariants: one pass over the
//! buckets that are concerned, never over all of them; no state is left by a trigger that fires on every event.

use super::bucket::{Bucket, Buckets};
use crate::automation::definition::{EventTrigger, Posture};
use crate::automation::firing::EventRef;
use crate::automation::matching;
use crate::event::Event;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far before its first event a bucket begins, so that late events count: 15 minutes.
const LOOKBACK: i64 = 15 * 60 * SECOND;
/// The window of a proactive trigger that has none.
const SHORTEST_ABSENCE: i64 = 10 * SECOND;
const SECOND: i64 = 1_000_000;

/// The state of one event trigger.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub(super) buckets: Buckets,
    /// Keys whose count is enough, of a proactive trigger: the next run removes them.
    satisfied: BTreeSet<Arc<str>>,
    /// When a proactive trigger is evaluated next; `None`: nobody knows any more, so at once.
    next_run: Option<NextRun>,
    /// Whether that changed since the last commit.
    rescheduled: bool,
}

/// When a proactive trigger is evaluated next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NextRun {
    /// At this moment of the server's clock.
    At(i64),
    /// That moment has passed already, because evaluation is held back by the lateness of the senders: when their
    /// clock reaches it.
    HeldBack(i64),
}

/// That the trigger's condition was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) key: Arc<str>,
    pub(super) event: Option<EventRef>,
    /// Events that were counted.
    pub(super) count: i64,
    /// End of the window that was looked at.
    pub(super) end: i64,
}

/// The event being decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current<'a> {
    pub(super) event: &'a Event,
    pub(super) at: EventRef,
}

impl Current<'_> {
    fn occurred(self) -> i64 {
        self.event.occurred.as_microsecond()
    }
}

/// The moments of one evaluation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The server's clock.
    pub(super) now: i64,
    /// What the senders' clocks have reached.
    pub(super) as_of: i64,
}

impl Leaf {
    /// Takes an event that concerns the trigger.
    pub(super) fn on_event(&mut self, trigger: &EventTrigger, current: Current<'_>, fired: &mut Vec<Fired>) {
        let name = &current.event.event;
        let (expects, starts) = (matching::expects(trigger, name), matching::starts(trigger, name));
        let key = key_of(trigger, current.event);
        let (occurred, window) = (current.occurred(), window(trigger));
        if expects && fires_always(trigger) {
            fired.push(Fired { key: key.into(), event: Some(current.at), count: 1, end: occurred });
            return;
        }
        if starts {
            // The opening event is counted below when it is expected as well: it must not be.
            self.ensure(
                trigger,
                &key,
                occurred,
                occurred.saturating_add(window),
                Some(current.at),
                -i64::from(expects),
            );
        } else if trigger.after.is_empty() && expects {
            let start = occurred.saturating_sub(LOOKBACK);
            self.ensure(trigger, &key, start, occurred.saturating_add(window), Some(current.at), 0);
        }
        if expects {
            self.evaluate(trigger, &key, occurred, Some(current), fired);
        }
    }

    /// Looks for what is missing, when it is time to. Only for proactive triggers.
    pub(super) fn look_for_absences(&mut self, trigger: &EventTrigger, moment: Moment, fired: &mut Vec<Fired>) {
        if let Some(NextRun::At(next) | NextRun::HeldBack(next)) = self.next_run
            && next > moment.now
        {
            return;
        }
        let Moment { now, as_of } = moment;
        let latest = as_of.saturating_add(window(trigger));
        if trigger.for_each.is_empty() {
            self.ensure(trigger, "", as_of, latest, None, 0);
        }
        for key in std::mem::take(&mut self.satisfied) {
            self.buckets.remove(&key);
        }
        let mut over: Vec<(i64, Arc<str>)> = self
            .buckets
            .ended(as_of)
            .into_iter()
            .filter_map(|key| self.buckets.get(&key).map(|bucket| (bucket.start, key)))
            .collect();
        over.sort();
        for (_, key) in over {
            self.evaluate(trigger, &key, as_of, None, fired);
        }
        let run = self.buckets.first_end().map_or(latest, |end| end.min(latest));
        self.schedule(Some(if run > now { NextRun::At(run) } else { NextRun::HeldBack(run) }));
    }

    /// Removes buckets whose window ended at `until` or before.
    pub(super) fn sweep(&mut self, until: i64) {
        for key in self.buckets.ended(until) {
            self.remove(&key);
        }
    }

    /// When a proactive trigger is evaluated next; `None`: at once.
    pub(super) fn next_run(&self) -> Option<NextRun> {
        self.next_run
    }

    /// It is evaluated next at this moment, whatever was planned.
    pub(super) fn evaluate_at(&mut self, moment: i64) {
        self.schedule(Some(NextRun::At(moment)));
    }

    fn schedule(&mut self, next: Option<NextRun>) {
        if self.next_run != next {
            self.next_run = next;
            self.rescheduled = true;
        }
    }

    /// The next run, if it changed since the last call.
    pub(super) fn take_schedule(&mut self) -> Option<Option<NextRun>> {
        std::mem::take(&mut self.rescheduled).then_some(self.next_run)
    }

    pub(super) fn restore_schedule(&mut self, next: NextRun) {
        self.next_run = Some(next);
    }

    pub(super) fn restore_bucket(&mut self, trigger: &EventTrigger, key: &str, bucket: Bucket) {
        self.buckets.restore(key, bucket);
        self.mark(trigger, key, bucket.count);
    }

    /// Removes all state.
    pub(super) fn clear(&mut self) {
        let keys: Vec<Arc<str>> = self.buckets.iter().map(|(key, _)| Arc::clone(key)).collect();
        for key in keys {
            self.remove(&key);
        }
        self.schedule(None);
    }
}

/// Prefect's `ensure_bucket` and `evaluate`.
impl Leaf {
    /// Makes the bucket of a key unless there is one, and notes the event on it either way.
    fn ensure(&mut self, trigger: &EventTrigger, key: &str, start: i64, end: i64, event: Option<EventRef>, count: i64) {
        let bucket = match self.buckets.get(key) {
            Some(_) if event.is_none() => return,
            Some(bucket) => Bucket { last: event, ..bucket },
            None => Bucket { start, end, count, last: event },
        };
        self.put(trigger, key, bucket);
    }

    /// Counts the event if the window takes it, fires if the condition is met, and opens the next window if this one
    /// is over. `now` is the event's time, or what the senders' clocks have reached.
    fn evaluate(
        &mut self,
        trigger: &EventTrigger,
        key: &str,
        now: i64,
        current: Option<Current<'_>>,
        fired: &mut Vec<Fired>,
    ) {
        let reactive = trigger.posture == Posture::Reactive;
        let window = window(trigger);
        let event = current.map(|current| current.at);
        // An event that its window no longer takes is counted in the next one: at most a second round.
        while let Some(mut bucket) = self.buckets.get(key) {
            if now < bucket.start {
                return;
            }
            let mut unspent = event.is_some();
            if unspent && (now < bucket.end || (reactive && window == 0)) {
                bucket.count += 1;
                bucket.last = event;
                unspent = false;
            }
            let met = match trigger.posture {
                Posture::Reactive => bucket.count >= trigger.threshold,
                Posture::Proactive => bucket.count < trigger.threshold,
            };
            if met && (reactive || bucket.end <= now) {
                let (count, end) = (bucket.count, bucket.end);
                fired.push(Fired { key: key.into(), event: event.or(bucket.last), count, end });
                self.remove(key);
            } else {
                if !reactive && !met && now < bucket.end && current.is_some_and(|current| restarts(trigger, current)) {
                    bucket = Bucket { start: now, end: now.saturating_add(window), count: 0, last: event };
                }
                self.put(trigger, key, bucket);
                if now < bucket.end {
                    return;
                }
            }
            if !trigger.after.is_empty() {
                self.remove(key);
                return;
            }
            if window == 0 {
                return;
            }
            let start = bucket.end.max(now);
            let carried = i64::from(unspent && !reactive);
            self.put(trigger, key, Bucket { start, end: start.saturating_add(window), count: carried, last: None });
            if !(reactive && unspent) {
                return;
            }
        }
    }

    fn put(&mut self, trigger: &EventTrigger, key: &str, bucket: Bucket) {
        self.buckets.put(key, bucket);
        self.mark(trigger, key, bucket.count);
    }

    fn mark(&mut self, trigger: &EventTrigger, key: &str, count: i64) {
        if trigger.posture == Posture::Reactive {
            return;
        }
        if count >= trigger.threshold {
            self.satisfied.insert(key.into());
        } else {
            self.satisfied.remove(key);
        }
    }

    fn remove(&mut self, key: &str) {
        self.buckets.remove(key);
        self.satisfied.remove(key);
    }
}

/// Whether an expected event opens the window anew: every heartbeat starts the wait for the next one.
fn restarts(trigger: &EventTrigger, current: Current<'_>) -> bool {
    let name = &current.event.event;
    matching::starts(trigger, name) && matching::expects(trigger, name)
}

/// Whether every expected event fires: its bucket would be made and removed at once.
fn fires_always(trigger: &EventTrigger) -> bool {
    trigger.posture == Posture::Reactive
        && trigger.threshold <= 1
        && trigger.within.is_zero()
        && trigger.after.is_empty()
}

/// The window in microseconds.
fn window(trigger: &EventTrigger) -> i64 {
    let window = i64::try_from(trigger.within.as_micros()).unwrap_or(i64::MAX);
    if window == 0 && trigger.posture == Posture::Proactive { SHORTEST_ABSENCE } else { window }
}

/// The key of the event's bucket.
fn key_of(trigger: &EventTrigger, event: &Event) -> String {
    if trigger.for_each.is_empty() {
        return String::new();
    }
    let value = |label: &String| matching::for_each_value(event, label).unwrap_or_default();
    let values: Vec<&str> = trigger.for_each.iter().map(value).collect();
    let key = serde_json::to_string(&values);
    assert!(key.is_ok(), "texts are always JSON");
    key.unwrap_or_default()
}

/// The `for_each` values in a key.
pub(super) fn values_of(key: &str) -> Vec<String> {
    // The key is our own text; of a stored one that is broken nothing can be said.
    if key.is_empty() { Vec::new() } else { serde_json::from_str(key).unwrap_or_default() }
}
