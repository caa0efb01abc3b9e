//! Fuzzes what Slack sends when somebody presses a button.
#![no_main]

use trackside_connect::slack::interact;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    match interact::parse(body) {
        Ok(read) => assert!(!read.user.is_empty() && read.pressed.len() <= 25),
        Err(reject) => assert_eq!(reject.status, 400),
    }
});
