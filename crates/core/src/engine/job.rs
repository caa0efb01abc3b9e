//! Runs of jobs: asked for, agreed to, ended by hand, settled. How they are carried out is in [`carry`], what is told
//! of them in [`tell`].
//!
//! Invariants: the same (job, caller, key) attaches to its run while that has not ended, and replays it afterwards; it
//! runs again only for a higher attempt of the caller's task, as a run of its own that names the one before
//! ([`JobRun::again`] says when). A run works with the job as it was when it was asked for. A run ends once; what is
//! learnt later about a call whose outcome was not known corrects how it ended, and nothing else does.

mod carry;
mod tell;

use super::turn::Turn;
use crate::approval::request::Subject;
use crate::approval::rule::ApprovalChoice;
use crate::decision::AuditDetail;
use crate::input::JobAsk;
use crate::job::run::{Again, CallResult, ErrorClass, JobError, JobRequest, JobRun, RunState, digest};
use crate::job::spec::JobSpec;
use crate::job::{CONFLICT, LIMITED, REFUSED, UNEXPLAINED};
use crate::limits;
use crate::timer::TimerKey;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

impl Turn<'_> {
    /// Somebody wants a run to start or to end, or says how one ended.
    pub(super) fn on_job(&mut self, ask: &JobAsk) {
        let who = self.caller.subject.clone();
        match ask {
            JobAsk::Start(request) => {
                self.means(format!("{who} asks to run job {}", request.job));
                self.job_asked_for(request);
            }
            JobAsk::Cancel { run } => {
                self.means(format!("{who} cancels a run"));
                self.with_job_run(*run, "cancel", |turn, run| turn.cancel_job(run));
            }
            JobAsk::Called { run, result } => {
                self.means("the far end called back");
                self.with_job_run(*run, "callback", |turn, run| turn.job_called_back(run, result));
            }
            JobAsk::Settle { run, result } => {
                self.means(format!("{who} settles a run"));
                self.with_job_run(*run, "settle", |turn, run| turn.settle_job(run, result));
            }
        }
    }

    /// Enough have agreed to a run that waited for it. Its time begins now.
    pub(super) fn job_approved(&mut self, run: Uuid) {
        let Some(mut run) = self.job_run(run).filter(|run| run.state == RunState::AwaitingApproval) else {
            return;
        };
        run.deadline = self.job_deadline(&run.spec);
        self.follows(format!("run {} of {} may start", run.id, run.job));
        self.enqueue_job(run);
    }

    /// A run that waited for agreement does not get it: somebody said no, or nobody said yes in time.
    pub(super) fn job_denied(&mut self, run: Uuid, class: ErrorClass, why: &str) {
        let Some(mut run) = self.job_run(run).filter(|run| run.state == RunState::AwaitingApproval) else {
            return;
        };
        run.in_doubt = run.repeats();
        let error = JobError { class, message: why.to_owned(), status: None };
        self.end_job(run, RunState::Denied, None, Some(error));
    }

    /// The time of a run is over.
    pub(super) fn job_timed_out(&mut self, run: Uuid) {
        let Some(run) = self.job_run(run).filter(|run| !run.state.ended()) else {
            return;
        };
        self.means(format!("run {} of {} has taken as long as it may", run.id, run.job));
        let sent = run.started.is_some();
        let tail = if sent { "what became of its call is not known yet" } else { "it was still waiting for its turn" };
        let error =
            JobError { class: ErrorClass::TimedOut, message: format!("not done in time; {tail}"), status: None };
        self.stop_job(run, RunState::TimedOut, error);
    }

    fn job_run(&self, id: Uuid) -> Option<JobRun> {
        self.state.job_run(id).cloned()
    }

    fn with_job_run(&mut self, id: Uuid, what: &str, act: impl FnOnce(&mut Self, JobRun)) {
        match self.job_run(id) {
            Some(run) => act(self, run),
            None => {
                let why = format!("{what}: there is no run {id}");
                self.audit_refused(REFUSED, why.clone(), None);
                self.follows(format!("refused: {why}"));
            }
        }
    }

    /// A run is not started.
    fn refuse_job(&mut self, action: &str, job: &str, why: &str) {
        self.audit_refused(action, why, Some(format!("job:{job}")));
        self.follows(format!("refused: {why}"));
    }

    /// Something is not done with a run.
    fn refuse_run(&mut self, action: &str, run: &JobRun, why: &str) {
        self.audit_run(run.id, action, why, None, about(run).came_out("refused"));
        self.follows(format!("refused: {why}"));
    }

    fn job_asked_for(&mut self, request: &JobRequest) {
        let spec = self.rules().and_then(|rules| rules.source().jobs.get(&request.job).cloned());
        let Some(spec) = spec else {
            return self.refuse_job(REFUSED, &request.job, &format!("there is no job `{}`", request.job));
        };
        let known = request.key.as_deref().and_then(|key| {
            let run = self.state.job_run_of(&request.job, &self.caller.subject, key)?;
            (run.key_kept_until() > self.at).then(|| run.clone())
        });
        match known {
            None => self.new_job_run(request, spec, None),
            Some(known) => self.job_asked_again(request, spec, known),
        }
    }

    /// The key was used before: attach, replay, run again, or refuse.
    fn job_asked_again(&mut self, request: &JobRequest, spec: JobSpec, mut known: JobRun) {
        if digest(&request.input) != known.input_digest {
            let why = format!("the key belongs to run {} of {}, which has another input", known.id, known.job);
            return self.refuse_run(CONFLICT, &known, &why);
        }
        let (id, job) = (known.id, known.job.clone());
        if !known.state.ended() {
            let text = format!("attached to run {id} of {job}, which is {}", known.state.as_str());
            known.attempt = known.attempt.max(request.attempt);
            self.audit_run(id, "job.attached", text.clone(), None, about(&known));
            self.state.put_job_run(known);
            return self.follows(text);
        }
        let again = known.again(&spec.target);
        if request.attempt > known.attempt && again != Again::No {
            return self.new_job_run(request, spec, Some((known, again)));
        }
        let mut text = format!("run {id} of {job} is replayed; it {}", tell::ended_as(known.state));
        if request.attempt > known.attempt && known.in_doubt {
            text.push_str("; whether its call was carried out is not known, so it is not repeated until it is settled");
        }
        self.audit_run(id, "job.replayed", text.clone(), None, about(&known));
        self.follows(text);
    }

    fn new_job_run(&mut self, request: &JobRequest, spec: JobSpec, previous: Option<(JobRun, Again)>) {
        if request.justification.is_none()
            && spec.approval.as_ref().is_some_and(|choice| self.wants_to_know_why(choice))
        {
            let why = format!("a run of {} needs a justification for whoever approves it", request.job);
            return self.refuse_job(UNEXPLAINED, &request.job, &why);
        }
        if let Some(why) = self.no_room_for_job(request, &spec) {
            return self.refuse_job(LIMITED, &request.job, &why);
        }
        let call_key = match &previous {
            Some((previous, Again::SameKey)) => previous.call_key.clone(),
            _ => format!("{}-{}", request.run, request.attempt),
        };
        let run = JobRun {
            id: request.run,
            seq: self.seq,
            job: request.job.clone(),
            key: request.key.clone(),
            deadline: self.job_deadline(&spec),
            input: request.input.clone(),
            input_digest: digest(&request.input),
            caller: self.caller.clone(),
            justification: request.justification.clone(),
            origin: request.origin.clone(),
            state: RunState::AwaitingApproval,
            attempt: request.attempt,
            calls: 0,
            created: self.at,
            started: None,
            ended: None,
            approval: None,
            delivery: None,
            far_ref: None,
            output: None,
            error: None,
            previous: previous.as_ref().map(|(previous, _)| previous.id),
            call_key,
            in_doubt: false,
            spec: Arc::new(spec),
        };
        let again = previous.map_or_else(String::new, |(previous, _)| format!(", again after run {}", previous.id));
        let summary = format!("run {} of {} asked for{again}", run.id, run.job);
        let mut detail = about(&run);
        detail.facts.insert("input".to_owned(), run.input_digest.clone());
        self.audit_run(run.id, "job.asked", summary, None, detail);
        match run.spec.approval.clone() {
            Some(choice) => self.await_approval(run, &choice, &request.known_as),
            None => self.enqueue_job(run),
        }
    }

    fn no_room_for_job(&self, request: &JobRequest, spec: &JobSpec) -> Option<String> {
        let most = spec.per_caller.unwrap_or(limits::JOB_RUNS_PER_CALLER) as usize;
        let (job, who) = (&request.job, &self.caller.subject);
        if self.state.unfinished_of_caller(job, who) >= most {
            return Some(format!("{who} has {most} unfinished runs of {job} already; wait until one has ended"));
        }
        if spec.approval.is_some() && self.has_no_room_to_ask() {
            return Some("too many questions for agreement are open; wait until some are decided".to_owned());
        }
        let full = self.state.unfinished_job_runs() >= limits::JOB_RUNS;
        full.then(|| format!("{} runs of jobs are unfinished; wait until some have ended", limits::JOB_RUNS))
    }

    fn job_deadline(&self, spec: &JobSpec) -> jiff::Timestamp {
        let timeout = spec.timeout.map_or(limits::JOB_TIMEOUT, |span| span.0);
        self.at.saturating_add(timeout).unwrap_or(jiff::Timestamp::MAX)
    }

    fn cancel_job(&mut self, run: JobRun) {
        if run.state.ended() {
            let why = format!("run {} of {} has ended already; it {}", run.id, run.job, tell::ended_as(run.state));
            return self.refuse_run(REFUSED, &run, &why);
        }
        let by = self.caller.subject.clone();
        let tail = if run.started.is_some() { "; its call may have been carried out" } else { " before it was called" };
        let message = format!("cancelled by {by}{tail}");
        self.stop_job(run, RunState::Cancelled, JobError { class: ErrorClass::Cancelled, message, status: None });
    }

    /// The far end says how it ended. It counts also when the run was given up meanwhile.
    fn job_called_back(&mut self, run: JobRun, result: &CallResult) {
        match run.state {
            RunState::Running => self.job_result(run, result, "the far end called back"),
            RunState::TimedOut | RunState::Unknown => {
                let (id, key) = (run.id, run.call_key.clone());
                self.correct_job(run, result, "the far end called back late");
                self.job_repeated_by(id, &key, result);
            }
            state => {
                let why = format!("run {} of {} expects no callback; it {}", run.id, run.job, tell::ended_as(state));
                self.refuse_run(REFUSED, &run, &why);
            }
        }
    }

    /// A far end that honours keys calls back once: for the run that asked first. What it says goes for the run that
    /// repeats that call, too.
    fn job_repeated_by(&mut self, first: Uuid, key: &str, result: &CallResult) {
        let repeats = |run: &&JobRun| run.previous == Some(first) && run.call_key == key;
        let waiting = self.state.job_runs().find(|run| repeats(run) && run.state == RunState::Running).cloned();
        if let Some(run) = waiting {
            self.job_result(run, result, "the far end called back for the run before, which made the same call");
        }
    }

    /// Somebody looked. Only what is not known can be settled.
    fn settle_job(&mut self, run: JobRun, result: &CallResult) {
        let open = matches!(run.state, RunState::Unknown | RunState::TimedOut | RunState::Cancelled);
        if !open || !(run.in_doubt || run.state == RunState::Unknown) {
            let state = run.state.as_str();
            let why =
                format!("run {} of {} is {state}; only a run whose outcome is not known is settled", run.id, run.job);
            return self.refuse_run(REFUSED, &run, &why);
        }
        if matches!(result, CallResult::Accepted) {
            return self.refuse_run(REFUSED, &run, "settle: say that it succeeded or that it failed");
        }
        let by = format!("settled by {}", self.caller.subject);
        self.correct_job(run, result, &by);
    }

    fn await_approval(&mut self, mut run: JobRun, choice: &ApprovalChoice, known_as: &BTreeSet<String>) {
        let subject = Subject::JobRun { run: run.id, job: run.job.clone() };
        run.approval = Some(self.ask_approval(subject, choice, run.justification.clone(), known_as));
        self.job_waits(&run);
        self.state.put_job_run(run);
    }

    /// Ends a run before its call has ended.
    fn stop_job(&mut self, mut run: JobRun, state: RunState, error: JobError) {
        run.in_doubt = run.started.is_some() || run.repeats();
        let asked = run.approval.filter(|_| run.state == RunState::AwaitingApproval);
        let why = error.message.clone();
        // A call that ended as accepted is not under way at our end: only its far end can stop.
        if run.delivery.is_none() {
            self.stop_at_far_end(&mut run);
        }
        self.end_job(run, state, None, Some(error));
        if let Some(approval) = asked {
            self.withdraw_approval(approval, &why);
        }
    }
}

impl Turn<'_> {
    /// Puts a run into the queue of its job, and starts what may.
    fn enqueue_job(&mut self, mut run: JobRun) {
        run.state = RunState::Queued;
        self.state.set_timer(TimerKey::JobDeadline { run: run.id }, run.deadline);
        let (id, job) = (run.id, run.job.clone());
        self.state.put_job_run(run);
        self.start_queued(&job);
        if let Some(run) = self.job_run(id).filter(|run| run.state == RunState::Queued) {
            self.follows(format!("run {id} of {job} waits for its turn"));
            self.job_waits(&run);
        }
    }
}

/// What an audit row about a run says of it.
fn about(run: &JobRun) -> AuditDetail {
    AuditDetail { approval: run.approval, ..AuditDetail::about(format!("job:{}", run.job)) }
}
