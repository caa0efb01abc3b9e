//! What is wrong with a definition, for whoever is typing it.

use super::text::{Definition, MistakeOut};
use axum::Json;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a definition is, or what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckOut {
    /// Mistakes: with any of them it cannot be used.
    errors: Vec<MistakeOut>,
    /// The whole definition with every default; absent when there are mistakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
}

/// Checks a definition. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/automations/check", tag = "automations",
    request_body(content = String, description = "The definition, in YAML or JSON", content_type = "application/yaml"),
    responses((status = 200, body = CheckOut)))]
pub(crate) async fn check(definition: Definition) -> Json<CheckOut> {
    Json(match definition.read() {
        Ok(written) => CheckOut { errors: Vec::new(), spec: serde_json::to_value(&written.spec).ok() },
        Err(errors) => CheckOut { errors, spec: None },
    })
}
