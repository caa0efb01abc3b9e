//! Fuzzes the frames of Prefect's websocket protocol and the pages of its feed.
#![no_main]

use trackside_connect::prefect::{feed, socket};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let origin = trackside_fuzz::origin();
    let _ = feed::read_page(bytes, &origin);
    if let Ok(frame) = std::str::from_utf8(bytes) {
        let _ = socket::read_auth(frame);
        let _ = socket::read_said(frame, &origin);
        let _ = socket::read_event(frame, &origin);
    }
});
