//! Fuzzes paths: the canonical spelling is canonical, and nothing in it means another path after decoding.
#![no_main]

use trackside_gateway::front::path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let dots = |path: &str| path.split('/').any(|segment| matches!(segment, "." | ".."));
    if let Ok(canonical) = path::canonical(text) {
        assert_eq!(path::canonical(&canonical).as_deref(), Ok(&*canonical));
        assert!(!dots(&canonical) && !canonical.contains("//") && !canonical.contains(['\\', ';', '?', '#']));
        assert!(["%2F", "%5C", "%25", "%00", "%2E", "%3B"].iter().all(|bad| !canonical.contains(bad)));
    }
    for reading in path::readings(text).unwrap_or_default() {
        assert!(reading.starts_with('/') && !dots(&reading));
    }
});
