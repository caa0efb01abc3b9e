//! What run transitions mean for the rules about failures, durations and rows.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::{OwnerTrail, Verdict};
use crate::incident::problem::AfterSuccess;
use crate::incident::{Alert, AlertKey};
use crate::notice::RunView;
use crate::owner;
use crate::pipeline::Pipeline;
use crate::projection::Transition;
use crate::rules::{DECLARED_DEADLINE, Matcher, Rules, Subject};
use crate::ruleset::{Condition, FailedOn, Failures, Rule};
use crate::run::{Attempt, AttemptKey, Name, PipelineKey, Run, RunKey, RunState};
use crate::timer::TimerKey;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The subject of a pipeline as last reported.
pub(super) fn pipeline_subject(pipeline: &Pipeline) -> Subject<'_> {
    Subject {
        source: &pipeline.key.source,
        pipeline: &pipeline.key.name,
        task: "",
        tags: &pipeline.tags,
        owners: &pipeline.owners,
    }
}

/// A failure that rules are asked about.
pub(super) struct Failure {
    pub(super) run: Run,
    pub(super) attempt: Option<Attempt>,
    occurred: Timestamp,
    owner: OwnerTrail,
    tier: Option<u8>,
}

impl Turn<'_> {
    /// Follows the transitions of one run event.
    pub(super) fn on_run(&mut self, run: &RunKey, transitions: &[Transition]) {
        let rules = self.rules();
        if let Some(rules) = &rules {
            self.assign_owner(rules, run);
        }
        for transition in transitions {
            self.on_transition(rules.as_ref(), transition);
        }
        if let Some(rules) = &rules {
            self.scopes_after(rules, &run.pipeline_key(), transitions);
        }
    }

    pub(super) fn on_transition(&mut self, rules: Option<&Arc<Rules>>, transition: &Transition) {
        self.means(meaning(transition));
        let Some(rules) = rules else {
            self.follows("no rules are in force yet");
            return;
        };
        match transition {
            Transition::RunStarted(run) => self.run_started(rules, run),
            Transition::RunEnded(run, outcome) => self.run_ended(rules, run, *outcome),
            Transition::AttemptFailed(attempt) => self.attempt_failed(rules, attempt),
            Transition::AttemptHeld(attempt) => {
                let until = self.state.timer(&TimerKey::Hold { attempt: attempt.clone() });
                let until = until.map_or_else(String::new, |due| format!(" (at the latest {due})"));
                self.follows(format!("held until the next try or the end of the run tells{until}"));
            }
            Transition::AttemptRetried(_) => self.follows("nobody is told: it was tried again"),
            Transition::AttemptSucceeded(attempt) => self.attempt_succeeded(rules, attempt),
            Transition::Recorded(_) => {}
        }
    }

    /// Writes the resolved owner on the run and its pipeline, for lists and filters.
    fn assign_owner(&mut self, rules: &Rules, key: &RunKey) {
        let Some(run) = self.state.run(key) else {
            return;
        };
        let Some(pipeline) = self.state.pipeline(&run.key.pipeline_key()) else {
            return;
        };
        let (mut run, mut pipeline) = (run.clone(), pipeline.clone());
        let team = owner::resolve(rules, &run_subject(&run, &pipeline)).team;
        run.owner = Some(team.clone());
        pipeline.owner = Some(team);
        self.state.put_run(run);
        self.state.put_pipeline(pipeline.clone());
        self.watch_pipeline(rules, &pipeline.key);
    }

    fn run_started(&mut self, rules: &Rules, key: &RunKey) {
        let Some(run) = self.state.run(key).cloned() else {
            return;
        };
        self.watch_run(rules, &run);
        self.start_followed(rules, &run);
    }

    fn run_ended(&mut self, rules: &Rules, key: &RunKey, outcome: RunState) {
        let (Some(run), Some(pipeline)) =
            (self.state.run(key).cloned(), self.state.pipeline(&key.pipeline_key()).cloned())
        else {
            return;
        };
        for (_, rule) in rules.rules() {
            self.forget_check(TimerKey::RunLimit { rule: rule.name.clone(), run: key.clone() });
        }
        for deadline in self.state.declared_deadlines(key) {
            self.forget_check(deadline);
        }
        self.end_followed(rules, &run);
        match outcome {
            RunState::Failed => {
                let owner = owner::resolve(rules, &run_subject(&run, &pipeline));
                let tier = rules.tier(&run_subject(&run, &pipeline));
                let occurred = run.ended.unwrap_or(self.at);
                self.failed(rules, &Failure { run, attempt: None, occurred, owner, tier });
            }
            RunState::Succeeded => self.run_succeeded(rules, &run, &pipeline),
            _ => {}
        }
        self.clear_duration_alerts(rules, key, outcome);
    }

    fn attempt_failed(&mut self, rules: &Rules, key: &AttemptKey) {
        let (Some(run), Some(attempt), Some(pipeline)) = (
            self.state.run(&key.run).cloned(),
            self.state.attempt(key).cloned(),
            self.state.pipeline(&key.run.pipeline_key()).cloned(),
        ) else {
            return;
        };
        let subject = attempt_subject(&run, &attempt, &pipeline);
        let owner = owner::resolve(rules, &subject);
        let tier = rules.tier(&subject);
        let occurred = attempt.ended.unwrap_or(self.at);
        self.failed(rules, &Failure { run, attempt: Some(attempt), occurred, owner, tier });
    }

    /// Asks every rule about a failure.
    fn failed(&mut self, rules: &Rules, failure: &Failure) {
        self.owned_by(&failure.owner);
        let mut any = false;
        for (matcher, rule) in rules.rules() {
            let (verdict, because) = match self.concerned(matcher, rule, failure) {
                Err(because) => (Verdict::Passes, because),
                Ok(failures) => {
                    any = true;
                    let firing = self.failure_firing(rules, rule, failure, failures.consecutive);
                    match self.passes_by_itself(rules, rule, failures, failure, &firing.key) {
                        Some(pattern) => self.keep_quiet(&firing, &pattern),
                        None => (self.fire(rules, &firing), waits_for(failures.consecutive)),
                    }
                }
            };
            self.verdict(&rule.name, verdict, because);
        }
        if !any {
            self.follows("no rule concerns it: nobody is told");
        }
    }

    /// How the rule counts when it is about this failure, else the clause that says no.
    fn concerned<'b>(&self, matcher: &Matcher, rule: &'b Rule, failure: &Failure) -> Result<&'b Failures, String> {
        let Condition::Failed(failures) = &rule.when else {
            return Err("it does not watch for failures".to_owned());
        };
        match (failures.on, failure.attempt.is_some()) {
            (FailedOn::Run, true) => return Err("it counts failed runs, this is a task".to_owned()),
            (FailedOn::Task, false) => {
                return Err("it counts failed tasks, this is the run".to_owned());
            }
            _ => {}
        }
        let pipeline = self.state.pipeline(&failure.run.key.pipeline_key());
        let Some(pipeline) = pipeline else {
            return Err("the pipeline is not known".to_owned());
        };
        let subject = match &failure.attempt {
            Some(attempt) => attempt_subject(&failure.run, attempt, pipeline),
            None => run_subject(&failure.run, pipeline),
        };
        match matcher.mismatch(&subject, failure.tier, Some(&failure.owner.team)) {
            Some(clause) => Err(clause),
            None => Ok(failures),
        }
    }

    fn failure_firing(&self, rules: &Rules, rule: &Rule, failure: &Failure, threshold: u32) -> Firing {
        let run = &failure.run;
        let pipeline = self.pipeline_key(run);
        let ended = run.state == RunState::Failed;
        let mut view = self.pipeline_view(rules, &pipeline);
        // The run that fails now counts, whether or not its end was reported yet.
        if let Some(view) = &mut view
            && !ended
        {
            view.streak += 1;
        }
        let streak = view.as_ref().map_or(1, |view| view.streak.max(1));
        let title = match streak {
            1 => format!("{} failed", run.key.pipeline),
            n => format!("{} failed {n} times", run.key.pipeline),
        };
        let (subject, what, error) = match &failure.attempt {
            Some(attempt) => {
                let subject = crate::projection::attempt_subject(&attempt.key);
                let what = format!("Task {subject} failed");
                (subject, what, attempt.error.clone())
            }
            None => (String::new(), format!("Run {} failed", run_name(run)), run.error.clone()),
        };
        let first_line = error.as_deref().and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
        let summary = first_line.map_or_else(|| what.clone(), |line| format!("{what}: {}", line.trim()));
        Firing {
            key: AlertKey { pipeline, rule: rule.name.as_str().into(), subject: subject.into() },
            severity: Rules::severity(rule, failure.tier),
            threshold,
            title,
            summary,
            occurred: failure.occurred,
            owner: failure.owner.clone(),
            run_name: Some(run.key.run.clone()),
            labels: BTreeMap::new(),
            context: Context {
                pipeline: view,
                run: Some(run_view(run, failure.attempt.as_ref())),
                ..Context::default()
            },
        }
    }

    /// The key under which the pipeline is kept, so that alerts share its names.
    pub(super) fn pipeline_key(&self, run: &Run) -> PipelineKey {
        let key = run.key.pipeline_key();
        self.state.pipeline(&key).map_or(key, |pipeline| pipeline.key.clone())
    }

    fn run_succeeded(&mut self, rules: &Rules, run: &Run, pipeline: &Pipeline) {
        let subject = run_subject(run, pipeline);
        let ended = run.ended.unwrap_or(self.at);
        let go_on = self.judge_rows(rules, run, pipeline);
        let context = Context { run: Some(run_view(run, None)), ..Context::default() };
        let because = format!("run {} of {} succeeded", run_name(run), run.key.pipeline);
        let alerts: Vec<Alert> = self.state.alerts_of(&pipeline.key).cloned().collect();
        for alert in alerts {
            let rule = rules.rule(&alert.key.rule);
            let by_start = rule.is_some_and(|rule| matches!(rule.when, Condition::ExpectedAfter(_)));
            let about_this_run = alert.run.as_ref() == Some(&run.key.run);
            if by_start || go_on.iter().any(|name| **name == *alert.key.rule) {
                continue;
            }
            if ended < alert.last && !about_this_run {
                self.verdict(
                    &alert.key.rule,
                    Verdict::Passes,
                    format!("this success ended before the last failure ({})", alert.last),
                );
                continue;
            }
            self.succeeded(rules, &alert, &run.key.run, &because, &context);
        }
        let owner = owner::resolve(rules, &subject);
        self.owned_by(&owner);
        self.restart_missing(rules, pipeline);
    }

    fn attempt_succeeded(&mut self, rules: &Rules, key: &AttemptKey) {
        let (Some(attempt), Some(run)) = (self.state.attempt(key).cloned(), self.state.run(&key.run).cloned()) else {
            return;
        };
        let subject = crate::projection::attempt_subject(key);
        let ended = attempt.ended.unwrap_or(self.at);
        let context = Context { run: Some(run_view(&run, Some(&attempt))), ..Context::default() };
        let because = format!("task {subject} succeeded in run {}", run_name(&run));
        let alerts: Vec<Alert> = self
            .state
            .alerts_of(&key.run.pipeline_key())
            .filter(|alert| *alert.key.subject == *subject && alert.last <= ended)
            .filter(|alert| {
                rules.rule(&alert.key.rule).is_some_and(|rule| matches!(rule.when, Condition::Failed { .. }))
            })
            .cloned()
            .collect();
        for alert in alerts {
            self.succeeded(rules, &alert, &run.key.run, &because, &context);
        }
    }

    /// Counts a success for an alert, once per run, and clears the alert when there were enough of them in a row.
    fn succeeded(&mut self, rules: &Rules, alert: &Alert, run: &Name, because: &str, context: &Context) {
        if alert.healed_by.as_ref() == Some(run) {
            return;
        }
        let thresholds = rules.thresholds(&alert.key.rule);
        let mut problem = alert.problem();
        if problem.succeeded(&thresholds) == AfterSuccess::Over {
            self.verdict(&alert.key.rule, Verdict::Clears, because);
            self.clear(&alert.key, because, context);
            return;
        }
        let (successes, wanted) = (problem.successes, thresholds.resolve_after);
        self.verdict(&alert.key.rule, Verdict::Passes, format!("{because}: success {successes} of {wanted} in a row"));
        self.state.put_alert(Alert {
            streak: problem.failures,
            successes,
            healed_by: Some(run.clone()),
            ..alert.clone()
        });
    }

    /// A run that is over no longer takes too long.
    fn clear_duration_alerts(&mut self, rules: &Rules, key: &RunKey, outcome: RunState) {
        let alerts: Vec<AlertKey> = self
            .state
            .alerts_of(&key.pipeline_key())
            .filter(|alert| alert.run.as_ref() == Some(&key.run))
            .filter(|alert| {
                let of_rule = rules.rule(&alert.key.rule).map(|rule| &rule.when);
                matches!(of_rule, Some(Condition::RunsLongerThan(_))) || *alert.key.rule == *DECLARED_DEADLINE
            })
            .map(|alert| alert.key.clone())
            .collect();
        for alert in alerts {
            self.clear(&alert, &format!("run {} {}", key.run, outcome.as_str()), &Context::default());
        }
    }
}

/// The subject of a run: its own owners and tags, else those of its pipeline.
pub(super) fn run_subject<'a>(run: &'a Run, pipeline: &'a Pipeline) -> Subject<'a> {
    Subject {
        source: &run.key.source,
        pipeline: &run.key.pipeline,
        task: "",
        tags: if run.tags.is_empty() { &pipeline.tags } else { &run.tags },
        owners: if run.owners.is_empty() { &pipeline.owners } else { &run.owners },
    }
}

fn attempt_subject<'a>(run: &'a Run, attempt: &'a Attempt, pipeline: &'a Pipeline) -> Subject<'a> {
    let mut subject = run_subject(run, pipeline);
    subject.task = &attempt.key.task;
    if !attempt.owners.is_empty() {
        subject.owners = &attempt.owners;
    }
    subject
}

fn waits_for(threshold: u32) -> String {
    match threshold {
        1 => "every failure fires it".to_owned(),
        n => format!("{n} failures in a row fire it"),
    }
}

/// The far end's name for a run, else the name it is kept under.
pub(super) fn run_name(run: &Run) -> &str {
    run.run_id.as_deref().unwrap_or(&run.key.run)
}

pub(super) fn run_view(run: &Run, attempt: Option<&Attempt>) -> RunView {
    RunView {
        id: run_name(run).to_owned(),
        task: attempt.map(|attempt| crate::projection::attempt_subject(&attempt.key)),
        try_number: attempt.map(|attempt| attempt.key.try_number),
        url: run.url.clone(),
        log_url: attempt.and_then(|attempt| attempt.log_url.clone()),
        started: attempt.map_or(run.started, |attempt| attempt.started),
        ended: attempt.map_or(run.ended, |attempt| attempt.ended),
        duration_s: attempt.map_or_else(|| run.duration_s(), Attempt::duration_s),
        error: attempt.and_then(|attempt| attempt.error.clone()).or_else(|| run.error.clone()),
    }
}

fn meaning(transition: &Transition) -> String {
    use crate::projection::attempt_title as title;
    match transition {
        Transition::RunStarted(key) => format!("run {} of {} is running", key.run, key.pipeline),
        Transition::RunEnded(key, outcome) => {
            format!("run {} of {} {}", key.run, key.pipeline, outcome.as_str())
        }
        Transition::AttemptFailed(key) => format!("final failure: {}", title(key)),
        Transition::AttemptHeld(key) => format!("{} failed, and may be tried again", title(key)),
        Transition::AttemptRetried(key) => format!("{} was followed by another try", title(key)),
        Transition::AttemptSucceeded(key) => format!("{} succeeded", title(key)),
        Transition::Recorded(text) => text.clone(),
    }
}
