//! One run of a job: what was asked, how it stands, what came of it.

use crate::caller::Caller;
use crate::ids::{DeliveryId, Seq};
use crate::job::spec::{Idempotency, JobSpec, JobTarget};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;
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
    /// Further names of whoever asks (`person:ana`), found at the door: nobody agrees to their own request.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub known_as: BTreeSet<String>,
    /// The run of the caller's that asks (`airflow-prod/dag/run/task`), for the page and the correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A run of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRun {
    /// Id.
    pub id: Uuid,
    /// Log entry that asked for it; runs wait in this order.
    #[serde(default)]
    pub seq: Seq,
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
    /// The run of the same key that ended without success before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Uuid>,
    /// `Idempotency-Key` of its calls: `RUN-ATTEMPT` of the first run whose outcome was not known to be final, so that a
    /// target that honours keys never does the same call twice.
    #[serde(default)]
    pub call_key: String,
    /// Whether the call may have been carried out although the run did not end with its answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
}

/// What is known of a call between the attempts of its row of the outbox; kept there as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallProgress {
    /// Times the call itself was sent; questions whether it is done do not count.
    pub calls: u32,
    /// Where the far end keeps the work: asked until it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Questions that got no usable answer, in a row.
    pub unanswered: u32,
    /// Times our credential was refused, in a row.
    pub rejected: u32,
}

impl CallProgress {
    /// What was kept; nothing when there is none, or it is not of a job.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// As it is kept.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// SHA-256 of a value, hex. Members count in the order of their names, however they were written.
#[must_use]
pub fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            text.push('{');
            for name in names {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(&members[name], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

impl JobRun {
    /// Whether a new attempt of the caller's task may run it again, under which `Idempotency-Key`.
    ///
    /// A call that may have been carried out is repeated only under the same key, only where the target honours it, and
    /// only if the job still calls that `target`: another one does not know the key. What somebody refused, and what
    /// succeeded, is not run again; what nobody agreed to in time is asked about again.
    #[must_use]
    pub fn again(&self, target: &JobTarget) -> Again {
        match self.state {
            RunState::Failed => Again::Anew,
            RunState::TimedOut | RunState::Cancelled | RunState::Unknown => self.again_after_doubt(target),
            // Nobody said no: the question is asked again.
            RunState::Denied if self.error.as_ref().is_some_and(|error| error.class == ErrorClass::TimedOut) => {
                self.again_after_doubt(target)
            }
            RunState::Succeeded
            | RunState::Denied
            | RunState::AwaitingApproval
            | RunState::Queued
            | RunState::Running => Again::No,
        }
    }

    fn again_after_doubt(&self, target: &JobTarget) -> Again {
        match (self.in_doubt, &self.spec.target) {
            (false, _) => Again::Anew,
            (true, known @ JobTarget::Http { idempotency: Idempotency::Key, .. }) if known == target => Again::SameKey,
            (true, _) => Again::No,
        }
    }

    /// Whether it makes a call that an earlier run may have made, under the key of that run.
    #[must_use]
    pub fn repeats(&self) -> bool {
        !self.call_key.starts_with(&self.id.to_string())
    }

    /// Until when it is found by its key; for ever while it has not ended.
    #[must_use]
    pub fn key_kept_until(&self) -> Timestamp {
        let keep = self.spec.keep_key.map_or(KEEP_KEY, |span| span.0);
        self.ended.map_or(Timestamp::MAX, |ended| ended.saturating_add(keep).unwrap_or(Timestamp::MAX))
    }
}

/// How long a run is found by its key after its end, when the job does not say.
pub const KEEP_KEY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Whether an ended run may run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As a new call.
    Anew,
    /// As the same call: the target does it only once.
    SameKey,
    /// No.
    No,
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
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::AwaitingApproval,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Denied,
        Self::TimedOut,
        Self::Unknown,
    ];

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
    /// The time was over, of the run or of the question whether it may start.
    TimedOut,
    /// Somebody said no.
    Denied,
    /// Ended by somebody.
    Cancelled,
    /// What became of the call is not known.
    Unknown,
    /// A mistake of ours or of the configuration (no such connection).
    Internal,
}

impl ErrorClass {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::BadResult => "bad_result",
            Self::TimedOut => "timed_out",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Internal => "internal",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_members() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[{"c":"x","d":null}]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":[{"d":null,"c":"x"}],"a":1}"#).unwrap();
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&json!({"a": 1, "b": [{"c": "x"}]})));
        assert_ne!(digest(&json!(["ab"])), digest(&json!(["a", "b"])));
    }
}
