//! What is told of runs of jobs: run events, which make them runs like all others, and words for people.
//!
//! Invariant: the source is [`SOURCE`], the pipeline the job, the run's name its id, so that rules, alerts, deadlines
//! and figures apply to jobs as to everything else.

use super::super::turn::Turn;
use crate::event::{Event, Fact, Labels, RESOURCE_ID, RESOURCE_NAME, Severity};
use crate::ids::{EventId, derive};
use crate::job::SOURCE;
use crate::job::run::{JobRun, RunState};
use crate::limits;
use crate::notice::{Notice, OwnerView};
use crate::run::{RunReport, RunUpdate, System};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;

impl Turn<'_> {
    pub(super) fn job_waits(&mut self, run: &JobRun) {
        self.tell_job(run, RunReport::Scheduled, run.state.as_str());
    }

    pub(super) fn job_started(&mut self, run: &JobRun) {
        self.tell_job(run, RunReport::Started, "started");
    }

    pub(super) fn job_ended(&mut self, run: &JobRun) {
        let report = match run.state {
            RunState::Succeeded => RunReport::Succeeded,
            RunState::Cancelled | RunState::Denied => RunReport::Cancelled,
            _ => RunReport::Failed,
        };
        self.tell_job(run, report, run.state.as_str());
    }

    fn tell_job(&mut self, run: &JobRun, report: RunReport, word: &str) {
        let error = run.error.as_ref().map(|error| {
            let text = &error.message;
            text[..text.floor_char_boundary(limits::ERROR_BYTES)].to_owned()
        });
        let update = RunUpdate {
            system: System::Other,
            pipeline: run.job.clone(),
            run_id: Some(run.id.to_string()),
            run_aliases: Vec::new(),
            attempt: None,
            report,
            started: run.started,
            ended: run.ended.map(|_| self.at),
            nominal: None,
            error,
            owners: run.spec.owner.iter().cloned().collect(),
            tags: Vec::new(),
            url: None,
            log_url: None,
            doc: None,
            clear_number: 0,
            rows: None,
            task_states: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            deadlines: Vec::new(),
        };
        let resource = Labels::from([
            (RESOURCE_ID.to_owned(), format!("trackside.job.{}", run.job)),
            (RESOURCE_NAME.to_owned(), run.job.clone()),
        ]);
        let payload = json!({
            "run": run.id, "attempt": run.attempt, "calls": run.calls, "caller": run.caller.subject,
            "behalf": run.caller.behalf, "origin": run.origin, "key": run.key,
            "error_class": run.error.as_ref().map(|error| error.class),
        });
        self.emit(Event {
            id: EventId(derive("job-event", &[&run.id.to_string(), word, &self.seq.to_string()])),
            source: SOURCE.to_owned(),
            occurred: self.at,
            received: self.at,
            event: format!("trackside.job.{word}"),
            resource,
            related: Vec::new(),
            payload,
            follows: None,
            fact: Some(Fact::Run(Box::new(update))),
        });
    }
}

/// How it ended, to follow its name.
pub(super) fn ended_as(state: RunState) -> &'static str {
    match state {
        RunState::AwaitingApproval => "waits for approval",
        RunState::Queued => "waits for its turn",
        RunState::Running => "is running",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::Cancelled => "was cancelled",
        RunState::Denied => "was denied",
        RunState::TimedOut => "timed out",
        RunState::Unknown => "ended with its outcome unknown",
    }
}

/// What the page of the delivery says.
pub(super) fn notice(run: &JobRun, at: Timestamp) -> Notice {
    let who = &run.caller.subject;
    Notice::plain(
        format!("job {}", run.job),
        format!("run {} for {who}, attempt {}", run.id, run.attempt),
        Severity::Info,
        at,
        OwnerView { team: run.spec.owner.clone().unwrap_or_default(), because: format!("{who} asked for it") },
    )
}
