//! Recurring times by local fields, in the shape of Alertmanager's `time_intervals`.
//!
//! Invariants: an instant is converted to local fields and these are compared, so a repeated hour matches twice and a
//! skipped one never; start inclusive, end exclusive; days, months, weekdays and years inclusive. An interval whose
//! [`TimeInterval::check`] fails contains nothing; whoever reads one from outside checks it.
//!
//! - [`fields`]: the parsed form; [`change`]: when the answer changes

mod change;
mod fields;

pub(super) use change::{any, next_change, stretch};
pub(super) use fields::{Fields, time_of_day, weekday};

use super::zone::Zone;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// When something applies. Each list that is given must match; a list matches when one of its entries does.
/// Source: Alertmanager's configuration, `time_interval`. Beyond it, a range of weekdays or months may run over the end
/// of the week or year (`friday:monday`), and their names may be cut to three letters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeInterval {
    /// Times of day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// `monday`, `monday:friday`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// `1`, `1:5`, `-3:-1`; −1 is the last day of the month.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "texts")]
    #[schemars(with = "Vec<TextOrNumber>")]
    pub days_of_month: Vec<String>,
    /// `january`, `1`, `november:december`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "texts")]
    #[schemars(with = "Vec<TextOrNumber>")]
    pub months: Vec<String>,
    /// `2026`, `2026:2027`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "texts")]
    #[schemars(with = "Vec<TextOrNumber>")]
    pub years: Vec<String>,
    /// Zone of the fields; default UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Zone>,
}

/// A range of times of day; `24:00` is the end of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// `HH:MM`, inclusive.
    pub start_time: String,
    /// `HH:MM`, exclusive.
    pub end_time: String,
}

impl TimeInterval {
    /// Whether every range can be read.
    ///
    /// # Errors
    /// Which text is wrong, why, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        Fields::parse(self).map(drop)
    }

    /// Whether the instant is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        Fields::parse(self).is_ok_and(|fields| fields.contains(at))
    }

    /// The first instant after the given one at which [`Self::contains`] changes; none when it does not within ten
    /// years.
    #[must_use]
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        next_change(&[Fields::parse(self).ok()?], after, Timestamp::MAX)
    }
}

/// YAML writes `years: [2026]` as naturally as `years: ["2026"]`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(i64),
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Vec::<TextOrNumber>::deserialize(deserializer)?;
    Ok(list
        .into_iter()
        .map(|item| match item {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        })
        .collect())
}

#[cfg(test)]
mod tests;
