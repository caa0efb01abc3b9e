//! People, and whom a problem goes to over time.
//!
//! Invariant: no address that is a secret is in here; where a connection needs one (a PagerDuty key), a person's
//! contact names another connection.

use super::Span;
use crate::duty::interval::TimeInterval;
use crate::duty::zone::Zone;
use crate::event::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody who can be on call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    /// Name for people; default: the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where they live: times are shown to them in it, and their quiet hours are in it.
    pub zone: Zone,
    /// By what far ends know them: Slack user ids, PagerDuty user ids, e-mail addresses, subjects of tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// How they are reached, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// When they are left alone by what is not severe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

/// One way to reach a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Connection.
    pub via: String,
    /// Address that replaces the connection's own: a Slack user or channel id, an e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long after the page, if nobody has acknowledged by then (default: at once).
    #[serde(default)]
    pub after: Span,
    /// Only incidents of at least this severity (default: all).
    #[serde(default = "super::lowest")]
    pub min_severity: Severity,
}

/// Hours in which low severities wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// When; a time without `location` is in the person's zone.
    pub during: Vec<TimeInterval>,
    /// What is below this waits until the quiet hours end.
    #[serde(default = "highest")]
    pub below: Severity,
}

fn highest() -> Severity {
    Severity::Critical
}

/// An escalation policy: who is paged when, as long as nobody has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Steps, by their offset from the opening of the incident.
    pub steps: Vec<Step>,
    /// Go through the steps again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// An acknowledged incident that is not resolved by then starts again (default: never).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout: Option<Span>,
}

/// One step of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Offset from the opening, absolute; not less than the step before.
    #[serde(default)]
    pub after: Span,
    /// Whom to page.
    pub targets: Vec<Target>,
}

/// Repetition of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often, after the first time.
    pub times: u32,
    /// Time between the last step and the first one again.
    pub every: Span,
}

/// Whom a step pages: `person:ana`, `oncall:primary`, `team:payments`, `channel:slack-data`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A person.
    Person(String),
    /// Whoever is on call in a schedule when the page goes out.
    OnCall(String),
    /// Every way a team is told.
    Team(String),
    /// A connection.
    Channel(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Self::Person(name) => ("person", name),
            Self::OnCall(name) => ("oncall", name),
            Self::Team(name) => ("team", name),
            Self::Channel(name) => ("channel", name),
        };
        write!(f, "{kind}:{name}")
    }
}

impl std::str::FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not a target; write person:NAME, oncall:SCHEDULE, team:NAME or channel:CONNECTION");
        let (kind, name) = text.split_once(':').ok_or_else(bad)?;
        let name = name.to_owned();
        match kind {
            _ if name.is_empty() => Err(bad()),
            "person" | "user" => Ok(Self::Person(name)),
            "oncall" | "schedule" => Ok(Self::OnCall(name)),
            "team" => Ok(Self::Team(name)),
            "channel" => Ok(Self::Channel(name)),
            _ => Err(bad()),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Whom to page: person:NAME, oncall:SCHEDULE, team:NAME or channel:CONNECTION",
            "pattern": "^(person|user|oncall|schedule|team|channel):.+"
        })
    }
}
