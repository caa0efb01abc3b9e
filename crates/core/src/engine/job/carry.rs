//! From the queue to the end of a run: calls through the outbox, and what their outcomes mean.
//!
//! Invariants: one run has at most one row of the outbox that makes its call, and that row repeats the call only where
//! that is safe (`trackside_connect::job` knows); no more runs of a job are called at a time than it allows; the slot of
//! a run is free as soon as it ends. [`JobRun::delivery`] is the row while it has not ended.

use super::super::turn::Turn;
use super::{about, tell};
use crate::decision::AuditDetail;
use crate::input::{DeliveryResult, Outcome};
use crate::job::run::{CallProgress, CallResult, CallStep, ErrorClass, JobCall, JobError, JobRun, RunState};
use crate::timer::TimerKey;
use serde_json::Value;

impl Turn<'_> {
    /// Starts what waits in every queue, after the rules changed.
    pub(in crate::engine) fn start_waiting_jobs(&mut self) {
        for job in self.state.queued_jobs() {
            self.start_queued(&job);
        }
    }

    /// Calls the runs of a job that have waited longest, as many as it allows at a time.
    pub(super) fn start_queued(&mut self, job: &str) {
        let configured = self.rules().and_then(|rules| rules.source().jobs.get(job).map(|spec| spec.concurrency));
        while let Some(run) = self.state.first_queued(job).cloned() {
            let most = configured.unwrap_or(run.spec.concurrency);
            if most.is_some_and(|most| self.state.running_of(job) >= most as usize) {
                return;
            }
            self.call_job(run);
        }
    }

    fn call_job(&mut self, mut run: JobRun) {
        run.state = RunState::Running;
        run.started = Some(self.at);
        let delivery = self.job_row(&run, CallStep::Run);
        run.delivery = Some(delivery);
        let summary = format!("run {} of {} is called", run.id, run.job);
        self.audit_run(run.id, "job.called", summary, Some(delivery), about(&run));
        self.follows(format!("run {} of {} is called through {}", run.id, run.job, run.spec.target.connection()));
        self.job_started(&run);
        self.state.put_job_run(run);
    }

    fn job_row(&mut self, run: &JobRun, step: CallStep) -> crate::ids::DeliveryId {
        let stop = matches!(step, CallStep::Cancel { .. });
        let key = if stop { format!("{}-stop", run.call_key) } else { run.call_key.clone() };
        let call = JobCall {
            run: run.id,
            job: run.job.clone(),
            spec: run.spec.clone(),
            input: if stop { Value::Null } else { run.input.clone() },
            caller: run.caller.clone(),
            step,
            deadline: run.deadline,
        };
        let connection = run.spec.target.connection().to_owned();
        self.job_effect(&connection, &key, call, tell::notice(run, self.at))
    }

    /// The row of a call ended.
    pub(in crate::engine) fn job_call_ended(&mut self, outcome: &Outcome) {
        let Some(job) = &outcome.job else { return };
        let Some(mut run) = self.state.job_run(job.run).cloned() else { return };
        if job.step != CallStep::Run {
            return self.job_stop_ended(&run, outcome);
        }
        if run.delivery != Some(outcome.delivery) {
            return;
        }
        self.means(format!("the call of run {} of {} ended", run.id, run.job));
        let progress = CallProgress::read(outcome.far_ref.as_deref());
        run.delivery = None;
        run.calls = progress.calls.max(run.calls);
        run.far_ref = progress.location.or(run.far_ref);
        // What the far end accepted goes on there when nobody asks any more.
        let mut in_doubt = job.in_doubt || (job.result.is_none() && run.far_ref.is_some());
        let mut result = job.result.clone().unwrap_or_else(|| unanswered(outcome, in_doubt));
        if run.repeats() {
            in_doubt |= leaves_open(&mut result);
        }
        if !run.state.ended() {
            run.in_doubt = in_doubt;
            return self.job_result(run, &result, "its call was answered");
        }
        self.late_outcome(run, &result, in_doubt);
    }

    /// The run ended while its call was under way: it was given up, called back, or settled. Only of one that was given
    /// up does the answer say something new.
    fn late_outcome(&mut self, mut run: JobRun, result: &CallResult, in_doubt: bool) {
        if matches!(run.state, RunState::Succeeded | RunState::Failed | RunState::Denied) {
            self.follows(format!(
                "how run {} of {} ended was known before; it {}",
                run.id,
                run.job,
                tell::ended_as(run.state)
            ));
            return self.state.put_job_run(run);
        }
        let known = match result {
            CallResult::Succeeded { .. } => true,
            CallResult::Failed { error } => !matches!(error.class, ErrorClass::Unknown | ErrorClass::Cancelled),
            CallResult::Accepted => false,
        };
        if known && !in_doubt && run.state != RunState::Cancelled {
            return self.correct_job(run, result, "its call was answered late");
        }
        run.in_doubt = in_doubt || matches!(result, CallResult::Accepted | CallResult::Succeeded { .. });
        run.in_doubt |= run.far_ref.is_some();
        let text = match (run.in_doubt, result) {
            (_, CallResult::Succeeded { .. }) => "the call had been carried out before it could be stopped",
            (true, _) => "whether the call was carried out is not known",
            (false, _) => "the call was not carried out",
        };
        let text = format!("run {} of {} had been given up; {text}", run.id, run.job);
        let outcome = if run.in_doubt { "unknown" } else { "failed" };
        self.audit_run(run.id, "job.late", text.clone(), None, about(&run).came_out(outcome));
        self.follows(text);
        self.stop_at_far_end(&mut run);
        self.state.put_job_run(run);
    }

    /// Tells the far end to stop, where it said what it calls the work.
    pub(super) fn stop_at_far_end(&mut self, run: &mut JobRun) {
        let Some(far_ref) = run.far_ref.clone() else { return };
        let delivery = self.job_row(run, CallStep::Cancel { far_ref });
        let summary = format!("the far end of run {} is told to stop", run.id);
        self.audit_run(run.id, "job.stop_asked", summary, Some(delivery), about(run));
        self.follows("its far end is told to stop");
    }

    fn job_stop_ended(&mut self, run: &JobRun, outcome: &Outcome) {
        let text = match &outcome.result {
            DeliveryResult::Delivered => format!("the far end of run {} was told to stop", run.id),
            DeliveryResult::Dead { error } => {
                format!("the far end of run {} could not be told to stop: {error}", run.id)
            }
            DeliveryResult::Superseded { why } => format!("the far end of run {} need not stop: {why}", run.id),
        };
        let mut detail = about(run);
        if let DeliveryResult::Dead { .. } = outcome.result {
            detail = detail.came_out("failed");
        }
        self.audit_run(run.id, "job.stopped", text.clone(), Some(outcome.delivery), detail);
        self.follows(text);
    }

    /// What the call came to, of a run that has not ended.
    pub(super) fn job_result(&mut self, mut run: JobRun, result: &CallResult, because: &str) {
        match result {
            CallResult::Succeeded { output } => {
                run.in_doubt = false;
                self.follows(because);
                self.end_job(run, RunState::Succeeded, Some(output.clone()), None);
            }
            CallResult::Failed { error } if error.class == ErrorClass::Unknown => {
                run.in_doubt = true;
                self.end_job(run, RunState::Unknown, None, Some(error.clone()));
            }
            CallResult::Failed { error } => {
                run.in_doubt = false;
                self.follows(because);
                self.end_job(run, RunState::Failed, None, Some(error.clone()));
            }
            CallResult::Accepted => {
                let summary = format!("run {} of {}: the far end will call back", run.id, run.job);
                self.audit_run(run.id, "job.accepted", summary, None, about(&run));
                self.follows("the far end works on it and will call back");
                self.state.put_job_run(run);
            }
        }
    }

    /// What became of a call is known at last.
    pub(super) fn correct_job(&mut self, mut run: JobRun, result: &CallResult, because: &str) {
        let (state, output, error) = match result {
            CallResult::Succeeded { output } => (RunState::Succeeded, Some(output.clone()), None),
            CallResult::Failed { error } => (RunState::Failed, None, Some(error.clone())),
            CallResult::Accepted => return self.state.put_job_run(run),
        };
        let text = format!("run {} of {} {}: {because}", run.id, run.job, tell::ended_as(state));
        run.in_doubt = false;
        (run.state, run.output, run.error) = (state, output, error);
        self.audit_run(run.id, "job.settled", text.clone(), None, ended(&run));
        self.follows(text);
        self.job_ended(&run);
        self.state.put_job_run(run);
    }

    /// Ends a run, and lets the next one of its job start.
    pub(super) fn end_job(&mut self, mut run: JobRun, state: RunState, output: Option<Value>, error: Option<JobError>) {
        assert!(!run.state.ended(), "a run ends once");
        self.state.clear_timer(&TimerKey::JobDeadline { run: run.id });
        (run.state, run.ended, run.output, run.error) = (state, Some(self.at), output, error);
        let why = run.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
        let text = format!("run {} of {} {}{why}", run.id, run.job, tell::ended_as(state));
        self.audit_run(run.id, &format!("job.{}", state.as_str()), text.clone(), run.delivery, ended(&run));
        self.follows(text);
        self.job_ended(&run);
        let job = run.job.clone();
        self.state.put_job_run(run);
        self.start_queued(&job);
    }
}

/// What an audit row about the end of a run says of it.
fn ended(run: &JobRun) -> AuditDetail {
    let outcome = match run.state {
        RunState::Succeeded => "done",
        RunState::Denied => "refused",
        _ if run.in_doubt => "unknown",
        // Who cancels a run has what they asked for.
        RunState::Cancelled => "done",
        _ => "failed",
    };
    let mut detail = AuditDetail { begun: run.started, ..about(run).came_out(outcome) };
    detail.facts.insert("calls".to_owned(), run.calls.to_string());
    detail.facts.extend(run.error.as_ref().map(|error| ("error".to_owned(), error.class.as_str().to_owned())));
    detail
}

/// Whether a result says nothing of the run before, which may have made the same call: only an answer to the call itself
/// does. Such a result becomes an unknown one.
fn leaves_open(result: &mut CallResult) -> bool {
    use ErrorClass::{Cancelled, Internal, Refused, Unauthenticated, Unavailable};
    let CallResult::Failed { error } = result else { return false };
    let open = matches!(error.class, Cancelled | Internal | Refused | Unauthenticated | Unavailable);
    if open {
        error.class = ErrorClass::Unknown;
        error.message.push_str("; whether the run before it was carried out is not known");
    }
    open
}

/// What a row that ended without a result means: it was superseded, or its end says no more than its error.
fn unanswered(outcome: &Outcome, in_doubt: bool) -> CallResult {
    let (class, message) = match &outcome.result {
        DeliveryResult::Superseded { why } if in_doubt => (ErrorClass::Unknown, why.clone()),
        DeliveryResult::Superseded { why } => (ErrorClass::Cancelled, why.clone()),
        DeliveryResult::Dead { error } if in_doubt => (ErrorClass::Unknown, error.clone()),
        DeliveryResult::Dead { error } => (ErrorClass::Unavailable, error.clone()),
        DeliveryResult::Delivered => (ErrorClass::Internal, "the call left no result".to_owned()),
    };
    CallResult::Failed { error: JobError { class, message, status: outcome.status } }
}
