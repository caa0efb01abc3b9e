//! Fuzzes redaction: it ends, and doing it twice changes nothing.
#![no_main]

use trackside_connect::redact;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = redact::text(text).into_owned();
    assert_eq!(redact::text(&once), once.as_str());
});
