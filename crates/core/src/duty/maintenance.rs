//! Windows of time in which nobody is paged.
//!
//! Invariants: half-open ranges of instants; local times are resolved by [`super::zone`]; a duration is exact elapsed
//! time, an end time is a wall clock; recurrence steps in local calendar days. Occurrences of a recurrence may overlap
//! or touch; whether they act as one is decided by whoever asks. An occurrence that the clock swallows (it would end
//! before it begins) does not happen.
//!
//! - [`dates`]: on which days a recurrence falls

mod dates;

use super::interval::{Fields, TimeInterval, any, next_change, stretch, time_of_day};
use super::zone::Zone;
use dates::Dates;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a window is active: once, by a recurrence, or by local fields (Alertmanager's shape).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Zone of the local times.
    pub tz: Zone,
    /// First start, local.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<DateTime>,
    /// End of a single window, local.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<DateTime>,
    /// Length in exact seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u64>,
    /// Local end of each occurrence, `HH:MM`; not after the start's time of day means the next day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// How it comes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rrule: Option<Recurrence>,
    /// Instead of all the above: active while any of these contains the instant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<TimeInterval>,
}

/// Longest single occurrence, in seconds: a leap year.
const DURATION_MAX_S: u64 = 366 * 86_400;
/// Most occurrences listed at once.
const OCCURRENCES: usize = 10_000;

/// A window's occurrence: start inclusive, end exclusive.
pub type Occurrence = (Timestamp, Timestamp);

impl When {
    /// Whether it says exactly one thing.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        if !self.intervals.is_empty() {
            let alone = Self { intervals: self.intervals.clone(), tz: self.tz.clone(), ..Self::default() };
            if *self != alone {
                return Err(
                    "`intervals` says everything: leave out start, end, duration_s, end_time and rrule".to_owned()
                );
            }
            return self.intervals.iter().try_for_each(TimeInterval::check);
        }
        let Some(start) = self.start else {
            return Err("`start` is missing: write the first start as local time, such as 2026-01-31T22:00:00, or \
                        `intervals`"
                .to_owned());
        };
        self.check_end(start)?;
        match &self.rrule {
            Some(rule) => rule.check(start),
            None if self.occurrence(start).is_none() => {
                Err(format!("the window is empty: in {} it ends before it starts", self.tz.name()))
            }
            None => Ok(()),
        }
    }

    fn check_end(&self, start: DateTime) -> Result<(), String> {
        match (self.end, self.duration_s, self.end_time.as_deref()) {
            (None, None, None) => Err("the end is missing: write one of end, duration_s and end_time".to_owned()),
            (Some(_), None, None) if self.rrule.is_some() => {
                Err("`end` belongs to a single window: with rrule write end_time or duration_s".to_owned())
            }
            (Some(end), None, None) if end <= start => Err(format!("`end` {end} is not after `start` {start}")),
            (Some(_), None, None) => Ok(()),
            (None, Some(0), None) => Err("`duration_s` is 0: write at least 1".to_owned()),
            (None, Some(seconds), None) if seconds > DURATION_MAX_S => {
                Err(format!("`duration_s` is {seconds}: write at most {DURATION_MAX_S}"))
            }
            (None, Some(_), None) => Ok(()),
            (None, None, Some(text)) => time_of_day(text).map(drop).map_err(|why| format!("end_time: {why}")),
            _ => Err("more than one end: write only one of end, duration_s and end_time".to_owned()),
        }
    }

    /// The occurrence that contains the instant; of overlapping ones the one that began first. For `intervals` the whole
    /// stretch, with the beginning or the end of time for an edge more than ten years away.
    #[must_use]
    pub fn active(&self, at: Timestamp) -> Option<Occurrence> {
        if !self.intervals.is_empty() {
            return stretch(&self.fields()?, at);
        }
        self.around(at).take_while(|(start, _)| *start <= at).find(|(_, end)| *end > at)
    }

    /// The first start after the instant; for `intervals` none when it is more than ten years away.
    #[must_use]
    pub fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        if !self.intervals.is_empty() {
            let fields = self.fields()?;
            let change = next_change(&fields, after, Timestamp::MAX)?;
            return if any(&fields, change) { Some(change) } else { next_change(&fields, change, Timestamp::MAX) };
        }
        self.around(after).map(|(start, _)| start).find(|start| *start > after)
    }

    /// The occurrences that overlap the range, in order of their starts; at most ten thousand.
    #[must_use]
    pub fn occurrences(&self, from: Timestamp, until: Timestamp) -> Vec<Occurrence> {
        if self.intervals.is_empty() {
            let before = self.around(from).take_while(|(start, _)| *start < until);
            return before.filter(|(_, end)| *end > from).take(OCCURRENCES).collect();
        }
        let first = self.active(from).or_else(|| self.active(self.next_start(from)?));
        let following = |(_, end): &Occurrence| self.active(self.next_start(*end)?);
        let all = std::iter::successors(first, following);
        all.take_while(|(start, _)| *start < until).take(OCCURRENCES).collect()
    }

    /// Every occurrence that may contain the instant, and all later ones, in order.
    fn around(&self, at: Timestamp) -> impl Iterator<Item = Occurrence> {
        let longest = self.duration_s.unwrap_or(0).min(DURATION_MAX_S) / 86_400 + 3;
        let back = SignedDuration::from_hours(i64::try_from(longest).unwrap_or(0) * 24);
        let from = self.tz.local(at).saturating_sub(back).date();
        let once = self.start.filter(|_| self.rrule.is_none());
        // Without a length nothing would ever be found, and the search would go on to the end of the calendar.
        let repeats = self.rrule.as_ref().filter(|_| self.has_repeatable_end());
        let again = self.start.zip(repeats).map(|(start, rule)| (start, Dates::new(rule, start)));
        let again = again.and_then(|(start, dates)| dates.ok().map(|dates| (start, dates)));
        let again = again.into_iter().flat_map(move |(start, dates)| {
            dates.since(from).map(move |date| DateTime::from_parts(date, start.time()))
        });
        once.into_iter().chain(again).filter_map(|start| self.occurrence(start))
    }

    fn has_repeatable_end(&self) -> bool {
        match (self.end, self.duration_s, self.end_time.as_deref()) {
            (None, Some(seconds), _) => seconds > 0,
            (None, None, Some(text)) => time_of_day(text).is_ok(),
            _ => false,
        }
    }

    /// The occurrence that begins at the local time.
    fn occurrence(&self, start: DateTime) -> Option<Occurrence> {
        let from = self.tz.instant(start);
        let until = match (self.end, self.duration_s, self.end_time.as_deref()) {
            (Some(end), ..) => self.tz.instant(end),
            (None, Some(seconds), _) => {
                let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                from.saturating_add(length).unwrap_or(Timestamp::MAX)
            }
            (None, None, Some(text)) => self.tz.instant(next_time(start, time_of_day(text).ok()?)),
            (None, None, None) => return None,
        };
        (from < until).then_some((from, until))
    }

    fn fields(&self) -> Option<Vec<Fields>> {
        self.intervals.iter().map(Fields::parse).collect::<Result<_, _>>().ok()
    }
}

/// The first wall clock after `start` that shows the minute of the day.
fn next_time(start: DateTime, minute: u16) -> DateTime {
    let on = |date: Date| DateTime::from_parts(date, Time::midnight()).saturating_add(i64::from(minute).minutes());
    let same_day = on(start.date());
    if same_day > start { same_day } else { same_day.saturating_add(1.day()) }
}

/// A recurrence in local calendar days (a small part of RFC 5545 §3.3.10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Step.
    pub freq: Frequency,
    /// Every n-th, at least 1.
    #[serde(default = "one")]
    pub interval: u32,
    /// Weekdays, for weekly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_day: Vec<String>,
    /// Day of the month, for monthly; negative counts from the end; months without it are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_month_day: Option<i8>,
    /// Last local start, inclusive.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime>,
    /// At most so many occurrences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

fn one() -> u32 {
    1
}

/// Steps of a recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Frequency {
    Daily,
    Weekly,
    Monthly,
}

#[cfg(test)]
mod tests;
