//! Fuzzes references to secrets: any JSON is a reference that is the same when it is written down and read again, or a
//! mistake whose text repeats nothing of what was written.
#![no_main]

use trackside_identity::secret::SecretRef;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A value that people put in the wrong place.
    let marked = text.replace("MARK", "hunter2-is-a-value");
    let Ok(value) = serde_json::from_str::<serde_json::Value>(&marked) else { return };
    match serde_json::from_value::<SecretRef>(value) {
        Ok(reference) => {
            let written = serde_json::to_value(&reference).expect("a reference can be written down");
            assert_eq!(serde_json::from_value::<SecretRef>(written).expect("what was written"), reference);
            assert!(!reference.to_string().is_empty());
        }
        Err(error) => assert!(!error.to_string().contains("hunter2-is-a-value")),
    }
});
