//! Moments and lengths of time as state keeps them: whole microseconds in eight bytes.
//!
//! Senders write no more than microseconds, and there may be 100,000 of these at a time. Invariant: arithmetic never
//! overflows; it stops at the last moment that a timestamp can have.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Instant(i64);

/// A length of time, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(i64);

impl Instant {
    /// Before everything.
    pub(super) const FIRST: Self = Self(i64::MIN);
    /// The first moment of 1970.
    pub(super) const EPOCH: Self = Self(0);

    pub(super) fn of(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }

    pub(super) fn timestamp(self) -> Timestamp {
        let limit = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_microsecond(self.0).unwrap_or(limit)
    }

    pub(super) fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0).min(Timestamp::MAX.as_microsecond()))
    }

    pub(super) fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The time since `earlier`; none when that is later.
    pub(super) fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0))
    }

    /// The next moment there is.
    pub(super) fn just_after(self) -> Self {
        self.plus(Span::TICK)
    }

    /// This moment or the first one after it that is a whole number of `grid`.
    pub(super) fn round_up(self, grid: Span) -> Self {
        let past = self.0.rem_euclid(grid.0.max(1));
        if past == 0 { self } else { self.plus(Span(grid.0 - past)) }
    }

    /// Which piece of a `grid` from 1970 on this moment lies in.
    pub(super) fn piece(self, grid: Span) -> i64 {
        self.0.div_euclid(grid.0.max(1))
    }

    pub(super) fn offset_from(self, base: Self) -> i64 {
        self.0.saturating_sub(base.0)
    }

    pub(super) fn at_offset(self, offset: i64) -> Self {
        Self(self.0.saturating_add(offset))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl Span {
    /// The shortest there is.
    pub(super) const TICK: Self = Self(1);

    pub(super) const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1_000_000)
    }

    pub(super) const fn minutes(minutes: i64) -> Self {
        Self::seconds(minutes * 60)
    }

    pub(super) fn of(duration: SignedDuration) -> Self {
        Self(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).max(0))
    }

    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The `parts`-th part of it, at least one microsecond.
    pub(super) fn part(self, parts: i64) -> Self {
        Self((self.0 / parts.max(1)).max(1))
    }
}

impl fmt::Display for Span {
    /// As people write it: `1h 30m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", SignedDuration::from_micros(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_write_them() {
        for (micros, expected) in [(0, "0s"), (90_000_000, "1m 30s"), (600_000_000, "10m"), (1_500, "1ms 500µs")] {
            assert_eq!(Span(micros).to_string(), expected);
        }
    }

    #[test]
    fn arithmetic_stops_at_the_last_timestamp() {
        let last = Instant::of(Timestamp::MAX);
        assert_eq!(last.plus(Span(i64::MAX)), last);
        assert_eq!(last.just_after().timestamp(), last.timestamp());
        assert_eq!(Instant::FIRST.timestamp(), Timestamp::MIN);
    }

    #[test]
    fn rounding_up_keeps_what_is_whole() {
        let hour = Span::minutes(60);
        let at = |text: &str| Instant::of(text.parse().unwrap());
        assert_eq!(at("2026-01-05T09:00:00Z").round_up(hour), at("2026-01-05T09:00:00Z"));
        assert_eq!(at("2026-01-05T09:00:00.000001Z").round_up(hour), at("2026-01-05T10:00:00Z"));
    }
}
