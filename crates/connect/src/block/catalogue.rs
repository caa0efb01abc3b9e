//! The block types that are known here, as Prefect 3.8.8 registers them.
//!
//! Invariant: the checksums are Prefect's own, so its client finds its schema and registers nothing. The asset is made
//! from Prefect's classes (`Block._to_block_type`, `Block._to_block_schema`); identities are derived from slug and
//! checksum, so that they are the same on every server.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::LazyLock;
use trackside_core::ids::derive;
use uuid::Uuid;

/// A block type with its schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockType {
    /// Name in addresses and documents, for example `slack-webhook`.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Picture.
    pub logo_url: String,
    /// Prefect's page about it.
    pub documentation_url: String,
    /// What it is for.
    pub description: String,
    /// How it is used in Python.
    pub code_example: String,
    /// Whether it may be changed by clients.
    pub is_protected: bool,
    /// What it can do: `notify`, or nothing that has a name.
    pub capabilities: Vec<String>,
    /// Version of Prefect that the schema is of.
    pub version: String,
    /// Identity of the schema: `sha256:` and hexadecimal digits.
    pub checksum: String,
    /// The schema: JSON Schema with Prefect's `secret_fields` and `position`.
    pub fields: Map<String, Value>,
}

static CATALOGUE: LazyLock<Vec<BlockType>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("catalogue.json"))
        .unwrap_or_else(|error| unreachable!("the catalogue of block types is part of the program: {error}"))
});

impl BlockType {
    /// All types, in the order in which Prefect's page lists them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &CATALOGUE
    }

    /// The type with this slug.
    #[must_use]
    pub fn by_slug(slug: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.slug == slug)
    }

    /// The type whose schema has this checksum.
    #[must_use]
    pub fn by_checksum(checksum: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.checksum == checksum)
    }

    /// The type with this identity.
    #[must_use]
    pub fn by_id(id: Uuid) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.id() == id)
    }

    /// The type whose schema has this identity.
    #[must_use]
    pub fn by_schema_id(id: Uuid) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.schema_id() == id)
    }

    /// Identity of the type.
    #[must_use]
    pub fn id(&self) -> Uuid {
        derive("block-type", &[&self.slug])
    }

    /// Identity of its schema.
    #[must_use]
    pub fn schema_id(&self) -> Uuid {
        derive("block-schema", &[&self.checksum])
    }

    /// Whether messages can be sent through it.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == "notify")
    }

    /// Paths of secret values: a field, or `field.*` for every value in it.
    pub(super) fn secret_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.get("secret_fields").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_prefects() {
        let known: Vec<String> = BlockType::all()
            .iter()
            .map(|known| {
                let secrets: Vec<&str> = known.secret_fields().collect();
                format!("{} {} {secrets:?} {}", known.slug, &known.checksum[..15], known.capabilities.join(","))
            })
            .collect();
        insta::assert_snapshot!(known.join("\n"));
        for known in BlockType::all() {
            assert_eq!(known.version, "3.8.8");
            assert_eq!(BlockType::by_slug(&known.slug), Some(known));
            assert_eq!(BlockType::by_checksum(&known.checksum), Some(known));
            assert_eq!(BlockType::by_id(known.id()), Some(known));
            assert_eq!(BlockType::by_schema_id(known.schema_id()), Some(known));
        }
    }
}
