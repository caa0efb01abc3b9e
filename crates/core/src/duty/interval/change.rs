//! When a union of intervals begins and ceases to hold.
//!
//! The answer can change only at a boundary of a range on the wall clock, at a local midnight where the date begins or
//! ceases to match, or where the clock jumps. These instants are collected for some days at a time and looked at in
//! order; what lies between two of them is all alike.

use super::fields::Fields;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// How far a change is looked for: past every leap day.
const SEARCH: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);
/// Days looked at together, at most.
const CHUNK_DAYS_MAX: i64 = 64;

/// Whether any of the intervals contains the instant.
pub(crate) fn any(intervals: &[Fields], at: Timestamp) -> bool {
    intervals.iter().any(|interval| interval.contains(at))
}

/// The first instant after the given one, and not after `until`, at which [`any`] changes; none when it does not within
/// [`SEARCH`].
pub(crate) fn next_change(intervals: &[Fields], after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let until = until.min(after.saturating_add(SEARCH).unwrap_or(Timestamp::MAX));
    let now = any(intervals, after);
    let (mut from, mut days) = (after, 1);
    while from < until {
        let to = from.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX).min(until);
        let found = boundaries(intervals, from, to).into_iter().find(|at| any(intervals, *at) != now);
        if found.is_some() {
            return found;
        }
        (from, days) = (to, (days * 4).min(CHUNK_DAYS_MAX));
    }
    None
}

/// The stretch around the instant in which [`any`] holds, half-open; none when it does not hold at the instant. An edge
/// that is further than [`SEARCH`] away is the beginning or the end of time.
pub(crate) fn stretch(intervals: &[Fields], at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    if !any(intervals, at) {
        return None;
    }
    let end = next_change(intervals, at, Timestamp::MAX).unwrap_or(Timestamp::MAX);
    Some((last_change(intervals, at).unwrap_or(Timestamp::MIN), end))
}

/// The last instant, not after the given one, at which [`any`] changed.
fn last_change(intervals: &[Fields], at: Timestamp) -> Option<Timestamp> {
    let floor = at.saturating_sub(SEARCH).unwrap_or(Timestamp::MIN);
    let now = any(intervals, at);
    let (mut to, mut days) = (at, 1);
    while to > floor {
        let from = to.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN).max(floor);
        // Every boundary is a whole second, so the second before it belongs to what was.
        let before = |at: &Timestamp| at.saturating_sub(1.second()).unwrap_or(Timestamp::MIN);
        let found = boundaries(intervals, from, to).into_iter().rev().find(|at| any(intervals, before(at)) != now);
        if found.is_some() {
            return found;
        }
        (to, days) = (from, (days * 4).min(CHUNK_DAYS_MAX));
    }
    None
}

/// Every instant in (from, to] at which the answer may change, in order.
fn boundaries(intervals: &[Fields], from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut found = Vec::new();
    for interval in intervals {
        let zone = interval.zone.time_zone();
        found.extend(zone.following(from).map(|jump| jump.timestamp()).take_while(|at| *at <= to));
        // A zone's clock jumps by up to a day, so the days around belong to it.
        let mut date = interval.zone.local(from).date().saturating_sub(2.days());
        let last = interval.zone.local(to).date().saturating_add(2.days());
        let mut matched = interval.has_date(date);
        while let Ok(next) = date.tomorrow() {
            date = next;
            let matches = interval.has_date(date);
            if matches != matched {
                push(interval, date, 0, &mut found);
            }
            if matches {
                let edges = interval.times.iter().flat_map(|range| [range.start, range.end]);
                edges.for_each(|minute| push(interval, date, minute, &mut found));
            }
            matched = matches;
            if date >= last {
                break;
            }
        }
    }
    found.retain(|at| *at > from && *at <= to);
    found.sort_unstable();
    found.dedup();
    found
}

/// Both instants at which the wall clock shows the minute of the day.
fn push(interval: &Fields, date: Date, minute: u16, found: &mut Vec<Timestamp>) {
    let local = DateTime::from_parts(date, Time::midnight()).saturating_add(i64::from(minute).minutes());
    let instants = interval.zone.time_zone().to_ambiguous_timestamp(local);
    found.extend(instants.earlier());
    found.extend(instants.later());
}
