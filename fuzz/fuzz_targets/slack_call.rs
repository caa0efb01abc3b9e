//! Fuzzes the Slack door for chat.postMessage.
#![no_main]

use trackside_connect::slack;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(slack::door::parse_post_message, body));
