//! Block types and their schemas in Prefect's API. They are part of the program: what clients register is there
//! already, and nothing else can be added, because nothing would know how to send through it.
//!
//! Source: Prefect's `server/api/block_types.py`, `block_schemas.py`, `block_capabilities.py`.

use super::block_filter::Wanted;
use super::block_view::{block_type, schema};
use super::body::Body;
use super::filter::Stretch;
use super::{Refused, block_view};
use crate::api::{Params, Segments};
use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use trackside_connect::block::BlockType;
use uuid::Uuid;

/// What is looked at of the body of `POST /block_types/`.
#[derive(Debug, Deserialize)]
struct NewType {
    name: String,
    slug: String,
}

/// What is looked at of the body of `POST /block_schemas/`.
#[derive(Debug, Deserialize)]
struct NewSchema {
    block_type_id: Uuid,
}

/// Query of `GET /block_schemas/checksum/{checksum}`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct VersionQuery {
    version: Option<String>,
}

/// `POST /api/block_types/`
pub(crate) async fn create(body: Body) -> Result<(StatusCode, Json<Value>), Refused> {
    let NewType { name, slug } = body.required_as()?;
    if name.to_lowercase().starts_with("prefect") {
        let detail = "Block type names beginning with 'Prefect' are reserved.";
        return Err(Refused::detail(StatusCode::FORBIDDEN, detail));
    }
    if BlockType::all().iter().any(|known| known.name == name || known.slug == slug) {
        let detail = format!("Block type with name \"{name}\" already exists");
        return Err(Refused::detail(StatusCode::CONFLICT, detail));
    }
    let known: Vec<&str> = BlockType::all().iter().map(|known| known.slug.as_str()).collect();
    let detail = format!("Trackside cannot send through a block of type `{slug}`; it knows {}", known.join(", "));
    Err(Refused::detail(StatusCode::UNPROCESSABLE_ENTITY, detail))
}

/// `GET /api/block_types/{id}`
pub(crate) async fn read(Segments(id): Segments<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(block_type(by_id(&id)?)))
}

/// `GET /api/block_types/slug/{slug}`
pub(crate) async fn read_by_slug(Segments(slug): Segments<String>) -> Result<Json<Value>, Refused> {
    BlockType::by_slug(&slug).map(|known| Json(block_type(known))).ok_or_else(missing)
}

/// `POST /api/block_types/filter`
pub(crate) async fn filter(body: Body) -> Result<Json<Vec<Value>>, Refused> {
    let wanted: Wanted = body.optional_as()?;
    let Stretch { offset, limit } = wanted.stretch()?;
    let mut found: Vec<&BlockType> = BlockType::all().iter().filter(|known| wanted.admits_type(known)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(found.into_iter().skip(offset).take(limit).map(block_type).collect()))
}

/// `PATCH /api/block_types/{id}`: a client brings the texts of its own version; those of the program stay.
pub(crate) async fn update(Segments(id): Segments<String>, body: Body) -> Result<StatusCode, Refused> {
    body.required()?;
    by_id(&id).map(|_| StatusCode::NO_CONTENT)
}

/// `DELETE /api/block_types/{id}`
pub(crate) async fn delete(Segments(id): Segments<String>) -> Result<StatusCode, Refused> {
    by_id(&id)?;
    Err(Refused::detail(StatusCode::FORBIDDEN, "protected block types cannot be deleted."))
}

/// `POST /api/block_schemas/`: the schema of the type, also to a client of another version of Prefect, whose documents
/// are then read by this schema.
pub(crate) async fn create_schema(body: Body) -> Result<Json<Value>, Refused> {
    let NewSchema { block_type_id } = body.required_as()?;
    let unknown = || Refused::detail(StatusCode::NOT_FOUND, format!("Block type {block_type_id} not found."));
    BlockType::by_id(block_type_id).map(|known| Json(schema(known))).ok_or_else(unknown)
}

/// `GET /api/block_schemas/{id}`
pub(crate) async fn read_schema(Segments(id): Segments<String>) -> Result<Json<Value>, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::not_found())?;
    BlockType::by_schema_id(id).map(|known| Json(schema(known))).ok_or_else(schema_missing)
}

/// `GET /api/block_schemas/checksum/{checksum}`
pub(crate) async fn read_schema_by_checksum(
    Segments(checksum): Segments<String>,
    Params(VersionQuery { version }): Params<VersionQuery>,
) -> Result<Json<Value>, Refused> {
    let fits = |known: &&BlockType| version.as_ref().is_none_or(|version| *version == known.version);
    BlockType::by_checksum(&checksum).filter(fits).map(|known| Json(schema(known))).ok_or_else(schema_missing)
}

/// `POST /api/block_schemas/filter`
pub(crate) async fn filter_schemas(body: Body) -> Result<Json<Vec<Value>>, Refused> {
    let wanted: Wanted = body.optional_as()?;
    let Stretch { offset, limit } = wanted.stretch()?;
    let found = BlockType::all().iter().filter(|known| wanted.admits_schema(known));
    Ok(Json(found.skip(offset).take(limit).map(block_view::schema).collect()))
}

/// `DELETE /api/block_schemas/{id}`
pub(crate) async fn delete_schema(Segments(id): Segments<String>) -> Result<StatusCode, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::not_found())?;
    BlockType::by_schema_id(id).ok_or_else(schema_missing)?;
    let detail = "Block schemas for protected block types cannot be deleted.";
    Err(Refused::detail(StatusCode::FORBIDDEN, detail))
}

/// `GET /api/block_capabilities/`
pub(crate) async fn capabilities() -> Json<BTreeSet<&'static str>> {
    Json(BlockType::all().iter().flat_map(|known| &known.capabilities).map(String::as_str).collect())
}

/// The type of this id.
fn by_id(id: &str) -> Result<&'static BlockType, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::not_found())?;
    BlockType::by_id(id).ok_or_else(missing)
}

fn missing() -> Refused {
    Refused::detail(StatusCode::NOT_FOUND, "Block type not found")
}

fn schema_missing() -> Refused {
    Refused::detail(StatusCode::NOT_FOUND, "Block schema not found")
}
