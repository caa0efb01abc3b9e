//! One run of a job: what was asked, how it stands, what came of it.

use crate::caller::Caller;
use crate::ids::DeliveryId;
use crate::job::spec::JobSpec;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// A request to run a job, made at the door. The input has passed the schema there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    /// Id of the run if this makes one (UUID v7 of the door).
    pub run: Uuid,
    /// Which job.
    pub job: String,
    /// `Idempotency-Key`; unique per (job, caller). Absent: every request is a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which attempt of the caller's own task this is (Airflow's try number), from 1. A higher one runs a failed run again.
    pub attempt: u32,
    /// Input.
    pub input: Value,
    /// Why, for whoever approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The run of the caller's that asks (`airflow-prod/dag/run/task`), for the page and the correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A run of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRun {
    /// Id.
    pub id: Uuid,
    /// Which job.
    pub job: String,
    /// Key it was asked for under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The job as it was when this was asked for; a change of the configuration does not reach a running run.
    pub spec: Arc<JobSpec>,
    /// Input.
    pub input: Value,
    /// SHA-256 of the canonical input, hex: the same key with another input is refused (409).
    pub input_digest: String,
    /// Who asked, with the chain of those they ask for.
    pub caller: Caller,
    /// Why, for whoever approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The run of the caller's that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// How it stands.
    pub state: RunState,
    /// Attempt of the caller's task that it serves, from 1.
    pub attempt: u32,
    /// Calls made so far.
    pub calls: u32,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its first call was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// When it is given up.
    pub deadline: Timestamp,
    /// The approval it waits for, or had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
    /// The row of the outbox that carries its latest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryId>,
    /// Where the far end keeps it (its `Location`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_ref: Option<String>,
    /// Result, of a run that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What went wrong, of one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Somebody must agree first.
    AwaitingApproval,
    /// Waits for its turn.
    Queued,
    /// A call is being made, or the far end works.
    Running,
    /// Done, with output.
    Succeeded,
    /// Not done, with error.
    Failed,
    /// Ended by somebody.
    Cancelled,
    /// Nobody agreed, or somebody said no.
    Denied,
    /// It took longer than it may.
    TimedOut,
    /// The call was sent and its outcome cannot be learnt. Somebody must look.
    Unknown,
}

impl RunState {
    /// True when it can change no more.
    #[must_use]
    pub fn ended(self) -> bool {
        !matches!(self, Self::AwaitingApproval | Self::Queued | Self::Running)
    }

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Kind of error; programs decide by it.
    pub class: ErrorClass,
    /// For people.
    pub message: String,
    /// HTTP status of the far end, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// Kinds of error of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The far end cannot be reached, or was too busy until the tries were used up.
    Unavailable,
    /// The far end refused our credential.
    Unauthenticated,
    /// The far end refused the call (4xx).
    Refused,
    /// The far end failed (5xx, or a failed status).
    Failed,
    /// The result does not fit the schema or the size.
    BadResult,
    /// The time was over.
    TimedOut,
    /// Somebody said no, or nobody said yes.
    Denied,
    /// Ended by somebody.
    Cancelled,
    /// What became of the call is not known.
    Unknown,
    /// A mistake of ours or of the configuration (no such connection).
    Internal,
}

/// What an outbox row of a job carries beside the common part: everything a call is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobCall {
    /// The run.
    pub run: Uuid,
    /// Its job.
    pub job: String,
    /// The job as it was when the run was asked for.
    pub spec: Arc<JobSpec>,
    /// Input.
    pub input: Value,
    /// On whose behalf, for the identity that goes along.
    pub caller: Caller,
    /// What to do.
    pub step: CallStep,
    /// When the run is given up.
    pub deadline: Timestamp,
}

/// What a call does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum CallStep {
    /// Make the call, and ask until it is done.
    Run,
    /// Tell the far end to stop (`DELETE` of its `Location`), where it has one.
    Cancel {
        /// Its `Location`.
        far_ref: String,
    },
}

/// What a call came to; part of the outcome of its outbox row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum CallResult {
    /// Done.
    Succeeded {
        /// Result.
        output: Value,
    },
    /// Not done.
    Failed {
        /// Why.
        error: JobError,
    },
    /// Accepted; the far end will call back.
    Accepted,
}
