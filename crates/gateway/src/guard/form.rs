//! Fields of `application/x-www-form-urlencoded`.

use super::MASKED;
use bytes::Bytes;
use std::collections::BTreeSet;
use url::form_urlencoded;

/// Masks fields by name; how many.
#[must_use]
pub fn mask(body: &Bytes, fields: &BTreeSet<String>) -> (Bytes, usize) {
    let hits = form_urlencoded::parse(body).filter(|(name, _)| fields.contains(name.as_ref())).count();
    if hits == 0 {
        return (body.clone(), 0);
    }
    let mut out = form_urlencoded::Serializer::new(String::with_capacity(body.len()));
    for (name, value) in form_urlencoded::parse(body) {
        let value = if fields.contains(name.as_ref()) { MASKED } else { value.as_ref() };
        out.append_pair(&name, value);
    }
    (out.finish().into(), hits)
}

/// Every name and value, decoded.
#[must_use]
pub fn values(body: &Bytes) -> Vec<Vec<u8>> {
    form_urlencoded::parse(body)
        .flat_map(|(name, value)| [name.into_owned().into_bytes(), value.into_owned().into_bytes()])
        .collect()
}
