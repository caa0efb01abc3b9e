//! Fuzzes replies of token endpoints: any bytes are a token that can be sent and ends in the future, or a failure whose
//! text is short and of one line. The first byte chooses the status, the second what was expected.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use trackside_identity::broker::reply::{self, Addressee, Exchanged, Expected};
use trackside_identity::exchange::Reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [status, expected, body @ ..] = data else { return };
    let statuses = [200, 201, 302, 400, 401, 410, 429, 500, 503];
    let status = StatusCode::from_u16(statuses[usize::from(*status) % statuses.len()]).expect("a status");
    let scopes = ["jobs.run".to_owned()];
    let expected = Expected {
        scopes: if expected & 1 == 1 { &scopes } else { &[] },
        exchange: if expected & 2 == 2 { Exchanged::Token } else { Exchanged::Nothing },
        addressee: if expected & 4 == 4 { Addressee::Named } else { Addressee::Unnamed },
    };
    let now = Timestamp::from_second(1_700_000_000).expect("in range");
    let reply = Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
    match reply::token(&reply, expected, now) {
        Ok(granted) => {
            assert!(status.is_success() && granted.expires > now && granted.usable_until() <= granted.expires);
            assert!(granted.renew_at(0.5) <= granted.expires);
            let header = format!("Bearer {}", granted.proof.expose_secret());
            assert!(http::HeaderValue::from_str(&header).is_ok());
        }
        Err(failure) => {
            assert!(failure.text.chars().count() < 2_000 && !failure.text.contains(['\n', '\r']));
            assert!(failure.hold().as_secs() <= 3_600);
        }
    }
});
