//! Fuzzes the PagerDuty door for change events.
#![no_main]

use trackside_connect::pagerduty;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(pagerduty::door::parse_change, body));
