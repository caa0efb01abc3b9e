//! Invariants of the readers of the front and of the guard: any bytes give a value or a refusal, never a panic; what is
//! accepted is read the same way by another reader, and however it is cut into pieces.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use trackside_gateway::front::chunks::Chunks;
use trackside_gateway::front::head::{self, Bounds, Framing};
use trackside_gateway::front::{headers, path};
use trackside_gateway::guard;
use trackside_gateway::serve::proxy_protocol;

const BOUNDS: Bounds = Bounds { bytes: 8 * 1024, fields: 100 };
const FORM: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b\r\n\
    content-disposition: form-data; name=\"f\"; filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";

/// The requests of `testdata/gateway`, as bytes.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/gateway");
    let mut seeds = vec![FORM.to_vec(), b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\r\n".to_vec()];
    for file in ["hostile.json", "hostile-more.json"] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        for case in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            seeds.extend(case["raw"].as_str().map(|raw| raw.as_bytes()[..raw.len().min(2000)].to_vec()));
            seeds.extend(case["request"]["target"].as_str().map(|target| target.as_bytes().to_vec()));
        }
    }
    seeds
});

/// A seed with some bytes changed, cut out or put in, or bytes of any kind.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        0..3_u8,
        prop_oneof![any::<u8>(), prop::sample::select(b"\r\n\t :;%./\\\0".as_slice())],
    );
    let mutated = (0..SEEDS.len(), prop::collection::vec(edit, 0..6)).prop_map(|(seed, edits)| {
        let mut bytes = SEEDS[seed].clone();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    });
    prop_oneof![4 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

/// A head that is accepted is read by the reader of hyper in the same way.
fn reads_like_another(bytes: &[u8]) {
    let mut scanned = 0;
    let found = head::end(bytes, &mut scanned, BOUNDS);
    let mut slowly = 0;
    let pieces = (1..=bytes.len()).map(|length| head::end(&bytes[..length], &mut slowly, BOUNDS));
    let piecewise = pieces.into_iter().find(|found| *found != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(found, piecewise);
    let Ok(Some(length)) = found else { return };
    let Ok(framing) = head::request(&bytes[..length], BOUNDS) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut other = httparse::Request::new(&mut fields);
    assert_eq!(other.parse(bytes), Ok(httparse::Status::Complete(length)));
    let all = |name: &str| {
        let named = other.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| std::str::from_utf8(field.value).unwrap().trim().to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    match framing {
        Framing::Absent => assert!(lengths.is_empty() && codings.is_empty()),
        Framing::Length(length) => {
            assert!(codings.is_empty() && lengths.len() == 1 && lengths[0].parse() == Ok(length));
        }
        Framing::Chunked => assert!(lengths.is_empty() && codings == ["chunked"]),
    }
}

/// The canonical spelling is canonical, and no round of decoding makes another path of it.
fn has_one_spelling(text: &str) {
    if let Ok(canonical) = path::canonical(text) {
        assert_eq!(path::canonical(&canonical).unwrap(), canonical);
        assert!(!canonical.contains(['\\', ';', '?', '#']) && !canonical.contains("//"));
        assert!(!canonical.split('/').any(|segment| matches!(segment, "." | "..")));
        for bad in ["%2F", "%5C", "%25", "%00", "%2E", "%3B"] {
            assert!(!canonical.contains(bad), "{canonical}");
        }
    }
    for reading in path::readings(text).unwrap_or_default() {
        assert!(!reading.split('/').any(|segment| matches!(segment, "." | "..")), "{reading}");
    }
}

/// A masked form has nothing to mask any more but the mask itself.
fn masks_once(bytes: &[u8]) {
    let fields = BTreeSet::from(["password".to_owned()]);
    for kind in ["multipart/form-data", "application/x-www-form-urlencoded", "application/json", "application/x-ndjson"]
    {
        let whole = format!("{kind}; boundary=b");
        let body = Bytes::copy_from_slice(bytes);
        let Ok((masked, hits)) = guard::mask(kind, &whole, &body, &fields) else { continue };
        let (again, same) = guard::mask(kind, &whole, &masked, &fields).unwrap();
        assert_eq!((hits, masked), (same, again), "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in input(), cut in any::<prop::sample::Index>()) {
        reads_like_another(&bytes);
        has_one_spelling(&String::from_utf8_lossy(&bytes));
        masks_once(&bytes);
        let whole = Chunks::default().follow(&bytes);
        let (front, back) = bytes.split_at(cut.index(bytes.len() + 1));
        let mut pieces = Chunks::default();
        let cut = match pieces.follow(front) {
            Ok(None) => pieces.follow(back).map(|end| end.map(|end| end + front.len())),
            ended => ended,
        };
        prop_assert_eq!(whole, cut);
        let _ = (proxy_protocol::version_1(&bytes), head::response(&bytes, BOUNDS));
        if let (Ok(head), true) = (<[u8; 4]>::try_from(&bytes[..bytes.len().min(4)]), bytes.len() > 4) {
            let _ = proxy_protocol::version_2(head, &bytes[4..]);
        }
        let name = String::from_utf8_lossy(&bytes).to_lowercase();
        let folded = headers::fold(&name);
        if headers::forwarded(&name, &headers::Rules::default()) {
            prop_assert!(!headers::is_of_identity(&folded) && !headers::is_of_connection(&folded));
        }
    }
}
