//! Fuzzes rotations: a turn contains the instant it is asked for, and the next one follows at once.
#![no_main]

use jiff::Timestamp;
use trackside_core::duty::rotation::Rotation;
use trackside_fuzz::duty::instant_and_value;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Some((at, rotation)) = instant_and_value::<Rotation>(body) else { return };
    // Also without a check nothing may panic.
    let turn = rotation.shift(at);
    if rotation.check().is_err() {
        return;
    }
    let Some(turn) = turn else { return };
    assert!(turn.start <= at && at < turn.end);
    if turn.end < Timestamp::MAX {
        let next = rotation.shift(turn.end).expect("turns never end before the calendar does");
        assert_eq!(next.start, turn.end);
    }
});
