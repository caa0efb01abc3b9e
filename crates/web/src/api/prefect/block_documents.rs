//! Block documents in Prefect's API: where notifications and webhook calls go.
//!
//! Source: Prefect's `server/api/block_documents.py` and `server/models/block_documents.py`. Three things differ. A
//! secret never leaves: `include_secrets` is understood and answered with the mask, and an error does not repeat what
//! was sent. A document must fit its schema, so that what cannot be sent through is known when it is made. A document
//! cannot refer to another one.

use super::Refused;
use super::block_content::{Content, hidden};
use super::block_filter::{Sort, Wanted};
use super::block_view::{document, type_of};
use super::body::{Body, parse_as, wrong};
use super::filter::Stretch;
use crate::api::Segments;
use crate::auth::Who;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use trackside_connect::block::BlockType;
use trackside_store::Error as StoreError;
use trackside_store::blocks::{Block, BlockFilter, NewBlock};
use trackside_store::page::PAGE_ITEMS;
use uuid::Uuid;

/// Prefect's `BlockDocumentCreate`.
#[derive(Debug, Deserialize)]
struct Create {
    name: Option<String>,
    #[serde(default)]
    data: Map<String, Value>,
    block_schema_id: Uuid,
    block_type_id: Uuid,
    #[serde(default)]
    is_anonymous: bool,
}

/// Prefect's `BlockDocumentUpdate`.
#[derive(Debug, Deserialize)]
struct Update {
    block_schema_id: Option<Uuid>,
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default = "merged")]
    merge_existing_data: bool,
}

fn merged() -> bool {
    true
}

/// `POST /api/block_documents/`
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let body = body.required()?;
    let shown = hidden(&body);
    let wanted: Create = parse_as(&body).map_err(|error| Refused::invalid(&[*error], &shown))?;
    let id = state.new_id();
    let name = match wanted.name.filter(|name| !name.is_empty()) {
        None if wanted.is_anonymous => format!("anonymous-{}", state.new_id()),
        name => checked(name, &shown)?,
    };
    let known = BlockType::by_id(wanted.block_type_id).ok_or_else(|| {
        Refused::detail(StatusCode::NOT_FOUND, format!("Block type {} not found.", wanted.block_type_id))
    })?;
    if known.schema_id() != wanted.block_schema_id {
        let detail = format!("Block schema {} not found for block type {}.", wanted.block_schema_id, known.slug);
        return Err(Refused::detail(StatusCode::NOT_FOUND, detail));
    }
    if state.store.block_named(&known.slug, &name).await?.is_some() {
        return Err(taken());
    }
    let content = Content { known, id, name: &name };
    let data = content.sealed(&state, &Value::Object(wanted.data), &shown)?;
    let new = NewBlock {
        id,
        block_type: known.slug.clone(),
        name,
        checksum: known.checksum.clone(),
        anonymous: wanted.is_anonymous,
        data,
    };
    let made = state.store.create_block(new, state.now(), &who.caller).await.map_err(|error| match error {
        StoreError::Conflict { .. } => taken(),
        error => error.into(),
    })?;
    Ok((StatusCode::CREATED, Json(document(&made)?)))
}

/// `GET /api/block_documents/{id}`
pub(crate) async fn read(
    State(state): State<AppState>,
    Segments(id): Segments<String>,
) -> Result<Json<Value>, Refused> {
    Ok(Json(document(&find(&state, &id).await?)?))
}

/// `PATCH /api/block_documents/{id}`: a secret that comes back as the mask stays what it is.
pub(crate) async fn update(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let body = body.required()?;
    let shown = hidden(&body);
    let wanted: Update = parse_as(&body).map_err(|error| Refused::invalid(&[*error], &shown))?;
    let block = find(&state, &id).await?;
    let known = type_of(&block)?;
    if wanted.block_schema_id.is_some_and(|schema| schema != known.schema_id()) {
        let detail = "Must migrate block document to a block schema of the same block type.";
        return Err(Refused::detail(StatusCode::BAD_REQUEST, detail));
    }
    let content = Content { known, id: block.id, name: &block.name };
    let current = content.opened(&state, &block.data)?;
    let data = known.unmask(&Value::Object(wanted.data), &current);
    let data = if wanted.merge_existing_data { over(current, data) } else { data };
    let data = content.sealed(&state, &data, &shown)?;
    let changed = Block { data, checksum: known.checksum.clone(), ..block };
    state.store.update_block(changed, state.now(), &who.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/block_documents/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
) -> Result<StatusCode, Refused> {
    let block = find(&state, &id).await?;
    state.store.delete_block(&block, state.now(), &who.caller).await.map_err(|error| match error {
        StoreError::Conflict { .. } => missing(),
        error => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/block_documents/filter`
pub(crate) async fn filter(State(state): State<AppState>, body: Body) -> Result<Json<Vec<Value>>, Refused> {
    let wanted: Wanted = body.optional_as()?;
    let Stretch { offset, limit } = wanted.stretch()?;
    let mut found = listed(&state, &wanted, BlockFilter::default()).await?;
    match wanted.sort.unwrap_or(Sort::NameAsc) {
        Sort::NameAsc => {}
        Sort::NameDesc => found.reverse(),
        Sort::BlockTypeAndNameAsc => found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name)),
    }
    found.iter().skip(offset).take(limit).map(|(block, _)| document(block)).collect::<Result<Vec<_>, _>>().map(Json)
}

/// `POST /api/block_documents/count`
pub(crate) async fn count(State(state): State<AppState>, body: Body) -> Result<Json<usize>, Refused> {
    let wanted: Wanted = body.optional_as()?;
    Ok(Json(listed(&state, &wanted, BlockFilter::default()).await?.len()))
}

/// `GET /api/block_types/slug/{slug}/block_documents`
pub(crate) async fn of_type(
    State(state): State<AppState>,
    Segments(slug): Segments<String>,
) -> Result<Json<Vec<Value>>, Refused> {
    if BlockType::by_slug(&slug).is_none() {
        return Err(Refused::detail(StatusCode::NOT_FOUND, "Block type not found"));
    }
    let only = BlockFilter { types: Some(BTreeSet::from([slug])), ..BlockFilter::default() };
    let found = listed(&state, &Wanted::default(), only).await?;
    found.iter().map(|(block, _)| document(block)).collect::<Result<Vec<_>, _>>().map(Json)
}

/// `GET /api/block_types/slug/{slug}/block_documents/name/{name}`
pub(crate) async fn named(
    State(state): State<AppState>,
    Segments((slug, name)): Segments<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let block = state.store.block_named(&slug, &name).await?.ok_or_else(missing)?;
    Ok(Json(document(&block)?))
}

/// The documents that are asked for with their types, by name.
async fn listed(
    state: &AppState,
    wanted: &Wanted,
    only: BlockFilter,
) -> Result<Vec<(Block, &'static BlockType)>, Refused> {
    let mut found = Vec::new();
    for offset in (0..).step_by(PAGE_ITEMS) {
        let page = state.store.blocks(&only, offset, PAGE_ITEMS).await?;
        let last = page.len() < PAGE_ITEMS;
        for block in page {
            let known = type_of(&block)?;
            if wanted.admits_document(&block, known) {
                found.push((block, known));
            }
        }
        if last {
            break;
        }
    }
    Ok(found)
}

/// The document of this id.
async fn find(state: &AppState, id: &str) -> Result<Block, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::not_found())?;
    state.store.block(id).await?.ok_or_else(missing)
}

/// A name that Prefect takes.
fn checked(name: Option<String>, shown: &Value) -> Result<String, Refused> {
    let name = name.ok_or_else(|| wrong(&[], "Names must be provided for block documents.", shown))?;
    if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Ok(name);
    }
    let problem = "Block document name must only contain lowercase letters, numbers, and dashes.";
    Err(wrong(&["name"], problem, shown))
}

/// Fields of `new` over those of `current`.
fn over(mut current: Value, new: Value) -> Value {
    if let (Value::Object(current), Value::Object(new)) = (&mut current, new) {
        current.extend(new);
    }
    current
}

fn taken() -> Refused {
    Refused::detail(StatusCode::CONFLICT, "Block already exists")
}

fn missing() -> Refused {
    Refused::detail(StatusCode::NOT_FOUND, "Block document not found")
}
