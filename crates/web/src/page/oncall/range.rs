//! The part of time that the calendar shows: whole days of one zone.
//!
//! Pure. Days are dates of the zone; a day on which the clock moves is as long as it is.

use crate::problem::Problem;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan};
use trackside_core::duty::zone::Zone;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Length {
    #[default]
    Week,
    Fortnight,
    Month,
}

impl Length {
    /// All, with what stands in the address and what people read.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Week, "week", "a week"),
        (Self::Fortnight, "two-weeks", "two weeks"),
        (Self::Month, "month", "a month"),
    ];

    /// The word of an address; empty is the default.
    pub(crate) fn parse(word: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|(_, known, _)| *known == word).map(|(length, ..)| length);
        match found {
            Some(length) => Ok(length),
            None if word.is_empty() => Ok(Self::default()),
            None => Err(Problem::bad("span", format!("`{word}` is not a span; write week, two-weeks or month"))),
        }
    }

    /// As in an address.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(length, ..)| *length == self).map_or("week", |(_, word, _)| word)
    }

    fn step(self) -> jiff::Span {
        match self {
            Self::Week => 7.days(),
            Self::Fortnight => 14.days(),
            Self::Month => 1.month(),
        }
    }
}

/// Whole days of one zone.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// Zone of the days.
    pub(crate) zone: Zone,
    /// How much.
    pub(crate) length: Length,
    /// First day.
    pub(crate) first: Date,
    /// Where it begins.
    pub(crate) from: Timestamp,
    /// Where it ends, exclusive.
    pub(crate) until: Timestamp,
}

impl Range {
    /// From the day that was asked for; else from the begin of this week or month.
    pub(crate) fn new(first: Option<Date>, length: Length, zone: Zone, now: Timestamp) -> Self {
        let today = zone.local(now).date();
        let first = first.unwrap_or_else(|| match length {
            Length::Month => today.first_of_month(),
            Length::Week | Length::Fortnight => {
                today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days())
            }
        });
        let end = first.saturating_add(length.step());
        let (from, until) = (midnight(&zone, first), midnight(&zone, end));
        Self { zone, length, first, from, until }
    }

    /// First day of the range before this one.
    pub(crate) fn before(&self) -> Date {
        self.first.saturating_sub(self.length.step())
    }

    /// First day of the range after this one.
    pub(crate) fn after(&self) -> Date {
        self.first.saturating_add(self.length.step())
    }

    /// Its days with the instants at which they begin.
    pub(crate) fn days(&self) -> Vec<(Date, Timestamp)> {
        let after = self.after();
        let days = self.first.series(1.day()).take_while(|day| *day < after);
        days.map(|day| (day, midnight(&self.zone, day))).collect()
    }

    /// Where an instant is, as a percentage of the width; outside is at the edge.
    pub(crate) fn place(&self, at: Timestamp) -> f64 {
        let whole = self.until.duration_since(self.from).as_secs_f64().max(1.0);
        (at.duration_since(self.from).as_secs_f64() / whole).clamp(0.0, 1.0) * 100.0
    }

    /// Whether the instant is shown.
    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

fn midnight(zone: &Zone, day: Date) -> Timestamp {
    zone.instant(DateTime::from_parts(day, Time::midnight()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[track_caller]
    fn check(length: Length, zone: &str, now: &str, expect: (&str, &str, usize)) {
        let range = Range::new(None, length, Zone::new(zone).expect("a zone"), at(now));
        let got = (range.from.to_string(), range.until.to_string(), range.days().len());
        assert_eq!(got, (expect.0.to_owned(), expect.1.to_owned(), expect.2));
    }

    #[test]
    fn a_range_is_made_of_whole_days_of_its_zone() {
        check(Length::Week, "UTC", "2026-11-21T10:00:00Z", ("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", 7));
        // Sunday evening in Paris is Monday in Auckland.
        check(
            Length::Fortnight,
            "Pacific/Auckland",
            "2026-11-22T20:00:00Z",
            ("2026-11-22T11:00:00Z", "2026-12-06T11:00:00Z", 14),
        );
        // The week in which summer time ends has an hour more.
        check(
            Length::Week,
            "Europe/Paris",
            "2026-10-21T10:00:00Z",
            ("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z", 7),
        );
        check(
            Length::Month,
            "Europe/Paris",
            "2026-02-10T10:00:00Z",
            ("2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", 28),
        );
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_trouble() {
        for day in [Date::MIN, Date::MAX] {
            let range = Range::new(Some(day), Length::Month, Zone::default(), at("2026-11-21T10:00:00Z"));
            assert!(range.days().len() < 40);
            assert!((0.0..=100.0).contains(&range.place(at("2026-11-21T10:00:00Z"))));
        }
    }

    #[test]
    fn words_of_an_address_are_read() {
        assert_eq!(Length::parse("").expect("default"), Length::Week);
        for (length, word, _) in Length::ALL {
            assert_eq!((Length::parse(word).expect("known"), length.word()), (length, word));
        }
        assert!(Length::parse("year").is_err());
    }
}
