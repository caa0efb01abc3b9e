//! Fuzzes the heartbeat door: the first line is the address (slug, suffix, run id, parted by blanks), the rest the body.
#![no_main]

use trackside_connect::heartbeat::{Ping, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (address, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let Ok(address) = std::str::from_utf8(address) else { return };
    let mut parts = address.split(' ');
    let (slug, suffix, rid) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if let Ok(ping) = Ping::new(slug, suffix, rid) {
        trackside_fuzz::knock(|delivered, fresh| parse(delivered, &ping, fresh), body);
    }
});
