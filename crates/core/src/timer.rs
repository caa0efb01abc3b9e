//! Timers: points in time at which a decision is due. A due timer enters the log as an input.

use crate::ids::IncidentId;
use crate::incident::AlertKey;
use crate::run::{AttemptKey, PipelineKey, RunKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What is due; at most one timer per key.
    pub key: TimerKey,
    /// When.
    pub due: Timestamp,
}

/// What a timer is for. At one instant timers are decided in the order of the variants: what ends a wait comes before
/// what begins one, and steps of escalations come last, so that whatever happens at the due second wins over the page.
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
    /// A run should have started by now, because another one was followed (`expected_after`).
    Expected {
        /// Rule name.
        rule: String,
        /// Whose run is expected.
        pipeline: PipelineKey,
        /// When what is followed happened, by the far end's clock.
        since: Timestamp,
        /// The run that is followed.
        after: RunKey,
    },
    /// A run should have ended by now, as its far end declares.
    Deadline {
        /// Which run.
        run: RunKey,
        /// The far end's name for the deadline.
        name: String,
        /// When it was due, whatever put it off.
        due: Timestamp,
    },
    /// A check that was due during maintenance is made when that ends.
    Deferred {
        /// Which check.
        check: Box<TimerKey>,
    },
    /// A report ends by itself.
    ReportEnds {
        /// Which alert.
        alert: AlertKey,
    },
    /// A run of a job has taken as long as it may.
    JobDeadline {
        /// Which run.
        run: Uuid,
    },
    /// An acknowledgement times out, or a snooze ends.
    Timeout {
        /// Which incident.
        incident: IncidentId,
    },
    /// A silence, maintenance window or override begins or ends; what of them is active is looked at anew.
    Duty,
    /// Nobody has agreed, and the time for it is over.
    ApprovalEnds {
        /// To which question.
        approval: Uuid,
    },
    /// Access that was given for a while is over.
    GrantEnds {
        /// Which.
        grant: Uuid,
    },
    /// A storm may be over.
    StormEnds {
        /// Whose.
        owner: String,
    },
    /// Changes of an incident may be told again.
    Regroup {
        /// Which incident.
        incident: IncidentId,
    },
    /// A schedule is handed over.
    Handover {
        /// Which schedule.
        schedule: String,
    },
    /// A test alert is due, or should have arrived.
    Canary {
        /// Through which connection.
        connection: String,
    },
    /// A further contact of a person who was paged.
    Contact {
        /// About which incident.
        incident: IncidentId,
        /// Whom.
        person: String,
        /// Which of the person's contacts.
        contact: usize,
    },
    /// A step of an escalation.
    Step {
        /// Of which incident.
        incident: IncidentId,
    },
}
