//! Why an automation did, or did not do, something with one event.
//!
//! The clauses are asked of the event; the state before and after it is found by running the automation over the events
//! before, as far back as [`LOOK_BACK`].

use super::text::{DefinitionProblemOut, Failure};
use super::trial::{Stretch, Subjects, Tried, away, through};
use crate::api::JsonBody;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::automation::backtest::Backtest;
use trackside_core::automation::definition::{Automation, AutomationId};
use trackside_core::automation::explain::{Explanation, StateView, triggers, verdict};
use trackside_core::automation::set::Automations;
use trackside_core::ids::EventId;
use trackside_store::log::LoggedEvent;
use trackside_store::log::scan::Piece;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far back events are taken into account.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);

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
    let since = event.at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
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
    let before = states(test.set(), automation.id);
    let shown = event.event.clone();
    let piece = Piece { reached: event.seq, events: vec![event] };
    let (test, firings) = through(test, piece).await?;
    away(move || {
        let after = states(test.set(), automation.id);
        let triggers = triggers(&automation, &shown);
        // What was as it is says nothing about the event.
        let changed = |these: &[StateView], others: &[StateView]| {
            these.iter().filter(|state| !others.contains(state)).cloned().collect()
        };
        Explanation {
            automation: automation.spec.name.clone(),
            semantics: automation.semantics,
            verdict: verdict(&automation, &triggers, &firings),
            triggers,
            before: changed(&before, &after),
            after: changed(&after, &before),
            firings,
            next_due: test.set().next_due(),
        }
    })
    .await
}

/// The live state of an automation in words.
fn states(set: &Automations, id: AutomationId) -> Vec<StateView> {
    let buckets = set.buckets(id).into_iter().map(|bucket| StateView {
        trigger: bucket.trigger,
        key: bucket.key,
        holds: format!("{} counted between {} and {}", bucket.count, bucket.start, bucket.end),
    });
    let children = set.child_firings(id).into_iter().map(|child| StateView {
        trigger: child.parent,
        key: child.firing.labels.values().cloned().collect(),
        holds: format!("trigger {} fired at {}: {}", child.child, child.firing.at, child.firing.because),
    });
    buckets.chain(children).collect()
}
