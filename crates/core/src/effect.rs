//! Effects: what a decision asks to be done outside. Each becomes one outbox row.
//!
//! Invariant: id and key are derived from the cause, never random, so that a replay makes the same row.
//! How a row is sent, retried or given up is in [`crate::delivery`]; what it looks like on the wire in `trackside-connect`.

use crate::automation::act::Act;
use crate::ids::{DeliveryId, IncidentId, Seq, derive};
use crate::job::run::JobCall;
use crate::notice::Notice;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing to be done outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Identity of the outbox row, derived from (cause, destination, ordinal).
    pub id: DeliveryId,
    /// Log entry that caused it.
    pub cause: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// Connection to send through.
    pub connection: String,
    /// Address that replaces the connection's own: a Slack user or channel id, an e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Incident it belongs to; messages of one incident to one connection keep their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Idempotency key for the far end: the incident id for incident messages, else the row id.
    pub key: String,
    /// What to do.
    pub action: Action,
    /// Everything a message can say; rendered when it is sent.
    pub notice: Box<Notice>,
    /// What to carry out, exactly when the action is [`Action::Act`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
    /// What to call, exactly when the action is [`Action::Job`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobCall>>,
}

/// What an effect does at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Tell of a new problem.
    Trigger,
    /// Tell of a change (more alerts, severity raised); edited in place where the far end can.
    Update,
    /// Tell again, loudly, of a problem that was told before: nobody has it.
    Remind,
    /// Tell that somebody has it.
    Acknowledge,
    /// Tell that it is over.
    Resolve,
    /// A message that belongs to no incident.
    Message,
    /// A test that a person asked for.
    Test,
    /// An action of an automation; the effect carries an [`Act`].
    Act,
    /// A call of a job; the effect carries a [`JobCall`].
    Job,
}

impl Action {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Update => "update",
            Self::Remind => "remind",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Message => "message",
            Self::Test => "test",
            Self::Act => "act",
            Self::Job => "job",
        }
    }
}

/// The id of the `ordinal`-th effect that log entry `cause` has for `connection`.
#[must_use]
pub fn delivery_id(workspace: &str, cause: Seq, connection: &str, ordinal: u32) -> DeliveryId {
    DeliveryId(derive("effect", &[workspace, &cause.to_string(), connection, &ordinal.to_string()]))
}
