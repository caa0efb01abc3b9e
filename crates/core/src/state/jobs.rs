//! Runs of jobs in the state: those that have not ended, and those that were loaded because an input names them.
//!
//! Invariants: a run is in the queue of its job exactly while it is queued, and among the running exactly while it
//! runs; a key leads to its latest run; what ended is let go of after its batch was committed.

use super::{Dirty, Needed, State};
use crate::caller::Caller;
use crate::ids::Seq;
use crate::input::JobAsk;
use crate::job::run::{JobRun, RunState};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// (job, subject of the caller, key).
type Key = (String, String, String);

/// Runs by identity, with what finds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    pub(super) runs: BTreeMap<Uuid, Box<JobRun>>,
    keys: BTreeMap<Key, Uuid>,
    queues: BTreeMap<String, BTreeSet<(Seq, Uuid)>>,
    running: BTreeMap<String, BTreeSet<Uuid>>,
    /// Unfinished runs as (job, subject, id).
    callers: BTreeSet<(String, String, Uuid)>,
    ended: BTreeSet<Uuid>,
}

impl Jobs {
    fn keep(&mut self, run: JobRun) {
        let place = (run.seq, run.id);
        let queue = self.queues.entry(run.job.clone()).or_default();
        if run.state == RunState::Queued {
            queue.insert(place)
        } else {
            queue.remove(&place)
        };
        if queue.is_empty() {
            self.queues.remove(&run.job);
        }
        let running = self.running.entry(run.job.clone()).or_default();
        if run.state == RunState::Running {
            running.insert(run.id)
        } else {
            running.remove(&run.id)
        };
        if running.is_empty() {
            self.running.remove(&run.job);
        }
        let of_caller = (run.job.clone(), run.caller.subject.clone(), run.id);
        if run.state.ended() {
            self.callers.remove(&of_caller);
            self.ended.insert(run.id);
        } else {
            self.callers.insert(of_caller);
            self.ended.remove(&run.id);
        }
        if let Some(key) = key_of(&run) {
            let newer = self.keys.get(&key).and_then(|id| self.runs.get(id)).is_some_and(|known| known.seq > run.seq);
            if !newer {
                self.keys.insert(key, run.id);
            }
        }
        self.runs.insert(run.id, Box::new(run));
    }

    /// Lets go of what has ended.
    pub(super) fn forget_ended(&mut self) {
        for id in std::mem::take(&mut self.ended) {
            let Some(run) = self.runs.remove(&id) else { continue };
            if let Some(key) = key_of(&run).filter(|key| self.keys.get(key) == Some(&id)) {
                self.keys.remove(&key);
            }
        }
    }
}

fn key_of(run: &JobRun) -> Option<Key> {
    run.key.as_ref().map(|key| (run.job.clone(), run.caller.subject.clone(), key.clone()))
}

impl State {
    /// A run in memory.
    #[must_use]
    pub fn job_run(&self, id: Uuid) -> Option<&JobRun> {
        self.jobs.runs.get(&id).map(Box::as_ref)
    }

    /// Runs in memory, by id.
    pub fn job_runs(&self) -> impl Iterator<Item = &JobRun> {
        self.jobs.runs.values().map(Box::as_ref)
    }

    /// The latest run of a key.
    #[must_use]
    pub fn job_run_of(&self, job: &str, subject: &str, key: &str) -> Option<&JobRun> {
        let key = (job.to_owned(), subject.to_owned(), key.to_owned());
        self.job_run(*self.jobs.keys.get(&key)?)
    }

    /// Unfinished runs of all jobs.
    pub(crate) fn unfinished_job_runs(&self) -> usize {
        self.jobs.callers.len()
    }

    /// Unfinished runs of a job that one caller asked for.
    pub(crate) fn unfinished_of_caller(&self, job: &str, subject: &str) -> usize {
        let first = (job.to_owned(), subject.to_owned(), Uuid::nil());
        let of_them = |(of, by, _): &&(String, String, Uuid)| of == job && by == subject;
        self.jobs.callers.range(first..).take_while(of_them).count()
    }

    /// Runs of a job whose call is made, or that the far end works on.
    pub(crate) fn running_of(&self, job: &str) -> usize {
        self.jobs.running.get(job).map_or(0, BTreeSet::len)
    }

    /// The run of a job that has waited longest.
    pub(crate) fn first_queued(&self, job: &str) -> Option<&JobRun> {
        let (_, id) = self.jobs.queues.get(job)?.first()?;
        self.job_run(*id)
    }

    /// Jobs that have a queue.
    pub(crate) fn queued_jobs(&self) -> Vec<String> {
        self.jobs.queues.keys().cloned().collect()
    }

    pub(crate) fn put_job_run(&mut self, run: JobRun) {
        if self.job_run(run.id) != Some(&run) {
            self.dirty.insert(Dirty::JobRun(run.id));
            self.jobs.keep(run);
        }
    }

    /// A run from the store. What is already here wins.
    pub(super) fn keep_loaded_job_run(&mut self, run: JobRun) {
        if !self.jobs.runs.contains_key(&run.id) {
            self.jobs.keep(run);
        }
    }

    pub(super) fn needed_for_job(&self, caller: &Caller, ask: &JobAsk, needed: &mut Needed) {
        match ask {
            JobAsk::Start(request) => {
                let Some(key) = &request.key else { return };
                if self.job_run_of(&request.job, &caller.subject, key).is_none() {
                    needed.job_keys.insert((request.job.clone(), caller.subject.clone(), key.clone()));
                }
            }
            JobAsk::Cancel { run } | JobAsk::Called { run, .. } | JobAsk::Settle { run, .. } => {
                needed.job_runs.extend(Some(*run).filter(|id| self.job_run(*id).is_none()));
            }
        }
    }
}
