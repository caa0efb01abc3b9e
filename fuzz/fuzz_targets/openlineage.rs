//! Fuzzes the OpenLineage door.
#![no_main]

use trackside_connect::openlineage;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(|delivered, _| openlineage::parse(delivered), body));
