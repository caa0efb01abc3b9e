//! Who must agree. Whether enough did is counted in [`super::count`].

use crate::limits;
use crate::ruleset::Span;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The group of everybody with the role approver.
pub const APPROVERS: &str = "approvers";
/// What the name of a person begins with where groups are named.
pub const PERSON: &str = "person:";
/// What the name of a group of an issuer begins with where groups are named.
pub const GROUP: &str = "group:";

/// What a job or route says about agreement: a rule of the section `approvals` by name, or a rule of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, try_from = "Written")]
#[schemars(!try_from)]
pub enum ApprovalChoice {
    /// A rule of the section `approvals`.
    Named(Named),
    /// A rule of its own.
    Own(ApprovalRule),
}

/// A route of the gateway that needs agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardedRoute {
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Whose agreement.
    pub approval: ApprovalChoice,
}

/// A rule of the section `approvals`, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub rule: String,
}

/// Either form, as written; one type, so that a misspelt field is named and not only "fits no form".
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rule: Option<String>,
    any_of: Option<Vec<Quorum>>,
    own: Option<OwnRequests>,
    justification: Option<Justification>,
    expires: Option<Span>,
    grant: Option<Span>,
    notify: Option<Vec<String>>,
}

impl TryFrom<Written> for ApprovalChoice {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { rule, any_of, own, justification, expires, grant, notify } = written;
        match (rule, any_of) {
            (Some(_), Some(_)) => Err("give either `rule`, the name of a rule, or a rule of its own".to_owned()),
            (Some(rule), None) => {
                let more = own.is_some() || justification.is_some() || expires.is_some() || grant.is_some();
                if more || notify.is_some() {
                    return Err(format!("the rule `{rule}` says the rest; leave out everything but `rule`"));
                }
                Ok(Self::Named(Named { rule }))
            }
            (None, Some(any_of)) => Ok(Self::Own(ApprovalRule {
                any_of,
                own: own.unwrap_or_default(),
                justification: justification.unwrap_or_default(),
                expires,
                grant,
                notify: notify.unwrap_or_default(),
            })),
            (None, None) => Err("say who must agree: `any_of`, or `rule` with the name of a rule".to_owned()),
        }
    }
}

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

impl Default for ApprovalRule {
    /// Somebody with the role approver.
    fn default() -> Self {
        let voice = Voice { from: BTreeSet::from([APPROVERS.to_owned()]), count: None };
        Self {
            any_of: vec![Quorum { all_of: vec![voice] }],
            own: OwnRequests::default(),
            justification: Justification::default(),
            expires: None,
            grant: None,
            notify: Vec::new(),
        }
    }
}

impl ApprovalRule {
    /// How long a question waits.
    #[must_use]
    pub fn waits(&self) -> SignedDuration {
        self.expires.map_or(limits::APPROVAL_WAITS, |span| span.0)
    }

    /// How long a yes about access holds.
    #[must_use]
    pub fn holds(&self) -> SignedDuration {
        self.grant.map_or(limits::GRANT, |span| span.0)
    }
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

impl Voice {
    /// How many people of the group.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.count.map_or(1, |count| count as usize)
    }

    /// The groups, for people: `dba`, `dba or ana`.
    #[must_use]
    pub fn title(&self) -> String {
        let plain = |name: &String| {
            let name = name.strip_prefix(PERSON).or_else(|| name.strip_prefix(GROUP)).unwrap_or(name);
            name.to_owned()
        };
        self.from.iter().map(plain).collect::<Vec<_>>().join(" or ")
    }
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
