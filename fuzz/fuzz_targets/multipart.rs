//! Fuzzes the masking of forms: what was masked has nothing to mask any more but the mask.
#![no_main]

use bytes::Bytes;
use std::collections::BTreeSet;
use trackside_gateway::guard;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (kind, whole) = ("multipart/form-data", "multipart/form-data; boundary=b");
    let fields = BTreeSet::from(["password".to_owned()]);
    let Ok((masked, hits)) = guard::mask(kind, whole, &Bytes::copy_from_slice(bytes), &fields) else { return };
    assert_eq!(guard::mask(kind, whole, &masked, &fields), Ok((masked.clone(), hits)));
});
