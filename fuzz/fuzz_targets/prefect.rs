//! Fuzzes the Prefect door.
#![no_main]

use trackside_connect::prefect;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(|delivered, _| prefect::door::parse(delivered), body));
