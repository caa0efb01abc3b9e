//! Vectors about local time: instants, intervals, maintenance windows, rotations and schedules.

use super::same;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer};
use trackside_core::duty::interval::TimeInterval;
use trackside_core::duty::maintenance::When;
use trackside_core::duty::rotation::Rotation;
use trackside_core::duty::schedule::{Layer, OnCall, Override, Schedule};
use trackside_core::duty::zone::Zone;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub(super) struct LocalTime {
    tz: Zone,
    local: DateTime,
    instant: Timestamp,
}

pub(super) fn local_time(case: &LocalTime) -> Result<(), String> {
    same("instant", &case.tz.instant(case.local), &case.instant)
}

#[derive(Debug, Deserialize)]
pub(super) struct Interval {
    interval: TimeInterval,
    at: Timestamp,
    expect: bool,
}

pub(super) fn interval(case: &Interval) -> Result<(), String> {
    case.interval.check()?;
    same("inside", &case.interval.contains(case.at), &case.expect)
}

#[derive(Debug, Deserialize)]
pub(super) struct Maintenance {
    window: When,
    at: Timestamp,
    active: bool,
    /// The occurrence, when it is active.
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

pub(super) fn maintenance(case: &Maintenance) -> Result<(), String> {
    case.window.check()?;
    let found = case.window.active(case.at);
    same("active", &found.is_some(), &case.active)?;
    match case.start.zip(case.end) {
        Some(occurrence) => same("occurrence", &found, &Some(occurrence)),
        None => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    rotation: Rotation,
    at: Timestamp,
    on_call: Option<String>,
    /// Counted from 0; negative before the start.
    shift_index: i64,
    shift_start: Timestamp,
    shift_end: Timestamp,
}

pub(super) fn rotation(case: &Turn) -> Result<(), String> {
    case.rotation.check()?;
    let turn = case.rotation.shift(case.at);
    same("on call", &turn.map(|turn| turn.user), &case.on_call.as_deref())?;
    let found = match turn {
        Some(turn) => (turn.index, turn.start, turn.end),
        // Before the start nobody has a turn; the hand-overs can be counted back all the same.
        None => {
            let (start, end) = (case.shift_index, case.shift_index + 1);
            (start, case.rotation.handoff(start), case.rotation.handoff(end))
        }
    };
    same("shift", &found, &(case.shift_index, case.shift_start, case.shift_end))
}

#[derive(Debug, Deserialize)]
pub(super) struct WhoIsOnCall {
    schedule: WholeSchedule,
    at: Timestamp,
    on_call: Vec<String>,
    source: Option<String>,
}

/// A schedule together with what is made at run time.
#[derive(Debug, Deserialize)]
struct WholeSchedule {
    layers: Vec<Layer>,
    #[serde(default)]
    overrides: Vec<MadeOverride>,
}

#[derive(Debug, Deserialize)]
struct MadeOverride {
    start: Timestamp,
    end: Timestamp,
    user: Option<String>,
    /// In the order in which they were made.
    #[serde(deserialize_with = "second")]
    created: Timestamp,
}

fn second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::from_second(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

pub(super) fn schedule(case: WhoIsOnCall) -> Result<(), String> {
    let schedule = Schedule { layers: case.schedule.layers, announce: Vec::new() };
    schedule.check()?;
    let overrides = case.schedule.overrides.into_iter().enumerate().map(|(index, made)| Override {
        id: Uuid::from_u128(index as u128),
        schedule: "the schedule".to_owned(),
        start: made.start,
        end: made.end,
        user: made.user,
        created: made.created,
        by: "somebody".to_owned(),
        reason: String::new(),
    });
    let overrides: Vec<Override> = overrides.collect();
    let wanted = OnCall { users: case.on_call, source: case.source };
    same("on call", &schedule.on_call(&overrides, case.at), &wanted)
}
