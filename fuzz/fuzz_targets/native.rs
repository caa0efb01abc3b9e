//! Fuzzes the native door.
#![no_main]

use trackside_connect::native;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(native::parse, body));
