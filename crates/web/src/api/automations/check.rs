//! What is wrong with a definition, for whoever is typing it.

use super::findings::{self, FindingOut};
use super::text::{Definition, MistakeOut};
use super::trial::Tried;
use crate::api::Params;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What a definition is checked as.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckQuery {
    /// Id of the automation that it would replace, which is then not compared with it.
    pub(crate) automation: Option<Uuid>,
}

/// What a definition is, and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckOut {
    /// Mistakes: with any of them it cannot be used.
    pub(crate) errors: Vec<MistakeOut>,
    /// What is probably wrong; looked for when there are no mistakes.
    pub(crate) findings: Vec<FindingOut>,
    /// The whole definition with every default; absent when there are mistakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) spec: Option<Value>,
}

/// Checks a definition. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/automations/check", tag = "automations", params(CheckQuery),
    request_body(content = String, description = "The definition, in YAML or JSON", content_type = "application/yaml"),
    responses((status = 200, body = CheckOut)))]
pub(crate) async fn check(
    State(state): State<AppState>,
    Params(query): Params<CheckQuery>,
    definition: Definition,
) -> Result<Json<CheckOut>, Problem> {
    Ok(Json(checked(&state, &definition, query.automation).await?))
}

/// What is wrong with a definition that is to be made, or to replace an automation.
pub(crate) async fn checked(
    state: &AppState,
    definition: &Definition,
    replaces: Option<Uuid>,
) -> Result<CheckOut, Problem> {
    let written = match definition.read() {
        Ok(written) => written,
        Err(errors) => return Ok(CheckOut { errors, findings: Vec::new(), spec: None }),
    };
    let spec = serde_json::to_value(&written.spec).map_err(super::unwritable)?;
    let automation = Tried::automation(state, written, replaces);
    let found = findings::of(state, automation).await?;
    let tree = definition.tree().ok();
    let findings = found.iter().map(|finding| FindingOut::new(finding, tree.as_ref())).collect();
    Ok(CheckOut { errors: Vec::new(), findings, spec: Some(spec) })
}
