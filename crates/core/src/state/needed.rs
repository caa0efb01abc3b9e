//! What is loaded: everything at start, and what a batch of inputs refers to that memory has let go.

use super::{CanaryTest, State};
use crate::approval::request::{Approval, Grant};
use crate::automation::set;
use crate::decision::{Alias, Counters};
use crate::duty::absence::Absence;
use crate::duty::schedule::Override;
use crate::event::{Event, Fact};
use crate::ids::{IncidentId, Seq};
use crate::incident::{Alert, Incident};
use crate::input::{Entry, Input};
use crate::job::run::JobRun;
use crate::pipeline::Pipeline;
use crate::ruleset::Ruleset;
use crate::ruleset::noise::{PlannedWork, Silence};
use crate::run::{Attempt, Name, Run, RunUpdate};
use crate::timer::{Timer, TimerKey};
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What the store gives back at start or for [`Needed`].
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Last log entry decided.
    pub cursor: Seq,
    /// Rules in force.
    pub ruleset: Option<Ruleset>,
    /// Counters.
    pub counters: Counters,
    /// Runs.
    pub runs: Vec<Run>,
    /// Attempts of those runs.
    pub attempts: Vec<Attempt>,
    /// Further names.
    pub aliases: Vec<Alias>,
    /// All pipelines.
    pub pipelines: Vec<Pipeline>,
    /// All alerts.
    pub alerts: Vec<Alert>,
    /// Open incidents, and those resolved within `limits::REMEMBER_RESOLVED` of the last one.
    pub incidents: Vec<Incident>,
    /// All timers.
    pub timers: Vec<Timer>,
    /// Overrides of schedules that are not over.
    pub overrides: Vec<Override>,
    /// Silences that are not over.
    pub silences: Vec<Silence>,
    /// Maintenance windows that were made at run time and not ended.
    pub planned_work: Vec<PlannedWork>,
    /// People who have left.
    pub absences: Vec<Absence>,
    /// The last test alert of every connection that is tested.
    pub canaries: Vec<CanaryTest>,
    /// Questions for agreement that are open, or that were asked for.
    pub approvals: Vec<Approval>,
    /// Access that was given and has not ended.
    pub grants: Vec<Grant>,
    /// Runs of jobs that have not ended, or that were asked for.
    pub job_runs: Vec<JobRun>,
    /// Automations with their state.
    pub automations: set::Loaded,
    /// Events that firings may refer to, by position.
    pub events: Vec<(Seq, Event)>,
}

/// What must be loaded before some inputs can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Runs by any of their names: (source, pipeline, run id or alias).
    pub runs: BTreeSet<(Name, Name, Name)>,
    /// Incidents that are not open in memory.
    pub incidents: BTreeSet<IncidentId>,
    /// Events by position, that firings may refer to.
    pub events: BTreeSet<Seq>,
    /// Questions for agreement that are not open in memory.
    pub approvals: BTreeSet<Uuid>,
    /// Runs of jobs that have ended, by id.
    pub job_runs: BTreeSet<Uuid>,
    /// The latest runs of jobs by (job, subject of the caller, key).
    pub job_keys: BTreeSet<(String, String, String)>,
}

impl Needed {
    /// True when nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.approvals.is_empty()
            && self.incidents.is_empty()
            && self.events.is_empty()
            && self.job_runs.is_empty()
            && self.job_keys.is_empty()
    }
}

impl State {
    /// What these inputs refer to that is not in memory.
    #[must_use]
    pub fn needed(&self, entries: &[Entry]) -> Needed {
        let mut needed = Needed::default();
        if let Some(until) = entries.iter().map(|entry| entry.at).max() {
            let due = self.automations.next_due().is_some_and(|due| due <= until);
            let events = if due { self.automations.due_events(until) } else { BTreeSet::new() };
            needed.events = events.into_iter().filter(|seq| !self.events.contains_key(seq)).collect();
        }
        for entry in entries {
            match &entry.input {
                Input::Event(event) => {
                    if let Some(Fact::Run(update)) = &event.fact {
                        self.needed_for(&event.source, update, &mut needed);
                    }
                }
                Input::Command { command, .. } => {
                    let named = command.incident().into_iter().chain(command.other_incident());
                    needed.incidents.extend(named.filter(|id| !self.incidents.contains_key(id)));
                }
                Input::Tick { due, .. } => self.needed_at(*due, &mut needed),
                Input::Outcome(outcome) => {
                    needed.incidents.extend(outcome.incident.filter(|id| !self.incidents.contains_key(id)));
                    let run = outcome.job.as_ref().map(|job| job.run);
                    needed.job_runs.extend(run.filter(|id| self.job_run(*id).is_none()));
                }
                Input::Job { caller, ask } => self.needed_for_job(caller, ask, &mut needed),
                Input::Approval { ask, .. } => {
                    let named = ask.approval().filter(|id| self.approval(*id).is_none());
                    needed.approvals.extend(named);
                }
                Input::Ruleset { .. } | Input::Automations { .. } | Input::Lag { .. } | Input::Duty { .. } => {}
                Input::People { .. } => {}
            }
        }
        needed
    }

    fn needed_at(&self, due: Timestamp, needed: &mut Needed) {
        for (_, key) in self.due.iter().take_while(|(at, _)| *at <= due) {
            let check = match key {
                TimerKey::Deferred { check } => check,
                key => key,
            };
            let run = match check {
                TimerKey::Hold { attempt } => &attempt.run,
                TimerKey::RunLimit { run, .. } | TimerKey::Deadline { run, .. } => run,
                // What the others are about is always in memory.
                _ => continue,
            };
            if !self.runs.contains_key(run) {
                needed.runs.insert((run.source.clone(), run.pipeline.clone(), run.run.clone()));
            }
        }
    }

    fn needed_for(&self, source: &str, update: &RunUpdate, needed: &mut Needed) {
        if self.find_run(source, update).is_some() {
            return;
        }
        let (source, pipeline): (Name, Name) = (source.into(), update.pipeline.as_str().into());
        for name in update.run_id.iter().chain(&update.run_aliases) {
            needed.runs.insert((source.clone(), pipeline.clone(), name.as_str().into()));
        }
    }
}
