//! An open question, the voices heard so far, and what a yes is worth.

use crate::approval::rule::ApprovalRule;
use crate::caller::Caller;
use crate::ids::{Seq, derive};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A question whether something may be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Id, derived from the log entry that asked.
    pub id: Uuid,
    /// Number for people, from 1.
    pub number: u64,
    /// What it is about.
    pub subject: Subject,
    /// The team that owns what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The rule as it was when this was asked.
    pub rule: ApprovalRule,
    /// Who asks.
    pub requester: Caller,
    /// Every name of whoever asks and of those on whose behalf, as people of the configuration where they are known.
    pub known_as: BTreeSet<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// When it was asked.
    pub created: Timestamp,
    /// When it is denied if nothing is decided.
    pub expires: Timestamp,
    /// What was said, in order.
    pub voices: Vec<VoiceHeard>,
    /// How it stands.
    pub state: ApprovalState,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    /// How it ended, for people ("denied by bob: not on a Friday").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Approval {
    /// True while nothing is decided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == ApprovalState::Open
    }
}

/// The id of the `ordinal`-th question that log entry `cause` asks.
#[must_use]
pub fn approval_id(workspace: &str, cause: Seq, ordinal: u32) -> Uuid {
    derive("approval", &[workspace, &cause.to_string(), &ordinal.to_string()])
}

impl Subject {
    /// For people: `job reload`, `route billing-api`.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::JobRun { job, .. } => format!("job {job}"),
            Self::Route { route } => format!("route {route}"),
        }
    }
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Subject {
    /// A run of a job.
    JobRun {
        /// Its id.
        run: Uuid,
        /// The job.
        job: String,
    },
    /// Access to a route of the gateway for a while.
    Route {
        /// The route.
        route: String,
    },
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoiceHeard {
    /// Who.
    pub caller: Caller,
    /// The names that count for rules: teams, `person:NAME`, `group:NAME`, `approvers`. Found at the door.
    pub speaks_for: BTreeSet<String>,
    /// Every name of theirs and of those on whose behalf, as [`Approval::known_as`].
    pub known_as: BTreeSet<String>,
    /// What.
    pub says: Says,
    /// When.
    pub at: Timestamp,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Yes.
    Approve,
    /// No; one is enough.
    Deny,
}

/// How a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nothing decided.
    Open,
    /// Enough said yes.
    Approved,
    /// Somebody said no.
    Denied,
    /// The time was over.
    Expired,
    /// Whoever asked took it back, or the run ended otherwise.
    Withdrawn,
}

impl ApprovalState {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Access for a while, given by an approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Id: the approval's.
    pub id: Uuid,
    /// To whom: the subject of the caller.
    pub subject: String,
    /// On whose behalf they asked; it holds for calls on the same behalf only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behalf: Vec<String>,
    /// To which route.
    pub route: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Who agreed.
    pub approvers: Vec<String>,
}

/// Where somebody is answered who spoke in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The connection.
    pub connection: String,
    /// Their address there.
    pub to: String,
}

impl ApprovalAsk {
    /// The question it is about, or that gave what it is about.
    #[must_use]
    pub fn approval(&self) -> Option<Uuid> {
        match self {
            Self::Request { .. } => None,
            Self::Say { approval: id, .. } | Self::Withdraw { approval: id, .. } | Self::Revoke { grant: id } => {
                Some(*id)
            }
        }
    }
}

/// What can be asked of approvals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum ApprovalAsk {
    /// Ask for access to a route.
    Request {
        /// What about.
        subject: Subject,
        /// Further names of whoever asks (`person:ana`), found at the door.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        known_as: BTreeSet<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        justification: Option<String>,
    },
    /// Say yes or no.
    Say {
        /// To which question.
        approval: Uuid,
        /// What.
        says: Says,
        /// Names that count for the rule.
        speaks_for: BTreeSet<String>,
        /// Further names of whoever speaks (`person:ana`), found at the door. They count against a word only: it may be
        /// about their own question, or their second one.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        known_as: BTreeSet<String>,
        /// Remark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
        /// Why it cannot count, when the door knows: a policy forbids it, or nobody knows who this is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        barred: Option<String>,
        /// Where they are told when it does not count, if not at the door.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<ReplyTo>,
    },
    /// Take the question back.
    Withdraw {
        /// Which.
        approval: Uuid,
        /// Further names of whoever takes it back, found at the door.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        known_as: BTreeSet<String>,
    },
    /// End a grant before its time.
    Revoke {
        /// Which.
        grant: Uuid,
    },
}
