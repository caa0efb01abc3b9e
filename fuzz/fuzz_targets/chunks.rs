//! Fuzzes the framing of chunked bodies: the same end is found however the bytes come.
#![no_main]

use trackside_gateway::front::chunks::Chunks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = Chunks::default().follow(bytes);
    let (front, back) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let mut pieces = Chunks::default();
    let found = match pieces.follow(front) {
        Ok(None) => pieces.follow(back).map(|end| end.map(|end| end + front.len())),
        ended => ended,
    };
    assert_eq!(whole, found);
});
