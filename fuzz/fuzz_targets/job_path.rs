//! Fuzzes paths with members of the input in them: no input leads to another path.
#![no_main]

use trackside_connect::job::template::fill;

libfuzzer_sys::fuzz_target!(|value: &str| {
    let input = serde_json::json!({ "x": value });
    if let Ok(path) = fill("/a/{x}/b", &input) {
        assert_eq!(path.split('/').count(), 4, "{path}");
        assert!(path.is_ascii() && !path.contains(['?', '#', '\\', ';']), "{path}");
    }
});
