//! What is probably wrong with automations that can be read: the lint of the core, with what is known here.
//!
//! Invariant: what is not known here (which events will come) is not judged.

use super::known::known;
use super::text::MistakeOut;
use super::trial::away;
use crate::api::Segments;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use trackside_core::automation::definition::{Automation, AutomationId};
use trackside_core::automation::lint::{Code, Finding, LintContext, Severity, lint_one};
use trackside_core::automation::request::dotted;
use trackside_core::document::Tree;
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
    let known = known(&state).await?.linted().await?;
    Ok(Json(known.findings().iter().map(|finding| FindingOut::new(finding, None)).collect()))
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

/// What is found in an automation, which may be new or edited, beside all others.
pub(crate) async fn of(state: &AppState, automation: Automation) -> Result<Vec<Finding>, Problem> {
    let known = known(state).await?;
    away(move || lint_one(&automation, &known.automations, &known.context)).await
}

/// How much is found in each of these by itself; for lists, so that they need not look at all others.
pub(crate) async fn counts(
    state: &AppState,
    automations: &[Automation],
) -> Result<BTreeMap<AutomationId, usize>, Problem> {
    let context = LintContext { automations: None, ..known(state).await?.context.clone() };
    let mut counts = BTreeMap::new();
    for finding in automations.iter().flat_map(|automation| lint_one(automation, &[], &context)) {
        *counts.entry(finding.automation).or_default() += 1;
    }
    Ok(counts)
}
