//! Automations in Prefect's API.
//!
//! Source: Prefect's `server/api/automations.py`. Writes go through the log and answer when they are decided.

use super::body::{Body, boolean, read_as};
use super::filter::{Counted, Criteria, Stretch, Wanted};
use super::{Refused, view};
use crate::api::Segments;
use crate::auth::Who;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use trackside_core::automation::action::{ActionSpec, TargetSource};
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::automation::request::{Dialect, parse};
use trackside_core::automation::template;
use trackside_store::automations::{AutomationFilter, AutomationSort};
use trackside_store::page::PAGE_ITEMS;

/// Body of `PATCH /automations/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    #[serde(default = "on", deserialize_with = "boolean")]
    enabled: bool,
}

fn on() -> bool {
    true
}

/// `POST /api/automations/`
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let body = body.required()?;
    let spec = parse(&body, Dialect::Prefect).map_err(|errors| Refused::invalid(&errors, &body))?;
    let now = state.now();
    let mut automation = Automation {
        id: AutomationId(state.new_id()),
        spec,
        semantics: Semantics::Prefect,
        origin: Origin::Api,
        created: now,
        updated: now,
        version: 1,
    };
    let put = AutomationEdit::Put(Box::new(automation.clone()));
    let done = state.edit(who.caller.clone(), vec![put]).await?;
    (automation.created, automation.updated) = (done.at, done.at);
    // In the log it will be made exactly so, should its decision take long.
    let made = state.store.automation(automation.id).await?.unwrap_or(automation);
    Ok((StatusCode::CREATED, Json(view::automation(&made)?)))
}

/// `GET /api/automations/{id}`
pub(crate) async fn read(
    State(state): State<AppState>,
    Segments(id): Segments<String>,
) -> Result<Json<Value>, Refused> {
    Ok(Json(view::automation(&find(&state, &id).await?)?))
}

/// `PUT /api/automations/{id}`: everything but the owner and how it is evaluated.
pub(crate) async fn replace(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let body = body.required()?;
    let mut spec = parse(&body, Dialect::PrefectReplace).map_err(|errors| Refused::invalid(&errors, &body))?;
    let before = find(&state, &id).await?;
    editable(&before)?;
    spec.owner_resource.clone_from(&before.spec.owner_resource);
    let put = AutomationEdit::Put(Box::new(Automation { spec, ..before }));
    state.edit(who.caller.clone(), vec![put]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PATCH /api/automations/{id}`: pauses or resumes it, wherever it is kept.
pub(crate) async fn switch(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let body = body.required()?;
    let Switch { enabled } = read_as(&body)?;
    let before = find(&state, &id).await?;
    let id = before.id;
    let edit = if enabled {
        resumable(before, &body)?;
        AutomationEdit::Resume { id }
    } else {
        AutomationEdit::Pause { id }
    };
    state.edit(who.caller.clone(), vec![edit]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/automations/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
) -> Result<StatusCode, Refused> {
    let automation = find(&state, &id).await?;
    editable(&automation)?;
    state.edit(who.caller.clone(), vec![AutomationEdit::Delete { id: automation.id }]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/automations/filter`
pub(crate) async fn filter(State(state): State<AppState>, body: Body) -> Result<Json<Vec<Value>>, Refused> {
    let wanted: Wanted = body.optional_as()?;
    let Stretch { offset, limit } = wanted.stretch()?;
    let sort = wanted.sort();
    let mut shown = Vec::new();
    let mut passed = 0;
    each(&state, &wanted.criteria(), sort, |automation| {
        if shown.len() == limit {
            return ControlFlow::Break(Ok(()));
        }
        passed += 1;
        if passed > offset {
            match view::automation(&automation) {
                Ok(automation) => shown.push(automation),
                Err(error) => return ControlFlow::Break(Err(error.into())),
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(Json(shown))
}

/// `POST /api/automations/count`
pub(crate) async fn count(State(state): State<AppState>, body: Body) -> Result<Json<u64>, Refused> {
    let wanted: Counted = body.optional_as()?;
    let mut count = 0;
    each(&state, &wanted.automations.unwrap_or_default(), AutomationSort::NameAsc, |_| {
        count += 1;
        ControlFlow::Continue(())
    })
    .await?;
    Ok(Json(count))
}

/// `GET /api/automations/related-to/{resource}`: those that the resource owns, and those that run it.
pub(crate) async fn related_to(
    State(state): State<AppState>,
    Segments(resource): Segments<String>,
) -> Result<Json<Vec<Value>>, Refused> {
    let mut shown = Vec::new();
    each(&state, &Criteria::default(), AutomationSort::NameAsc, |automation| {
        if is_related(&automation, &resource) {
            match view::automation(&automation) {
                Ok(automation) => shown.push(automation),
                Err(error) => return ControlFlow::Break(Err(error.into())),
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(Json(shown))
}

/// `DELETE /api/automations/owned-by/{resource}`
pub(crate) async fn delete_owned_by(
    State(state): State<AppState>,
    who: Who,
    Segments(resource): Segments<String>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let owned =
        AutomationFilter { owner_resource: Some(resource), origin: Some(Origin::Api), ..AutomationFilter::default() };
    loop {
        let owned = state.store.automations(&owned, AutomationSort::NameAsc, 0, PAGE_ITEMS).await?;
        if owned.is_empty() {
            break;
        }
        let deletions = owned.iter().map(|automation| AutomationEdit::Delete { id: automation.id }).collect();
        let done = state.edit(who.caller.clone(), deletions).await?;
        if done.effect == crate::state::Effect::Accepted {
            // They are in the log and will go; asking again now would only find the same.
            break;
        }
    }
    Ok((StatusCode::ACCEPTED, Json(Value::Null)))
}

/// `POST /api/templates/validate`: whether a text may stand in an action.
pub(crate) async fn validate_template(body: Body) -> Result<StatusCode, Refused> {
    let text: String = body.optional_text()?;
    match template::check(&text) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(Refused::unprocessable(json!({
            "error": {"line": error.line().unwrap_or(0), "message": error.message(), "source": text},
        }))),
    }
}

/// Goes through the automations that are asked for and can be said in Prefect's vocabulary, until told to stop.
async fn each(
    state: &AppState,
    criteria: &Criteria,
    sort: AutomationSort,
    mut visit: impl FnMut(Automation) -> ControlFlow<Result<(), Refused>>,
) -> Result<(), Refused> {
    let narrowed = criteria.narrowed();
    let mut offset = 0;
    loop {
        let page = state.store.automations(&narrowed, sort, offset, PAGE_ITEMS).await?;
        let read = page.len();
        for automation in page {
            if criteria.admit(&automation)
                && let ControlFlow::Break(result) = visit(automation)
            {
                return result;
            }
        }
        if read < PAGE_ITEMS {
            return Ok(());
        }
        offset += read as u64;
    }
}

/// The automation of this id.
async fn find(state: &AppState, id: &str) -> Result<Automation, Refused> {
    let id: AutomationId = id.parse().map_err(|_| Refused::not_found())?;
    let missing = || Refused::message(StatusCode::NOT_FOUND, "Automation not found");
    state.store.automation(id).await?.ok_or_else(missing)
}

/// What the configuration keeps is edited there.
fn editable(automation: &Automation) -> Result<(), Refused> {
    match automation.origin {
        Origin::Api => Ok(()),
        Origin::Files => Err(Refused::detail(StatusCode::CONFLICT, crate::api::automations::kept_in_files(automation))),
    }
}

/// Prefect checks an automation again before it is resumed: its guard against endless runs passes what is paused.
fn resumable(mut automation: Automation, asked: &Value) -> Result<(), Refused> {
    if !view::is_prefects(&automation.spec) {
        return Ok(());
    }
    automation.spec.enabled = true;
    let resumed = serde_json::to_value(&automation.spec)?;
    parse(&resumed, Dialect::Prefect).map(drop).map_err(|errors| Refused::invalid(&errors, asked))
}

fn is_related(automation: &Automation, resource: &str) -> bool {
    let runs = |action: &ActionSpec| match action {
        ActionSpec::RunDeployment { deployment, .. } if deployment.source == TargetSource::Selected => {
            deployment.deployment_id.is_some_and(|id| resource == format!("prefect.deployment.{id}"))
        }
        _ => false,
    };
    automation.spec.owner_resource.as_deref() == Some(resource) || automation.spec.actions.iter().any(runs)
}
