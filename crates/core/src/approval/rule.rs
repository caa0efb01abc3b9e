//! Who must agree.

use crate::ruleset::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who must agree, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// Any of these parts is enough. With one part it reads as "all of it".
    pub any_of: Vec<Quorum>,
    /// Whether those who ask may agree themselves.
    #[serde(default)]
    pub own: OwnRequests,
    /// Whether a justification must be given.
    #[serde(default)]
    pub justification: Justification,
    /// How long it waits before it is denied. Default 1 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
    /// How long a yes about access holds. Default 15 min; at most 12 h. A run of a job needs its own yes each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Span>,
    /// Connections that are told of a request (Slack with buttons, mail).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
}

/// Groups that must all agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// From each of these.
    pub all_of: Vec<Voice>,
}

/// A number of people of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// Teams, people (`person:ana`), groups of an issuer (`group:dba`), or everybody with the role approver (`approvers`).
    pub from: BTreeSet<String>,
    /// How many of them. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// Whether those who ask may agree themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnRequests {
    /// No.
    #[default]
    Refused,
    /// Yes.
    Allowed,
}

/// Whether a justification must be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// It may be given.
    #[default]
    Optional,
    /// It must be given.
    Required,
}
