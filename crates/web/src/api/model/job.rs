//! Jobs and their runs in the API.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use trackside_core::caller::Caller;
use trackside_core::job::run::{JobRun, RunState};
use trackside_core::job::spec::{JobSpec, JobTarget};
use utoipa::ToSchema;
use uuid::Uuid;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobOut {
    /// Name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) description: String,
    /// `http` or `app_service`.
    pub(crate) kind: &'static str,
    /// Connection that it calls through.
    pub(crate) connection: String,
    /// Team that is told when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// JSON Schema of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    /// JSON Schema of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    /// Whether somebody must agree first.
    pub(crate) needs_approval: bool,
    /// Longest time of a run, in seconds.
    pub(crate) timeout_s: i64,
}

impl JobOut {
    pub(crate) fn new(name: &str, spec: &JobSpec) -> Self {
        let timeout = spec.timeout.map_or(trackside_core::limits::JOB_TIMEOUT, |span| span.0);
        Self {
            name: name.to_owned(),
            description: spec.description.clone(),
            kind: match spec.target {
                JobTarget::Http { .. } => "http",
                JobTarget::AppService { .. } => "app_service",
            },
            connection: spec.target.connection().to_owned(),
            owner: spec.owner.clone(),
            input: spec.input.clone(),
            result: spec.result.clone(),
            needs_approval: spec.approval.is_some(),
            timeout_s: timeout.as_secs(),
        }
    }
}

/// A run of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobRun)]
pub(crate) struct JobRunOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// Its job.
    pub(crate) job: String,
    /// `awaiting_approval`, `queued`, `running`, `succeeded`, `failed`, `cancelled`, `denied`, `timed_out` or `unknown`.
    pub(crate) state: &'static str,
    /// Whether it has ended.
    pub(crate) done: bool,
    /// Result, of one that succeeded. Not in lists; for others than its caller without what looks like a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value>,
    /// What went wrong, of one that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<JobErrorOut>,
    /// Attempt of the caller's task that it serves.
    pub(crate) attempt: u32,
    /// Times the call was sent.
    pub(crate) calls: u32,
    /// Key it was asked for under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Whether the call may have been carried out although no answer is known.
    pub(crate) in_doubt: bool,
    /// When it was asked for.
    pub(crate) created: Timestamp,
    /// When it was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
    /// When it is given up.
    pub(crate) deadline: Timestamp,
    /// Milliseconds from being asked for to being called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waited_ms: Option<i64>,
    /// Milliseconds from the call to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) took_ms: Option<i64>,
    /// Who asked, and on whose behalf.
    pub(crate) identity: ChainOut,
    /// The run of the caller's that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    /// The run of the same key before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Uuid>,
    /// The approval it waits for, or had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<Uuid>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
pub(crate) struct JobErrorOut {
    /// `unavailable`, `unauthenticated`, `refused`, `failed`, `bad_result`, `timed_out`, `denied`, `cancelled`,
    /// `unknown` or `internal`.
    #[schema(value_type = String)]
    pub(crate) class: trackside_core::job::run::ErrorClass,
    /// For people.
    pub(crate) message: String,
    /// HTTP status of the far end, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
}

/// Who asked for a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityChain)]
pub(crate) struct ChainOut {
    /// Who.
    pub(crate) subject: String,
    /// How they came in.
    pub(crate) via: String,
    /// Which credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// On whose behalf, nearest first.
    pub(crate) behalf: Vec<String>,
}

impl JobRunOut {
    /// A run as `who` may see it: the result is its caller's, so others see it without what looks like a secret.
    pub(crate) fn seen_by(who: &Caller, run: &JobRun) -> Self {
        let mut seen = Self::from(run);
        if let Some(output) = seen.output.as_mut().filter(|_| who.subject != run.caller.subject) {
            trackside_connect::redact::value(output);
        }
        seen
    }

    /// One of many, without its result.
    pub(crate) fn listed(run: &JobRun) -> Self {
        Self { output: None, ..Self::from(run) }
    }
}

impl From<&JobRun> for JobRunOut {
    fn from(run: &JobRun) -> Self {
        let between = |from: Timestamp, to: Timestamp| {
            i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX).max(0)
        };
        let error = run.error.as_ref().map(|error| JobErrorOut {
            class: error.class,
            message: error.message.clone(),
            status: error.status,
        });
        let caller = &run.caller;
        Self {
            id: run.id,
            job: run.job.clone(),
            state: run.state.as_str(),
            done: run.state.ended(),
            output: run.output.clone().filter(|_| run.state == RunState::Succeeded),
            error,
            attempt: run.attempt,
            calls: run.calls,
            key: run.key.clone(),
            in_doubt: run.in_doubt,
            created: run.created,
            started: run.started,
            ended: run.ended,
            deadline: run.deadline,
            waited_ms: run.started.map(|started| between(run.created, started)),
            took_ms: run.started.zip(run.ended).map(|(started, ended)| between(started, ended)),
            identity: ChainOut {
                subject: caller.subject.clone(),
                via: caller.via.clone(),
                token: caller.token.clone(),
                behalf: caller.behalf.clone(),
            },
            origin: run.origin.clone(),
            previous: run.previous,
            approval: run.approval,
        }
    }
}
