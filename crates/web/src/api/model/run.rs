//! Runs, attempts and pipelines in the API.

use jiff::Timestamp;
use serde::Serialize;
use trackside_core::pipeline::Pipeline;
use trackside_core::pipeline::datasets::DatasetUse;
use trackside_core::run::{Attempt, Run, RunState, System};
use trackside_store::runs::{RunDetail, RunRow};
use utoipa::ToSchema;

/// A run of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunOut {
    /// Source it runs in.
    pub(crate) source: String,
    /// Pipeline.
    pub(crate) pipeline: String,
    /// Name under which it was first seen; names the run in addresses.
    pub(crate) run: String,
    /// The far end's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_id: Option<String>,
    /// Kind of system.
    #[schema(value_type = String)]
    pub(crate) system: System,
    /// `scheduled`, `running`, `held`, `retrying`, `succeeded`, `failed`, `skipped` or `cancelled`.
    #[schema(value_type = String)]
    pub(crate) state: RunState,
    /// When it was first heard of.
    pub(crate) first_seen: Timestamp,
    /// Start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<Timestamp>,
    /// End.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
    /// Start to end in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_s: Option<f64>,
    /// The time it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nominal: Option<Timestamp>,
    /// Error of the latest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Owning team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Tags as reported.
    pub(crate) tags: Vec<String>,
    /// Page of the run at the far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Rows written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
}

impl From<&Run> for RunOut {
    fn from(run: &Run) -> Self {
        Self {
            source: run.key.source.to_string(),
            pipeline: run.key.pipeline.to_string(),
            run: run.key.run.to_string(),
            run_id: run.run_id.as_deref().map(str::to_owned),
            system: run.system,
            state: run.state,
            first_seen: run.first_seen,
            started: run.started,
            ended: run.ended,
            duration_s: run.duration_s(),
            nominal: run.nominal,
            error: run.error.as_deref().map(str::to_owned),
            owner: run.owner.as_deref().map(str::to_owned),
            tags: run.tags.clone(),
            url: run.url.as_deref().map(str::to_owned),
            rows: run.rows,
        }
    }
}

impl From<&RunRow> for RunOut {
    fn from(row: &RunRow) -> Self {
        Self::from(&row.run)
    }
}

/// A run with its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunDetail)]
pub(crate) struct RunDetailOut {
    /// The run.
    #[serde(flatten)]
    pub(crate) run: RunOut,
    /// Attempts by task, map index and try.
    pub(crate) attempts: Vec<AttemptOut>,
}

impl From<&RunDetail> for RunDetailOut {
    fn from(detail: &RunDetail) -> Self {
        Self { run: RunOut::from(&detail.run), attempts: detail.attempts.iter().map(AttemptOut::from).collect() }
    }
}

/// One attempt of one task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptOut {
    /// Task.
    pub(crate) task: String,
    /// Map index, −1 when unmapped.
    pub(crate) map_index: i32,
    /// Try, from 1.
    pub(crate) try_number: u32,
    /// As for runs.
    #[schema(value_type = String)]
    pub(crate) state: RunState,
    /// Start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<Timestamp>,
    /// End.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
    /// Start to end in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_s: Option<f64>,
    /// Error text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Page of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_url: Option<String>,
    /// Rows written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    /// Why it has this state, when that is not plain from one report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl From<&Attempt> for AttemptOut {
    fn from(attempt: &Attempt) -> Self {
        Self {
            task: attempt.key.task.to_string(),
            map_index: attempt.key.map_index,
            try_number: attempt.key.try_number,
            state: attempt.state,
            started: attempt.started,
            ended: attempt.ended,
            duration_s: attempt.duration_s(),
            error: attempt.error.as_deref().map(str::to_owned),
            log_url: attempt.log_url.as_deref().map(str::to_owned),
            rows: attempt.rows,
            note: attempt.note.as_deref().map(str::to_owned),
        }
    }
}

/// A pipeline and how it has been doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub(crate) struct PipelineOut {
    /// Source it runs in.
    pub(crate) source: String,
    /// Name.
    pub(crate) name: String,
    /// Kind of system.
    #[schema(value_type = String)]
    pub(crate) system: System,
    /// Owning team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Tags last reported.
    pub(crate) tags: Vec<String>,
    /// Runs that succeeded.
    pub(crate) succeeded: u64,
    /// Runs that failed.
    pub(crate) failed: u64,
    /// Share of runs that succeeded, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) success_rate: Option<f64>,
    /// Failed runs since the last success.
    pub(crate) streak: u32,
    /// End of the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_success: Option<Timestamp>,
    /// End of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<Timestamp>,
    /// Mean duration of recent successes in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mean_duration_s: Option<f64>,
    /// 95th percentile of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p95_duration_s: Option<f64>,
    /// Datasets it read lately, as `namespace/name`.
    pub(crate) reads: Vec<String>,
    /// Datasets it wrote lately.
    pub(crate) writes: Vec<String>,
    /// What a rule would have told of its last run, had it been asked to, and how to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
}

impl From<&Pipeline> for PipelineOut {
    fn from(pipeline: &Pipeline) -> Self {
        Self {
            source: pipeline.key.source.to_string(),
            name: pipeline.key.name.to_string(),
            system: pipeline.system,
            owner: pipeline.owner.as_deref().map(str::to_owned),
            tags: pipeline.tags.clone(),
            succeeded: pipeline.succeeded,
            failed: pipeline.failed,
            success_rate: pipeline.success_rate(),
            streak: pipeline.streak,
            last_success: pipeline.last_success,
            last_failure: pipeline.last_failure,
            mean_duration_s: pipeline.mean_duration_s(),
            p95_duration_s: pipeline.p95_duration_s(),
            reads: names(&pipeline.reads),
            writes: names(&pipeline.writes),
            suggestion: pipeline.suggestion.as_ref().map(|suggestion| suggestion.text.clone()),
        }
    }
}

fn names(datasets: &[DatasetUse]) -> Vec<String> {
    datasets.iter().map(|dataset| dataset.name.to_string()).collect()
}
