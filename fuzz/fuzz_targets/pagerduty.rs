//! Fuzzes the PagerDuty door for alert events.
#![no_main]

use trackside_connect::pagerduty;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(pagerduty::door::parse, body));
