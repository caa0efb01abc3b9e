//! Fuzzes maintenance windows: an occurrence contains the instant it is asked for, and the next start is one.
#![no_main]

use trackside_core::duty::maintenance::When;
use trackside_fuzz::duty::instant_and_value;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Some((at, window)) = instant_and_value::<When>(body) else { return };
    // Also without a check nothing may panic.
    let active = window.active(at);
    if window.check().is_err() {
        return;
    }
    assert!(active.is_none_or(|(start, end)| start <= at && at < end));
    if let Some(start) = window.next_start(at) {
        assert!(start > at);
        let (began, _) = window.active(start).expect("it is active from its start on");
        assert!(began <= start);
    }
});
