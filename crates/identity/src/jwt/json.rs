//! JSON read strictly: an object that names a member twice is refused, at every depth.
//!
//! `serde_json` keeps the last of two members of one name and other readers the first (RFC 8725 §2.4): whoever checks
//! and whoever acts could read different tokens. Depth is bounded by `serde_json` (128).

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads an object.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).map_err(|error| plain(&error))?;
    reader.end().map_err(|error| plain(&error))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err("not a JSON object".to_owned()),
    }
}

/// The message without the place, which helps nobody in an encoded token.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_data() {
        return text.split(" at line ").next().unwrap_or_default().to_owned();
    }
    "not valid JSON".to_owned()
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if all.insert(name, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<usize, &str>) {
        let found = object(text.as_bytes()).map(|members| members.len());
        assert_eq!(found, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn only_whole_objects_without_doubles() {
        check(r#"{"a":1,"b":[{"c":null}]}"#, Ok(2));
        check(" {} ", Ok(0));
        check(r#"{"a":1,"a":2}"#, Err("a member stands twice"));
        check(r#"{"a":1,"\u0061":2}"#, Err("a member stands twice"));
        check(r#"{"x":[{"a":1,"a":1}]}"#, Err("a member stands twice"));
        check("[]", Err("not a JSON object"));
        check("{} {}", Err("not valid JSON"));
        check("{", Err("not valid JSON"));
        check("\u{feff}{}", Err("not valid JSON"));
        check(&format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000)), Err("not valid JSON"));
    }
}
