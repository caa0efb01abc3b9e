//! Timers: what is watched by one, and whose turn it is when it is due. The checks are made in [`super::deadline`].
//!
//! Invariants: a timer is never set before the input that sets it; a watched pipeline has exactly one timer per rule
//! (or, for `missing`, a firing alert instead). Setting timers twice changes nothing.

use super::failure::pipeline_subject;
use super::incident::Context;
use super::turn::Turn;
use crate::incident::AlertKey;
use crate::pipeline::Pipeline;
use crate::projection::Transition;
use crate::rules::{Matcher, Rules};
use crate::ruleset::Condition;
use crate::run::{AttemptKey, HEARTBEAT_SOURCE, PipelineKey, Run, RunState, System};
use crate::timer::{Timer, TimerKey};
use jiff::Timestamp;

impl Turn<'_> {
    /// Decides everything that is due. What concerns people happens when it was noticed, not when it was due: nobody
    /// can be paged in the past.
    pub(super) fn on_tick(&mut self, due: Timestamp, noticed: Option<Timestamp>) {
        for timer in self.state.take_due(due) {
            self.timer_due(&timer, noticed.unwrap_or(due));
        }
        self.automations_due(due, noticed);
    }

    /// Ends the waits that are over before an event is decided: time-outs, and what is planned.
    pub(super) fn waits_ended(&mut self) {
        let now = self.at;
        for timer in self.state.take_waits(now) {
            self.timer_due(&timer, now);
        }
    }

    fn timer_due(&mut self, timer: &Timer, now: Timestamp) {
        match &timer.key {
            TimerKey::Hold { attempt } => self.hold_ended(attempt),
            TimerKey::Deferred { check } => self.check_due(check, timer.due),
            TimerKey::RunLimit { .. }
            | TimerKey::Missing { .. }
            | TimerKey::Fresh { .. }
            | TimerKey::Expected { .. }
            | TimerKey::Deadline { .. } => self.check_due(&timer.key, timer.due),
            TimerKey::ReportEnds { alert } => {
                self.means(format!("the report `{}` ended by itself", alert.pipeline.name));
                self.clear(alert, "its sender said it would end by now", &Context::default());
            }
            TimerKey::JobDeadline { run } => self.job_timed_out(*run),
            people => {
                let decided_at = std::mem::replace(&mut self.at, now);
                self.people_due(people, timer.due);
                self.at = decided_at;
            }
        }
    }

    fn people_due(&mut self, key: &TimerKey, due: Timestamp) {
        match key {
            TimerKey::Timeout { incident } => self.timed_out(*incident),
            TimerKey::Duty => self.duty_due(due),
            TimerKey::ApprovalEnds { approval } => self.approval_due(*approval),
            TimerKey::GrantEnds { grant } => self.grant_due(*grant),
            TimerKey::StormEnds { owner } => self.storm_ends(owner),
            TimerKey::Regroup { incident } => self.update_due(*incident),
            TimerKey::Handover { schedule } => self.handover_due(schedule, due),
            TimerKey::Contact { incident, person, contact } => self.contact_due(*incident, person, *contact, due),
            TimerKey::Step { incident } => self.step_due(*incident),
            TimerKey::Canary { connection } => self.canary_due(connection),
            TimerKey::Hold { .. }
            | TimerKey::RunLimit { .. }
            | TimerKey::Missing { .. }
            | TimerKey::Fresh { .. }
            | TimerKey::Expected { .. }
            | TimerKey::Deadline { .. }
            | TimerKey::Deferred { .. }
            | TimerKey::JobDeadline { .. }
            | TimerKey::ReportEnds { .. } => {}
        }
    }

    /// Sets the timers of rules about time for every pipeline that is known or declared. Timers of rules that did
    /// not change are kept, so that applying a configuration again does not start a countdown again.
    pub(super) fn watch_everything(&mut self, old: Option<&Rules>, new: &Rules) {
        let unchanged =
            |name: &str| old.is_some_and(|old| old.rule(name).is_some() && old.rule(name) == new.rule(name));
        let stale: Vec<TimerKey> = self
            .state
            .timers()
            .map(|(key, _)| key)
            .filter(|key| rule_of(key).is_some_and(|rule| !unchanged(rule)))
            .cloned()
            .collect();
        for key in stale {
            self.state.clear_timer(&key);
        }
        for key in new.declared() {
            if self.state.pipeline(&key).is_none() {
                let heartbeat = &*key.source == HEARTBEAT_SOURCE;
                let system = if heartbeat { System::Heartbeat } else { System::Other };
                self.state.put_pipeline(Pipeline::new(key, system));
            }
        }
        let pipelines: Vec<PipelineKey> = self.state.pipelines().map(|pipeline| pipeline.key.clone()).collect();
        for key in pipelines {
            self.watch_pipeline(new, &key);
        }
        let runs: Vec<Run> = self.state.live_runs().cloned().collect();
        for run in runs {
            self.watch_run(new, &run);
        }
        self.look_again_at_deferred();
    }

    /// Sets the missing timers of one pipeline.
    pub(super) fn watch_pipeline(&mut self, rules: &Rules, key: &PipelineKey) {
        let Some(pipeline) = self.state.pipeline(key).cloned() else {
            return;
        };
        for (matcher, rule) in rules.rules() {
            let timer = match &rule.when {
                Condition::Missing { .. } => TimerKey::Missing { rule: rule.name.clone(), pipeline: key.clone() },
                Condition::NotFreshBy(_) => TimerKey::Fresh { rule: rule.name.clone(), pipeline: key.clone() },
                _ => continue,
            };
            let alert = AlertKey { pipeline: key.clone(), rule: rule.name.as_str().into(), subject: "".into() };
            let fires = self.state.alert(&alert).is_some();
            if self.state.awaits(&timer) || !applies(rules, matcher, &pipeline) {
                continue;
            }
            match &rule.when {
                Condition::Missing { every, grace } if !fires => {
                    let since = pipeline.last_success.unwrap_or(self.at);
                    self.set_timer_after(timer, since + every.0 + grace.0);
                }
                Condition::NotFreshBy(_) => self.watch_fresh(rules, &rule.name, key, self.at),
                _ => {}
            }
        }
    }

    /// A success starts the countdown of `missing` rules again.
    pub(super) fn restart_missing(&mut self, rules: &Rules, pipeline: &Pipeline) {
        for (matcher, rule) in rules.rules() {
            if let Condition::Missing { every, grace } = &rule.when
                && applies(rules, matcher, pipeline)
            {
                let timer = TimerKey::Missing { rule: rule.name.clone(), pipeline: pipeline.key.clone() };
                let since = pipeline.last_success.unwrap_or(self.at);
                self.set_timer_after(timer, since + every.0 + grace.0);
            }
        }
    }

    /// Sets the duration limits of a run.
    pub(super) fn watch_run(&mut self, rules: &Rules, run: &Run) {
        let (Some(started), Some(pipeline)) = (run.started, self.state.pipeline(&run.key.pipeline_key()).cloned())
        else {
            return;
        };
        for (matcher, rule) in rules.rules() {
            if let Condition::RunsLongerThan(limit) = &rule.when
                && applies(rules, matcher, &pipeline)
            {
                let timer = TimerKey::RunLimit { rule: rule.name.clone(), run: run.key.clone() };
                self.set_timer_after(timer, started + limit.0);
            }
        }
    }

    /// A time that has passed already is due now, not in the past of the log.
    fn set_timer_after(&mut self, key: TimerKey, due: Timestamp) {
        self.state.set_timer(key, due.max(self.at));
    }

    fn hold_ended(&mut self, key: &AttemptKey) {
        let Some(attempt) = self.state.attempt(key).filter(|attempt| attempt.state == RunState::Held) else {
            return;
        };
        let mut attempt = attempt.clone();
        attempt.state = RunState::Failed;
        attempt.note = Some("told as final: neither another try nor the end of the run came in time".to_owned());
        self.state.put_attempt(attempt);
        let rules = self.rules();
        self.on_transition(rules.as_ref(), &Transition::AttemptFailed(key.clone()));
    }
}

/// The rule that a check is made for, when it is one of the configuration.
fn rule_of(key: &TimerKey) -> Option<&str> {
    match key {
        TimerKey::RunLimit { rule, .. }
        | TimerKey::Missing { rule, .. }
        | TimerKey::Fresh { rule, .. }
        | TimerKey::Expected { rule, .. } => Some(rule),
        TimerKey::Deferred { check } => rule_of(check),
        _ => None,
    }
}

fn applies(rules: &Rules, matcher: &Matcher, pipeline: &Pipeline) -> bool {
    let subject = pipeline_subject(pipeline);
    matcher.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()).is_none()
}
