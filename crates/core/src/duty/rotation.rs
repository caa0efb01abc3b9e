//! People taking turns.
//!
//! Invariants: hand-over k is the start plus k lengths in local calendar arithmetic, always counted from the original
//! start; month steps clamp to the last day of the month; nobody is on call before the start. Turns follow each other
//! without gap or overlap, also where a hand-over falls into a skipped or repeated hour.

use super::zone::Zone;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rotation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Zone in which hand-overs are at the same wall-clock time.
    pub tz: Zone,
    /// First hand-over, local.
    #[schemars(with = "String")]
    pub start: DateTime,
    /// Unit of a shift.
    pub unit: Unit,
    /// Units per shift, at least 1.
    #[serde(default = "one")]
    pub length: u32,
    /// People in turn, by name.
    pub participants: Vec<String>,
}

fn one() -> u32 {
    1
}

/// Unit of a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
}

/// One person's turn, `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Number of the hand-over that began it; 0 is the first.
    pub index: i64,
    /// From, inclusive.
    pub start: Timestamp,
    /// Until, exclusive; the end of time when the calendar holds no further hand-over.
    pub end: Timestamp,
    /// Who.
    pub user: &'a str,
}

/// Longest shift, in its unit: about twenty years of hours.
const LENGTH_MAX: u32 = 200_000;
/// No zone ever moved its clock by more than this many hours at once (Samoa skipped a whole day).
const CLOCK_MOVE_HOURS: i64 = 26;

impl Rotation {
    /// Whether it can be used.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        if self.length == 0 || self.length > LENGTH_MAX {
            return Err(format!("`length` is {}: write 1 to {LENGTH_MAX}", self.length));
        }
        if self.participants.is_empty() {
            return Err("`participants` is empty: name at least one person".to_owned());
        }
        if self.participants.iter().any(|name| name.trim().is_empty()) {
            return Err("`participants` has an empty name: write the name of a person".to_owned());
        }
        Ok(())
    }

    /// The turn that contains the instant; none before the rotation starts, or when nobody takes part.
    #[must_use]
    pub fn shift(&self, at: Timestamp) -> Option<Turn<'_>> {
        if at < self.handoff(0) {
            return None;
        }
        // Turn k lasts from its hand-over until the first later one: where the clock jumps by more than a turn's
        // length, hand-overs can fall together or come in another order, and the last of them counts.
        let reach = self.reach(at);
        let mut index = self.estimate(at) + reach;
        while index > 0 && self.handoff(index) > at {
            index -= 1;
        }
        let end = (1..=reach).map(|ahead| self.handoff(index + ahead)).min()?;
        let user = self.participants.get(usize::try_from(index).ok()? % self.participants.len().max(1))?;
        Some(Turn { index, start: self.handoff(index), end, user })
    }

    /// The instant of hand-over `index`, counted from 0; negative ones are before the start. Where the calendar ends,
    /// so does time.
    #[must_use]
    pub fn handoff(&self, index: i64) -> Timestamp {
        let out = if index < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let Some(units) = index.checked_mul(i64::from(self.length.max(1))) else { return out };
        let span = match self.unit {
            Unit::Hour => Span::new().try_hours(units),
            Unit::Day => Span::new().try_days(units),
            Unit::Week => Span::new().try_weeks(units),
            Unit::Month => Span::new().try_months(units),
        };
        span.and_then(|span| self.start.checked_add(span)).map_or(out, |local| self.tz.instant(local))
    }

    /// How many hand-overs around the instant may come in another order than that of their numbers.
    fn reach(&self, at: Timestamp) -> i64 {
        let step = self.step_hours();
        let hours = |hours| SignedDuration::from_hours(hours);
        let from = at.saturating_sub(hours(CLOCK_MOVE_HOURS + 1)).unwrap_or(Timestamp::MIN);
        let to = at.saturating_add(hours(2 * CLOCK_MOVE_HOURS)).unwrap_or(Timestamp::MAX);
        let moves = || self.tz.time_zone().following(from).next().is_some_and(|next| next.timestamp() <= to);
        if step < CLOCK_MOVE_HOURS && moves() { CLOCK_MOVE_HOURS / step + 1 } else { 1 }
    }

    /// The number of the hand-over if the clock never moved; the true one is no more than [`Self::reach`] ahead.
    fn estimate(&self, at: Timestamp) -> i64 {
        let local = self.tz.local(at);
        let length = i64::from(self.length.max(1));
        if self.unit == Unit::Month {
            let months = |date: DateTime| i64::from(date.year()) * 12 + i64::from(date.month());
            return (months(local) - months(self.start)) / length;
        }
        local.duration_since(self.start).as_hours() / self.step_hours()
    }

    /// Shortest length of a shift, in hours of the wall clock.
    fn step_hours(&self) -> i64 {
        let unit = match self.unit {
            Unit::Hour => 1,
            Unit::Day => 24,
            Unit::Week => 7 * 24,
            Unit::Month => 28 * 24,
        };
        unit * i64::from(self.length.max(1))
    }
}

#[cfg(test)]
mod tests;
