//! A run that must start after a run of another pipeline: a finished build whose DAG run never starts.
//!
//! Invariants: what counts is the far ends' clocks, so it does not matter whose news arrives first; a start satisfies
//! every expectation that is older than it; only a start ends the alert.

use super::deadline::Late;
use super::failure::{run_name, run_subject};
use super::turn::Turn;
use crate::decision::Verdict;
use crate::incident::AlertKey;
use crate::limits;
use crate::pipeline::Pipeline;
use crate::rules::{CompiledExpectation, Rules};
use crate::ruleset::Condition;
use crate::ruleset::expect::Followed;
use crate::run::{Run, RunKey, RunState};
use crate::timer::TimerKey;
use jiff::Timestamp;

impl Turn<'_> {
    /// A run started: what waited for it is satisfied, and what follows starts begins to wait.
    pub(super) fn start_followed(&mut self, rules: &Rules, run: &Run) {
        self.satisfied(rules, run);
        self.expect_after(rules, run, run.started, |outcome| outcome == Followed::Start);
    }

    /// A run ended: what follows its end begins to wait.
    pub(super) fn end_followed(&mut self, rules: &Rules, run: &Run) {
        self.satisfied(rules, run);
        let follows = |outcome| match outcome {
            Followed::Start => false,
            Followed::Success => run.state == RunState::Succeeded,
            Followed::Failed => run.state == RunState::Failed,
            Followed::Any => true,
        };
        self.expect_after(rules, run, run.ended, follows);
    }

    fn expect_after(&mut self, rules: &Rules, run: &Run, at: Option<Timestamp>, follows: impl Fn(Followed) -> bool) {
        let since = at.unwrap_or(self.at);
        for expectation in rules.expectations().iter().filter(|expectation| follows(expectation.outcome)) {
            let Some(pipeline) = self.state.pipeline(&run.key.pipeline_key()) else {
                return;
            };
            let subject = run_subject(run, pipeline);
            if expectation.after.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()).is_none() {
                self.expect(expectation, run, since);
            }
        }
    }

    fn expect(&mut self, expectation: &CompiledExpectation, run: &Run, since: Timestamp) {
        let (rule, pipeline) = (&expectation.rule, &expectation.pipeline);
        let started = self.state.pipeline(pipeline).and_then(|pipeline| pipeline.last_start);
        if let Some(started) = started.filter(|started| *started >= since) {
            self.verdict(rule, Verdict::Passes, format!("{} has started already, at {started}", pipeline.name));
            return;
        }
        if self.state.expected_starts(rule, pipeline).len() >= limits::EXPECTED {
            self.verdict(rule, Verdict::Passes, format!("{} starts are awaited already", limits::EXPECTED));
            return;
        }
        let due = since + expectation.within.0;
        let (rule, pipeline, after) = (rule.clone(), pipeline.clone(), run.key.clone());
        self.follows(format!("a run of {} must start by {due}", pipeline.name));
        self.state.set_timer(TimerKey::Expected { rule, pipeline, since, after }, due.max(self.at));
    }

    /// A run of the expected pipeline is there.
    fn satisfied(&mut self, rules: &Rules, run: &Run) {
        let Some(began) = run.started.or(run.ended) else {
            return;
        };
        let key = run.key.pipeline_key();
        for expectation in rules.expectations().iter().filter(|expectation| expectation.pipeline == key) {
            for check in self.state.expected_starts(&expectation.rule, &key) {
                if matches!(&check, TimerKey::Expected { since, .. } if *since <= began) {
                    self.forget_check(check);
                }
            }
            let alert = AlertKey { pipeline: key.clone(), rule: expectation.rule.as_str().into(), subject: "".into() };
            let since = self.state.alert(&alert).map(|alert| alert.last - expectation.within.0);
            if since.is_some_and(|since| since <= began) {
                let because = format!("run {} of {} started at {began}", run_name(run), key.name);
                self.verdict(&expectation.rule, Verdict::Clears, because.clone());
                self.clear(&alert, &because, &super::incident::Context::default());
            }
        }
    }

    /// The time within which a run should have started is over.
    pub(super) fn not_started(
        &mut self,
        rules: &Rules,
        rule: &str,
        pipeline: &Pipeline,
        since: Timestamp,
        after: &RunKey,
    ) {
        let Some(Condition::ExpectedAfter(expectation)) = rules.rule(rule).map(|rule| &rule.when) else {
            return;
        };
        let name = &pipeline.key.name;
        self.means(format!("a run of {name} should have started after run {} of {}", after.run, after.pipeline));
        if let Some(started) = pipeline.last_start.filter(|started| *started >= since) {
            self.verdict(rule, Verdict::Passes, format!("it started meanwhile, at {started}"));
            return;
        }
        let what = match expectation.outcome {
            Followed::Start => "started",
            Followed::Success => "succeeded",
            Followed::Failed => "failed",
            Followed::Any => "ended",
        };
        let within = expectation.within;
        let title = format!("{name} did not start after {}", after.pipeline);
        let summary = format!(
            "Run {} of {} {what} at {since}; no run of {name} started within {within}",
            after.run, after.pipeline
        );
        self.late(rules, pipeline, &Late { rule, subject: "", title, summary, occurred: since + within.0, run: None });
    }
}
