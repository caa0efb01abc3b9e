//! On which local days a recurrence falls.
//!
//! Invariants: a recurrence is a row of periods (days, weeks from Monday, months), of which every n-th counts; days
//! before the start do not; no instants here, so no clock changes either.

use super::{Frequency, Recurrence};
use crate::duty::interval::weekday;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Weekday};

/// Most occurrences a rule can count; more is what `until` is for.
const COUNT_MAX: u32 = 10_000;
/// Largest step, in its unit.
const INTERVAL_MAX: u32 = 1_000;

impl Recurrence {
    /// Whether it says something that happens.
    pub(super) fn check(&self, start: DateTime) -> Result<(), String> {
        let freq = self.freq;
        if self.interval == 0 || self.interval > INTERVAL_MAX {
            return Err(format!("rrule: `interval` is {}: write 1 to {INTERVAL_MAX}", self.interval));
        }
        if self.count.is_some_and(|count| count == 0 || count > COUNT_MAX) {
            return Err(format!("rrule: write a `count` of 1 to {COUNT_MAX}, or `until`"));
        }
        if !self.by_day.is_empty() && freq != Frequency::Weekly {
            return Err("rrule: `by_day` belongs to `freq: weekly`".to_owned());
        }
        match self.by_month_day {
            Some(_) if freq != Frequency::Monthly => {
                return Err("rrule: `by_month_day` belongs to `freq: monthly`".to_owned());
            }
            Some(day) if day == 0 || !(-31..=31).contains(&day) => {
                return Err(format!("rrule: `by_month_day` is {day}: write 1 to 31, or -1 to -31 from the end"));
            }
            _ => {}
        }
        match Dates::new(self, start)?.since(start.date()).next() {
            Some(_) => Ok(()),
            None => Err("rrule: it never happens: look at `until` and `by_month_day`".to_owned()),
        }
    }
}

/// The days of a recurrence.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    freq: Frequency,
    interval: i64,
    /// For weekly, in order, each once.
    weekdays: Vec<Weekday>,
    /// For monthly; negative counts from the end.
    month_day: i8,
    start: Date,
    /// No day is later.
    last: Date,
}

impl Dates {
    pub(super) fn new(rule: &Recurrence, start: DateTime) -> Result<Self, String> {
        let named: Result<Vec<Weekday>, String> = rule.by_day.iter().map(|name| weekday(name)).collect();
        let mut weekdays = named.map_err(|why| format!("rrule: by_day: {why}"))?;
        if weekdays.is_empty() {
            weekdays.push(start.weekday());
        }
        weekdays.sort_unstable_by_key(|day| day.to_monday_zero_offset());
        weekdays.dedup();
        let month_day = rule.by_month_day.unwrap_or(start.day());
        let interval = i64::from(rule.interval.max(1));
        let start_date = start.date();
        let mut dates = Self { freq: rule.freq, interval, weekdays, month_day, start: start_date, last: Date::MAX };
        // The last start is inclusive, so a day counts when its start is not after it.
        if let Some(until) = rule.until {
            let same_day = until.time() >= start.time();
            dates.last = if same_day { until.date() } else { until.date().saturating_sub(1.day()) };
        }
        if let Some(count) = rule.count {
            dates.last = dates.nth(i64::from(count.clamp(1, COUNT_MAX))).map_or(dates.last, |nth| nth.min(dates.last));
        }
        Ok(dates)
    }

    /// The days from the given one on, in order.
    pub(super) fn since(self, from: Date) -> impl Iterator<Item = Date> {
        let from = from.max(self.start);
        let last = self.last;
        let periods = (self.period(from)..).map_while(move |period| self.days(period));
        periods.flatten().skip_while(move |date| *date < from).take_while(move |date| *date <= last)
    }

    /// The n-th day, counted from 1.
    fn nth(&self, n: i64) -> Option<Date> {
        let first = self.days(0)?.into_iter().filter(|date| *date >= self.start).count();
        let per_period = match self.freq {
            Frequency::Daily => 1,
            Frequency::Weekly => i64::try_from(self.weekdays.len()).ok()?,
            Frequency::Monthly if (-28..=28).contains(&self.month_day) => 1,
            // Some months are left out: count them.
            Frequency::Monthly => return self.clone().since(self.start).nth(usize::try_from(n - 1).ok()?),
        };
        let beyond_first = n - i64::try_from(first).ok()?;
        let (period, skipped) = match beyond_first {
            ..=0 => (0, i64::try_from(self.days(0)?.len()).ok()? + beyond_first - 1),
            beyond => ((beyond - 1) / per_period + 1, (beyond - 1) % per_period),
        };
        self.days(period)?.into_iter().nth(usize::try_from(skipped).ok()?)
    }

    /// The period the day is in, or the last counted one before it.
    fn period(&self, date: Date) -> i64 {
        let days = |from: Date, to: Date| from.duration_until(to).as_hours() / 24;
        let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let units = match self.freq {
            Frequency::Daily => days(self.start, date),
            Frequency::Weekly => days(monday(self.start), date) / 7,
            Frequency::Monthly => months(date) - months(self.start),
        };
        units / self.interval
    }

    /// The days of a period, in order; none after the end of the calendar.
    fn days(&self, period: i64) -> Option<Vec<Date>> {
        let units = period.checked_mul(self.interval)?;
        match self.freq {
            Frequency::Daily => Some(vec![self.start.checked_add(1.day().checked_mul(units).ok()?).ok()?]),
            Frequency::Weekly => {
                let monday = monday(self.start).checked_add(1.week().checked_mul(units).ok()?).ok()?;
                let day = |day: &Weekday| monday.checked_add(i64::from(day.to_monday_zero_offset()).days()).ok();
                self.weekdays.iter().map(day).collect()
            }
            Frequency::Monthly => {
                let first = self.start.first_of_month().checked_add(1.month().checked_mul(units).ok()?).ok()?;
                let last = first.days_in_month();
                let day = if self.month_day < 0 { last + self.month_day + 1 } else { self.month_day };
                let date = Date::new(first.year(), first.month(), day);
                Some(date.into_iter().collect())
            }
        }
    }
}

/// The Monday of the day's week (RFC 5545's default start of the week).
fn monday(date: Date) -> Date {
    date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days())
}
