//! What rules expect of time and amounts: fresh by a local time, started after something else, told in time, as many
//! rows as usual.

use super::{Day, Selector, Span};
use crate::duty::zone::Zone;
use jiff::civil::{Time, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A success by a local time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreshBy {
    /// Local time, `HH:MM`.
    pub time: ClockTime,
    /// IANA time zone.
    pub zone: Zone,
    /// Days it applies to (`mon` … `sun`); default every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Calendars whose days it does not apply to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// A success counts when it is at most this old at that time; default: since local midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

/// A run that starts after a run of another pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The pipelines whose runs are followed.
    pub after: Selector,
    /// What of their runs is followed (default: a success).
    #[serde(default)]
    pub outcome: Followed,
    /// A run of the rule's own pipeline must start within this time.
    pub within: Span,
}

/// What of a run is followed by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Followed {
    /// Its start.
    Start,
    /// Its success.
    #[default]
    Success,
    /// Its failure.
    Failed,
    /// Its end, whichever.
    Any,
}

/// Events of a source come late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lateness {
    /// Longest time from when something happened until Trackside accepted the event.
    pub over: Span,
}

/// A success wrote unusually many or few rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RowsUnusual {
    /// How many times the usual spread a count may be away from the usual (default 4, at least 1).
    pub factor: f64,
    /// Counts of a weekday, or else of all days, that there must be before any is judged (default 8).
    pub min_history: u32,
    /// Zone of the weekdays (default UTC).
    pub zone: Zone,
    /// Whether it alerts (default: it suggests only).
    pub mode: Mode,
}

impl Default for RowsUnusual {
    fn default() -> Self {
        Self { factor: 4.0, min_history: 8, zone: Zone::default(), mode: Mode::default() }
    }
}

/// What a rule about anomalies does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It says on the pipeline and in the audit what it would have told.
    #[default]
    Suggest,
    /// It raises alerts.
    Alert,
}

/// A time of day, written as `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTime(pub Time);

impl std::fmt::Display for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for ClockTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = Time::strptime("%H:%M", &text);
        time.map(Self).map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time of day; write HH:MM")))
    }
}

impl JsonSchema for ClockTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClockTime".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time of day, HH:MM",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"
        })
    }
}

impl Day {
    /// The day as the calendar has it.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}
