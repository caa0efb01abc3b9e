//! Timers of checks, found by what they are about; also those that were put off by maintenance.

use super::State;
use crate::run::{PipelineKey, RunKey};
use crate::timer::TimerKey;
use jiff::Timestamp;

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
