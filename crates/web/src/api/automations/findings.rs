//! What is probably wrong with automations that can be read: the lint of the core, with what is known here.
//!
//! Invariant: what is not known here (which events will come) is not judged.

use super::text::MistakeOut;
use crate::api::Segments;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId};
use trackside_core::automation::lint::{Code, Finding, LintContext, Severity, lint, lint_one};
use trackside_core::automation::request::dotted;
use trackside_core::document::Tree;
use trackside_store::automations::{AutomationFilter, AutomationSort};
use trackside_store::blocks::BlockFilter;
use trackside_store::page::PAGE_ITEMS;
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that is probably wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(crate) struct FindingOut {
    /// The automation.
    pub(crate) automation: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// `error`: it cannot do what it says; `warning`: it probably does not do what is meant.
    #[schema(value_type = String)]
    pub(crate) severity: Severity,
    /// What kind of finding, for example `unreachable-threshold`.
    #[schema(value_type = String)]
    pub(crate) code: Code,
    /// Where, what, and what to write instead.
    #[serde(flatten)]
    pub(crate) finding: MistakeOut,
}

impl FindingOut {
    /// A finding, with its place in a text when there is one.
    pub(crate) fn new(finding: &Finding, tree: Option<&Tree>) -> Self {
        let at = dotted(&finding.path);
        let place = tree.map(|tree| tree.place(&at)).unwrap_or_default();
        Self {
            automation: finding.automation.0,
            name: finding.name.clone(),
            severity: finding.severity,
            code: finding.code,
            finding: MistakeOut {
                suggestion: Some(finding.suggestion.clone()),
                ..MistakeOut::new(at, place, finding.message.clone())
            },
        }
    }
}

/// What is found in all automations, also when they are compared with each other.
#[utoipa::path(get, path = "/api/v1/automations/findings", tag = "automations",
    responses((status = 200, body = Vec<FindingOut>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<FindingOut>>, Problem> {
    let (_, found) = everything(&state).await?;
    Ok(Json(found.iter().map(|finding| FindingOut::new(finding, None)).collect()))
}

/// What is found in one automation.
#[utoipa::path(get, path = "/api/v1/automations/{id}/findings", tag = "automations",
    params(("id" = Uuid, Path, description = "Id of the automation")),
    responses((status = 200, body = Vec<FindingOut>), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
) -> Result<Json<Vec<FindingOut>>, Problem> {
    let automation = super::find(&state, &text).await?;
    let found = of(&state, automation).await?;
    Ok(Json(found.iter().map(|finding| FindingOut::new(finding, None)).collect()))
}

/// Every automation, and what is found in all of them.
pub(crate) async fn everything(state: &AppState) -> Result<(Vec<Automation>, Vec<Finding>), Problem> {
    let (all, context) = (all(state).await?, context(state).await?);
    super::trial::away(move || {
        let found = lint(&all, &context);
        (all, found)
    })
    .await
}

/// What is found in an automation, which may be new or edited, beside all others.
pub(crate) async fn of(state: &AppState, automation: Automation) -> Result<Vec<Finding>, Problem> {
    let (all, context) = (all(state).await?, context(state).await?);
    super::trial::away(move || lint_one(&automation, &all, &context)).await
}

/// How much is found in each of these by itself; for lists, so that they need not look at all others.
pub(crate) async fn counts(
    state: &AppState,
    automations: &[Automation],
) -> Result<BTreeMap<AutomationId, usize>, Problem> {
    let context = LintContext { automations: None, ..context(state).await? };
    let mut counts = BTreeMap::new();
    for finding in automations.iter().flat_map(|automation| lint_one(automation, &[], &context)) {
        *counts.entry(finding.automation).or_default() += 1;
    }
    Ok(counts)
}

/// What is there beside the automations.
async fn context(state: &AppState) -> Result<LintContext, Problem> {
    let configured = state.configured();
    let connections = configured.ruleset.connections.iter().map(|(name, info)| (name.clone(), info.kind));
    let mut blocks = BTreeSet::new();
    for offset in (0..).step_by(PAGE_ITEMS) {
        let page = state.store.blocks(&BlockFilter::default(), offset, PAGE_ITEMS).await?;
        blocks.extend(page.iter().map(|block| block.id));
        if page.len() < PAGE_ITEMS {
            break;
        }
    }
    Ok(LintContext {
        connections: connections.collect(),
        blocks: Some(blocks),
        automations: Some(BTreeSet::new()),
        seen: None,
    })
}

/// Every automation.
pub(crate) async fn all(state: &AppState) -> Result<Vec<Automation>, Problem> {
    let every = AutomationFilter::default();
    let mut all = Vec::new();
    loop {
        let offset = all.len() as u64;
        let page = state.store.automations(&every, AutomationSort::CreatedDesc, offset, PAGE_ITEMS).await?;
        let last = page.len() < PAGE_ITEMS;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}
