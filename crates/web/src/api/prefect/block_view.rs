//! Block types, their schemas and block documents as Prefect's API shows them.
//!
//! Pure. Invariant: a secret value is never shown, only the mask that Prefect shows when it is not asked for secrets.

use super::Refused;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use trackside_connect::block::BlockType;
use trackside_store::blocks::Block;

/// Types and schemas are part of the program and were never made; Prefect's clients expect a time.
const MADE: Timestamp = Timestamp::UNIX_EPOCH;

/// A block type.
pub(super) fn block_type(known: &BlockType) -> Value {
    json!({
        "id": known.id(),
        "created": MADE,
        "updated": MADE,
        "name": known.name,
        "slug": known.slug,
        "logo_url": known.logo_url,
        "documentation_url": known.documentation_url,
        "description": known.description,
        "code_example": known.code_example,
        "is_protected": known.is_protected,
    })
}

/// The schema of a block type.
pub(super) fn schema(known: &BlockType) -> Value {
    json!({
        "id": known.schema_id(),
        "created": MADE,
        "updated": MADE,
        "checksum": known.checksum,
        "fields": known.fields,
        "block_type_id": known.id(),
        "block_type": block_type(known),
        "capabilities": known.capabilities,
        "version": known.version,
    })
}

/// A block document, its secrets masked.
pub(super) fn document(block: &Block) -> Result<Value, Refused> {
    let known = type_of(block)?;
    Ok(json!({
        "id": block.id,
        "created": block.created,
        "updated": block.updated,
        "name": block.name,
        "data": known.mask(&block.data),
        "block_schema_id": known.schema_id(),
        "block_schema": schema(known),
        "block_type_id": known.id(),
        "block_type_name": known.name,
        "block_type": block_type(known),
        "block_document_references": {},
        "is_anonymous": block.anonymous,
    }))
}

/// The type of a stored document. Only another version of the program can have stored one that is not known.
pub(super) fn type_of(block: &Block) -> Result<&'static BlockType, Refused> {
    BlockType::by_slug(&block.block_type).ok_or_else(|| {
        let message = format!("block {} is of type {}, which this version does not know", block.id, block.block_type);
        Refused::message(StatusCode::INTERNAL_SERVER_ERROR, message)
    })
}
