//! Where a configuration refers to secrets, and whether what it refers to is declared.
//!
//! References are found by walking the whole configuration as it is written down, not by a list of places, so that one in
//! a new section cannot be forgotten. Invariant: only references are looked at; no value is read here.

use super::Sections;
use super::merge::Origins;
use super::problem::{Problem, Spot};
use serde::ser::{self, Impossible, Serialize, Serializer};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use trackside_identity::secret::SecretRef;
use trackside_identity::secret::keeper::Wanted;

/// The secrets of a configuration.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredSecrets {
    /// What is to be kept.
    pub wanted: Wanted,
    /// Where each place stands that refers to a secret of a secret manager.
    pub spots: BTreeMap<String, Spot>,
}

impl ConfiguredSecrets {
    /// What cannot be verified where the secret managers are not asked.
    #[must_use]
    pub fn unverified(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (reference, used_by) in &self.wanted.references {
            let source = self.wanted.source_of(reference).unwrap_or_default();
            for spot in used_by.iter().filter_map(|place| self.spots.get(place)) {
                found.push(
                    spot.problem(format!("the {reference} is not looked at here; the server asks `{source}` for it")),
                );
            }
        }
        found
    }
}

/// Finds the secrets of merged sections, and what is wrong with them.
pub(super) fn find(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) -> ConfiguredSecrets {
    let mut found = ConfiguredSecrets::default();
    found.wanted.sources.clone_from(&sections.vaults);
    for (name, vault) in &sections.vaults {
        for (field, problem) in vault.mistakes() {
            let path = if field.is_empty() { format!("vaults.{name}") } else { format!("vaults.{name}.{field}") };
            problems.push(origins.problem(&path, problem));
        }
    }
    for (path, reference) in references(sections) {
        if reference.is_local() || path.starts_with("vaults.") {
            continue;
        }
        if let Err(problem) = found.wanted.source_of(&reference) {
            problems.push(origins.problem(&path, problem));
        }
        found.spots.insert(path.clone(), origins.spot(&path));
        found.wanted.references.entry(reference).or_default().push(path);
    }
    found
}

/// Every reference to a secret in a value, with its path.
fn references(value: &impl Serialize) -> Vec<(String, SecretRef)> {
    let mut found = Vec::new();
    // Walking fails only where a value cannot be written down, and all of the configuration can.
    let _ = value.serialize(Walk { path: String::new(), found: &mut found });
    found
}

/// Walks a value that is being written down.
struct Walk<'w> {
    path: String,
    found: &'w mut Vec<(String, SecretRef)>,
}

/// Why a walk ended; never shown.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value cannot be walked")
    }
}

impl std::error::Error for Ended {}

impl ser::Error for Ended {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Walk<'_> {
    fn at(&mut self, path: String) -> Walk<'_> {
        Walk { path, found: self.found }
    }

    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), Ended> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        value.serialize(self.at(path))
    }
}

/// What leads to no reference.
macro_rules! leaves {
    ($($method:ident($kind:ty)),* $(,)?) => {
        $(fn $method(self, _: $kind) -> Result<(), Ended> { Ok(()) })*
    };
}

impl<'w> Serializer for Walk<'w> {
    type Ok = ();
    type Error = Ended;
    type SerializeSeq = Items<'w>;
    type SerializeTuple = Items<'w>;
    type SerializeTupleStruct = Items<'w>;
    type SerializeTupleVariant = Impossible<(), Ended>;
    type SerializeMap = Members<'w>;
    type SerializeStruct = Members<'w>;
    type SerializeStructVariant = Members<'w>;

    leaves!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    );

    fn serialize_none(self) -> Result<(), Ended> {
        Ok(())
    }
    fn serialize_unit(self) -> Result<(), Ended> {
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Ended> {
        value.serialize(self)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Ended> {
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Ended> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Ended> {
        if name != "SecretRef" {
            return self.member(variant, value);
        }
        let written = serde_json::to_value(value).map_err(|_| Ended)?;
        let reference = serde_json::from_value(json!({ variant: written })).map_err(|_| Ended)?;
        self.found.push((self.path, reference));
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'w>, Ended> {
        Ok(Items { walk: self, index: 0 })
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'w>, Ended> {
        Ok(Items { walk: self, index: 0 })
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'w>, Ended> {
        Ok(Items { walk: self, index: 0 })
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Ended> {
        Err(Ended)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Members<'w>, Ended> {
        Ok(Members { walk: self, key: String::new() })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'w>, Ended> {
        Ok(Members { walk: self, key: String::new() })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'w>, Ended> {
        let path = if self.path.is_empty() { variant.to_owned() } else { format!("{}.{variant}", self.path) };
        Ok(Members { walk: Walk { path, found: self.found }, key: String::new() })
    }
}

/// The items of a list.
struct Items<'w> {
    walk: Walk<'w>,
    index: usize,
}

impl Items<'_> {
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Ended> {
        let path = format!("{}[{}]", self.walk.path, self.index);
        self.index += 1;
        value.serialize(self.walk.at(path))
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Ended> {
        self.item(value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

impl ser::SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Ended> {
        self.item(value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

impl ser::SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Ended> {
        self.item(value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

/// The members of a map.
struct Members<'w> {
    walk: Walk<'w>,
    key: String,
}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Ended> {
        let key = serde_json::to_value(key).map_err(|_| Ended)?;
        self.key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Ended> {
        let key = std::mem::take(&mut self.key);
        self.walk.member(&key, value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Ended> {
        self.walk.member(name, value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

impl ser::SerializeStructVariant for Members<'_> {
    type Ok = ();
    type Error = Ended;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Ended> {
        self.walk.member(name, value)
    }
    fn end(self) -> Result<(), Ended> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let sections: Sections = serde_json::from_value(json!({
            "connections": {
                "pd": {"kind": "pagerduty", "routing_key": {"vault": "kv/data/pd#key"}, "webhook_secrets": [{"env": "A"}]},
                "slack": {"kind": "slack", "token": {"aws": "prod/slack#token"}, "channel": "#data"},
                "hook": {"kind": "webhook", "url": "https://example.net/in", "secret": {"azure": {"name": "hook"}}},
            },
            "tokens": [{"name": "airflow", "role": "ingest", "secret": {"file": "t"}}],
            "heartbeat_out": {"url": {"vault": {"path": "hc", "field": "url"}}},
        }))
        .expect("sections");
        let found: Vec<String> =
            references(&sections).into_iter().map(|(path, reference)| format!("{path}: {reference}")).collect();
        assert_eq!(
            found,
            [
                "connections.hook.secret: Azure secret `hook`",
                "connections.pd.routing_key: Vault secret `kv/data/pd#key`",
                "connections.pd.webhook_secrets[0]: environment variable `A`",
                "connections.slack.token: AWS secret `prod/slack#token`",
                "tokens[0].secret: file `t`",
                "heartbeat_out.url: Vault secret `hc#url`",
            ]
        );
    }
}
