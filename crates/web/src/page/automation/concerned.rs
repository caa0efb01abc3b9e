//! Automations on the pages of events and incidents: which ones an event concerned and why the others stayed silent;
//! which one opened an incident.
//!
//! Invariant: a bounded number is listed; how many more there are is said.

use super::address;
use super::backtest::what;
use crate::api::automations::known::known;
use crate::page::layout::{card, nothing};
use crate::page::ui::{Tone, sentence, state as tone_word};
use crate::page::words::plural;
use crate::problem::Problem;
use crate::state::AppState;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId};
use trackside_core::automation::explain::{triggers, verdict};
use trackside_core::automation::firing::FiringState;
use trackside_core::automation::matching;
use trackside_core::event::Event;
use trackside_store::automations::{AutomationFilter, AutomationSort};
use trackside_store::firings::FiringFilter;
use trackside_store::incidents::IncidentDetail;

/// Automations that are listed of one event.
const LISTED: usize = 12;
/// What the alerts of automations are called among those of the rules, before the name.
const RULE: &str = "automation: ";

/// An automation and what an event was to it.
struct Concern {
    id: AutomationId,
    name: String,
    fired: Option<FiringState>,
    told: String,
}

/// The automations that name an event, as a card; nothing when there are none.
pub(crate) async fn of_event(state: &AppState, event: &Event) -> Result<Markup, Problem> {
    let known = known(state).await?;
    let filter = FiringFilter { event: Some(event.id), limit: LISTED, ..FiringFilter::default() };
    let firings = state.store.firings(&filter).await?.items;
    let fired: BTreeMap<AutomationId, FiringState> =
        firings.iter().map(|row| (row.record.firing.automation, row.record.firing.state)).collect();
    let because: BTreeMap<AutomationId, &str> =
        firings.iter().map(|row| (row.record.firing.automation, row.record.firing.because.as_str())).collect();
    let named = known.automations.iter().filter(|known| fired.contains_key(&known.id) || names(known, event));
    let mut concerned: Vec<Concern> = named
        .map(|automation| Concern {
            id: automation.id,
            name: automation.spec.name.clone(),
            fired: fired.get(&automation.id).copied(),
            told: match because.get(&automation.id) {
                Some(because) => (*because).to_owned(),
                None => verdict(automation, &triggers(automation, event), &[]),
            },
        })
        .collect();
    concerned.sort_by_key(|concern| concern.fired.is_none());
    Ok(render(&concerned, event))
}

fn names(automation: &Automation, event: &Event) -> bool {
    let leaves = matching::event_triggers(&automation.spec.trigger);
    leaves.iter().any(|(_, leaf)| matching::name_concerns(leaf, &event.event))
}

fn render(concerned: &[Concern], event: &Event) -> Markup {
    if concerned.is_empty() {
        return Markup::default();
    }
    let more = concerned.len().saturating_sub(LISTED);
    card(
        "Automations",
        &nothing(),
        &html! {
            dl.facts {
                @for concern in concerned.iter().take(LISTED) {
                    dt { @match concern.fired { Some(fired) => { (what(fired)) } None => { (tone_word(Tone::Idle, "Silent")) } } }
                    dd {
                        a href={ (address(&concern.id.to_string())) "/try?event=" (event.id) } { (concern.name) } " "
                        span.soft { (sentence(&concern.told)) }
                    }
                }
            }
            @if more > 0 { p.small.soft { (plural(more as u64, "more automation names", "more automations name")) " this event." } }
        },
    )
}

/// The automations that opened an incident: by name, with their id while they are there.
pub(crate) async fn of_incident(
    state: &AppState,
    detail: &IncidentDetail,
) -> Result<Vec<(String, Option<AutomationId>)>, Problem> {
    let of_alerts = detail.alerts.iter().map(|alert| alert.key.rule.to_string());
    let of_reasons = detail.explanations.iter().flat_map(|why| why.rules.iter().map(|rule| rule.rule.clone()));
    // An event sets off automations that have nothing to do with the incident; those that raised it are in its audit.
    let raised = |rule: &String| detail.audit.iter().any(|row| row.summary.contains(&format!("{rule}: ")));
    let rules = of_alerts.chain(of_reasons).filter(raised);
    let names: BTreeSet<String> = rules.filter_map(|rule| rule.strip_prefix(RULE).map(str::to_owned)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let filter = AutomationFilter { names: Some(names.clone()), ..AutomationFilter::default() };
    let found = state.store.automations(&filter, AutomationSort::NameAsc, 0, names.len()).await?;
    let id = |name: &String| found.iter().find(|known| known.spec.name == *name).map(|known| known.id);
    Ok(names.iter().map(|name| (name.clone(), id(name))).collect())
}

/// Those automations as a line of facts.
pub(crate) fn opened_by(automations: &[(String, Option<AutomationId>)]) -> Markup {
    html! {
        @for (index, (name, id)) in automations.iter().enumerate() {
            @if index > 0 { ", " }
            @match id { Some(id) => { a href=(address(&id.to_string())) { (name) } } None => (name) }
        }
    }
}
