//! Fuzzes intervals: what is read reads as itself, and the next change is one.
#![no_main]

use trackside_core::duty::interval::TimeInterval;
use trackside_fuzz::duty::instant_and_value;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Some((at, interval)) = instant_and_value::<TimeInterval>(body) else { return };
    let again = serde_json::to_value(&interval).expect("an interval is JSON");
    assert_eq!(serde_json::from_value::<TimeInterval>(again).expect("what was written is read"), interval);
    if interval.check().is_err() {
        assert!(!interval.contains(at));
        return;
    }
    if let Some(change) = interval.next_change(at) {
        assert!(change > at);
        assert_ne!(interval.contains(change), interval.contains(at));
    }
});
