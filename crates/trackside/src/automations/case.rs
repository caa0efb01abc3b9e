//! A test of automations as people write it: given these events, these firings are expected.
//!
//! Times are lengths since the start of the test (`+10m`) or timestamps. These types are also the published JSON Schema.
//! What a test means, step by step, is worked out in [`super::script`].

use crate::config::AutomationEntry;
use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use trackside_core::event::{Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use trackside_core::ruleset::Span;

/// A test of automations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The automations it is about: names, or automations written out. Default: all of the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automations: Option<Vec<Choice>>,
    /// When it starts; default `2026-01-05T09:00:00Z`, a Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub start: Option<Timestamp>,
    /// What happens.
    pub events: Vec<Step>,
    /// How long the clock runs; default: until the last event or the last expected firing, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// What must fire or resolve, and nothing else.
    pub expect: Vec<Expected>,
}

/// An automation that a test is about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Choice {
    /// One of the folder, by name.
    Name(String),
    /// One that is written here.
    Inline(AutomationEntry),
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Name(name)),
            value @ Value::Object(_) => Ok(Self::Inline(AutomationEntry(value))),
            _ => Err(D::Error::custom("expected the name of an automation, or an automation")),
        }
    }
}

/// Something that happens: an event, the end of a run, or an event that tells of the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// When it happens; default: with the step before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// The same, as the time after the step before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// When it arrives; default: when it happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Moment>,
    /// Name of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The resource it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// Related resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Resource>,
    /// Its content.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// Its identity, any text; the same twice is a duplicate. Default: one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The `id` of the event that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Where it comes from; default `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The run that ends with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStep>,
    /// The same again, several times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStep {
    /// The pipeline.
    pub pipeline: String,
    /// How it ended.
    pub state: EndState,
    /// When it started; with it there is a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Moment>,
    /// When it ended; default: when the step happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Moment>,
    /// When it should have started; with it there is a lateness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Moment>,
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// Without doing work; counts as nothing.
    Skipped,
    /// Stopped; counts as nothing.
    Cancelled,
}

/// Repetition of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often it happens in all.
    pub times: u32,
    /// The time from one to the next.
    pub every: Span,
}

/// A firing that must come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// When; default: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Name of the automation.
    pub automation: String,
    /// Values of its `for_each` labels, as many as matter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether its condition clears, instead of being met.
    #[serde(default)]
    pub resolved: bool,
}

/// A moment of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after the start.
    After(SignedDuration),
    /// At this time.
    At(Timestamp),
}

impl Moment {
    pub(super) fn on(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::After(time) => start.checked_add(time).ok(),
            Self::At(time) => Some(time),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(time) => serializer.collect_str(&Span(*time)),
            Self::At(time) => serializer.collect_str(time),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let span: Result<Span, _> = text.strip_prefix('+').unwrap_or(&text).trim().parse();
        span.map(|span| Self::After(span.0)).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is not a moment; write a length of time since the start (+90s, +20m, +1h 30m) or a timestamp"
            ))
        })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time since the start (+90s, +20m, +1h 30m) or a timestamp"
        })
    }
}

/// A resource: its id, or its labels. `id`, `name` and `role` stand for `prefect.resource.id` and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(pub Labels);

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = match Value::deserialize(deserializer)? {
            Value::String(id) => return Ok(Self(Labels::from([(RESOURCE_ID.to_owned(), id)]))),
            Value::Object(members) => members,
            _ => return Err(D::Error::custom("expected the id of a resource, or its labels")),
        };
        let label = |(name, value): (String, Value)| {
            let name = match name.as_str() {
                "id" => RESOURCE_ID.to_owned(),
                "name" => RESOURCE_NAME.to_owned(),
                "role" => RESOURCE_ROLE.to_owned(),
                _ => name,
            };
            match value {
                Value::String(text) => Ok((name, text)),
                Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
                _ => Err(D::Error::custom(format!("the label `{name}` must be a text"))),
            }
        };
        members.into_iter().map(label).collect::<Result<Labels, _>>().map(Self)
    }
}

impl JsonSchema for Resource {
    fn schema_name() -> Cow<'static, str> {
        "Resource".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A resource: its id, or its labels; id, name and role stand for prefect.resource.id and so on",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
            ]
        })
    }
}
