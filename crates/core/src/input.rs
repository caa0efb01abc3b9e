//! Inputs: everything that can happen, as one type. What is not an input cannot change a decision.

use crate::approval::request::ApprovalAsk;
use crate::automation::act::Act;
use crate::automation::edit::AutomationEdit;
use crate::caller::Caller;
use crate::duty::schedule::Override;
use crate::event::Event;
use crate::ids::{DeliveryId, IncidentId, Seq};
use crate::job::run::{CallResult, CallStep, JobRequest};
use crate::ruleset::noise::{PlannedWork, Silence};
use crate::ruleset::people::Target;
use crate::ruleset::{Ruleset, Span};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One log entry's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// An event from outside.
    Event(Box<Event>),
    /// A timer is due. Enters the log with its due time; an idle clock writes nothing.
    Tick {
        /// The due time.
        due: Timestamp,
        /// When it was noticed, if noticeably later: nothing was running when it was due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        noticed: Option<Timestamp>,
    },
    /// A delivery ended.
    Outcome(Box<Outcome>),
    /// A person or program asks for something.
    Command {
        /// Who.
        caller: Caller,
        /// What.
        command: Command,
        /// Where it was said, when a far end passes it on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
    },
    /// Overrides, silences or maintenance windows were made or ended.
    Duty {
        /// Who.
        caller: Caller,
        /// What changed.
        edits: Vec<DutyEdit>,
    },
    /// Trackside noticed that a connection falls behind, or has caught up.
    Lag {
        /// Which connection.
        connection: String,
        /// How it stands.
        lag: Lag,
    },
    /// Automations were made, edited, paused or removed.
    Automations {
        /// Who.
        caller: Caller,
        /// What changed.
        edits: Vec<AutomationEdit>,
    },
    /// Somebody wants a job to run, or a run to end.
    Job {
        /// Who.
        caller: Caller,
        /// What.
        ask: JobAsk,
    },
    /// Somebody asks for agreement, or gives or refuses it.
    Approval {
        /// Who.
        caller: Caller,
        /// What.
        ask: ApprovalAsk,
    },
    /// People left or came back, as the system says that knows them.
    People {
        /// Who says so.
        caller: Caller,
        /// What changed.
        edits: Vec<PersonEdit>,
    },
    /// The rules changed.
    Ruleset {
        /// Who.
        caller: Caller,
        /// The rules from now on.
        ruleset: Box<Ruleset>,
    },
}

/// What can be asked of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum JobAsk {
    /// Run it, or attach to the run that has this key.
    Start(Box<JobRequest>),
    /// End a run early.
    Cancel {
        /// Which.
        run: Uuid,
    },
    /// The far end called back.
    Called {
        /// Which run.
        run: Uuid,
        /// What it said.
        result: Box<CallResult>,
    },
    /// Somebody looked after a run whose outcome was unknown, and says how it ended.
    Settle {
        /// Which.
        run: Uuid,
        /// How.
        result: Box<CallResult>,
    },
}

/// How a connection stands with what is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lag", rename_all = "snake_case")]
pub enum Lag {
    /// Something has waited longer than it may.
    Behind {
        /// Since when it waits.
        since: Timestamp,
    },
    /// Nothing waits any more.
    CaughtUp,
    /// Pages that were due have not gone out.
    PagesLate {
        /// The first was due then.
        since: Timestamp,
        /// What was found, for people.
        what: String,
    },
    /// Every page that was due has gone out.
    PagesInTime,
}

/// Where a command was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The connection whose far end passes it on; it is not told again what it told.
    pub connection: String,
    /// The address it was said at, when it replaced the connection's own; others of the same connection are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// When it was said there. What was said about an earlier life of an incident is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred: Option<Timestamp>,
    /// The life of the incident it was said about (`Incident.reopened`), when the far end knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<u32>,
}

/// A change of what is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum DutyEdit {
    /// Make or replace an override of a schedule.
    PutOverride(Override),
    /// Take it back.
    RemoveOverride {
        /// Which.
        id: Uuid,
    },
    /// Make or replace a silence.
    PutSilence(Silence),
    /// End it now.
    ExpireSilence {
        /// Which.
        id: Uuid,
    },
    /// Make or replace a maintenance window.
    PutMaintenance(Box<PlannedWork>),
    /// End it now, with all its occurrences to come.
    EndMaintenance {
        /// Which.
        id: Uuid,
    },
}

/// A change of who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum PersonEdit {
    /// Somebody has left: they are paged by nothing until they are back.
    Gone {
        /// Name in the configuration.
        person: String,
        /// What says so, for people.
        because: String,
    },
    /// Somebody is there again.
    Back {
        /// Name in the configuration.
        person: String,
    },
}

/// What a caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// "I have it."
    Acknowledge {
        /// Which.
        incident: IncidentId,
    },
    /// "It is over."
    Resolve {
        /// Which.
        incident: IncidentId,
    },
    /// "Nobody has it after all": the escalation starts again.
    Unacknowledge {
        /// Which.
        incident: IncidentId,
    },
    /// "Later": nobody is paged until then.
    Snooze {
        /// Which.
        incident: IncidentId,
        /// How long, at most `limits::SNOOZE`.
        #[serde(rename = "for")]
        length: Span,
    },
    /// "Page the next one now."
    Escalate {
        /// Which.
        incident: IncidentId,
    },
    /// Somebody else shall look at it: a team becomes the owner, anybody else is paged first.
    Reassign {
        /// Which.
        incident: IncidentId,
        /// To whom.
        to: Target,
    },
    /// It is the same problem as another one.
    Merge {
        /// Which; it ends.
        incident: IncidentId,
        /// The one that goes on.
        into: IncidentId,
    },
    /// A remark for the timeline.
    Note {
        /// Which.
        incident: IncidentId,
        /// At most 4,000 bytes.
        text: String,
    },
    /// Send a test message through a connection.
    SendTest {
        /// Connection name.
        connection: String,
    },
}

impl Command {
    /// The incident it is about.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::Acknowledge { incident }
            | Self::Unacknowledge { incident }
            | Self::Resolve { incident }
            | Self::Snooze { incident, .. }
            | Self::Escalate { incident }
            | Self::Reassign { incident, .. }
            | Self::Merge { incident, .. }
            | Self::Note { incident, .. } => Some(*incident),
            Self::SendTest { .. } => None,
        }
    }

    /// A second incident it is about.
    #[must_use]
    pub fn other_incident(&self) -> Option<IncidentId> {
        match self {
            Self::Merge { into, .. } => Some(*into),
            _ => None,
        }
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which row.
    pub delivery: DeliveryId,
    /// Connection it went through.
    pub connection: String,
    /// Address that replaced the connection's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Incident it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// What it should have done.
    pub action: crate::effect::Action,
    /// How it ended.
    pub result: DeliveryResult,
    /// Attempts made.
    pub attempts: u32,
    /// HTTP or SMTP status of the last answer, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The far end's name for what it got or made (`prefect.flow-run.…` for a run that was started).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_ref: Option<String>,
    /// The automation's action that it carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
    /// The call of a job that it made, and what that came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobOutcome>>,
}

/// What the call of a job came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobOutcome {
    /// Which run.
    pub run: Uuid,
    /// What was done.
    pub step: CallStep,
    /// What came of it; absent when the row ended without an answer (dead, superseded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CallResult>,
    /// Whether the call may have reached the far end although no answer is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
}

/// Terminal results of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum DeliveryResult {
    /// The far end has it.
    Delivered,
    /// Given up; replayable.
    Dead {
        /// Last error, for people.
        error: String,
    },
    /// No longer needed.
    Superseded {
        /// Why.
        why: String,
    },
}

/// A log entry as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position.
    pub seq: Seq,
    /// `now` for the decision: when it was accepted (due time for ticks).
    pub at: Timestamp,
    /// What happened.
    pub input: Input,
}
