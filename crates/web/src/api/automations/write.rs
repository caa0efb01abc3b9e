//! Making, editing, pausing, resuming and removing automations. Every write goes through the log.

use super::text::{Definition, DefinitionProblemOut, Failure};
use super::{detail, find, kept_in_files};
use crate::api::model::AutomationDetailOut;
use crate::api::{Params, Segments};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_store::automations::{AutomationFilter, AutomationSort};
use utoipa::IntoParams;

/// How an automation is replaced.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplaceQuery {
    /// Only if this is still its version; otherwise somebody else was quicker.
    pub(crate) version: Option<u32>,
}

type Answer = Result<(StatusCode, Json<AutomationDetailOut>), Failure>;

/// Makes an automation. The body is its definition, in YAML or JSON, as in the configuration's section `automations`.
#[utoipa::path(post, path = "/api/v1/automations", tag = "automations",
    request_body(content = String, description = "The definition, in YAML or JSON", content_type = "application/yaml"),
    responses((status = 201, body = AutomationDetailOut), (status = 202, body = AutomationDetailOut, description = "Will be decided"),
        (status = 409, body = Problem, description = "There is one of this name"), (status = 422, body = DefinitionProblemOut)))]
pub(crate) async fn create(State(state): State<AppState>, who: Who, definition: Definition) -> Answer {
    let written = definition.read().map_err(Failure::Mistakes)?;
    name_is_free(&state, &written.spec.name, None).await?;
    let now = state.now();
    let automation = Automation {
        id: AutomationId(state.new_id()),
        spec: written.spec,
        semantics: written.semantics,
        origin: Origin::Api,
        created: now,
        updated: now,
        version: 1,
    };
    put(&state, &who.caller, automation, StatusCode::CREATED).await
}

/// Replaces the definition of an automation. Its state stays when the trigger stays, under Trackside's semantics.
#[utoipa::path(put, path = "/api/v1/automations/{id}", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation"), ReplaceQuery),
    request_body(content = String, description = "The definition, in YAML or JSON", content_type = "application/yaml"),
    responses((status = 200, body = AutomationDetailOut), (status = 202, body = AutomationDetailOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 422, body = DefinitionProblemOut),
        (status = 409, body = Problem, description = "It stands in the configuration, or was edited meanwhile, or the name is taken")))]
pub(crate) async fn replace(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    Params(query): Params<ReplaceQuery>,
    definition: Definition,
) -> Answer {
    let before = find(&state, &text).await?;
    editable(&before)?;
    if let Some(version) = query.version.filter(|version| *version != before.version) {
        let now = before.version;
        let detail = format!("this is an edit of version {version}; somebody else made version {now} meanwhile");
        return Err(Problem::new(StatusCode::CONFLICT, detail).at("version").into());
    }
    let written = definition.read().map_err(Failure::Mistakes)?;
    name_is_free(&state, &written.spec.name, Some(before.id)).await?;
    let automation = Automation { spec: written.spec, semantics: written.semantics, ..before };
    put(&state, &who.caller, automation, StatusCode::OK).await
}

/// Removes an automation with its state. Its history and firings stay for a while.
#[utoipa::path(delete, path = "/api/v1/automations/{id}", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation")),
    responses((status = 204), (status = 202, description = "Will be decided"), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It stands in the configuration")))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<StatusCode, Problem> {
    let automation = find(&state, &text).await?;
    editable(&automation)?;
    let done = state.edit(who.caller.clone(), vec![AutomationEdit::Delete { id: automation.id }]).await?;
    Ok(status(done.effect, StatusCode::NO_CONTENT))
}

/// Stops evaluating an automation, wherever it is kept. Its state stays.
#[utoipa::path(post, path = "/api/v1/automations/{id}/pause", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation")),
    responses((status = 200, body = AutomationDetailOut), (status = 202, body = AutomationDetailOut, description = "Will be decided"),
        (status = 404, body = Problem)))]
pub(crate) async fn pause(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    Ok(switch(&state, &who.caller, &text, |id| AutomationEdit::Pause { id }).await?)
}

/// Goes on evaluating an automation.
#[utoipa::path(post, path = "/api/v1/automations/{id}/resume", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation")),
    responses((status = 200, body = AutomationDetailOut), (status = 202, body = AutomationDetailOut, description = "Will be decided"),
        (status = 404, body = Problem)))]
pub(crate) async fn resume(State(state): State<AppState>, who: Who, Segments(text): Segments<String>) -> Answer {
    Ok(switch(&state, &who.caller, &text, |id| AutomationEdit::Resume { id }).await?)
}

/// Pauses or resumes an automation.
pub(crate) async fn switch(
    state: &AppState,
    caller: &Caller,
    text: &str,
    edit: impl FnOnce(AutomationId) -> AutomationEdit,
) -> Result<(StatusCode, Json<AutomationDetailOut>), Problem> {
    let before = find(state, text).await?;
    let done = state.edit(caller.clone(), vec![edit(before.id)]).await?;
    let after = state.store.automation(before.id).await?.unwrap_or(before);
    Ok((status(done.effect, StatusCode::OK), Json(detail(state, &after).await?)))
}

async fn put(state: &AppState, caller: &Caller, automation: Automation, decided: StatusCode) -> Answer {
    let edit = AutomationEdit::Put(Box::new(automation.clone()));
    let done = state.edit(caller.clone(), vec![edit]).await?;
    let after = state.store.automation(automation.id).await?.unwrap_or(automation);
    Ok((status(done.effect, decided), Json(detail(state, &after).await?)))
}

fn status(effect: Effect, decided: StatusCode) -> StatusCode {
    match effect {
        Effect::Decided => decided,
        Effect::Accepted => StatusCode::ACCEPTED,
    }
}

fn editable(automation: &Automation) -> Result<(), Problem> {
    match automation.origin {
        Origin::Api => Ok(()),
        Origin::Files => Err(Problem::new(StatusCode::CONFLICT, kept_in_files(automation))),
    }
}

/// Names tell automations apart in messages and incidents, so ours are unique. (Prefect's API allows the same twice.)
async fn name_is_free(state: &AppState, name: &str, but: Option<AutomationId>) -> Result<(), Problem> {
    let named = AutomationFilter { names: Some(BTreeSet::from([name.to_owned()])), ..AutomationFilter::default() };
    let found = state.store.automations(&named, AutomationSort::NameAsc, 0, 2).await?;
    if found.iter().all(|automation| Some(automation.id) == but) {
        return Ok(());
    }
    let detail = format!("there is an automation `{name}` already; choose another name");
    Err(Problem::new(StatusCode::CONFLICT, detail).at("name"))
}
