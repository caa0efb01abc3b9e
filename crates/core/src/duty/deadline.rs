//! Deadlines by the wall clock: "by 07:30 in Paris, on working days".
//!
//! Invariants: a pure function of the calendar; zones follow [`super::zone`], so a time that a clock change skips is the
//! instant an equally long wait would end at, and one that comes twice is its first occurrence.

use super::zone::Zone;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};

/// Days that are looked at. A deadline that applies on none of them does not come.
const HORIZON: usize = 400;

/// A time of day in a zone, on the days that `applies` says.
pub struct Daily<'a, F> {
    /// Time of day.
    pub time: Time,
    /// Zone of the time and of the days.
    pub zone: &'a Zone,
    /// Whether it applies on a local day.
    pub applies: F,
}

impl<F: Fn(Date) -> bool> Daily<'_, F> {
    /// The first instant after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // A day earlier: a zone that skips a day moves what falls on it to the next.
        let first = self.zone.local(after).date().yesterday().unwrap_or(Date::MIN);
        self.among(first.series(jiff::Span::new().days(1))).find(|due| *due > after)
    }

    /// The last instant that is not after `at`.
    pub fn last(&self, at: Timestamp) -> Option<Timestamp> {
        let first = self.zone.local(at).date().tomorrow().unwrap_or(Date::MAX);
        self.among(first.series(jiff::Span::new().days(-1))).find(|due| *due <= at)
    }

    fn among(&self, days: impl Iterator<Item = Date>) -> impl Iterator<Item = Timestamp> {
        let days = days.take(HORIZON).filter(|date| (self.applies)(*date));
        days.map(|date| self.zone.instant(date.to_datetime(self.time)))
    }
}

/// The beginning of the local day of a deadline: what came since then is in time.
#[must_use]
pub fn day_of(due: Timestamp, zone: &Zone) -> Timestamp {
    // Just before: a deadline at midnight closes the day that ends with it.
    let day = zone.local(due.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(due)).date();
    zone.instant(day.to_datetime(Time::midnight()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Weekday;

    fn daily<'a>(
        time: &str,
        zone: &'a Zone,
        days: &'a [Weekday],
        free: &'a [&str],
    ) -> Daily<'a, impl Fn(Date) -> bool> {
        let free: Vec<Date> = free.iter().map(|date| date.parse().unwrap()).collect();
        let applies = move |date: Date| (days.is_empty() || days.contains(&date.weekday())) && !free.contains(&date);
        Daily { time: Time::strptime("%H:%M", time).unwrap(), zone, applies }
    }

    #[track_caller]
    fn check(after: &str, time: &str, zone: &str, days: &[Weekday], free: &[&str], expect: &str) {
        let zone = Zone::new(zone).unwrap();
        let daily = daily(time, &zone, days, free);
        let due = daily.next(after.parse().unwrap());
        assert_eq!(due.map(|due| due.to_string()).unwrap_or_default(), expect);
        // Seen from there, it is the last one; an instant earlier it is still to come.
        let Some(due) = due else { return };
        assert_eq!(daily.last(due), Some(due));
        assert_eq!(daily.next(due - SignedDuration::from_nanos(1)), Some(due));
    }

    #[test]
    fn deadlines_follow_the_clock_on_the_wall() {
        use Weekday::{Friday, Monday};
        let paris = "Europe/Paris";
        check("2026-11-20T05:00:00Z", "07:00", paris, &[], &[], "2026-11-20T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", paris, &[], &[], "2026-11-21T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", paris, &[Monday], &[], "2026-11-23T06:00:00Z");
        check("2026-11-20T05:59:59Z", "07:00", paris, &[Friday], &[], "2026-11-20T06:00:00Z");
        check("2026-11-20T06:00:00Z", "07:00", paris, &[Friday], &[], "2026-11-27T06:00:00Z");
    }

    #[test]
    fn days_of_a_calendar_are_left_out() {
        let free = ["2026-12-25", "2026-12-26", "2027-01-01"];
        check("2026-12-24T08:00:00Z", "07:00", "Europe/Paris", &[], &free, "2026-12-27T06:00:00Z");
        check("2026-12-20T08:00:00Z", "07:00", "Europe/Paris", &[Weekday::Friday], &free, "2027-01-08T06:00:00Z");
        let all_fridays: Vec<String> = "2026-01-02"
            .parse::<Date>()
            .unwrap()
            .series(jiff::Span::new().weeks(1))
            .take(120)
            .map(|d| d.to_string())
            .collect();
        let never: Vec<&str> = all_fridays.iter().map(String::as_str).collect();
        check("2026-01-01T00:00:00Z", "07:00", "UTC", &[Weekday::Friday], &never, "");
    }

    #[test]
    fn clock_changes_move_a_deadline_once() {
        // The hour that does not exist: the offset before the gap. The one that comes twice: its first occurrence.
        check("2026-03-28T12:00:00Z", "02:30", "Europe/Paris", &[], &[], "2026-03-29T01:30:00Z");
        check("2026-03-29T01:30:00Z", "02:30", "Europe/Paris", &[], &[], "2026-03-30T00:30:00Z");
        check("2026-10-24T12:00:00Z", "02:30", "Europe/Paris", &[], &[], "2026-10-25T00:30:00Z");
        check("2026-10-25T00:30:00Z", "02:30", "Europe/Paris", &[], &[], "2026-10-26T01:30:00Z");
        // Half an hour of difference, and a gap at midnight.
        check("2026-10-03T12:00:00Z", "02:15", "Australia/Lord_Howe", &[], &[], "2026-10-03T15:45:00Z");
        check("2026-04-23T12:00:00Z", "00:00", "Africa/Cairo", &[], &[], "2026-04-23T22:00:00Z");
        // Samoa skipped 30 December 2011 altogether: both days' deadlines are one instant.
        check("2011-12-30T00:00:00Z", "07:00", "Pacific/Apia", &[], &[], "2011-12-30T17:00:00Z");
        check("2011-12-30T17:00:00Z", "07:00", "Pacific/Apia", &[], &[], "2011-12-31T17:00:00Z");
    }

    #[test]
    fn the_day_of_a_deadline_begins_at_local_midnight() {
        let check = |due: &str, zone: &str, expect: &str| {
            let since = day_of(due.parse().unwrap(), &Zone::new(zone).unwrap());
            assert_eq!(since.to_string(), expect, "{due} {zone}");
        };
        check("2026-11-20T06:00:00Z", "Europe/Paris", "2026-11-19T23:00:00Z");
        check("2026-03-29T10:00:00Z", "Europe/Paris", "2026-03-28T23:00:00Z");
        check("2026-10-25T10:00:00Z", "Europe/Paris", "2026-10-24T22:00:00Z");
        // Midnight does not exist: the day begins an hour later.
        check("2026-04-24T10:00:00Z", "Africa/Cairo", "2026-04-23T22:00:00Z");
        check("2026-11-20T00:00:00Z", "UTC", "2026-11-19T00:00:00Z");
    }
}
