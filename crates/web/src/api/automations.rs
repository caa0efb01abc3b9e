//! Automations in our own API: what they are, how they do, what changed, what is wrong with them, what they would have
//! done. Prefect's shape of the same automations is [`crate::api::prefect`].
//!
//! - [`write`]: making, editing, pausing, removing
//! - [`history`]: edits with what changed ([`diff`]), and firings
//! - [`check`]: mistakes while somebody types; [`findings`]: what is probably wrong, of all that are [`known`]
//! - [`explain`], [`backtest`]: one event, and the recorded ones ([`trial`])
//! - [`text`]: definitions as people write them

pub(crate) mod backtest;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod history;
pub(crate) mod known;
pub(crate) mod text;
pub(crate) mod trial;
pub(crate) mod write;

use crate::api::model::{AutomationDetailOut, AutomationOut, DAYS};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id, word};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_store::automations::{AutomationFilter, AutomationSort};
use utoipa::{IntoParams, ToSchema};

/// Which automations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AutomationQuery {
    /// Only names that contain this.
    pub(crate) q: Option<String>,
    /// Only those with this tag.
    pub(crate) tag: Option<String>,
    /// Only those that are evaluated (`true`), or only those that are paused (`false`).
    pub(crate) enabled: Option<bool>,
    /// Only those kept there: `api` or `files`.
    pub(crate) origin: Option<String>,
    /// Skip so many.
    pub(crate) offset: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

impl AutomationQuery {
    fn filter(&self) -> Result<AutomationFilter, Problem> {
        Ok(AutomationFilter {
            text: filled(self.q.clone()),
            any_tags: filled(self.tag.clone()).map(|tag| BTreeSet::from([tag])),
            enabled: self.enabled,
            origin: word::<Origin>("origin", self.origin.as_deref())?,
            ..AutomationFilter::default()
        })
    }
}

/// A page of automations, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Automations)]
pub(crate) struct AutomationsOut {
    /// The automations.
    pub(crate) items: Vec<AutomationOut>,
    /// How many there are in all.
    pub(crate) total: u64,
}

/// Automations by name.
#[utoipa::path(get, path = "/api/v1/automations", tag = "automations", params(AutomationQuery),
    responses((status = 200, body = AutomationsOut), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<AutomationQuery>,
) -> Result<Json<AutomationsOut>, Problem> {
    Ok(Json(listed(&state, &query).await?))
}

/// One automation with its definition, as JSON and as YAML.
#[utoipa::path(get, path = "/api/v1/automations/{id}", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation")),
    responses((status = 200, body = AutomationDetailOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<AutomationDetailOut>, Problem> {
    let automation = find(&state, &text).await?;
    Ok(Json(detail(&state, &automation).await?))
}

/// A page of automations with their figures.
pub(crate) async fn listed(state: &AppState, query: &AutomationQuery) -> Result<AutomationsOut, Problem> {
    let filter = query.filter()?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    let offset = query.offset.unwrap_or(0);
    let automations = state.store.automations(&filter, AutomationSort::NameAsc, offset, limit).await?;
    let total = state.store.count_automations(&filter).await?;
    let now = state.now();
    let ids: BTreeSet<AutomationId> = automations.iter().map(|automation| automation.id).collect();
    let activity = state.store.activity(&ids, now, DAYS).await?;
    let findings = findings::counts(state, &automations).await?;
    let out = |automation: &Automation| {
        let found = findings.get(&automation.id).copied().unwrap_or(0);
        AutomationOut::new(automation, activity.get(&automation.id), found, now)
    };
    Ok(AutomationsOut { items: automations.iter().map(out).collect(), total })
}

/// An automation with its figures and its definition.
pub(crate) async fn detail(state: &AppState, automation: &Automation) -> Result<AutomationDetailOut, Problem> {
    let now = state.now();
    let activity = state.store.activity(&BTreeSet::from([automation.id]), now, DAYS).await?;
    let found = findings::of(state, automation.clone()).await?;
    Ok(AutomationDetailOut {
        automation: AutomationOut::new(automation, activity.get(&automation.id), found.len(), now),
        spec: serde_json::to_value(&automation.spec).map_err(unwritable)?,
        yaml: text::yaml(automation)?,
    })
}

/// The automation of this id.
pub(crate) async fn find(state: &AppState, text: &str) -> Result<Automation, Problem> {
    let id: AutomationId = id("an automation", text)?;
    state.store.automation(id).await?.ok_or_else(|| Problem::missing("automation", text))
}

/// Why an automation of the configuration cannot be edited here.
pub(crate) fn kept_in_files(automation: &Automation) -> String {
    format!(
        "`{}` stands in the configuration, in the section `automations` or a file of its own; edit it there and apply it",
        automation.spec.name
    )
}

/// A definition that cannot be written as text: our mistake.
fn unwritable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a definition could not be written");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the definition could not be written; the log says how")
}
