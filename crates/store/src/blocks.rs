//! Block documents: the notification targets that Prefect's clients and pages keep through the API.
//!
//! Invariants: a name is unique within its block type; secret fields of `data` are sealed before they come here, this
//! module cannot read them; every change has its caller and its audit row in the same batch. What a block type is and
//! which of its fields are secret is not known here.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::page::{bounded, contains};
use crate::statement::{Batch, Filter, Listing, Sql, Statement, given, one_of};
use crate::value::{Kind, Row, json, stored_time};
use jiff::Timestamp;
use std::collections::BTreeSet;
use trackside_core::caller::Caller;
use uuid::Uuid;

/// A block document as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Identity.
    pub id: Uuid,
    /// Slug of its type, for example `slack-webhook`.
    pub block_type: String,
    /// Name, unique within the type.
    pub name: String,
    /// Checksum of the schema that `data` follows.
    pub checksum: String,
    /// Made by a program for itself, and left out of listings for people.
    pub anonymous: bool,
    /// Content; secret fields are sealed.
    pub data: serde_json::Value,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed; two versions never have the same.
    pub updated: Timestamp,
}

/// A block document to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBlock {
    /// Identity; sealed fields are bound to it.
    pub id: Uuid,
    /// Slug of its type.
    pub block_type: String,
    /// Name.
    pub name: String,
    /// Checksum of the schema.
    pub checksum: String,
    /// Made by a program for itself.
    pub anonymous: bool,
    /// Content; secret fields are sealed.
    pub data: serde_json::Value,
}

/// Which block documents to list. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockFilter {
    /// Only these. Each list of this filter has at most [`crate::page::PAGE_ITEMS`] entries.
    pub ids: Option<BTreeSet<Uuid>>,
    /// Only those of these types, by slug.
    pub types: Option<BTreeSet<String>>,
    /// Only those with one of these names.
    pub names: Option<BTreeSet<String>>,
    /// Only names that contain this, without regard to case (ASCII).
    pub text: Option<String>,
    /// Only those that are, or only those that are not anonymous.
    pub anonymous: Option<bool>,
}

const BLOCK: &[Kind] =
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text, Kind::Bool, Kind::Text, Kind::Time, Kind::Time];
const CLAUSES: &[&str] =
    &["id IN ({*})", "block_type IN ({*})", "name IN ({*})", "lower(name) LIKE {0} ESCAPE '\\'", "anonymous = {0}"];

static CREATE: Sql = Sql::write(
    "blocks.create",
    "INSERT INTO blocks (id, block_type, name, checksum, anonymous, data, created, updated)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
);
static UPDATE: Sql = Sql::write(
    "blocks.update",
    "UPDATE blocks SET name = $1, checksum = $2, data = $3, updated = $4 WHERE id = $5 AND updated = $6",
);
static DELETE: Sql = Sql::write("blocks.delete", "DELETE FROM blocks WHERE id = $1");
static GET: Sql = Sql::read(
    "blocks.get",
    "SELECT id, block_type, name, checksum, anonymous, data, created, updated FROM blocks WHERE id = $1",
    BLOCK,
);
static NAMED: Sql = Sql::read(
    "blocks.named",
    "SELECT id, block_type, name, checksum, anonymous, data, created, updated FROM blocks
     WHERE block_type = $1 AND name = $2",
    BLOCK,
);
static LIST: Listing = Listing {
    name: "blocks.list",
    head: "SELECT id, block_type, name, checksum, anonymous, data, created, updated FROM blocks WHERE 1 = 1",
    clauses: CLAUSES,
    order: "ORDER BY name, id",
    columns: BLOCK,
};
static COUNT: Listing = Listing {
    name: "blocks.count",
    head: "SELECT count(*) FROM blocks WHERE 1 = 1",
    clauses: CLAUSES,
    order: "",
    columns: &[Kind::Int],
};

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&CREATE, &UPDATE, &DELETE, &GET, &NAMED];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &COUNT];

impl Store {
    /// Keeps a new block document.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when its type has a document of that name, or its id is taken.
    pub async fn create_block(&self, block: NewBlock, now: Timestamp, caller: &Caller) -> Result<Block> {
        let now = stored_time(now);
        let NewBlock { id, block_type, name, checksum, anonymous, data } = block;
        let block = Block { id, block_type, name, checksum, anonymous, data, created: now, updated: now };
        let create = CREATE
            .bind(block.id)
            .bind(&block.block_type)
            .bind(&block.name)
            .bind(&block.checksum)
            .bind(block.anonymous)
            .bind(json("a block document", &block.data)?)
            .bind(now)
            .any();
        let audit = audit_row("created", None, Some(&block), now, caller);
        self.write(Batch::of(vec![create, audit])).await?;
        Ok(block)
    }

    /// Replaces name, schema and content of a block document. `block` is as it was read, with what changes changed.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it is gone or was changed since it was read, or the name is taken.
    pub async fn update_block(&self, block: Block, now: Timestamp, caller: &Caller) -> Result<Block> {
        let read = block.updated;
        let later = read.saturating_add(jiff::SignedDuration::from_micros(1)).unwrap_or(read);
        let block = Block { updated: stored_time(now).max(later), ..block };
        let update = UPDATE
            .bind(&block.name)
            .bind(&block.checksum)
            .bind(json("a block document", &block.data)?)
            .bind(block.updated)
            .bind(block.id)
            .bind(read)
            .one("the block document is gone or was changed by somebody else; read it again");
        // The row is written only if nobody changed the block since, so this is what is replaced.
        let before = self.block(block.id).await?;
        let audit = audit_row("changed", before.as_ref(), Some(&block), now, caller);
        self.write(Batch::of(vec![update, audit])).await?;
        Ok(block)
    }

    /// Removes a block document.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it is gone.
    pub async fn delete_block(&self, block: &Block, now: Timestamp, caller: &Caller) -> Result<()> {
        let delete = DELETE.bind(block.id).one("there is no such block document");
        let audit = audit_row("deleted", Some(block), None, now, caller);
        self.write(Batch::of(vec![delete, audit])).await?;
        Ok(())
    }

    /// One block document.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn block(&self, id: Uuid) -> Result<Option<Block>> {
        self.row(GET.bind(id).query()).await?.map(block_row).transpose()
    }

    /// The block document of this type with this name.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn block_named(&self, block_type: &str, name: &str) -> Result<Option<Block>> {
        self.row(NAMED.bind(block_type).bind(name).query()).await?.map(block_row).transpose()
    }

    /// Block documents by name, at most `limit` (and [`crate::page::PAGE_ITEMS`]) after the first `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when a list of the filter is too long; else when one cannot be read back.
    pub async fn blocks(&self, filter: &BlockFilter, offset: u64, limit: usize) -> Result<Vec<Block>> {
        let Some(filters) = filters(filter)? else { return Ok(Vec::new()) };
        let rows = self.rows(LIST.query_from(filters, offset, bounded(limit))).await?;
        rows.into_iter().map(block_row).collect()
    }

    /// How many block documents a listing has.
    ///
    /// # Errors
    /// As [`Store::blocks`].
    pub async fn count_blocks(&self, filter: &BlockFilter) -> Result<u64> {
        let Some(filters) = filters(filter)? else { return Ok(0) };
        Ok(self.row(COUNT.query(filters, 1)).await?.map(|mut row| row.next()).transpose()?.unwrap_or(0))
    }
}

/// The filters in the order of [`CLAUSES`]; `None` when nothing can pass them.
fn filters(filter: &BlockFilter) -> Result<Option<Vec<Filter>>> {
    let ids = one_of(filter.ids.as_ref())?;
    let types = one_of(filter.types.as_ref())?;
    let names = one_of(filter.names.as_ref())?;
    let (Some(ids), Some(types), Some(names)) = (ids, types, names) else { return Ok(None) };
    let text = filter.text.as_ref().map(|text| contains(&text.to_ascii_lowercase()));
    Ok(Some(vec![ids, types, names, given(text), given(filter.anonymous)]))
}

fn audit_row(done: &str, before: Option<&Block>, after: Option<&Block>, at: Timestamp, caller: &Caller) -> Statement {
    let name = after.or(before).map_or_else(String::new, |block| format!("{}/{}", block.block_type, block.name));
    let said = |block: &Block| (block.name.clone(), block.checksum.clone(), block.anonymous, block.data.clone());
    let (before, after) = (before.map(said), after.map(said));
    let row = NewAudit::new(at, caller.clone(), format!("block.{done}"), format!("Block document {name} {done}"));
    audit::insert(&row.about(format!("block:{name}")).changing(before.as_ref(), after.as_ref()))
}

fn block_row(mut row: Row) -> Result<Block> {
    Ok(Block {
        id: row.next()?,
        block_type: row.next()?,
        name: row.next()?,
        checksum: row.next()?,
        anonymous: row.next()?,
        data: row.json()?,
        created: row.next()?,
        updated: row.next()?,
    })
}
