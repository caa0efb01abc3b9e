//! Fuzzes what browsers send: cookies, and the answer of a provider. No panic; nothing that was not signed counts.
#![no_main]

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use trackside_identity::session::{COOKIE_BYTES, Cookie, SessionKey, Transport};
use trackside_identity::sign_in::flow::{Answer, Expected, Naming, arrive};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(8) {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        headers.append(header::COOKIE, value);
    }
    let key = SessionKey::new([7; 32]);
    for transport in [Transport::Tls, Transport::Plain] {
        for cookie in [Cookie::Session, Cookie::SignIn] {
            let Some(found) = transport.find(cookie, &headers) else { continue };
            assert!(found.len() <= COOKIE_BYTES);
            let answer = Answer { state: Some(found.to_owned()), code: Some("c".to_owned()), ..Answer::default() };
            let expected = Expected { issuer: "https://idp.test", naming: Naming::Unsaid };
            assert!(arrive(&key, Some(found), &answer, expected, Timestamp::UNIX_EPOCH).is_err());
        }
    }
});
