//! Rules about time: what is watched by a timer, and what happens when it is due.
//!
//! Invariants: a timer is never set before the input that sets it; a watched pipeline has exactly one timer per rule
//! (or, for `missing`, a firing alert instead). Setting timers twice changes nothing.

use super::failure::{pipeline_subject, run_name, run_subject, run_view};
use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::Verdict;
use crate::incident::AlertKey;
use crate::owner;
use crate::pipeline::Pipeline;
use crate::projection::Transition;
use crate::rules::{Matcher, Rules};
use crate::ruleset::{Condition, Day, Rule, Span};
use crate::run::{AttemptKey, HEARTBEAT_SOURCE, PipelineKey, Run, RunKey, RunState, System};
use crate::timer::{Timer, TimerKey};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

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
            TimerKey::RunLimit { rule, run } => self.run_limit(rule, run),
            TimerKey::Missing { rule, pipeline } => self.missing(rule, pipeline),
            TimerKey::Fresh { rule, pipeline } => self.fresh(rule, pipeline, timer.due),
            TimerKey::ReportEnds { alert } => {
                self.means(format!("the report `{}` ended by itself", alert.pipeline.name));
                self.clear(alert, "its sender said it would end by now", &Context::default());
            }
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
            .filter(|key| match key {
                TimerKey::RunLimit { rule, .. } | TimerKey::Missing { rule, .. } | TimerKey::Fresh { rule, .. } => {
                    !unchanged(rule)
                }
                _ => false,
            })
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
    }

    /// Sets the missing timers of one pipeline.
    pub(super) fn watch_pipeline(&mut self, rules: &Rules, key: &PipelineKey) {
        let Some(pipeline) = self.state.pipeline(key).cloned() else {
            return;
        };
        for (matcher, rule) in rules.rules() {
            let timer = match &rule.when {
                Condition::Missing { .. } => TimerKey::Missing { rule: rule.name.clone(), pipeline: key.clone() },
                Condition::NotFreshBy { .. } => TimerKey::Fresh { rule: rule.name.clone(), pipeline: key.clone() },
                _ => continue,
            };
            let alert = AlertKey { pipeline: key.clone(), rule: rule.name.as_str().into(), subject: "".into() };
            let fires = self.state.alert(&alert).is_some();
            if self.state.timer(&timer).is_some() || !applies(rules, matcher, &pipeline) {
                continue;
            }
            match &rule.when {
                Condition::Missing { every, grace } if !fires => {
                    let since = pipeline.last_success.unwrap_or(self.at);
                    self.set_timer_after(timer, since + every.0 + grace.0);
                }
                Condition::NotFreshBy { time, zone, days, .. } => {
                    if let Some(due) = next_local(self.at, time, zone, days) {
                        self.state.set_timer(timer, due);
                    }
                }
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

    fn run_limit(&mut self, rule: &str, key: &RunKey) {
        let Some(run) = self.state.run(key).filter(|run| run.state == RunState::Running).cloned() else {
            return;
        };
        let limit = self.rules().and_then(|rules| match &rules.rule(rule)?.when {
            Condition::RunsLongerThan(limit) => Some(*limit),
            _ => None,
        });
        let (Some(limit), Some(pipeline)) = (limit, self.state.pipeline(&key.pipeline_key()).cloned()) else {
            return;
        };
        self.means(format!("run {} of {} takes longer than {limit}", key.run, key.pipeline));
        let title = format!("{} takes longer than {limit}", key.pipeline);
        let summary = format!("Run {} is still running after {limit}", run_name(&run));
        self.fire_for(rule, &pipeline, title, summary, Some(&run));
    }

    fn missing(&mut self, rule: &str, key: &PipelineKey) {
        let Some(pipeline) = self.state.pipeline(key).cloned() else {
            return;
        };
        self.means(format!("{} has not succeeded in time", key.name));
        let last = pipeline
            .last_success
            .map_or_else(|| "it has not succeeded yet".to_owned(), |last| format!("last success {last}"));
        let title = format!("{} is missing", key.name);
        self.fire_for(rule, &pipeline, title, format!("No success in time; {last}"), None);
    }

    fn fresh(&mut self, rule: &str, key: &PipelineKey, due: Timestamp) {
        let Some(rules) = self.rules() else {
            return;
        };
        let (Some(pipeline), Some(found)) = (self.state.pipeline(key).cloned(), rules.rule(rule)) else {
            return;
        };
        let Condition::NotFreshBy { time, zone, days, max_age } = &found.when else {
            return;
        };
        if let Some(next) = next_local(due, time, zone, days) {
            self.state.set_timer(TimerKey::Fresh { rule: rule.to_owned(), pipeline: key.clone() }, next);
        }
        let since = fresh_since(due, zone, *max_age);
        self.means(format!("{} is due by {time} {zone}", key.name));
        if pipeline.last_success >= Some(since) {
            self.verdict(rule, Verdict::Passes, format!("it succeeded after {since}"));
            return;
        }
        let last = pipeline.last_success.map_or_else(|| "never".to_owned(), |last| last.to_string());
        let title = format!("{} is not fresh by {time}", key.name);
        self.fire_for(
            rule,
            &pipeline,
            title,
            format!("No success since {since} by {time} {zone}; last success {last}"),
            None,
        );
    }

    fn fire_for(&mut self, rule: &str, pipeline: &Pipeline, title: String, summary: String, run: Option<&Run>) {
        let Some(rules) = self.rules() else {
            return;
        };
        let Some(found) = rules.rule(rule) else {
            return;
        };
        let subject = run.map_or_else(|| pipeline_subject(pipeline), |run| run_subject(run, pipeline));
        let owner = owner::resolve(&rules, &subject);
        self.owned_by(&owner);
        let firing = Firing {
            key: AlertKey { pipeline: pipeline.key.clone(), rule: rule.into(), subject: "".into() },
            severity: severity(&rules, found, pipeline),
            threshold: 1,
            title,
            summary: summary.clone(),
            occurred: self.at,
            owner,
            run_name: run.map(|run| run.key.run.clone()),
            labels: BTreeMap::new(),
            context: Context { run: run.map(|run| run_view(run, None)), ..Context::default() },
        };
        let verdict = self.fire(&rules, &firing);
        self.verdict(rule, verdict, summary);
    }
}

fn severity(rules: &Rules, rule: &Rule, pipeline: &Pipeline) -> crate::event::Severity {
    Rules::severity(rule, rules.tier(&pipeline_subject(pipeline)))
}

fn applies(rules: &Rules, matcher: &Matcher, pipeline: &Pipeline) -> bool {
    let subject = pipeline_subject(pipeline);
    matcher.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()).is_none()
}

/// The next instant after `after` at which clocks in `zone` show `time` on one of `days`.
/// A time that a clock change skips means the offset before the gap; one that comes twice means the first.
fn next_local(after: Timestamp, time: &str, zone: &str, days: &[Day]) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let time = jiff::civil::Time::strptime("%H:%M", time).ok()?;
    let mut date = after.to_zoned(zone.clone()).date();
    // Eight days reach the same weekday again, even when today's time has passed.
    for _ in 0..=8 {
        if (days.is_empty() || days.contains(&day(date.weekday())))
            && let Ok(due) = date.to_datetime(time).to_zoned(zone.clone())
            && due.timestamp() > after
        {
            return Some(due.timestamp());
        }
        date = date.tomorrow().ok()?;
    }
    None
}

fn fresh_since(due: Timestamp, zone: &str, max_age: Option<Span>) -> Timestamp {
    if let Some(age) = max_age {
        return due - age.0;
    }
    let midnight = TimeZone::get(zone).ok().and_then(|zone| due.to_zoned(zone).start_of_day().ok());
    midnight.map_or(due, |midnight| midnight.timestamp())
}

fn day(weekday: Weekday) -> Day {
    match weekday {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(after: &str, time: &str, zone: &str, days: &[Day], expect: &str) {
        let due = next_local(after.parse().unwrap(), time, zone, days);
        assert_eq!(due.map(|due| due.to_string()).unwrap_or_default(), expect);
    }

    #[test]
    fn local_deadlines_follow_the_clock_on_the_wall() {
        check("2026-11-20T05:00:00Z", "07:00", "Europe/Paris", &[], "2026-11-20T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", "Europe/Paris", &[], "2026-11-21T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", "Europe/Paris", &[Day::Mon], "2026-11-23T06:00:00Z");
        check("2026-11-20T05:59:59Z", "07:00", "Europe/Paris", &[Day::Fri], "2026-11-20T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", "Europe/Paris", &[Day::Fri], "2026-11-27T06:00:00Z");
        // The hour that does not exist, and the one that comes twice.
        check("2026-03-28T12:00:00Z", "02:30", "Europe/Paris", &[], "2026-03-29T01:30:00Z");
        check("2026-10-24T12:00:00Z", "02:30", "Europe/Paris", &[], "2026-10-25T00:30:00Z");
    }
}
