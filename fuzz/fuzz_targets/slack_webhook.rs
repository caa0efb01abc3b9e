//! Fuzzes the Slack door for incoming webhooks.
#![no_main]

use trackside_connect::slack;

libfuzzer_sys::fuzz_target!(|body: &[u8]| trackside_fuzz::knock(slack::door::parse_webhook, body));
