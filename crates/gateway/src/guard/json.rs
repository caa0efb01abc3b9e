//! Fields of JSON: masked by pointer (RFC 6901) or by name at any depth.
//!
//! A body without a hit goes on byte for byte; one with a hit is written anew, its fields in order.

use super::{MASKED, Unreadable};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;

/// Masks fields; how many.
///
/// # Errors
/// When it is no JSON.
pub fn mask(body: &Bytes, fields: &BTreeSet<String>) -> Result<(Bytes, usize), Unreadable> {
    let mut value: Value = serde_json::from_slice(body).map_err(|_| Unreadable)?;
    let count = mask_value(&mut value, fields);
    if count == 0 && !repeats(body) {
        return Ok((body.clone(), 0));
    }
    let masked = serde_json::to_vec(&value).map_err(|_| Unreadable)?;
    Ok((masked.into(), count))
}

/// Masks fields in each line.
///
/// # Errors
/// When a line is no JSON.
pub fn mask_lines(body: &Bytes, fields: &BTreeSet<String>) -> Result<(Bytes, usize), Unreadable> {
    let mut out = Vec::with_capacity(body.len());
    let mut count = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            out.extend_from_slice(line);
            continue;
        }
        let (masked, hits) = mask(&Bytes::copy_from_slice(line.trim_ascii()), fields)?;
        out.extend_from_slice(&masked);
        if line.ends_with(b"\n") {
            out.push(b'\n');
        }
        count += hits;
    }
    Ok((out.into(), count))
}

/// Every text in it, names too, without escapes.
#[must_use]
pub fn values(body: &Bytes) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    while let Some(Ok(value)) = stream.next() {
        collect(&value, &mut found);
    }
    found
}

/// Masks fields in a value; how many.
pub fn mask_value(value: &mut Value, fields: &BTreeSet<String>) -> usize {
    let mut count = 0;
    for pointer in fields.iter().filter(|field| field.starts_with('/')) {
        if let Some(found) = value.pointer_mut(pointer) {
            *found = Value::from(MASKED);
            count += 1;
        }
    }
    count + by_name(value, fields)
}

fn by_name(value: &mut Value, fields: &BTreeSet<String>) -> usize {
    match value {
        Value::Object(members) => members
            .iter_mut()
            .map(|(name, member)| {
                if fields.contains(name) {
                    *member = Value::from(MASKED);
                    1
                } else {
                    by_name(member, fields)
                }
            })
            .sum(),
        Value::Array(elements) => elements.iter_mut().map(|element| by_name(element, fields)).sum(),
        _ => 0,
    }
}

fn collect(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => found.push(text.clone().into_bytes()),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.push(name.clone().into_bytes());
                collect(member, found);
            }
        }
        _ => {}
    }
}

/// Whether a name may stand twice in an object. A reader that takes the first would see what we, who take the last, did
/// not mask; so such a body is written anew.
fn repeats(body: &Bytes) -> bool {
    struct Names;
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = bool;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any JSON")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut seen = BTreeSet::new();
            let mut twice = false;
            while let Some(name) = map.next_key::<String>()? {
                twice |= !seen.insert(name);
                twice |= map.next_value::<Repeats>()?.0;
            }
            Ok(twice)
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
            let mut twice = false;
            while let Some(Repeats(inner)) = seq.next_element()? {
                twice |= inner;
            }
            Ok(twice)
        }
        fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_str<E>(self, _: &str) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_unit<E>(self) -> Result<bool, E> {
            Ok(false)
        }
    }
    struct Repeats(bool);
    impl<'de> serde::Deserialize<'de> for Repeats {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Names).map(Self)
        }
    }
    serde_json::from_slice::<Repeats>(body).map_or(true, |repeats| repeats.0)
}
