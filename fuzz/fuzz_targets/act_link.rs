//! Fuzzes the links in mails: what opens was made with the key, and sealing it again gives the same token.
#![no_main]

use jiff::Timestamp;
use trackside_identity::act_link::ActKey;

libfuzzer_sys::fuzz_target!(|token: &str| {
    let key = ActKey::new([7; 32]);
    if let Ok(link) = key.open(token, Timestamp::UNIX_EPOCH) {
        assert_eq!(key.seal(&link), token);
    }
});
