//! Consecutive triggers: so many failed runs of one pipeline in a row.
//!
//! In a row means by when runs ended. It fires once when the streak is long enough, and is resolved by a success; a
//! success that ended before the failures, and is only heard of later, ends nothing. Invariant: a streak has no age, it
//! lasts until a success or until the limit on keys.

use super::keyed::{Key, KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::signal::{Bucket, Held, Moment, Place, Said, Signal, THRESHOLD_MAX};
use super::time::Instant;
use super::times::Times;
use super::words;
use super::{LATENESS, runs};
use crate::automation::definition::ConsecutiveTrigger;
use crate::automation::edit::Cell;
use crate::automation::firing::{EventRef, FiringState};
use crate::automation::set::{RunOutcome, RunResult};
use crate::automation::view::BucketView;
use serde::{Deserialize, Serialize};

/// Labels that a streak's firings have.
const NAMES: [&str; 2] = ["pipeline", "source"];

/// A consecutive trigger.
#[derive(Clone, Debug)]
pub(super) struct Streak {
    place: Place,
    trigger: ConsecutiveTrigger,
    names: Vec<String>,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    needed: usize,
}

/// One pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// When the newest failed runs ended, as many as are needed.
    #[serde(rename = "t", default, skip_serializing_if = "Times::is_empty")]
    failures: Times,
    /// When the newest successful run ended.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    success: Option<Instant>,
    /// The failed run that made it fire.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fired: Option<Held>,
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, _: &Rule) -> Option<Instant> {
        None
    }

    fn expires(&self, _: &Rule) -> Option<Instant> {
        // A success alone is remembered for failures that ended before it and are heard of late.
        self.success.filter(|_| self.failures.is_empty()).map(|success| success.plus(LATENESS))
    }

    fn touched(&self, _: &Rule) -> Instant {
        self.failures.newest().max(self.success).unwrap_or(Instant::FIRST)
    }

    fn is_blank(&self) -> bool {
        self.failures.is_empty() && self.success.is_none() && self.fired.is_none()
    }
}

impl State {
    fn take(&mut self, rule: &Rule, result: RunResult, ended: Instant, event: Held) -> Option<FiringState> {
        match result {
            RunResult::Failed => {
                if self.success.is_some_and(|success| ended < success) {
                    return None;
                }
                self.failures.insert(ended);
                self.failures.keep_newest(rule.needed);
                let fires = self.fired.is_none() && self.is_long(rule);
                fires.then(|| {
                    self.fired = Some(event);
                    FiringState::Triggered
                })
            }
            RunResult::Succeeded => {
                self.success = self.success.max(Some(ended));
                self.failures.drop_until(ended);
                if self.is_long(rule) {
                    return None;
                }
                self.fired.take().map(|_| FiringState::Resolved)
            }
        }
    }

    fn is_long(&self, rule: &Rule) -> bool {
        self.failures.nth_newest(rule.needed).is_some()
    }
}

impl Streak {
    pub(super) fn new(place: Place, trigger: &ConsecutiveTrigger, keepers: usize) -> Self {
        let needed = usize::try_from(trigger.count).unwrap_or(THRESHOLD_MAX).clamp(1, THRESHOLD_MAX);
        let names = NAMES.map(str::to_owned).to_vec();
        let keys = Keyed::new(key_limit(keepers, needed));
        Self { place, trigger: trigger.clone(), names, rule: Rule { needed }, keys }
    }
}

impl Leaf for Streak {
    fn place(&self) -> &Place {
        &self.place
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn resolves(&self) -> bool {
        true
    }

    fn lasts(&self) -> bool {
        true
    }

    fn on_run(&mut self, outcome: &RunOutcome, moment: Moment, signals: &mut Vec<Signal>) {
        if !runs::concerns(&self.trigger.matches, &self.trigger.match_related, outcome) {
            return;
        }
        let (now, rule) = (moment.now, &self.rule);
        let ended = Instant::of(outcome.ended).min(now);
        let event = Held::from(outcome.event);
        let pipeline = runs::value_of(outcome, NAMES[0]).unwrap_or(&outcome.pipeline);
        let key = Key::of([pipeline, runs::value_of(outcome, NAMES[1]).unwrap_or_default()].into_iter());
        let change =
            self.keys.change(rule, &key, now, State::default, |state| state.take(rule, outcome.result, ended, event));
        let because = match change {
            None => return,
            Some(FiringState::Triggered) => {
                let runs = words::counted(rule.needed, "failed run");
                format!("{runs} of `{}` in a row, the last ended at {ended}", outcome.pipeline)
            }
            Some(FiringState::Resolved) => format!("a run of `{}` succeeded at {ended}", outcome.pipeline),
        };
        let labels = key.labels(&self.names);
        let said = Said { labels, event: Some(event), children: Vec::new(), because };
        signals.extend(change.map(|what| self.place.signal(what, ended, moment, said)));
    }

    fn on_due(&mut self, moment: Moment, _signals: &mut Vec<Signal>) {
        let due = self.keys.due(&self.rule, moment.now);
        assert!(due.is_empty(), "a streak waits for nothing but runs");
    }

    fn next_due(&self) -> Option<Instant> {
        self.keys.next_due()
    }

    /// A streak ends with a run, never by itself.
    fn due_events(&self, _until: Instant) -> Vec<EventRef> {
        Vec::new()
    }

    fn buckets(&self) -> Vec<BucketView> {
        self.keys
            .iter()
            .map(|(key, state)| {
                let failures = state.failures.as_slice();
                let end = state.touched(&self.rule);
                let start = failures.first().copied().unwrap_or(end);
                self.place.bucket(key, Bucket { start, end, count: failures.len() }, state.fired)
            })
            .collect()
    }

    fn clear(&mut self) {
        self.keys.clear();
    }

    fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        self.keys.take_cells(&self.place, cells);
    }

    fn restore(&mut self, key: &str, body: &str) {
        self.keys.restore(&self.rule, key, body);
    }
}
