//! Fuzzes answers of AWS STS: any bytes are keys, or a failure whose text is short and of one line. The first byte
//! chooses the status.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use trackside_identity::exchange::Reply;
use trackside_identity::secret::aws::sts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [status, body @ ..] = data else { return };
    let statuses = [200, 400, 403, 500];
    let status = StatusCode::from_u16(statuses[usize::from(*status) % statuses.len()]).expect("a status");
    let reply = Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
    match sts::judge(&reply, Timestamp::UNIX_EPOCH) {
        Ok(lent) => assert!(status.is_success() && lent.expires.is_some()),
        Err(failure) => assert!(failure.text.chars().count() < 2_000 && !failure.text.contains(['\n', '\r'])),
    }
});
