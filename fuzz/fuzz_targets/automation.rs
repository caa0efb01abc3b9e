//! Fuzzes reading of automations: it ends, its answer is bounded, and what was read reads as itself.
#![no_main]

use trackside_core::automation::request::{Dialect, errors_json, parse};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(body) = serde_json::from_slice(body) else { return };
    for dialect in [Dialect::Prefect, Dialect::PrefectReplace, Dialect::Trackside] {
        match parse(&body, dialect) {
            Ok(spec) => {
                let normalised = serde_json::to_value(&spec).expect("an automation is JSON");
                assert_eq!(parse(&normalised, dialect).as_ref(), Ok(&spec));
            }
            Err(errors) => {
                assert!((1..=1000).contains(&errors.len()));
                let _ = errors_json(&errors, &body);
            }
        }
    }
});
