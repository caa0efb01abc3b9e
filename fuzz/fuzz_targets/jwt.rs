//! Fuzzes the reading of tokens and key sets: no panic, and what is read has the bounds that others rely on.
#![no_main]

use jiff::{SignedDuration, Timestamp};
use trackside_identity::jwks::KeySet;
use trackside_identity::jwt::{Algorithm, Compact, TOKEN_BYTES};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = KeySet::parse(bytes, &Algorithm::ALL);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = Compact::parse(text) else { return };
    assert!(text.len() <= TOKEN_BYTES && text.is_ascii());
    let claims = token.unverified();
    let _ = (claims.audience(), claims.times(Timestamp::UNIX_EPOCH, SignedDuration::ZERO));
    if let Ok(Some(sub)) = claims.text("sub") {
        assert!(sub.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }
});
