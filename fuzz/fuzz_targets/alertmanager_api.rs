//! Fuzzes the door that Prometheus sends to.
#![no_main]

use trackside_connect::alertmanager;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(
    |delivered, _| alertmanager::parse_api(delivered),
    body
));
