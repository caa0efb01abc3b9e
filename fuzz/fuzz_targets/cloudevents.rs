//! Fuzzes the CloudEvents door.
#![no_main]

use trackside_connect::cloudevents;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(|delivered, _| cloudevents::parse(delivered), body));
