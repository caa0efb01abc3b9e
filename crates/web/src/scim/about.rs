//! What the door says of itself (RFC 7644 §4).

use super::answer::{json, list};
use super::{Refused, base};
use crate::state::AppState;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use trackside_identity::scim::error::ScimError;
use trackside_identity::scim::schema;

/// `GET /ServiceProviderConfig`
pub(crate) async fn service(State(state): State<AppState>) -> Response {
    json(StatusCode::OK, &schema::service(&base(&state)))
}

/// `GET /ResourceTypes`
pub(crate) async fn resource_types(State(state): State<AppState>) -> Response {
    all(&schema::resource_types(&base(&state)))
}

/// `GET /ResourceTypes/{id}`
pub(crate) async fn resource_type(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Refused> {
    named(schema::resource_types(&base(&state)), "resource type", &id)
}

/// `GET /Schemas`
pub(crate) async fn schemas(State(state): State<AppState>) -> Response {
    all(&schema::schemas(&base(&state)))
}

/// `GET /Schemas/{id}`
pub(crate) async fn schema(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Refused> {
    named(schema::schemas(&base(&state)), "schema", &id)
}

fn all(resources: &[Value]) -> Response {
    list(resources.len() as u64, 1, resources)
}

fn named(resources: Vec<Value>, kind: &str, id: &str) -> Result<Response, Refused> {
    let found = resources.into_iter().find(|one| one["id"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id)));
    Ok(json(StatusCode::OK, &found.ok_or_else(|| ScimError::not_found(kind, id))?))
}
