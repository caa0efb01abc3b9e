//! Windows against tables and against looking at every day.

use super::*;
use crate::duty::interval::weekday;
use crate::duty::testing::{at, instants, zones};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn when(json: Value) -> When {
    serde_json::from_value(json).unwrap()
}

#[test]
fn occurrences_by_the_wall_clock() {
    let sundays = json!({"tz": "Europe/Berlin", "start": "2026-01-04T02:00:00", "end_time": "04:00",
        "rrule": {"freq": "weekly", "by_day": ["sunday"]}});
    let table = [
        // The end is a wall clock: the day of the change has an hour less, or more.
        (sundays.clone(), "2026-03-29T00:00:00Z", &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")][..]),
        (sundays, "2026-10-25T00:00:00Z", &[("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z")]),
        // A duration is elapsed time.
        (
            json!({"tz": "Europe/Berlin", "start": "2026-03-29T01:30:00", "duration_s": 7200}),
            "2026-03-29T00:00:00Z",
            &[("2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z")],
        ),
        // Up to the last start, which is inclusive.
        (
            json!({"start": "2026-05-01T22:00:00", "end_time": "24:00",
                "rrule": {"freq": "daily", "until": "2026-05-02T22:00:00"}}),
            "2026-05-01T00:00:00Z",
            &[("2026-05-01T22:00:00Z", "2026-05-02T00:00:00Z"), ("2026-05-02T22:00:00Z", "2026-05-03T00:00:00Z")],
        ),
        (
            json!({"start": "2026-05-01T22:00:00", "end_time": "23:00",
                "rrule": {"freq": "daily", "until": "2026-05-02T21:00:00"}}),
            "2026-05-01T00:00:00Z",
            &[("2026-05-01T22:00:00Z", "2026-05-01T23:00:00Z")],
        ),
        // The start is no occurrence when the rule leaves it out; weeks count from Monday.
        (
            json!({"start": "2026-01-07T20:00:00", "end_time": "21:00",
                "rrule": {"freq": "weekly", "interval": 2, "by_day": ["monday", "SUN"], "count": 2}}),
            "2026-01-01T00:00:00Z",
            &[("2026-01-11T20:00:00Z", "2026-01-11T21:00:00Z"), ("2026-01-19T20:00:00Z", "2026-01-19T21:00:00Z")],
        ),
        // Months without the day are left out and not counted.
        (
            json!({"start": "2026-01-31T23:00:00", "duration_s": 10800,
                "rrule": {"freq": "monthly", "count": 3}}),
            "2026-01-01T00:00:00Z",
            &[
                ("2026-01-31T23:00:00Z", "2026-02-01T02:00:00Z"),
                ("2026-03-31T23:00:00Z", "2026-04-01T02:00:00Z"),
                ("2026-05-31T23:00:00Z", "2026-06-01T02:00:00Z"),
            ],
        ),
        (
            json!({"start": "2026-01-15T23:00:00", "end_time": "06:00",
                "rrule": {"freq": "monthly", "by_month_day": -1, "interval": 13, "count": 2}}),
            "2026-01-01T00:00:00Z",
            &[("2026-01-31T23:00:00Z", "2026-02-01T06:00:00Z"), ("2027-02-28T23:00:00Z", "2027-03-01T06:00:00Z")],
        ),
        // The clock swallows the window of one day.
        (
            json!({"tz": "Europe/Berlin", "start": "2026-03-28T02:30:00", "end_time": "03:15",
                "rrule": {"freq": "daily", "count": 3}}),
            "2026-03-28T00:00:00Z",
            &[("2026-03-28T01:30:00Z", "2026-03-28T02:15:00Z"), ("2026-03-30T00:30:00Z", "2026-03-30T01:15:00Z")],
        ),
        // Alertmanager's shape.
        (
            json!({"intervals": [{"weekdays": ["saturday:sunday"], "location": "Europe/Berlin", "months": ["march"],
                "years": ["2026"], "days_of_month": ["28:31"]}]}),
            "2026-01-01T00:00:00Z",
            &[("2026-03-27T23:00:00Z", "2026-03-29T22:00:00Z")],
        ),
    ];
    for (json, from, expect) in table {
        let read = when(json.clone());
        assert_eq!(read.check(), Ok(()), "{json}");
        let expect: Vec<Occurrence> = expect.iter().map(|(start, end)| (at(start), at(end))).collect();
        // Some rules go on; the table has their beginning.
        let found = read.occurrences(at(from), expect.last().unwrap().1);
        assert_eq!(found, expect, "{json}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    let table = [
        (
            json!({}),
            "`start` is missing: write the first start as local time, such as 2026-01-31T22:00:00, or `intervals`",
        ),
        (json!({"start": "2026-01-01T00:00:00"}), "the end is missing: write one of end, duration_s and end_time"),
        (
            json!({"start": "2026-01-01T00:00:00", "end_time": "06:00", "duration_s": 60}),
            "more than one end: write only one of end, duration_s and end_time",
        ),
        (json!({"start": "2026-01-01T00:00:00", "duration_s": 0}), "`duration_s` is 0: write at least 1"),
        (
            json!({"start": "2026-01-02T00:00:00", "end": "2026-01-01T00:00:00"}),
            "`end` 2026-01-01T00:00:00 is not after `start` 2026-01-02T00:00:00",
        ),
        (
            json!({"start": "2026-03-29T02:30:00", "end": "2026-03-29T03:15:00", "tz": "Europe/Berlin"}),
            "the window is empty: in Europe/Berlin it ends before it starts",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00", "rrule": {"freq": "daily"}}),
            "`end` belongs to a single window: with rrule write end_time or duration_s",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "end_time": "6am"}),
            "end_time: `6am` is not a time of day; write HH:MM from 00:00 to 24:00",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "duration_s": 60, "rrule": {"freq": "daily", "interval": 0}}),
            "rrule: `interval` is 0: write 1 to 1000",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "duration_s": 60, "rrule": {"freq": "daily", "by_day": ["monday"]}}),
            "rrule: `by_day` belongs to `freq: weekly`",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "duration_s": 60, "rrule": {"freq": "weekly", "by_day": ["someday"]}}),
            "rrule: by_day: `someday` is not a weekday; write monday to sunday",
        ),
        (
            json!({"start": "2026-01-01T00:00:00", "duration_s": 60, "rrule": {"freq": "monthly", "by_month_day": 32}}),
            "rrule: `by_month_day` is 32: write 1 to 31, or -1 to -31 from the end",
        ),
        (
            json!({"start": "2026-02-01T00:00:00", "duration_s": 60,
                "rrule": {"freq": "monthly", "by_month_day": 30, "interval": 12}}),
            "rrule: it never happens: look at `until` and `by_month_day`",
        ),
        (
            json!({"start": "2026-02-01T00:00:00", "duration_s": 60,
                "rrule": {"freq": "daily", "until": "2026-01-01T00:00:00"}}),
            "rrule: it never happens: look at `until` and `by_month_day`",
        ),
        (
            json!({"start": "2026-02-01T00:00:00", "intervals": [{"years": ["2026"]}]}),
            "`intervals` says everything: leave out start, end, duration_s, end_time and rrule",
        ),
    ];
    for (json, expect) in table {
        assert_eq!(when(json.clone()).check(), Err(expect.to_owned()), "{json}");
    }
}

#[test]
fn intervals_without_an_edge_last_for_ever() {
    let always = when(json!({"intervals": [{}]}));
    let now = at("2026-01-01T00:00:00Z");
    assert_eq!(always.active(now), Some((Timestamp::MIN, Timestamp::MAX)));
    assert_eq!(always.next_start(now), None);
    assert_eq!(always.occurrences(now, Timestamp::MAX), [(Timestamp::MIN, Timestamp::MAX)]);
}

/// The rule without any arithmetic: every day after the start is asked whether it is one.
fn looked_at(when: &When, until: Date) -> Vec<Occurrence> {
    let (start, rule) = (when.start.unwrap(), when.rrule.as_ref().unwrap());
    let named: BTreeSet<i8> = rule.by_day.iter().map(|name| weekday(name).unwrap().to_monday_zero_offset()).collect();
    let monday = |date: Date| date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days());
    let is_one = |date: Date| {
        let every = i64::from(rule.interval);
        let days = |from: Date, to: Date| (to - from).get_days();
        match rule.freq {
            Frequency::Daily => i64::from(days(start.date(), date)) % every == 0,
            Frequency::Weekly => {
                let same_weekday = if named.is_empty() {
                    date.weekday() == start.weekday()
                } else {
                    named.contains(&date.weekday().to_monday_zero_offset())
                };
                same_weekday && i64::from(days(monday(start.date()), monday(date))) / 7 % every == 0
            }
            Frequency::Monthly => {
                let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
                let wanted = rule.by_month_day.unwrap_or(start.day());
                let from_end = date.day() - date.days_in_month() - 1;
                (date.day() == wanted || from_end == wanted) && (months(date) - months(start.date())) % every == 0
            }
        }
    };
    let days = start.date().series(1.day()).take_while(|date| *date <= until).filter(|date| is_one(*date));
    let locals = days.map(|date| DateTime::from_parts(date, start.time()));
    let locals = locals.take_while(|local| rule.until.is_none_or(|until| *local <= until));
    locals
        .take(rule.count.map_or(usize::MAX, |count| count as usize))
        .filter_map(|start| when.occurrence(start))
        .collect()
}

fn windows() -> impl Strategy<Value = When> {
    let start = (1..=31_i8, 0..24_i8, prop::sample::select(vec![0_i8, 15, 30]));
    let start = start.prop_map(|(day, hour, minute)| jiff::civil::date(2025, 12, day).at(hour, minute, 0, 0));
    let days = prop::sample::subsequence(vec!["monday", "wednesday", "saturday", "sunday"], 0..4);
    let rule = prop_oneof![
        Just((Frequency::Daily, vec![], None)),
        days.prop_map(|days| (Frequency::Weekly, days.into_iter().map(str::to_owned).collect(), None)),
        prop::option::of(prop_oneof![1..=31_i8, -31..=-1_i8]).prop_map(|day| (Frequency::Monthly, vec![], day)),
    ];
    let end = prop_oneof![
        (1..3 * 86_400_u64).prop_map(|seconds| (Some(seconds), None)),
        (0..=24 * 4_u32).prop_map(|quarter| (None, Some(format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)))),
    ];
    let until =
        prop::option::of((0..900_i64).prop_map(|days| jiff::civil::date(2026, 1, 1).at(2, 0, 0, 0) + days.days()));
    (zones(), start, end, rule, 1..4_u32, until, prop::option::of(1..200_u32)).prop_map(
        |(tz, start, (duration_s, end_time), (freq, by_day, by_month_day), interval, until, count)| When {
            tz,
            start: Some(start),
            duration_s,
            end_time,
            rrule: Some(Recurrence { freq, interval, by_day, by_month_day, until, count }),
            ..When::default()
        },
    )
}

fn a_window_and_instants() -> impl Strategy<Value = (When, Timestamp, Timestamp)> {
    windows().prop_flat_map(|when| {
        let (one, other) = (instants(&when.tz), instants(&when.tz));
        (Just(when), one, other)
    })
}

proptest! {
    #[test]
    fn occurrences_are_what_looking_at_every_day_finds((when, one, other) in a_window_and_instants()) {
        let (from, until) = (one.min(other), one.max(other));
        let all = looked_at(&when, when.tz.local(until).date());
        let expect: Vec<Occurrence> = all.into_iter().filter(|(start, end)| *start < until && *end > from).collect();
        prop_assert_eq!(when.occurrences(from, until), expect);
    }

    #[test]
    fn active_and_next_start_agree_with_occurrences((when, at, _) in a_window_and_instants()) {
        let around = when.occurrences(at, at.saturating_add(1.nanosecond()).unwrap());
        prop_assert_eq!(when.active(at), around.first().copied());
        let start = when.next_start(at);
        let to = start.unwrap_or_else(|| self::at("2030-01-01T00:00:00Z"));
        let before = when.occurrences(at, to);
        prop_assert!(before.iter().all(|(start, _)| *start <= at || *start >= to), "{:?}", before);
        if let Some(start) = start {
            prop_assert!(start > at);
            prop_assert!(when.occurrences(start, start + 1.nanosecond()).iter().any(|(begin, _)| *begin == start));
        }
    }
}
