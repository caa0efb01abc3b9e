//! What the door tests share: recorded bodies, and a delivery of a body.

use flate2::read::GzDecoder;
use http::HeaderMap;
use jiff::Timestamp;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use trackside_connect::door::Delivered;
use uuid::Uuid;

static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

/// A file below `testdata/`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// The bytes of a file below `testdata/`, inflated when its name ends in `.gz`.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut inflated = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated).unwrap();
    inflated
}

/// The lines of a recording.
pub(crate) fn lines(name: &str) -> Vec<String> {
    String::from_utf8(read(name)).unwrap().lines().map(str::to_owned).collect()
}

/// A delivery with the token `tok`, no team, no headers, at [`now`].
pub(crate) fn delivered(body: &[u8]) -> Delivered<'_> {
    Delivered { headers: &NO_HEADERS, body, token: "tok", team: None, received: now() }
}

/// The moment all test deliveries arrive at.
pub(crate) fn now() -> Timestamp {
    "2026-11-20T18:00:00Z".parse().unwrap()
}

/// An id from the shell.
pub(crate) fn fresh() -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)
}
