//! Checks that are due by the clock: too long, missing, not fresh, not started, past a declared deadline.
//!
//! Invariants: a check that is due during maintenance of its pipeline is made when that ends, and finds nothing when the
//! success came meanwhile; every check looks at what is known when it is made, so making it twice is harmless.

use super::failure::{pipeline_subject, run_name, run_subject, run_view};
use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::Verdict;
use crate::duty::deadline::{Daily, day_of};
use crate::incident::AlertKey;
use crate::owner;
use crate::pipeline::Pipeline;
use crate::rules::{DECLARED_DEADLINE, Rules};
use crate::ruleset::Condition;
use crate::ruleset::expect::FreshBy;
use crate::run::{PipelineKey, Run, RunKey, RunReport, RunState, RunUpdate};
use crate::timer::TimerKey;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A check that waits for maintenance without a near end is looked at again after this time.
const PUT_OFF: SignedDuration = SignedDuration::from_hours(24);

/// What is late.
pub(super) struct Late<'a> {
    pub(super) rule: &'a str,
    /// What of the pipeline, where a rule can say several things.
    pub(super) subject: &'a str,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) occurred: Timestamp,
    pub(super) run: Option<&'a Run>,
}

impl Turn<'_> {
    /// A check is due: makes it, or puts it off until maintenance ends.
    pub(super) fn check_due(&mut self, check: &TimerKey, due: Timestamp) {
        let Some((rule, key)) = concerns(check) else {
            return;
        };
        let (Some(rules), Some(pipeline)) = (self.rules(), self.state.pipeline(&key).cloned()) else {
            return;
        };
        if let TimerKey::Fresh { .. } = check {
            self.watch_fresh(&rules, rule, &key, due);
        }
        let severity = severity(&rules, rule, &pipeline);
        if let Some((window, until)) = self.maintenance_of(&rules, &pipeline, rule, severity) {
            let again = until.min(self.at + PUT_OFF);
            self.means(format!("a check of {} by rule {rule} is due during maintenance `{window}`", key.name));
            self.follows(format!("it is made when that ends, at {again}"));
            self.state.set_timer(TimerKey::Deferred { check: Box::new(check.clone()) }, again);
            return;
        }
        match check {
            TimerKey::RunLimit { rule, run } => self.run_limit(&rules, rule, run, &pipeline),
            TimerKey::Missing { rule, .. } => self.missing(&rules, rule, &pipeline),
            TimerKey::Fresh { rule, .. } => self.fresh(&rules, rule, &pipeline, due),
            TimerKey::Expected { rule, since, after, .. } => self.not_started(&rules, rule, &pipeline, *since, after),
            TimerKey::Deadline { run, name, due } => self.past_deadline(&rules, run, name, *due, &pipeline),
            _ => {}
        }
    }

    /// Forgets a check, also one that was put off.
    pub(super) fn forget_check(&mut self, check: TimerKey) {
        self.state.clear_timer(&check);
        self.state.clear_timer(&TimerKey::Deferred { check: Box::new(check) });
    }

    /// What is planned has changed: checks that were put off are looked at anew.
    pub(super) fn look_again_at_deferred(&mut self) {
        for key in self.state.deferred_checks() {
            self.state.set_timer(key, self.at);
        }
    }

    /// Sets the timer of the next local deadline after an instant.
    pub(super) fn watch_fresh(&mut self, rules: &Rules, rule: &str, key: &PipelineKey, after: Timestamp) {
        let Some(Condition::NotFreshBy(fresh)) = rules.rule(rule).map(|rule| &rule.when) else {
            return;
        };
        if let Some(next) = daily(rules, fresh).next(after) {
            self.state.set_timer(TimerKey::Fresh { rule: rule.to_owned(), pipeline: key.clone() }, next);
        }
    }

    fn run_limit(&mut self, rules: &Rules, rule: &str, key: &RunKey, pipeline: &Pipeline) {
        let Some(run) = self.state.run(key).filter(|run| run.state == RunState::Running).cloned() else {
            return;
        };
        let Some(Condition::RunsLongerThan(limit)) = rules.rule(rule).map(|rule| &rule.when) else {
            return;
        };
        self.means(format!("run {} of {} takes longer than {limit}", key.run, key.pipeline));
        let title = format!("{} takes longer than {limit}", key.pipeline);
        let summary = format!("Run {} is still running after {limit}", run_name(&run));
        self.late(rules, pipeline, &Late { rule, subject: "", title, summary, occurred: self.at, run: Some(&run) });
    }

    fn missing(&mut self, rules: &Rules, rule: &str, pipeline: &Pipeline) {
        let Some(Condition::Missing { every, grace }) = rules.rule(rule).map(|rule| &rule.when) else {
            return;
        };
        let name = &pipeline.key.name;
        if let Some(last) = pipeline.last_success.filter(|last| *last + every.0 + grace.0 > self.at) {
            self.means(format!("{name} was due"));
            self.verdict(rule, Verdict::Passes, format!("it succeeded meanwhile, at {last}"));
            return;
        }
        self.means(format!("{name} has not succeeded in time"));
        let last = pipeline
            .last_success
            .map_or_else(|| "it has not succeeded yet".to_owned(), |last| format!("last success {last}"));
        let (title, summary) = (format!("{name} is missing"), format!("No success in time; {last}"));
        self.late(rules, pipeline, &Late { rule, subject: "", title, summary, occurred: self.at, run: None });
    }

    fn fresh(&mut self, rules: &Rules, rule: &str, pipeline: &Pipeline, at: Timestamp) {
        let Some(Condition::NotFreshBy(fresh)) = rules.rule(rule).map(|rule| &rule.when) else {
            return;
        };
        // A check that was put off is about the last deadline before it.
        let due = daily(rules, fresh).last(at).unwrap_or(at);
        let since = fresh.max_age.map_or_else(|| day_of(due, &fresh.zone), |age| due - age.0);
        let (name, time, zone) = (&pipeline.key.name, fresh.time, fresh.zone.name());
        self.means(format!("{name} is due by {time} {zone}"));
        if pipeline.last_success >= Some(since) {
            self.verdict(rule, Verdict::Passes, format!("it succeeded after {since}"));
            return;
        }
        let last = pipeline.last_success.map_or_else(|| "never".to_owned(), |last| last.to_string());
        let title = format!("{name} is not fresh by {time}");
        let summary = format!("No success since {since} by {time} {zone}; last success {last}");
        self.late(rules, pipeline, &Late { rule, subject: "", title, summary, occurred: self.at, run: None });
    }

    /// Takes over the deadlines that a far end declares for a run that begins.
    pub(super) fn declared_deadlines(&mut self, key: &RunKey, update: &RunUpdate, occurred: Timestamp) {
        let running = self.state.run(key).is_some_and(|run| run.state == RunState::Running);
        if !running || update.report != RunReport::Started {
            return;
        }
        for deadline in &update.deadlines {
            // A run that was cleared starts again with the deadlines of its first life.
            if update.clear_number > 0 && deadline.due <= occurred {
                continue;
            }
            let check = TimerKey::Deadline { run: key.clone(), name: deadline.name.clone(), due: deadline.due };
            self.state.set_timer(check, deadline.due.max(self.at));
            self.follows(format!("it must end by {}, as its deadline `{}` declares", deadline.due, deadline.name));
        }
    }

    fn past_deadline(&mut self, rules: &Rules, key: &RunKey, name: &str, due: Timestamp, pipeline: &Pipeline) {
        let Some(run) = self.state.run(key).filter(|run| run.state == RunState::Running).cloned() else {
            return;
        };
        self.means(format!("run {} of {} is past its deadline `{name}`", run_name(&run), key.pipeline));
        let title = format!("{} missed its deadline", key.pipeline);
        let system = pipeline.system.title();
        let summary = format!(
            "Run {} should have ended by {due} (`{name}`, declared in {system}); it still runs",
            run_name(&run)
        );
        let rule = DECLARED_DEADLINE;
        self.late(rules, pipeline, &Late { rule, subject: name, title, summary, occurred: due, run: Some(&run) });
    }

    /// Raises the alert about something late.
    pub(super) fn late(&mut self, rules: &Rules, pipeline: &Pipeline, late: &Late<'_>) {
        let subject = late.run.map_or_else(|| pipeline_subject(pipeline), |run| run_subject(run, pipeline));
        let owner = owner::resolve(rules, &subject);
        self.owned_by(&owner);
        let firing = Firing {
            key: AlertKey {
                pipeline: pipeline.key.clone(),
                rule: late.rule.into(),
                subject: super::incident::excerpt(late.subject).into(),
            },
            severity: severity(rules, late.rule, pipeline),
            threshold: 1,
            title: late.title.clone(),
            summary: late.summary.clone(),
            occurred: late.occurred,
            owner,
            run_name: late.run.map(|run| run.key.run.clone()),
            labels: BTreeMap::new(),
            context: Context { run: late.run.map(|run| run_view(run, None)), ..Context::default() },
        };
        let verdict = self.fire(rules, &firing);
        self.verdict(late.rule, verdict, late.summary.clone());
    }
}

/// The rule and the pipeline of a check; none for timers that are no checks.
fn concerns(check: &TimerKey) -> Option<(&str, PipelineKey)> {
    match check {
        TimerKey::RunLimit { rule, run } => Some((rule, run.pipeline_key())),
        TimerKey::Deadline { run, .. } => Some((DECLARED_DEADLINE, run.pipeline_key())),
        TimerKey::Missing { rule, pipeline }
        | TimerKey::Fresh { rule, pipeline }
        | TimerKey::Expected { rule, pipeline, .. } => Some((rule, pipeline.clone())),
        _ => None,
    }
}

/// The severity that a rule has for a pipeline; a built-in rule goes by the tier.
fn severity(rules: &Rules, rule: &str, pipeline: &Pipeline) -> crate::event::Severity {
    let tier = rules.tier(&pipeline_subject(pipeline));
    rules.rule(rule).map_or_else(|| Rules::severity_of_tier(tier), |rule| Rules::severity(rule, tier))
}

fn daily<'a>(rules: &'a Rules, fresh: &'a FreshBy) -> Daily<'a, impl Fn(Date) -> bool + 'a> {
    Daily { time: fresh.time.0, zone: &fresh.zone, applies: |date| rules.applies_on(fresh, date) }
}
