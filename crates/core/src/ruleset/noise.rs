//! What keeps messages apart from noise: grouping, flapping, storms, maintenance, inhibition, silences.

use super::{Selector, Span};
use crate::duty::maintenance::When;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How alerts become incidents, and how often an incident is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentSettings {
    /// Labels whose values put alerts into one incident; default `owner` and `pipeline`. Allowed: `owner`,
    /// `pipeline`, `source`, `rule`, `severity`, and labels of reports.
    pub group_by: Vec<String>,
    /// Changes are told at most once in this time; the first alert and the last resolve go at once.
    pub update_interval: Span,
    /// A problem that comes back within this time after its incident was resolved opens that one again.
    pub flap_window: Span,
    /// When one owner has more new incidents than this, the rest becomes one; null: never.
    pub storm: Option<StormLimit>,
}

impl Default for IncidentSettings {
    fn default() -> Self {
        Self {
            group_by: vec!["owner".to_owned(), "pipeline".to_owned()],
            update_interval: Span(jiff::SignedDuration::from_mins(5)),
            flap_window: Span(jiff::SignedDuration::from_mins(0)),
            storm: Some(StormLimit { incidents: 20, within: Span(jiff::SignedDuration::from_mins(1)) }),
        }
    }
}

/// How many new incidents of one owner are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StormLimit {
    /// More than this many …
    pub incidents: u32,
    /// … within this time become one storm incident.
    pub within: Span,
}

/// Planned work: nobody is paged about what it covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Unique name.
    pub name: String,
    /// What it covers (default: everything): matchers as in a silence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
    /// When.
    pub when: When,
    /// Connections that are told of its start and end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub announce: Vec<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A problem that makes messages about others needless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inhibition {
    /// Name for people; default: its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Matchers of the problem that silences.
    pub source_matchers: Vec<String>,
    /// Matchers of what it silences.
    pub target_matchers: Vec<String>,
    /// Labels that must have the same value in both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
}

/// Somebody does not want to hear of something for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Identity.
    pub id: Uuid,
    /// All must match; `name="value"`, `!=`, `=~`, `!~`.
    pub matchers: Vec<String>,
    /// From, inclusive.
    pub starts: Timestamp,
    /// Until, exclusive.
    pub ends: Timestamp,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A maintenance window that was made at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedWork {
    /// Identity.
    pub id: Uuid,
    /// What and when.
    pub window: Maintenance,
    /// Who made it.
    pub by: String,
    /// When it was made.
    pub created: Timestamp,
}

/// What a rule about a whole scope watches: a selector of pipelines and how many there must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Which pipelines depend …
    #[serde(rename = "match")]
    pub matches: Selector,
    /// … on which: `source/pipeline`.
    pub on: Vec<String>,
}
