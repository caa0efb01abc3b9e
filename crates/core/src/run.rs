//! Runs and attempts: what a far end reports ([`RunUpdate`]) and what we know ([`Run`], [`Attempt`]).
//!
//! Identity: a run is (source, pipeline, run id); an attempt adds (task, map index, try number). Far ends also use
//! opaque ids for the same thing (OpenLineage `runId`); they arrive as aliases. A run is found by any of its names.
//! Invariant: a report never loses what is known (a later report without an owner keeps the owner).
//! How a report changes a run is in [`crate::projection`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a door understood of one run event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunUpdate {
    /// The kind of system, for words and icons.
    pub system: System,
    /// Pipeline name within the source: DAG id, flow name, build configuration, heartbeat slug.
    pub pipeline: String,
    /// The far end's name for the run, if the event carries it (Airflow `run_id`, Prefect flow run id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Opaque ids of the run (OpenLineage `runId` of the DAG run). When neither `run_id` nor `run_aliases` is present,
    /// the sender does not name its runs (a plain ping): the report is about the pipeline's unnamed run that is open,
    /// else about a new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run_aliases: Vec<String>,
    /// Present when the event is about one attempt of one task, absent when about the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptRef>,
    /// What was reported.
    pub report: RunReport,
    /// When the run or attempt started, if the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended, if the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The logical or nominal time the run is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal: Option<Timestamp>,
    /// Error text, redacted, at most `limits::ERROR_BYTES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Owners as the far end names them, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Tags as the far end has them (`team:payments`, `tier:1`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Page of the run in the far end's interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Page of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// Documentation or runbook text of the pipeline, first 1,000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// How often the run was cleared (Airflow `clear_number`), which makes `retries` unreliable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clear_number: u32,
    /// Rows written, summed over outputs, when the far end reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Final task states that a run event reports (Airflow `airflowState.tasksState`). Mapped tasks collapse to one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub task_states: BTreeMap<String, String>,
    /// Datasets read, as `namespace/name`, at most `limits::LIST_ITEMS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Datasets written, as `namespace/name`, at most `limits::LIST_ITEMS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Deadlines that the far end declares for this run, at most `limits::LIST_ITEMS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<Deadline>,
}

/// A time by which a run must have ended, as its far end declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The far end's name for it.
    pub name: String,
    /// When.
    pub due: Timestamp,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Which attempt an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRef {
    /// Task id within the pipeline.
    pub task: String,
    /// Index of a mapped task; absent when unmapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_index: Option<i32>,
    /// Try, from 1; absent when the event does not say (then an alias must find it, else the latest try is meant).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_number: Option<u32>,
    /// Declared retries of the task; absent when unknown. Not the same as the maximum number of tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Opaque ids of the attempt (OpenLineage `runId` of the task).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// What a far end reports of a run or attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunReport {
    /// Known, not started.
    Scheduled,
    /// Started.
    Started,
    /// Ended well.
    Succeeded,
    /// Failed, and the far end says it is final.
    Failed,
    /// Failed, and the far end does not say whether it will be retried (OpenLineage task FAIL).
    FailedMaybeRetry,
    /// Failed or paused, and will be tried again.
    Retrying,
    /// Ended without doing work, on purpose.
    Skipped,
    /// Stopped by a person or policy.
    Cancelled,
    /// Still running; nothing changed (heartbeat, progress).
    Alive,
}

/// Kinds of system that run things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Apache Airflow.
    Airflow,
    /// Prefect.
    Prefect,
    /// TeamCity.
    Teamcity,
    /// A dead man's switch.
    Heartbeat,
    /// Any other sender of OpenLineage (Spark, dbt, Flink …).
    Openlineage,
    /// Anything else, through the native or CloudEvents door.
    Other,
}

impl System {
    /// Name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Airflow => "Airflow",
            Self::Prefect => "Prefect",
            Self::Teamcity => "TeamCity",
            Self::Heartbeat => "Heartbeat",
            Self::Openlineage => "OpenLineage",
            Self::Other => "Other",
        }
    }
}

/// Where a run or attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Known, not started.
    Scheduled,
    /// Running.
    Running,
    /// Failed, but it is not known yet whether it will be retried; told as final when the hold ends.
    Held,
    /// Will be tried again.
    Retrying,
    /// Ended well.
    Succeeded,
    /// Ended badly, finally.
    Failed,
    /// Ended without doing work, on purpose.
    Skipped,
    /// Stopped by a person or policy.
    Cancelled,
}

impl RunState {
    /// True when nothing more is expected (it may still change: far ends let people edit states).
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Held => "held",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A pipeline within a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PipelineKey {
    /// The source.
    pub source: Name,
    /// The pipeline's name in it.
    pub name: Name,
}

/// A name that many entities share; cloning it copies a pointer, so 100,000 alerts do not hold 100,000 copies.
pub type Name = std::sync::Arc<str>;

/// A run of a pipeline. `run` is the first name under which it was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The source.
    pub source: Name,
    /// The pipeline's name.
    pub pipeline: Name,
    /// The run's name.
    pub run: Name,
}

impl RunKey {
    /// The pipeline it is a run of.
    #[must_use]
    pub fn pipeline_key(&self) -> PipelineKey {
        PipelineKey { source: self.source.clone(), name: self.pipeline.clone() }
    }
}

/// One attempt of one task in a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The run.
    pub run: RunKey,
    /// The task.
    pub task: Name,
    /// The map index, −1 when unmapped (as Airflow has it).
    pub map_index: i32,
    /// The try, from 1.
    pub try_number: u32,
}

/// A run as known so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Identity.
    pub key: RunKey,
    /// The far end's own name for it, once known (`key.run` is the first name seen).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Kind of system.
    pub system: System,
    /// Where it stands.
    pub state: RunState,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// Start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End of the latest outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Nominal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal: Option<Timestamp>,
    /// Error of the latest failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Owning team, resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Owners as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Tags as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Page of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Times it was cleared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clear_number: u32,
    /// Rows written so far, summed over attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// True once the outcome was counted in the pipeline's statistics (a state that changes later is corrected).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<RunState>,
}

impl Run {
    /// Start to end in seconds, when both are known and in order.
    #[must_use]
    pub fn duration_s(&self) -> Option<f64> {
        duration_s(self.started, self.ended)
    }
}

/// An attempt as known so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Identity.
    pub key: AttemptKey,
    /// Where it stands.
    pub state: RunState,
    /// Start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Error text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Log page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// Owners of the task as reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Rows written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Why it has this state, when that is not plain from one report ("held: may be retried", "no end was reported").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Attempt {
    /// Start to end in seconds, when both are known and in order.
    #[must_use]
    pub fn duration_s(&self) -> Option<f64> {
        duration_s(self.started, self.ended)
    }
}

fn duration_s(started: Option<Timestamp>, ended: Option<Timestamp>) -> Option<f64> {
    let seconds = ended?.duration_since(started?).as_secs_f64();
    (seconds >= 0.0).then_some(seconds)
}

/// Source name of dead man's switches; its pipelines are their slugs.
pub const HEARTBEAT_SOURCE: &str = "heartbeat";
