//! Fuzzes inflation: any gzip stream gives at most the limit.
#![no_main]

use trackside_connect::door::inflate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(inflated) = inflate(Some("gzip"), bytes, 4096) {
        assert!(inflated.len() <= 4096);
    }
});
