//! An interval as numbers, read once from its texts.
//!
//! Invariant: holds only ranges that can match; which texts are refused follows Alertmanager's configuration.

use super::TimeInterval;
use crate::duty::zone::Zone;
use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use std::ops::RangeInclusive;

/// Minutes from 00:00, start inclusive, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

/// The parsed form of [`TimeInterval`]; an empty list matches everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    pub(super) times: Vec<Minutes>,
    /// Bit n: weekday n is in, Monday is 0.
    weekdays: Option<u8>,
    days_of_month: Vec<(i8, i8)>,
    /// Bit n: month n is in, January is 1.
    months: Option<u16>,
    years: Vec<RangeInclusive<i16>>,
    pub(super) zone: Zone,
}

impl Fields {
    pub(crate) fn parse(interval: &TimeInterval) -> Result<Self, String> {
        let times = interval.times.iter().map(|range| minutes(&range.start_time, &range.end_time));
        let days = interval.days_of_month.iter().map(|text| days_of_month(text));
        Ok(Self {
            times: times.collect::<Result<_, _>>()?,
            weekdays: mask(&interval.weekdays, "weekdays", 0..=6, weekday_number)?.map(|bits| bits as u8),
            days_of_month: days.collect::<Result<_, _>>()?,
            months: mask(&interval.months, "months", 1..=12, month_number)?,
            years: interval.years.iter().map(|text| years(text)).collect::<Result<_, _>>()?,
            zone: interval.location.clone().unwrap_or_default(),
        })
    }

    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.local(at);
        self.has_date(local.date()) && self.has_time(local.time())
    }

    /// Whether all but the time of day matches.
    pub(super) fn has_date(&self, date: Date) -> bool {
        let within = |&(begin, end): &(i8, i8)| {
            let last = date.days_in_month();
            let from_start = |day: i8| if day < 0 { last + day + 1 } else { day };
            (from_start(begin)..=from_start(end)).contains(&date.day())
        };
        self.weekdays.is_none_or(|bits| bits & (1 << date.weekday().to_monday_zero_offset()) != 0)
            && self.months.is_none_or(|bits| bits & (1 << date.month()) != 0)
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(within))
            && (self.years.is_empty() || self.years.iter().any(|years| years.contains(&date.year())))
    }

    fn has_time(&self, time: Time) -> bool {
        let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        self.times.is_empty() || self.times.iter().any(|range| (range.start..range.end).contains(&minute))
    }
}

/// Minutes from 00:00 of `HH:MM`; `24:00` is allowed.
pub(crate) fn time_of_day(text: &str) -> Result<u16, String> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)));
    match parsed {
        Some((hours, minutes)) if minutes < 60 && hours * 60 + minutes <= 24 * 60 => Ok(hours * 60 + minutes),
        _ => Err(format!("`{text}` is not a time of day; write HH:MM from 00:00 to 24:00")),
    }
}

/// The weekday of a name, in any case, whole or cut to at least two letters.
pub(crate) fn weekday(text: &str) -> Result<Weekday, String> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let number = named(text, &NAMES, 2).ok_or_else(|| format!("`{text}` is not a weekday; write monday to sunday"))?;
    Weekday::from_monday_zero_offset(number).map_err(|error| error.to_string())
}

fn weekday_number(text: &str) -> Result<u16, String> {
    weekday(text).map(|day| u16::from(day.to_monday_zero_offset().unsigned_abs()))
}

fn month_number(text: &str) -> Result<u16, String> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let number = text.parse().ok().filter(|number| (1..=12).contains(number));
    let number =
        number.or_else(|| named(text, &NAMES, 3).map(|index| index.unsigned_abs().into()).map(|index: u16| index + 1));
    number.ok_or_else(|| format!("`{text}` is not a month; write january to december or 1 to 12"))
}

fn named(text: &str, names: &[&str], shortest: usize) -> Option<i8> {
    let text = text.to_ascii_lowercase();
    let index = names.iter().position(|name| text.len() >= shortest && name.starts_with(&text))?;
    i8::try_from(index).ok()
}

fn two_digits(text: &str) -> Option<u16> {
    let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn minutes(start: &str, end: &str) -> Result<Minutes, String> {
    let range = Minutes {
        start: time_of_day(start).map_err(|why| format!("start_time: {why}"))?,
        end: time_of_day(end).map_err(|why| format!("end_time: {why}"))?,
    };
    if range.start < range.end {
        return Ok(range);
    }
    Err(format!(
        "times: {start} to {end} is empty; for a range over midnight write two, {start} to 24:00 and 00:00 to {end}"
    ))
}

/// The two ends of `a:b`; both are `a` in `a`.
fn ends(text: &str) -> (&str, &str) {
    let (begin, end) = text.split_once(':').unwrap_or((text, text));
    (begin.trim(), end.trim())
}

/// The bits of cyclic ranges such as `friday:monday`; none for an empty list.
fn mask(
    texts: &[String],
    list: &str,
    all: RangeInclusive<u16>,
    number: fn(&str) -> Result<u16, String>,
) -> Result<Option<u16>, String> {
    let mut bits = 0;
    for text in texts {
        let (begin, end) = ends(text);
        let wrong = |why| format!("{list}: {why}");
        let (begin, end) = (number(begin).map_err(wrong)?, number(end).map_err(wrong)?);
        let inside = |n: &u16| if begin <= end { (begin..=end).contains(n) } else { *n >= begin || *n <= end };
        bits |= all.clone().filter(inside).fold(0, |bits, n| bits | 1 << n);
    }
    Ok((!texts.is_empty()).then_some(bits))
}

fn days_of_month(text: &str) -> Result<(i8, i8), String> {
    let day = |part: &str| {
        let number = part.parse().ok().filter(|day: &i8| *day != 0 && (-31..=31).contains(day));
        number.ok_or_else(|| format!("days_of_month: `{part}` is not a day; write 1 to 31, or -1 to -31 from the end"))
    };
    let (begin, end) = ends(text);
    let (begin, end) = (day(begin)?, day(end)?);
    if begin < 0 && end > 0 {
        return Err(format!("days_of_month: `{text}` starts at the end of the month, so its end must be negative too"));
    }
    // Months differ in length; only what is empty in the longest one is certainly a mistake.
    let in_longest = |day: i8| if day < 0 { 32 + day } else { day };
    if in_longest(begin) > in_longest(end) {
        return Err(format!("days_of_month: `{text}` ends before it starts; write the earlier day first"));
    }
    Ok((begin, end))
}

fn years(text: &str) -> Result<RangeInclusive<i16>, String> {
    let year = |part: &str| {
        let number = part.parse().ok().filter(|year: &i16| (1..=9999).contains(year));
        number.ok_or_else(|| format!("years: `{part}` is not a year; write for example 2026 or 2026:2027"))
    };
    let (begin, end) = ends(text);
    let (begin, end) = (year(begin)?, year(end)?);
    if begin > end {
        return Err(format!("years: `{text}` ends before it starts; write the earlier year first"));
    }
    Ok(begin..=end)
}
