//! Schedules against tables, and against asking at single instants.

use super::*;
use crate::duty::rotation::Unit;
use crate::duty::testing::{at, instants, zone, zones};
use crate::duty::zone::Zone;
use jiff::ToSpan;
use proptest::prelude::*;
use serde_json::json;

fn made(second: i64, start: &str, end: &str, user: Option<&str>) -> Override {
    Override {
        id: Uuid::from_u128(second.unsigned_abs().into()),
        schedule: "primary".to_owned(),
        start: at(start),
        end: at(end),
        user: user.map(str::to_owned),
        created: Timestamp::from_second(second).unwrap(),
        by: "ana".to_owned(),
        reason: String::new(),
    }
}

/// A week each from Monday 09:00, and somebody else in office hours.
fn schedule() -> Schedule {
    serde_json::from_value(json!({"layers": [
        {"name": "week", "rotation": {"tz": "Europe/Berlin", "start": "2026-01-05T09:00:00", "unit": "week",
            "participants": ["ana", "bo", "cy"]}, "until": "2026-03-31T00:00:00Z"},
        {"name": "office", "rotation": {"tz": "Europe/Berlin", "start": "2026-01-05T09:00:00", "unit": "day",
            "participants": ["zed"]}, "restrict": [{"weekdays": ["monday:friday"],
            "times": [{"start_time": "10:00", "end_time": "16:00"}], "location": "Europe/Berlin"}]}]}))
    .unwrap()
}

/// One line for each shift: start, end, who, why.
fn lines(shifts: &[Shift]) -> Vec<String> {
    let line = |shift: &Shift| {
        let source = shift.on_call.source.as_deref().unwrap_or("-");
        format!("{} {} {} {source}", shift.start, shift.end, shift.on_call.users.join("+"))
    };
    shifts.iter().map(line).collect()
}

#[test]
fn shifts_over_a_change_of_the_clock() {
    let overrides = [
        made(1, "2026-03-28T20:00:00Z", "2026-03-29T08:00:00Z", Some("max")),
        made(2, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z", None),
    ];
    let schedule = schedule();
    assert_eq!(schedule.check(), Ok(()));
    let found = schedule.shifts(&overrides, at("2026-03-27T00:00:00Z"), at("2026-04-01T12:00:00Z"));
    assert_eq!(
        lines(&found),
        [
            "2026-03-27T00:00:00Z 2026-03-27T09:00:00Z cy week",
            "2026-03-27T09:00:00Z 2026-03-27T15:00:00Z zed office",
            "2026-03-27T15:00:00Z 2026-03-28T20:00:00Z cy week",
            "2026-03-28T20:00:00Z 2026-03-29T00:00:00Z max override",
            "2026-03-29T00:00:00Z 2026-03-29T02:00:00Z  override",
            "2026-03-29T02:00:00Z 2026-03-29T08:00:00Z max override",
            "2026-03-29T08:00:00Z 2026-03-30T07:00:00Z cy week",
            "2026-03-30T07:00:00Z 2026-03-30T08:00:00Z ana week",
            "2026-03-30T08:00:00Z 2026-03-30T14:00:00Z zed office",
            "2026-03-30T14:00:00Z 2026-03-31T00:00:00Z ana week",
            "2026-03-31T00:00:00Z 2026-03-31T08:00:00Z  -",
            "2026-03-31T08:00:00Z 2026-03-31T14:00:00Z zed office",
            "2026-03-31T14:00:00Z 2026-04-01T08:00:00Z  -",
            "2026-04-01T08:00:00Z 2026-04-01T12:00:00Z zed office",
        ]
    );
    let gaps = schedule.gaps(at("2026-03-27T00:00:00Z"), at("2026-04-01T00:00:00Z"), &overrides);
    assert_eq!(
        lines(&gaps),
        [
            "2026-03-29T00:00:00Z 2026-03-29T02:00:00Z  override",
            "2026-03-31T00:00:00Z 2026-03-31T08:00:00Z  -",
            "2026-03-31T14:00:00Z 2026-04-01T00:00:00Z  -",
        ]
    );
}

#[test]
fn the_next_hand_over_is_where_people_change() {
    let table = [
        ("2026-01-01T00:00:00Z", Some("2026-01-05T08:00:00Z 2026-01-05T09:00:00Z ana week")),
        ("2026-03-28T00:00:00Z", Some("2026-03-30T07:00:00Z 2026-03-30T08:00:00Z ana week")),
        ("2026-04-03T14:00:00Z", Some("2026-04-06T08:00:00Z 2026-04-06T14:00:00Z zed office")),
    ];
    let schedule = schedule();
    for (after, expect) in table {
        let found = schedule.next_handover(&[], at(after)).map(|shift| lines(&[shift]).remove(0));
        assert_eq!(found.as_deref(), expect, "after {after}");
    }
    // A change of the reason is none of the people.
    let same = [made(1, "2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", Some("cy"))];
    let found = schedule.next_handover(&same, at("2026-03-28T00:00:00Z")).unwrap();
    assert_eq!(found.start, at("2026-03-30T07:00:00Z"));
    let alone = Schedule { layers: vec![schedule.layers[1].clone()], announce: vec![] };
    let always = Schedule { layers: vec![Layer { restrict: vec![], ..alone.layers[0].clone() }], ..alone };
    assert_eq!(always.next_handover(&[], at("2026-03-28T00:00:00Z")), None);
}

#[test]
fn hourly_turns_for_years_stop_at_the_limit() {
    let participants = ["ana", "bo"].map(str::to_owned).to_vec();
    let start = "2016-01-01T00:00".parse().unwrap();
    let rotation = Rotation { tz: zone("Europe/Berlin"), start, unit: Unit::Hour, length: 1, participants };
    let layer = Layer { name: "hours".to_owned(), rotation, restrict: vec![], until: None };
    let schedule = Schedule { layers: vec![layer], announce: vec![] };
    let found = schedule.shifts(&[], at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
    assert_eq!(found.len(), SHIFTS);
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    let good = schedule();
    let with = |change: fn(&mut Schedule)| {
        let mut schedule = good.clone();
        change(&mut schedule);
        schedule.check().unwrap_err()
    };
    assert_eq!(with(|schedule| schedule.layers.clear()), "`layers` is empty: write at least one");
    assert_eq!(
        with(|schedule| schedule.layers[1].name = "week".to_owned()),
        "layer `week`: two layers have this name: give each its own"
    );
    assert_eq!(
        with(|schedule| schedule.layers[0].name = "override".to_owned()),
        "layer 1 needs a name of its own, other than `override`"
    );
    assert_eq!(
        with(|schedule| schedule.layers[0].rotation.participants.clear()),
        "layer `week`: rotation: `participants` is empty: name at least one person"
    );
    assert_eq!(
        with(|schedule| schedule.layers[1].restrict[0].weekdays = vec!["payday".to_owned()]),
        "layer `office`: restrict: weekdays: `payday` is not a weekday; write monday to sunday"
    );
}

fn layers(zone: Zone) -> impl Strategy<Value = Layer> {
    let units = prop::sample::select(vec![Unit::Hour, Unit::Day, Unit::Week]);
    let restrict = prop_oneof![
        Just(json!([])),
        Just(json!([{"times": [{"start_time": "00:00", "end_time": "02:30"}], "location": zone.name()}])),
        Just(json!([{"times": [{"start_time": "02:00", "end_time": "08:00"}], "location": zone.name()},
            {"weekdays": ["saturday"]}])),
    ];
    let until = prop::option::of(instants(&zone));
    (units, 1..13_u32, 1..4_usize, restrict, until, 1..28_i8).prop_map(
        move |(unit, length, people, restrict, until, day)| {
            let participants = ["ana", "bo", "cy"].into_iter().take(people).map(str::to_owned).collect();
            let start = jiff::civil::date(2026, 1, day).at(2, 30, 0, 0);
            let rotation = Rotation { tz: zone.clone(), start, unit, length, participants };
            let restrict = serde_json::from_value(restrict).unwrap();
            Layer { name: format!("layer {unit:?} {length}"), rotation, restrict, until }
        },
    )
}

fn overrides(zone: &Zone) -> impl Strategy<Value = Vec<Override>> + use<> {
    let user = prop::option::of(prop::sample::select(vec!["max", "kim"]));
    let one = (0..9_i64, instants(zone), 1..100_000_i64, user).prop_map(|(created, start, seconds, user)| Override {
        start,
        end: start + seconds.seconds(),
        ..made(created, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", user)
    });
    prop::collection::vec(one, 0..4)
}

fn cases() -> impl Strategy<Value = (Schedule, Vec<Override>, Timestamp, Vec<i64>)> {
    zones().prop_flat_map(|zone| {
        let layers = prop::collection::vec(layers(zone.clone()), 1..4);
        let schedule = layers.prop_map(|layers| Schedule { layers, announce: vec![] });
        (schedule, overrides(&zone), instants(&zone), prop::collection::vec(0..7 * 86_400_i64, 40))
    })
}

proptest! {
    #[test]
    fn shifts_tile_the_range_and_agree_with_single_instants((schedule, overrides, from, offsets) in cases()) {
        let until = from + (7 * 24).hours();
        let shifts = schedule.shifts(&overrides, from, until);
        prop_assert_eq!(shifts.first().unwrap().start, from);
        prop_assert_eq!(shifts.last().unwrap().end, until);
        for pair in shifts.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
            prop_assert_ne!(&pair[0].on_call, &pair[1].on_call);
        }
        for shift in &shifts {
            prop_assert!(shift.start < shift.end);
        }
        for at in offsets.into_iter().map(|seconds| from + seconds.seconds()) {
            let shift = shifts.iter().find(|shift| shift.start <= at && at < shift.end).unwrap();
            prop_assert_eq!(&schedule.on_call(&overrides, at), &shift.on_call, "at {}", at);
        }
        let gaps = schedule.gaps(from, until, &overrides);
        let in_gap = |at: Timestamp| gaps.iter().any(|gap| gap.start <= at && at < gap.end);
        for shift in &shifts {
            prop_assert_eq!(in_gap(shift.start), shift.on_call.users.is_empty());
        }
    }

    #[test]
    fn until_the_next_hand_over_it_is_the_same_people((schedule, overrides, after, offsets) in cases()) {
        let now = schedule.on_call(&overrides, after).users;
        let next = schedule.next_handover(&overrides, after);
        let change = next.as_ref().map_or(Timestamp::MAX, |shift| shift.start);
        for at in offsets.into_iter().map(|seconds| after + seconds.seconds()).filter(|at| *at < change) {
            prop_assert_eq!(&schedule.on_call(&overrides, at).users, &now);
        }
        if let Some(next) = next {
            prop_assert_ne!(&next.on_call.users, &now);
            prop_assert_eq!(schedule.on_call(&overrides, next.start), next.on_call);
        }
    }
}
