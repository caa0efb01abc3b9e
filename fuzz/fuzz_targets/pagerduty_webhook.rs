//! Fuzzes PagerDuty webhooks: any JSON object is understood or left alone, and what is kept is bounded.
#![no_main]

use trackside_connect::pagerduty::webhook::{self, Said};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let object = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|value| value.is_object());
    match webhook::parse(body) {
        Ok(heard) => {
            assert!(heard.id.is_none_or(|id| (1..=512).contains(&id.len())));
            if let Said::Noted(text) = heard.said {
                assert!(text.len() <= 3 * 1024);
            }
        }
        Err(reject) => assert!(reject.status == 400 && !object),
    }
});
