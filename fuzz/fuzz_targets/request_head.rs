//! Fuzzes the heads of requests: what is accepted is read by hyper's reader in the same way, with the same framing.
#![no_main]

use trackside_gateway::front::head::{self, Bounds, Framing};

const BOUNDS: Bounds = Bounds { bytes: 8 * 1024, fields: 100 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = head::response(bytes, BOUNDS);
    let Ok(Some(length)) = head::end(bytes, &mut 0, BOUNDS) else { return };
    let Ok(framing) = head::request(&bytes[..length], BOUNDS) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut other = httparse::Request::new(&mut fields);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(length)));
    let count = |name: &str| other.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    let expect = match framing {
        Framing::Absent => (0, 0),
        Framing::Length(_) => (1, 0),
        Framing::Chunked => (0, 1),
    };
    assert_eq!((count("content-length"), count("transfer-encoding")), expect);
});
