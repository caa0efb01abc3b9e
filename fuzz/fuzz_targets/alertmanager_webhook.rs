//! Fuzzes the door for Alertmanager's webhook.
#![no_main]

use trackside_connect::alertmanager;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(
    |delivered, _| alertmanager::parse_webhook(delivered),
    body
));
