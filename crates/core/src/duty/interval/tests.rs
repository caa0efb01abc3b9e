//! Intervals against tables of what Alertmanager does, and against looking at every minute.

use super::*;
use crate::duty::testing::{at, instants, zones};
use jiff::ToSpan;
use proptest::prelude::*;
use serde_json::{Value, json};

fn interval(json: Value) -> TimeInterval {
    serde_json::from_value(json).unwrap()
}

#[test]
fn lists_match_as_in_alertmanager() {
    let table = [
        (json!({}), "2026-02-03T04:05:06Z", true),
        (json!({"weekdays": ["Monday:FRIDAY"]}), "2026-11-20T12:00:00Z", true),
        (json!({"weekdays": ["Monday:FRIDAY"]}), "2026-11-21T12:00:00Z", false),
        (json!({"weekdays": ["sun:tue"]}), "2026-11-23T12:00:00Z", true),
        (json!({"weekdays": ["friday:monday"]}), "2026-11-22T12:00:00Z", true),
        (json!({"weekdays": ["friday:monday"]}), "2026-11-24T12:00:00Z", false),
        (json!({"months": ["NOVEMBER:december"]}), "2026-11-01T00:00:00Z", true),
        (json!({"months": ["nov:feb"]}), "2026-02-28T00:00:00Z", true),
        (json!({"months": ["nov:feb"]}), "2026-03-01T00:00:00Z", false),
        (json!({"months": [2, "4:5"]}), "2026-02-28T00:00:00Z", true),
        (json!({"years": [2026]}), "2026-12-31T23:59:59Z", true),
        (json!({"years": ["2026:2027"]}), "2028-01-01T00:00:00Z", false),
        (json!({"days_of_month": [-1]}), "2028-02-29T12:00:00Z", true),
        (json!({"days_of_month": ["-3:-1"]}), "2026-02-25T12:00:00Z", false),
        (json!({"days_of_month": ["-3:-1"]}), "2026-02-26T12:00:00Z", true),
        // Days that a month does not have are no days of the next one.
        (json!({"days_of_month": ["29:31"]}), "2026-02-28T12:00:00Z", false),
        (json!({"days_of_month": ["28:31"]}), "2026-02-28T12:00:00Z", true),
        (json!({"days_of_month": ["29:31"]}), "2026-03-01T12:00:00Z", false),
        (json!({"days_of_month": ["-31:-28"]}), "2026-02-01T12:00:00Z", true),
        (json!({"days_of_month": ["-31:-29"]}), "2026-02-01T12:00:00Z", false),
        (json!({"days_of_month": ["15:-1"]}), "2026-02-28T12:00:00Z", true),
        // The last day of a month in which the clock changes (published Alertmanagers are wrong here).
        (json!({"days_of_month": ["-1"], "location": "Europe/Berlin"}), "2026-10-31T12:00:00Z", true),
        (json!({"days_of_month": ["-1"], "location": "Europe/Berlin"}), "2026-10-30T12:00:00Z", false),
        (json!({"days_of_month": ["-1"], "location": "Europe/Berlin"}), "2026-03-31T21:59:59Z", true),
        (json!({"days_of_month": ["-1"], "location": "Europe/Berlin"}), "2026-03-31T22:00:00Z", false),
        (json!({"times": [{"start_time": "23:00", "end_time": "24:00"}]}), "2026-01-01T23:59:59.999Z", true),
        (json!({"times": [{"start_time": "23:00", "end_time": "24:00"}]}), "2026-01-02T00:00:00Z", false),
        (json!({"times": [{"start_time": "09:00", "end_time": "17:00"}]}), "2026-01-02T09:00:00Z", true),
        (json!({"times": [{"start_time": "09:00", "end_time": "17:00"}]}), "2026-01-02T17:00:00Z", false),
        // A repeated hour matches twice, a skipped one never.
        (night("Europe/Berlin"), "2026-10-25T00:30:00Z", true),
        (night("Europe/Berlin"), "2026-10-25T01:30:00Z", true),
        (night("Europe/Berlin"), "2026-03-29T00:59:59Z", false),
        (night("Europe/Berlin"), "2026-03-29T01:00:00Z", false),
    ];
    for (json, instant, expect) in table {
        let read = interval(json.clone());
        assert_eq!(read.check(), Ok(()), "{json}");
        assert_eq!(read.contains(at(instant)), expect, "{json} at {instant}");
        assert_eq!(interval(serde_json::to_value(&read).unwrap()), read, "{json}");
    }
}

fn night(location: &str) -> Value {
    json!({"times": [{"start_time": "02:00", "end_time": "03:00"}], "location": location})
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    let table = [
        (json!({"weekdays": ["mondey"]}), "weekdays: `mondey` is not a weekday; write monday to sunday"),
        (json!({"weekdays": ["m"]}), "weekdays: `m` is not a weekday; write monday to sunday"),
        (json!({"months": ["0"]}), "months: `0` is not a month; write january to december or 1 to 12"),
        (json!({"months": ["ju"]}), "months: `ju` is not a month; write january to december or 1 to 12"),
        (json!({"years": ["2027:2026"]}), "years: `2027:2026` ends before it starts; write the earlier year first"),
        (json!({"years": ["next"]}), "years: `next` is not a year; write for example 2026 or 2026:2027"),
        (json!({"days_of_month": [0]}), "days_of_month: `0` is not a day; write 1 to 31, or -1 to -31 from the end"),
        (
            json!({"days_of_month": ["-3:5"]}),
            "days_of_month: `-3:5` starts at the end of the month, so its end must be negative too",
        ),
        (
            json!({"days_of_month": ["-1:-3"]}),
            "days_of_month: `-1:-3` ends before it starts; write the earlier day first",
        ),
        (
            json!({"times": [{"start_time": "9:00", "end_time": "17:00"}]}),
            "start_time: `9:00` is not a time of day; write HH:MM from 00:00 to 24:00",
        ),
        (
            json!({"times": [{"start_time": "09:00", "end_time": "24:01"}]}),
            "end_time: `24:01` is not a time of day; write HH:MM from 00:00 to 24:00",
        ),
        (
            json!({"times": [{"start_time": "22:00", "end_time": "06:00"}]}),
            "times: 22:00 to 06:00 is empty; for a range over midnight write two, 22:00 to 24:00 and 00:00 to 06:00",
        ),
    ];
    for (json, expect) in table {
        let read = interval(json.clone());
        assert_eq!(read.check().err().as_deref().unwrap_or_default(), expect, "{json}");
        assert!(read.check().is_ok() || !read.contains(at("2026-01-01T00:00:00Z")), "{json} contains nothing");
    }
}

#[test]
fn changes_are_found_however_far_they_are() {
    let table = [
        (json!({}), "2026-01-01T00:00:00Z", None),
        (night("Europe/Berlin"), "2026-03-28T00:00:00Z", Some("2026-03-28T01:00:00Z")),
        (night("Europe/Berlin"), "2026-03-28T02:00:00Z", Some("2026-03-30T00:00:00Z")),
        (night("Europe/Berlin"), "2026-10-25T00:00:00Z", Some("2026-10-25T02:00:00Z")),
        (json!({"months": ["february"], "days_of_month": [29]}), "2026-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
        (json!({"years": ["2030"]}), "2026-01-01T00:00:00Z", Some("2030-01-01T00:00:00Z")),
        (json!({"years": ["2020"]}), "2026-01-01T00:00:00Z", None),
        // Samoa had no 30 December 2011.
        (
            json!({"days_of_month": ["30"], "location": "Pacific/Apia"}),
            "2011-12-15T00:00:00Z",
            Some("2012-01-29T10:00:00Z"),
        ),
        (
            json!({"days_of_month": ["31"], "location": "Pacific/Apia"}),
            "2011-12-15T00:00:00Z",
            Some("2011-12-30T10:00:00Z"),
        ),
    ];
    for (json, after, expect) in table {
        assert_eq!(interval(json.clone()).next_change(at(after)), expect.map(at), "{json} after {after}");
    }
}

#[test]
fn intervals_that_touch_are_one_stretch() {
    let night = json!([{"times": [{"start_time": "22:00", "end_time": "24:00"}], "location": "Europe/Berlin"},
        {"times": [{"start_time": "00:00", "end_time": "06:00"}], "location": "Europe/Berlin"}]);
    let night: Vec<TimeInterval> = serde_json::from_value(night).unwrap();
    let fields: Vec<Fields> = night.iter().map(|interval| Fields::parse(interval).unwrap()).collect();
    let whole = Some((at("2026-03-28T21:00:00Z"), at("2026-03-29T04:00:00Z")));
    for inside in ["2026-03-28T21:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T03:59:59Z"] {
        assert_eq!(stretch(&fields, at(inside)), whole, "{inside}");
    }
    assert_eq!(stretch(&fields, at("2026-03-29T04:00:00Z")), None);
}

/// Ranges of times that lie where clocks change.
fn times() -> impl Strategy<Value = Vec<TimeRange>> {
    let text = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    let range = (0..240_u32, 1..240_u32)
        .prop_map(move |(start, length)| TimeRange { start_time: text(start), end_time: text(start + length) });
    prop::collection::vec(range, 0..3)
}

fn intervals() -> impl Strategy<Value = TimeInterval> {
    let texts = |options: &[&str]| {
        let options: Vec<String> = options.iter().map(|text| (*text).to_owned()).collect();
        prop::collection::vec(prop::sample::select(options), 0..2)
    };
    (
        times(),
        texts(&["sunday", "monday:friday", "saturday:sunday"]),
        texts(&["-1", "1:7", "25:31", "-3:-1"]),
        texts(&["march:april", "10", "november:december"]),
        texts(&["2026", "2027:2028"]),
        prop::option::of(zones()),
    )
        .prop_map(|(times, weekdays, days_of_month, months, years, location)| TimeInterval {
            times,
            weekdays,
            days_of_month,
            months,
            years,
            location,
        })
}

fn an_interval_and_an_instant() -> impl Strategy<Value = (TimeInterval, Timestamp)> {
    intervals().prop_flat_map(|interval| {
        let zone = interval.location.clone().unwrap_or_default();
        (Just(interval), instants(&zone))
    })
}

proptest! {
    #[test]
    fn between_two_changes_nothing_changes((interval, from) in an_interval_and_an_instant()) {
        prop_assert_eq!(interval.check(), Ok(()));
        let change = interval.next_change(from).unwrap_or(Timestamp::MAX);
        prop_assert!(change > from);
        let now = interval.contains(from);
        let fields = Fields::parse(&interval).unwrap();
        // Every minute of the next four days, and the last second.
        for minute in 0..4 * 24 * 60_i64 {
            let at = from + minute.minutes();
            if at >= change {
                break;
            }
            prop_assert_eq!(fields.contains(at), now, "at {}", at);
        }
        if change < Timestamp::MAX {
            prop_assert_eq!(interval.contains(change - 1.second()), now);
            prop_assert_eq!(interval.contains(change), !now);
        }
    }

    #[test]
    fn a_stretch_holds_from_its_start_to_its_end((interval, at) in an_interval_and_an_instant()) {
        let fields = [Fields::parse(&interval).unwrap()];
        let found = stretch(&fields, at);
        prop_assert_eq!(found.is_some(), interval.contains(at));
        let Some((start, end)) = found else { return Ok(()) };
        prop_assert!(start <= at && at < end);
        if start > Timestamp::MIN {
            prop_assert!(interval.contains(start) && !interval.contains(start - 1.second()));
            let from_its_start = interval.next_change(start).unwrap_or(Timestamp::MAX);
            prop_assert_eq!(from_its_start, end);
        }
    }
}
