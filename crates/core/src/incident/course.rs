//! The course of an escalation: which step of the policy is due when.
//!
//! Invariants: a pure function of what is stored here and the instants given; steps are due at fixed offsets from the
//! epoch, so nothing drifts; no step is skipped, doubled or reordered; a course that is not running has nothing due.
//! Whom a step reaches, and that nobody is paged during maintenance, is decided in [`crate::engine`].

use crate::ruleset::people::{Policy, Step, Target};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where the escalation of one incident stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Name of the policy.
    pub policy_name: String,
    /// The policy as it was when the incident opened.
    pub policy: Arc<Policy>,
    stand: Stand,
    /// The step that comes next.
    cycle: u32,
    step: usize,
}

/// Whether time moves the course on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stand", rename_all = "snake_case")]
enum Stand {
    /// Steps are due at offsets from the epoch.
    Running { epoch: Timestamp },
    /// Somebody has it; at the time-out it starts again.
    Acknowledged { until: Option<Timestamp> },
    /// Put off; at the end it starts again.
    Snoozed { until: Timestamp },
    /// Held back by maintenance, a silence, or another incident.
    Suspended,
}

/// A step that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DueStep {
    /// Repetition, from 0.
    pub cycle: u32,
    /// Position in the policy, from 0.
    pub step: usize,
    /// When it was due.
    pub due: Timestamp,
    /// Whom it is for.
    pub targets: Vec<Target>,
}

impl Course {
    /// A course that begins at `epoch`.
    #[must_use]
    pub fn begin(policy_name: &str, policy: Arc<Policy>, epoch: Timestamp) -> Self {
        Self { policy_name: policy_name.to_owned(), policy, stand: Stand::Running { epoch }, cycle: 0, step: 0 }
    }

    /// When the next step is due, if one is.
    #[must_use]
    pub fn next_step(&self) -> Option<Timestamp> {
        let Stand::Running { epoch } = self.stand else {
            return None;
        };
        let step = self.policy.steps.get(self.step)?;
        Some(epoch + self.cycle_offset(self.cycle) + step.after.0)
    }

    /// When an acknowledgement times out or a snooze ends.
    #[must_use]
    pub fn timeout(&self) -> Option<Timestamp> {
        match self.stand {
            Stand::Acknowledged { until } => until,
            Stand::Snoozed { until } => Some(until),
            Stand::Running { .. } | Stand::Suspended => None,
        }
    }

    /// Takes the next step when it is due at `now`.
    pub fn take_step(&mut self, now: Timestamp) -> Option<DueStep> {
        let due = self.next_step().filter(|due| *due <= now)?;
        let taken = DueStep { cycle: self.cycle, step: self.step, due, targets: self.current()?.targets.clone() };
        self.advance();
        Some(taken)
    }

    /// Brings the next step to `now`; later steps keep their distance from it. Nothing when no step is left or the
    /// course is not running.
    pub fn escalate(&mut self, now: Timestamp) {
        if let (Stand::Running { epoch }, Some(due)) = (self.stand, self.next_step()) {
            self.stand = Stand::Running { epoch: epoch + now.duration_since(due) };
        }
    }

    /// Somebody has it: no step is due. A second acknowledgement does not move the time-out.
    pub fn acknowledge(&mut self, now: Timestamp) {
        if !matches!(self.stand, Stand::Acknowledged { .. }) {
            self.stand = Stand::Acknowledged { until: self.policy.ack_timeout.map(|timeout| now + timeout.0) };
        }
    }

    /// No step is due until `until`; then the course starts again.
    pub fn snooze(&mut self, until: Timestamp) {
        self.stand = Stand::Snoozed { until };
    }

    /// Holds a running course back. One that is acknowledged or snoozed stays so.
    pub fn suspend(&mut self) {
        if let Stand::Running { .. } = self.stand {
            self.stand = Stand::Suspended;
        }
    }

    /// True when it is held back.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.stand == Stand::Suspended
    }

    /// Starts again at the first step.
    pub fn restart(&mut self, now: Timestamp) {
        (self.stand, self.cycle, self.step) = (Stand::Running { epoch: now }, 0, 0);
    }

    /// The steps to come if nobody does anything, at most `limit`.
    #[must_use]
    pub fn outlook(&self, limit: usize) -> Vec<DueStep> {
        let mut ahead = self.clone();
        std::iter::from_fn(|| ahead.take_step(Timestamp::MAX)).take(limit).collect()
    }

    fn current(&self) -> Option<&Step> {
        self.policy.steps.get(self.step)
    }

    fn advance(&mut self) {
        self.step += 1;
        let repeats = self.policy.repeat.map_or(0, |repeat| repeat.times);
        if self.step == self.policy.steps.len() && self.cycle < repeats {
            (self.cycle, self.step) = (self.cycle + 1, 0);
        }
    }

    fn cycle_offset(&self, cycle: u32) -> SignedDuration {
        let (Some(last), Some(repeat)) = (self.policy.steps.last(), self.policy.repeat) else {
            return SignedDuration::ZERO;
        };
        (last.after.0 + repeat.every.0) * i32::try_from(cycle).unwrap_or(i32::MAX)
    }
}
