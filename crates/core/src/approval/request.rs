//! An open question, the voices heard so far, and what a yes is worth.

use crate::approval::rule::ApprovalRule;
use crate::caller::Caller;
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
    /// The rule as it was when this was asked.
    pub rule: ApprovalRule,
    /// Who asks.
    pub requester: Caller,
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

/// Access for a while, given by an approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Id: the approval's.
    pub id: Uuid,
    /// To whom: the subject of the caller.
    pub subject: String,
    /// To which route.
    pub route: String,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Who agreed.
    pub approvers: Vec<String>,
}

/// What can be asked of approvals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum ApprovalAsk {
    /// Ask for access to a route.
    Request {
        /// What about.
        subject: Subject,
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
        /// Remark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
    },
    /// Take the question back.
    Withdraw {
        /// Which.
        approval: Uuid,
    },
    /// End a grant before its time.
    Revoke {
        /// Which.
        grant: Uuid,
    },
}
