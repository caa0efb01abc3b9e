//! A pipeline as known so far: what runs, whose it is, how it has been doing.
//!
//! Invariant: bounded. Durations are a ring of `limits::DURATION_SAMPLES`, rows one of `limits::ROW_SAMPLES`, datasets
//! at most `limits::LIST_ITEMS` of each kind; counters are totals, not histories.

pub mod datasets;
pub mod rows;

use crate::limits;
use crate::run::{PipelineKey, System};
use datasets::DatasetUse;
use jiff::Timestamp;
use rows::{RowSample, Suggestion};
use serde::{Deserialize, Serialize};

/// The time over which failures that are kept quiet are counted.
const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// A pipeline and its running figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Identity.
    pub key: PipelineKey,
    /// Kind of system.
    pub system: System,
    /// Tags last reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Owners last reported for a run (not for a task).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Owning team last resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Documentation last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Failed runs since the last success.
    pub streak: u32,
    /// End of the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// End of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Timestamp>,
    /// Durations of recent successes in milliseconds, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub durations_ms: Vec<u32>,
    /// When failures that are known to pass by themselves were kept quiet in the last hour, oldest first; at most
    /// `limits::TRANSIENTS_PER_HOUR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transients: Vec<Timestamp>,
    /// Latest start of a run, by the far end's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start: Option<Timestamp>,
    /// Datasets its runs and their tasks read lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<DatasetUse>,
    /// Datasets they wrote lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<DatasetUse>,
    /// Rows that recent successes wrote, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowSample>,
    /// What a rule would have told, had it been asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

impl Pipeline {
    /// A pipeline nothing is known of.
    #[must_use]
    pub fn new(key: PipelineKey, system: System) -> Self {
        Self {
            key,
            system,
            tags: Vec::new(),
            owners: Vec::new(),
            owner: None,
            doc: None,
            succeeded: 0,
            failed: 0,
            streak: 0,
            last_success: None,
            last_failure: None,
            durations_ms: Vec::new(),
            transients: Vec::new(),
            last_start: None,
            reads: Vec::new(),
            writes: Vec::new(),
            rows: Vec::new(),
            suggestion: None,
        }
    }

    /// Adds the duration of a success; the oldest goes when the ring is full.
    pub fn record_duration(&mut self, seconds: f64) {
        assert!(seconds >= 0.0, "a duration is not negative");
        if self.durations_ms.len() == limits::DURATION_SAMPLES {
            self.durations_ms.remove(0);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating float to int")]
        self.durations_ms.push((seconds * 1000.0) as u32);
    }

    /// Adds the rows of a success; the oldest goes when the ring is full.
    pub fn record_rows(&mut self, sample: RowSample) {
        if self.rows.len() == limits::ROW_SAMPLES {
            self.rows.remove(0);
        }
        self.rows.push(sample);
    }

    /// Failures kept quiet in the hour before `now`, because they are known to pass by themselves.
    #[must_use]
    pub fn transients_before(&self, now: Timestamp) -> usize {
        self.transients.iter().filter(|at| now.duration_since(**at) < HOUR).count()
    }

    /// Notes that a failure was kept quiet.
    pub fn record_transient(&mut self, now: Timestamp) {
        self.transients.retain(|at| now.duration_since(*at) < HOUR);
        self.transients.push(now);
    }

    /// Mean duration of recent successes in seconds.
    #[must_use]
    pub fn mean_duration_s(&self) -> Option<f64> {
        let count = self.durations_ms.len();
        let sum: u64 = self.durations_ms.iter().map(|ms| u64::from(*ms)).sum();
        #[allow(clippy::cast_precision_loss, reason = "at most 64 samples of 32 bits")]
        (count > 0).then(|| sum as f64 / count as f64 / 1000.0)
    }

    /// 95th percentile (nearest rank) of recent successes in seconds.
    #[must_use]
    pub fn p95_duration_s(&self) -> Option<f64> {
        let mut sorted = self.durations_ms.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).map(|ms| f64::from(*ms) / 1000.0)
    }

    /// Share of runs that succeeded, 0 to 1.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let total = self.succeeded + self.failed;
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        (total > 0).then(|| self.succeeded as f64 / total as f64)
    }
}
