//! What the tests of this folder share: zones with every kind of clock change, and instants close to one.

use super::zone::Zone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

/// Zones with whole and half hours, with summer time in either half of the year, before and after the date line, with
/// a clock that goes back for Ramadan, with a jump of two hours, and without any change.
pub(crate) const ZONES: [&str; 11] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "UTC",
    "Europe/London",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
    "Antarctica/Troll",
];

pub(crate) fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(ZONES.to_vec()).prop_map(zone)
}

/// Instants of 2026 and 2027, half of them within two days of one of the zone's clock changes.
pub(crate) fn instants(zone: &Zone) -> impl Strategy<Value = Timestamp> + use<> {
    let year = at("2026-01-01T00:00:00Z");
    let end = at("2028-01-01T00:00:00Z");
    let changes = zone.time_zone().following(year).map(|change| change.timestamp()).take_while(|at| *at < end);
    let mut changes: Vec<Timestamp> = changes.collect();
    changes.push(year);
    let near = (prop::sample::select(changes), -2 * 86_400..2 * 86_400_i64);
    let near = near.prop_map(|(change, seconds)| change.saturating_add(seconds.seconds()).unwrap());
    let any = (year.as_second()..end.as_second()).prop_map(|second| Timestamp::from_second(second).unwrap());
    prop_oneof![near, any]
}
