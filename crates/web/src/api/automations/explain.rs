//! Why an automation did, or did not do, something with one event.
//!
//! The clauses are asked of the event; the state before and after it is found by running the automation over the events
//! before, as far back as its trigger can remember.

use super::text::{DefinitionProblemOut, Failure};
use super::trial::{Stretch, Subjects, Tried, away, through};
use crate::api::JsonBody;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::automation::backtest::Backtest;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::explain::{Explanation, lookback};
use trackside_core::ids::EventId;
use trackside_store::log::LoggedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is to be explained. With an id and a definition it is the definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainIn {
    /// Id of an automation in force.
    #[serde(default)]
    automation: Option<Uuid>,
    /// A definition as JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
    /// A definition as text, in YAML or JSON.
    #[serde(default)]
    text: Option<String>,
    /// Id of the event.
    event: Uuid,
}

/// Why an automation did what it did with an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutomationExplanation)]
pub(crate) struct ExplainOut {
    /// The event.
    event: Uuid,
    /// From when on events were taken into account.
    since: Timestamp,
    /// Clauses, state before and after, firings.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    explanation: Explanation,
}

/// Which clause of an automation an event meets, which it does not, and what that did.
#[utoipa::path(post, path = "/api/v1/automations/explain", tag = "automations", request_body = ExplainIn,
    responses((status = 200, body = ExplainOut), (status = 404, body = Problem), (status = 422, body = DefinitionProblemOut)))]
pub(crate) async fn explain(
    State(state): State<AppState>,
    JsonBody(asked): JsonBody<ExplainIn>,
) -> Result<Json<ExplainOut>, Failure> {
    let missing = || Problem::missing("event", &asked.event.to_string());
    let event = state.store.event(EventId(asked.event)).await?.ok_or_else(missing)?;
    let wanted = Tried { automation: asked.automation, spec: asked.spec, text: asked.text };
    let Subjects { tried, .. } = wanted.subjects(&state).await?;
    let since = since(&tried, &event);
    let explanation = rebuilt(&state, tried, event, since).await?;
    Ok(Json(ExplainOut { event: asked.event, since, explanation }))
}

/// Runs the automation up to the event and over it.
pub(crate) async fn rebuilt(
    state: &AppState,
    automation: Automation,
    event: LoggedEvent,
    since: Timestamp,
) -> Result<Explanation, Problem> {
    let after = state.store.seq_at(since).await?.saturating_sub(1);
    let mut stretch = Stretch::new([&automation], after, event.seq.saturating_sub(1));
    let ruleset = state.configured().ruleset.clone();
    let mut test = Backtest::new(automation.clone(), Some(&ruleset), since);
    while let Some(piece) = stretch.next(state).await? {
        (test, _) = through(test, piece).await?;
    }
    let LoggedEvent { seq, at, event } = event;
    away(move || test.explain(&automation, seq, at, event)).await
}

/// From when on events matter to what the automation makes of this one.
pub(crate) fn since(automation: &Automation, event: &LoggedEvent) -> Timestamp {
    event.at.saturating_sub(lookback(&automation.spec.trigger)).unwrap_or(Timestamp::MIN)
}
