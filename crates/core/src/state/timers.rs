//! Timers: set, cleared, taken when due, and found by what they are about.
//!
//! Invariant: one instant per key; what is due comes earliest first, and at one instant in the order of the keys.

use super::{Dirty, State};
use crate::ids::IncidentId;
use crate::run::{PipelineKey, RunKey};
use crate::timer::{Timer, TimerKey};
use jiff::Timestamp;

impl State {
    /// When the next decision is due by the clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let timer = self.due.first().map(|(due, _)| *due);
        timer.into_iter().chain(self.automations.next_due()).min()
    }

    /// When a timer is due.
    #[must_use]
    pub fn timer(&self, key: &TimerKey) -> Option<Timestamp> {
        self.timers.get(key).copied()
    }

    /// All timers.
    pub fn timers(&self) -> impl Iterator<Item = (&TimerKey, Timestamp)> {
        self.timers.iter().map(|(key, due)| (key, *due))
    }

    pub(crate) fn set_timer(&mut self, key: TimerKey, due: Timestamp) {
        if self.timers.get(&key) == Some(&due) {
            return;
        }
        if let Some(old) = self.timers.insert(key.clone(), due) {
            self.due.remove(&(old, key.clone()));
        }
        self.due.insert((due, key.clone()));
        self.dirty.insert(Dirty::Timer(key));
    }

    pub(crate) fn clear_timer(&mut self, key: &TimerKey) {
        if let Some(due) = self.timers.remove(key) {
            self.due.remove(&(due, key.clone()));
            self.dirty.insert(Dirty::Timer(key.clone()));
        }
    }

    /// Timers of further contacts of people who were paged about an incident.
    pub(crate) fn contact_timers(&self, incident: IncidentId) -> Vec<TimerKey> {
        let first = TimerKey::Contact { incident, person: String::new(), contact: 0 };
        let of_it = |key: &&TimerKey| matches!(key, TimerKey::Contact { incident: other, .. } if *other == incident);
        self.timers.range(first..).map(|(key, _)| key).take_while(of_it).cloned().collect()
    }

    /// Takes what ends a wait at `now`, earliest first: it comes before an event of the same instant.
    pub(crate) fn take_waits(&mut self, now: Timestamp) -> Vec<Timer> {
        let due = self.due.iter().take_while(|(due, _)| *due <= now);
        let waits: Vec<Timer> = due
            .filter(|(_, key)| matches!(key, TimerKey::Timeout { .. } | TimerKey::Duty))
            .map(|(due, key)| Timer { key: key.clone(), due: *due })
            .collect();
        for wait in &waits {
            self.clear_timer(&wait.key);
        }
        waits
    }

    /// Takes the timers due at `now`, earliest first.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<Timer> {
        let mut taken = Vec::new();
        while let Some((due, key)) = self.due.first().cloned() {
            if due > now {
                break;
            }
            self.clear_timer(&key);
            taken.push(Timer { key, due });
        }
        taken
    }
}

/// Checks, also those that were put off by maintenance.
impl State {
    /// Starts of a pipeline that a rule waits for. A check that was put off is given as the check that it is.
    pub(crate) fn expected_starts(&self, of_rule: &str, of: &PipelineKey) -> Vec<TimerKey> {
        let none = RunKey { source: "".into(), pipeline: "".into(), run: "".into() };
        let (rule, pipeline) = (of_rule.to_owned(), of.clone());
        let first = TimerKey::Expected { rule, pipeline, since: Timestamp::MIN, after: none };
        self.checks_from(
            first,
            |key| matches!(key, TimerKey::Expected { rule, pipeline, .. } if rule == of_rule && pipeline == of),
        )
    }

    /// Deadlines that were declared for a run.
    pub(crate) fn declared_deadlines(&self, of: &RunKey) -> Vec<TimerKey> {
        let first = TimerKey::Deadline { run: of.clone(), name: String::new(), due: Timestamp::MIN };
        self.checks_from(first, |key| matches!(key, TimerKey::Deadline { run, .. } if run == of))
    }

    /// Checks that were put off, as their timers.
    pub(crate) fn deferred_checks(&self) -> Vec<TimerKey> {
        self.timers.keys().filter(|key| matches!(key, TimerKey::Deferred { .. })).cloned().collect()
    }

    /// True when a check is to come, or was put off.
    pub(crate) fn awaits(&self, check: &TimerKey) -> bool {
        self.timers.contains_key(check)
            || self.timers.contains_key(&TimerKey::Deferred { check: Box::new(check.clone()) })
    }

    fn checks_from(&self, first: TimerKey, belongs: impl Fn(&TimerKey) -> bool) -> Vec<TimerKey> {
        let to_come = self.timers.range(first.clone()..).map(|(key, _)| key).take_while(|key| belongs(key));
        let put_off =
            self.timers.range(TimerKey::Deferred { check: Box::new(first) }..).map_while(|(key, _)| match key {
                TimerKey::Deferred { check } if belongs(check) => Some(&**check),
                _ => None,
            });
        to_come.chain(put_off).cloned().collect()
    }
}
