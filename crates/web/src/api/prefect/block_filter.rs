//! Which block types, schemas and documents a caller of Prefect's API asks for.
//!
//! Source: `BlockTypeFilter`, `BlockSchemaFilter` and `BlockDocumentFilter` in Prefect's `server/schemas/filters.py`.
//! Pure.

use super::Refused;
use super::filter::{Operator, Stretch};
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_connect::block::BlockType;
use trackside_store::blocks::Block;
use uuid::Uuid;

/// Body of the `filter` and `count` routes of blocks; each route looks at what concerns it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    limit: Option<i64>,
    offset: Option<u64>,
    pub(super) sort: Option<Sort>,
    pub(super) block_types: Option<Types>,
    pub(super) block_schemas: Option<Schemas>,
    pub(super) block_documents: Option<Documents>,
}

/// Prefect's `BlockDocumentSort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Sort {
    NameAsc,
    NameDesc,
    BlockTypeAndNameAsc,
}

/// Any of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Any<T: Ord> {
    any_: Option<BTreeSet<T>>,
}

impl<T: Ord> Default for Any<T> {
    fn default() -> Self {
        Self { any_: None }
    }
}

impl<T: Ord> Any<T> {
    fn admit<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.any_.as_ref().is_none_or(|any| any.contains(value))
    }
}

/// All of these.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct All {
    all_: Option<BTreeSet<String>>,
}

/// Prefect's `BlockTypeFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Types {
    name: Option<Like>,
    slug: Option<Any<String>>,
}

/// A part of a name, without regard to case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Like {
    like_: Option<String>,
}

/// Prefect's `BlockSchemaFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Schemas {
    operator: Operator,
    block_type_id: Option<Any<Uuid>>,
    block_capabilities: Option<All>,
    id: Option<Any<Uuid>>,
    version: Option<Any<String>>,
}

/// Prefect's `BlockDocumentFilter`. Anonymous documents are left out unless they are asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Documents {
    operator: Operator,
    id: Option<Any<Uuid>>,
    is_anonymous: Option<Equal>,
    block_type_id: Option<Any<Uuid>>,
    name: Option<Names>,
}

impl Default for Documents {
    fn default() -> Self {
        let is_anonymous = Some(Equal { eq_: Some(false) });
        Self { operator: Operator::default(), id: None, is_anonymous, block_type_id: None, name: None }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Equal {
    eq_: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Names {
    any_: Option<BTreeSet<String>>,
    like_: Option<String>,
}

impl Wanted {
    /// Which stretch of the listing.
    pub(super) fn stretch(&self) -> Result<Stretch, Refused> {
        Stretch::of(self.limit, self.offset)
    }

    /// Whether a type is asked for.
    pub(super) fn admits_type(&self, known: &BlockType) -> bool {
        self.block_types.as_ref().is_none_or(|types| types.admit(known)) && self.admits_schema(known)
    }

    /// Whether the schema of a type is asked for.
    pub(super) fn admits_schema(&self, known: &BlockType) -> bool {
        self.block_schemas.as_ref().is_none_or(|schemas| schemas.admit(known))
    }

    /// Whether a document of a type is asked for.
    pub(super) fn admits_document(&self, block: &Block, known: &BlockType) -> bool {
        let documents = self.block_documents.as_ref();
        let asked = documents.map_or_else(|| Documents::default().admit(block, known), |all| all.admit(block, known));
        asked && self.admits_type(known)
    }
}

impl Types {
    fn admit(&self, known: &BlockType) -> bool {
        let like = self.name.as_ref().and_then(|name| name.like_.as_deref());
        like.is_none_or(|like| contains(&known.name, like))
            && self.slug.as_ref().is_none_or(|slug| slug.admit(known.slug.as_str()))
    }
}

impl Schemas {
    fn admit(&self, known: &BlockType) -> bool {
        let all =
            |all: &All| all.all_.as_ref().is_none_or(|all| all.iter().all(|one| known.capabilities.contains(one)));
        self.operator.join([
            self.block_type_id.as_ref().map(|any| any.admit(&known.id())),
            self.block_capabilities.as_ref().map(all),
            self.id.as_ref().map(|any| any.admit(&known.schema_id())),
            self.version.as_ref().map(|any| any.admit(known.version.as_str())),
        ])
    }
}

impl Documents {
    fn admit(&self, block: &Block, known: &BlockType) -> bool {
        let name = |name: &Names| {
            name.any_.as_ref().is_none_or(|any| any.contains(&block.name))
                && name.like_.as_ref().is_none_or(|like| contains(&block.name, like))
        };
        self.operator.join([
            self.id.as_ref().map(|any| any.admit(&block.id)),
            self.is_anonymous.as_ref().map(|equal| equal.eq_.is_none_or(|eq| eq == block.anonymous)),
            self.block_type_id.as_ref().map(|any| any.admit(&known.id())),
            self.name.as_ref().map(name),
        ])
    }
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}
