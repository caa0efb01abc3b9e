//! A question of access and its answer, in words that every place of decision shares.
//!
//! The gateway, the jobs, the API and `trackside access explain` ask with a [`Question`]; roles answer in the caller's
//! crate, policies answer through [`Judge`]. Invariants: an answer is never cached, only identities are; a question that
//! policies cannot judge (an attribute of a wrong type, say) is denied and says so. Cedar is in `trackside-policy`.

use crate::directory::Identity;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who wants to do what, with what, under which circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub who: &'a Identity,
    /// What: a word of [`actions`].
    pub action: &'a str,
    /// With what.
    pub resource: Resource<'a>,
    /// Under which circumstances.
    pub context: &'a Context,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Which kind of thing.
    pub kind: ResourceKind,
    /// Its name in the configuration, or its id.
    pub name: &'a str,
    /// The team that owns it.
    pub team: Option<&'a str>,
}

/// Kinds of things that policies speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A route of the gateway.
    Route,
    /// A job.
    Job,
    /// A connection.
    Connection,
    /// An incident.
    Incident,
    /// Anything else of the server: `tokens`, `configuration`, `audit`.
    Server,
}

impl ResourceKind {
    /// The name, as in `trackside access explain` and in the audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Job => "job",
            Self::Connection => "connection",
            Self::Incident => "incident",
            Self::Server => "server",
        }
    }
}

/// The names of actions that are asked about.
pub mod actions {
    /// Send a request through a route.
    pub const CALL: &str = "call";
    /// Start a run of a job.
    pub const START: &str = "start";
    /// End a run of a job early.
    pub const CANCEL: &str = "cancel";
    /// Decide about an approval.
    pub const APPROVE: &str = "approve";
    /// Send a test through a connection, or fetch its credential anew.
    pub const TEST: &str = "test";
    /// Act on an incident (acknowledge, resolve, reassign, …).
    pub const RESPOND: &str = "respond";
    /// Change what is configured through the API.
    pub const CONFIGURE: &str = "configure";
    /// Every action.
    pub const ALL: [&str; 7] = [CALL, START, CANCEL, APPROVE, TEST, RESPOND, CONFIGURE];
}

/// Circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// When.
    pub at: Timestamp,
    /// HTTP method, for a route.
    pub method: Option<String>,
    /// Canonical path, for a route.
    pub path: Option<String>,
    /// Address of the client, as far as it is known.
    pub client: Option<std::net::IpAddr>,
    /// Severity (`critical`), for an incident.
    pub severity: Option<String>,
    /// Whether somebody approved this, or a grant holds.
    pub approved: bool,
    /// Who approved.
    pub approvers: Vec<String>,
    /// Input of a job, flattened: scalar members of the top level as text.
    pub input: BTreeMap<String, String>,
}

impl Context {
    /// Nothing but a time.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self {
            at,
            method: None,
            path: None,
            client: None,
            severity: None,
            approved: false,
            approvers: Vec::new(),
            input: BTreeMap::new(),
        }
    }
}

/// What policies say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Yes, no, or nothing.
    pub answer: Answer,
    /// The policies that decided, by name: those that permit, or those that forbid.
    pub because: Vec<String>,
    /// What could not be evaluated, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// An answer of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A policy permits and none forbids.
    Permit,
    /// A policy forbids, or one could not be evaluated.
    Forbid,
    /// No policy speaks about it; roles decide alone.
    Silent,
}

/// Answers questions by the policies in force. Cheap: called for every request.
pub type Judge = Arc<dyn Fn(&Question<'_>) -> Verdict + Send + Sync>;

/// A judge without policies.
#[must_use]
pub fn no_policies() -> Judge {
    Arc::new(|_| Verdict { answer: Answer::Silent, because: Vec::new(), errors: Vec::new() })
}
