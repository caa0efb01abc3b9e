//! Failures that are known to pass by themselves: recorded and shown, told to nobody.
//!
//! Invariants: only the first failure of a streak is kept quiet, the next one counts; only so many of one pipeline in an
//! hour are, so that an error that is there to stay is heard; what was kept quiet is part of the stored state.

use super::failure::Failure;
use super::incident::Firing;
use super::turn::Turn;
use crate::decision::Verdict;
use crate::incident::problem::{AfterFailure, Kind, Problem, Thresholds};
use crate::incident::{Alert, AlertKey};
use crate::rules::Rules;
use crate::ruleset::{Failures, Rule};
use crate::run::{Name, RunState};

impl Turn<'_> {
    /// The pattern by which a failure is known to pass by itself: the first of its streak, within the hourly budget. A
    /// run that failed because its tasks did is of the same kind when all of them are.
    pub(super) fn passes_by_itself(
        &mut self,
        rules: &Rules,
        rule: &Rule,
        failures: &Failures,
        failure: &Failure,
        key: &AlertKey,
    ) -> Option<String> {
        let first = self.state.alert(key).is_none_or(|alert| alert.streak == 0 && alert.incident.is_none());
        if failures.transient.is_empty() || !first {
            return None;
        }
        if let (None, Some(pattern)) = (&failure.attempt, self.tasks_kept_quiet(rule, failure)) {
            return Some(pattern);
        }
        let mut pipeline = self.state.pipeline(&key.pipeline)?.clone();
        let budget = usize::try_from(failures.transient_per_hour).unwrap_or(usize::MAX);
        let pattern = self.transient_pattern(rules, rule, failure)?;
        if pipeline.transients_before(self.at) >= budget {
            self.follows(format!("`{pattern}` is known to pass by itself, but came {budget} times in an hour"));
            return None;
        }
        pipeline.record_transient(self.at);
        self.state.put_pipeline(pipeline);
        Some(pattern)
    }

    /// The pattern of the failures because of which a run failed, when all of them were kept quiet.
    fn tasks_kept_quiet(&self, rule: &Rule, failure: &Failure) -> Option<String> {
        let run = &failure.run.key;
        let failed = self.state.attempts(run).filter(|attempt| attempt.state == RunState::Failed);
        let patterns: Option<Vec<&Name>> = failed
            .map(|attempt| {
                let subject = crate::projection::attempt_subject(&attempt.key).into();
                let key = AlertKey { pipeline: run.pipeline_key(), rule: rule.name.as_str().into(), subject };
                let alert = self.state.alert(&key).filter(|alert| alert.run.as_ref() == Some(&run.run))?;
                alert.transient.as_ref()
            })
            .collect();
        Some(patterns?.first()?.to_string())
    }

    /// The pattern that the error matches; for a run without one of its own, those of all its failed tasks.
    fn transient_pattern(&self, rules: &Rules, rule: &Rule, failure: &Failure) -> Option<String> {
        let matched = |error: &Option<String>| rules.transient(&rule.name, error.as_deref()?);
        let own = match &failure.attempt {
            Some(attempt) => matched(&attempt.error),
            None => matched(&failure.run.error).or_else(|| {
                let failed = self.state.attempts(&failure.run.key).filter(|task| task.state == RunState::Failed);
                let patterns: Option<Vec<&str>> = failed.map(|task| matched(&task.error)).collect();
                patterns?.first().copied()
            }),
        };
        own.map(str::to_owned)
    }

    /// Records a failure that may pass by itself. It is seen on the pages, and told to nobody.
    pub(super) fn keep_quiet(&mut self, firing: &Firing, pattern: &str) -> (Verdict, String) {
        let mut problem = Problem::default();
        assert_eq!(
            problem.failed(&Thresholds::default(), Kind::Transient),
            AfterFailure::Suppressed,
            "only the first failure of a streak is kept quiet"
        );
        let mut alert = Alert::counting(firing, problem);
        alert.transient = Some(pattern.into());
        self.state.put_alert(alert);
        let because = format!("`{pattern}` is known to pass by itself; it counts if the next one fails too");
        self.audit("alert.suppressed", format!("Rule {}: {}: {because}", firing.key.rule, firing.summary), None, None);
        self.follows("nobody is told: this error is known to pass by itself");
        (Verdict::Counting, because)
    }
}
