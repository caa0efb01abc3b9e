//! Timers: points in time at which a decision is due. A due timer enters the log as an input.

use crate::incident::AlertKey;
use crate::run::{AttemptKey, PipelineKey, RunKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What is due; at most one timer per key.
    pub key: TimerKey,
    /// When.
    pub due: Timestamp,
}

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum TimerKey {
    /// A held failure is told as final.
    Hold {
        /// Which attempt.
        attempt: AttemptKey,
    },
    /// A run has taken as long as its rule allows.
    RunLimit {
        /// Rule name.
        rule: String,
        /// Which run.
        run: RunKey,
    },
    /// A success should have come by now (`missing`).
    Missing {
        /// Rule name.
        rule: String,
        /// Which pipeline.
        pipeline: PipelineKey,
    },
    /// A pipeline should be fresh by now (`not_fresh_by`).
    Fresh {
        /// Rule name.
        rule: String,
        /// Which pipeline.
        pipeline: PipelineKey,
    },
    /// A report ends by itself.
    ReportEnds {
        /// Which alert.
        alert: AlertKey,
    },
}
