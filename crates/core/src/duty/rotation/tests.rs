//! Rotations against the plain rule: walking from hand-over to hand-over.

use super::*;
use crate::duty::testing::{at, instants, zone, zones};
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

fn rotation(tz: Zone, start: &str, unit: Unit, length: u32) -> Rotation {
    let participants = ["ana", "bo", "cy"].map(str::to_owned).to_vec();
    Rotation { tz, start: start.parse().unwrap(), unit, length, participants }
}

/// The rule without any arithmetic: the last hand-over that is not after the instant, until the next that is.
fn walked(rotation: &Rotation, at: Timestamp) -> Option<Turn<'_>> {
    let horizon = at.checked_add(SignedDuration::from_hours(40 * 24)).unwrap();
    let length = i64::from(rotation.length);
    let mut handoffs = Vec::new();
    for index in 0.. {
        let span = match rotation.unit {
            Unit::Hour => (index * length).hours(),
            Unit::Day => (index * length).days(),
            Unit::Week => (index * length).weeks(),
            Unit::Month => (index * length).months(),
        };
        let handoff = rotation.tz.instant(rotation.start + span);
        handoffs.push(handoff);
        if handoff > horizon {
            break;
        }
    }
    let index = handoffs.iter().rposition(|handoff| *handoff <= at)?;
    let end = handoffs[index + 1..].iter().min().copied()?;
    let user = &rotation.participants[index % rotation.participants.len()];
    Some(Turn { index: i64::try_from(index).unwrap(), start: handoffs[index], end, user })
}

#[test]
fn turns_by_the_wall_clock() {
    let berlin = || zone("Europe/Berlin");
    let table = [
        // Nobody before the start, not even a second.
        (rotation(berlin(), "2026-01-05T09:00", Unit::Week, 1), "2026-01-05T07:59:59Z", None),
        (
            rotation(berlin(), "2026-01-05T09:00", Unit::Week, 1),
            "2026-01-05T08:00:00Z",
            Some((0, "2026-01-05T08:00:00Z", "2026-01-12T08:00:00Z", "ana")),
        ),
        // The shift with the change is an hour shorter; the wall clock stays.
        (
            rotation(berlin(), "2026-01-05T09:00", Unit::Week, 1),
            "2026-03-29T12:00:00Z",
            Some((11, "2026-03-23T08:00:00Z", "2026-03-30T07:00:00Z", "cy")),
        ),
        // Months are counted from the 31st, not from the day before.
        (
            rotation(berlin(), "2026-01-31T10:00", Unit::Month, 1),
            "2026-03-30T12:00:00Z",
            Some((1, "2026-02-28T09:00:00Z", "2026-03-31T08:00:00Z", "bo")),
        ),
        // Two hand-overs fall on one instant: 02:30 does not exist, and 03:30 is the same moment.
        (
            rotation(berlin(), "2026-03-28T00:30", Unit::Hour, 1),
            "2026-03-29T01:30:00Z",
            Some((27, "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z", "ana")),
        ),
        // At the South Pole's neighbour the clock jumps over two hand-overs, which would come in another order.
        (
            rotation(zone("Antarctica/Troll"), "2026-03-29T00:00", Unit::Hour, 1),
            "2026-03-29T01:30:00Z",
            Some((3, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "ana")),
        ),
        // Samoa skipped a day.
        (
            rotation(zone("Pacific/Apia"), "2011-12-28T08:00", Unit::Day, 1),
            "2011-12-30T11:00:00Z",
            Some((1, "2011-12-29T18:00:00Z", "2011-12-30T18:00:00Z", "bo")),
        ),
        // A century of hours is as quick as one.
        (
            rotation(zone("UTC"), "1926-01-01T00:00", Unit::Hour, 1),
            "2026-01-01T00:30:00Z",
            Some((876_600, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "ana")),
        ),
    ];
    for (rotation, instant, expect) in table {
        let expect = expect.map(|(index, start, end, user)| Turn { index, start: at(start), end: at(end), user });
        assert_eq!(rotation.check(), Ok(()));
        assert_eq!(rotation.shift(at(instant)), expect, "{rotation:?} at {instant}");
    }
}

#[test]
fn what_cannot_turn_is_refused_with_advice() {
    let good = rotation(zone("UTC"), "2026-01-01T00:00", Unit::Day, 1);
    let table = [
        (Rotation { length: 0, ..good.clone() }, "`length` is 0: write 1 to 200000"),
        (Rotation { participants: vec![], ..good.clone() }, "`participants` is empty: name at least one person"),
        (
            Rotation { participants: vec!["ana".to_owned(), " ".to_owned()], ..good },
            "`participants` has an empty name: write the name of a person",
        ),
    ];
    for (rotation, expect) in table {
        assert_eq!(rotation.check(), Err(expect.to_owned()));
        // Whoever does not check gets no panic.
        let _ = rotation.shift(at("2026-06-01T00:00:00Z"));
    }
}

#[test]
fn the_end_of_the_calendar_is_the_end_of_the_last_turn() {
    let rotation = rotation(zone("UTC"), "9999-12-01T00:00", Unit::Month, 1);
    let turn = rotation.shift(at("9999-12-30T00:00:00Z")).unwrap();
    assert_eq!((turn.index, turn.end), (0, Timestamp::MAX));
}

#[test]
fn a_skipped_day_leaves_no_hole() {
    for length in [1, 5, 7] {
        let rotation = rotation(zone("Pacific/Apia"), "2011-12-28T08:00", Unit::Hour, length);
        for half_hours in 0..10 * 48_i64 {
            let at = at("2011-12-27T12:00:00Z") + (30 * half_hours).minutes();
            assert_eq!(rotation.shift(at), walked(&rotation, at), "{length} at {at}");
        }
    }
}

fn rotations() -> impl Strategy<Value = Rotation> {
    let units = prop::sample::select(vec![Unit::Hour, Unit::Day, Unit::Week, Unit::Month]);
    let start = (1..=31_i8, 0..24_i8, prop::sample::select(vec![0_i8, 15, 30, 45]));
    (zones(), units, 1..13_u32, start).prop_map(|(tz, unit, length, (day, hour, minute))| Rotation {
        start: jiff::civil::date(2025, 12, day).at(hour, minute, 0, 0),
        ..rotation(tz, "2026-01-01T00:00", unit, length)
    })
}

fn a_rotation_and_an_instant() -> impl Strategy<Value = (Rotation, Timestamp)> {
    rotations().prop_flat_map(|rotation| {
        let instants = instants(&rotation.tz);
        (Just(rotation), instants)
    })
}

proptest! {
    #[test]
    fn a_turn_is_what_walking_finds((rotation, at) in a_rotation_and_an_instant()) {
        prop_assert_eq!(rotation.shift(at), walked(&rotation, at));
    }

    #[test]
    fn turns_follow_each_other((rotation, at) in a_rotation_and_an_instant()) {
        let Some(mut turn) = rotation.shift(at) else { return Ok(()) };
        prop_assert!(turn.start <= at && at < turn.end);
        for _ in 0..30 {
            let next = rotation.shift(turn.end).unwrap();
            prop_assert_eq!(next.start, turn.end);
            prop_assert!(next.index > turn.index);
            prop_assert_eq!(rotation.shift(next.end - 1.second()), Some(next));
            turn = next;
        }
    }
}
