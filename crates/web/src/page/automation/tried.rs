//! An automation tried on an event of the past: each clause with what it wanted and what it found, what was counted
//! before and after, what would have fired.
//!
//! What is said comes from the core's explanation, which asks the functions that decide.

use super::definition::{Asked, whole};
use super::diagnosis::Diagnosis;
use super::draft::{Draft, Sent};
use super::{Shown, Tab, address};
use crate::api::automations::explain::{rebuilt, since};
use crate::api::{Params, Segments, filled, id};
use crate::page::layout::{Section, card, nothing};
use crate::page::ui::{Tone, column, empty, pill, sentence, state as tone_word, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, EventTrigger};
use trackside_core::automation::explain::{Clause, Explanation, StateView, TriggerExplanation};
use trackside_core::automation::firing::{Firing, FiringState};
use trackside_core::automation::matching;
use trackside_core::event::{RESOURCE_ID, RESOURCE_NAME};
use trackside_core::ids::EventId;
use trackside_store::log::{EventFilter, LoggedEvent};

/// Events that are offered.
const OFFERED: usize = 20;
/// Names of a trigger whose events are looked for.
const NAMES: usize = 6;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TryQuery {
    event: Option<String>,
}

/// `GET /automations/{id}/try`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(text): Segments<String>,
    Params(query): Params<TryQuery>,
) -> Result<Markup, Failed> {
    let shown = Shown::find(&state, &text).await?;
    let recent = recent(&state, Some(&shown.automation)).await?;
    let asked = filled(query.event);
    let answer = match &asked {
        Some(event) => answer(&state, shown.automation.clone(), event).await?,
        None => nothing(),
    };
    let content = html! {
        form.filters method="get" role="search" {
            label { "Id of an event" input name="event" value=[asked.as_deref()] placeholder="or pick one below" autocomplete="off" spellcheck="false"; }
            button type="submit" { "Try" }
        }
        (answer)
        (card("Recent events", &html! { span.small.soft { "those that its triggers name come first" } }, &offered(&recent, &shown.automation, asked.as_deref())))
    };
    let content = shown.frame(&visitor, Tab::Try, &content);
    visitor.page(&state, &shown.automation.spec.name, Some(Section::Automations), &content).await
}

/// `POST /automations/try`: a definition that is being written, tried on an event.
pub(crate) async fn of_text(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Markup, Failed> {
    let sent = Sent::from(pairs);
    let draft = Draft::received(&state, &sent).await?;
    let diagnosis = Diagnosis::of_text(&state, &draft.text, draft.automation.as_ref()).await?;
    let answer = match (diagnosis.definition, &sent.event) {
        (_, None) => html! { p.note.warn tabindex="-1" data-done { "Pick an event to try it on." } },
        (None, _) => {
            html! { p.note.bad tabindex="-1" data-done { "It cannot be tried before its mistakes are mended." } }
        }
        (Some(definition), Some(event)) => answer(&state, definition, event).await?,
    };
    let told = nothing();
    let asked = Asked { event: sent.event.as_deref(), days: sent.days, answer, ..Asked::nothing(&told) };
    whole(&state, &visitor, &draft, &asked).await
}

/// What an event does to an automation, or why that cannot be said.
async fn answer(state: &AppState, automation: Automation, event: &str) -> Result<Markup, Failed> {
    let found = match id::<EventId>("an event", event) {
        Ok(id) => state.store.event(id).await?,
        Err(_) => None,
    };
    let Some(event) = found else {
        return Ok(html! { p.note.bad tabindex="-1" data-done { "There is no event " code { (event) } "." } });
    };
    let (since, shown) = (since(&automation, &event), event.clone());
    let explanation = rebuilt(state, automation, event, since).await?;
    Ok(explained(&explanation, &shown, since))
}

/// Events that an automation may be tried on: those whose names its triggers name, then the latest.
pub(super) async fn recent(state: &AppState, automation: Option<&Automation>) -> Result<Vec<LoggedEvent>, Problem> {
    let mut found: Vec<LoggedEvent> = Vec::new();
    let leaves = automation.map(|automation| matching::event_triggers(&automation.spec.trigger)).unwrap_or_default();
    let names: BTreeSet<&String> = leaves.iter().flat_map(|(_, leaf)| leaf.expect.iter().chain(&leaf.after)).collect();
    let prefixes = names.into_iter().map(|name| name.split(['*', '?', '[']).next().unwrap_or_default());
    for prefix in prefixes.filter(|prefix| !prefix.is_empty()).take(NAMES) {
        let filter = EventFilter { name_prefix: Some(prefix.to_owned()), limit: OFFERED, ..EventFilter::default() };
        found.extend(state.store.events(&filter).await?.items);
    }
    found.retain(|logged| names_it(&leaves, logged));
    found.sort_by_key(|logged| std::cmp::Reverse(logged.seq));
    found.dedup_by_key(|logged| logged.seq);
    found.truncate(OFFERED / 2);
    let latest = state.store.events(&EventFilter { limit: OFFERED, ..EventFilter::default() }).await?.items;
    let known: BTreeSet<u64> = found.iter().map(|logged| logged.seq).collect();
    found.extend(latest.into_iter().filter(|logged| !known.contains(&logged.seq)));
    found.truncate(OFFERED);
    Ok(found)
}

fn names_it(leaves: &[(String, &EventTrigger)], logged: &LoggedEvent) -> bool {
    leaves.iter().any(|(_, leaf)| matching::name_concerns(leaf, &logged.event.event))
}

fn offered(recent: &[LoggedEvent], automation: &Automation, chosen: Option<&str>) -> Markup {
    if recent.is_empty() {
        return empty("Nothing has come in yet.", &html! { "An automation is tried on an event that was recorded." });
    }
    let at = address(&automation.id.to_string());
    let leaves = matching::event_triggers(&automation.spec.trigger);
    table(
        &[column("Event"), column("About"), wide("Source"), wide("Occurred"), column("Named")],
        &html! {
            @for logged in recent {
                @let event = &logged.event;
                tr aria-current=[(chosen == Some(event.id.to_string().as_str())).then_some("true")] {
                    td.title { a href={ (at) "/try?event=" (event.id) } { (event.event) } }
                    td.title { (event.resource.get(RESOURCE_NAME).or_else(|| event.resource.get(RESOURCE_ID)).map_or("", String::as_str)) }
                    td.wide { (event.source) }
                    td.wide.nowrap { (time(event.occurred, As::Both)) }
                    td { @if names_it(&leaves, logged) { (tone_word(Tone::Good, "yes")) } @else { span.soft { "no" } } }
                }
            }
        },
    )
}

/// An explanation as people read it.
pub(super) fn explained(why: &Explanation, event: &LoggedEvent, since: Timestamp) -> Markup {
    let tone = if why.firings.is_empty() { "note" } else { "note good" };
    let aside = html! { span.small.soft { "by the events since " (time(since, As::Time)) } };
    card(
        "What the event does",
        &aside,
        &html! {
            p class=(tone) tabindex="-1" data-done { a href={ "/events/" (event.event.id) } { (event.event.event) } ": " (sentence(&why.verdict)) "." }
            @for trigger in &why.triggers { (one_trigger(trigger, why.triggers.len())) }
            @if !why.before.is_empty() || !why.after.is_empty() { (states(why)) }
            // The first is in the verdict.
            @for firing in why.firings.iter().skip(1) { (fired(firing)) }
            @if let Some(due) = why.next_due { p.soft { "It is looked at again, should nothing come: " (time(due, As::Both)) } }
        },
    )
}

fn one_trigger(trigger: &TriggerExplanation, of: usize) -> Markup {
    let concerned = trigger.role != "nothing";
    html! {
        h3 {
            @if of == 1 { "Trigger" } @else if trigger.trigger.is_empty() { "The whole" } @else { "Trigger " (trigger.trigger) }
            " "
            @if trigger.kind == "event" { (pill(if concerned { Tone::Good } else { Tone::Idle }, &role_told(&trigger.role))) }
            @else { span.soft { (trigger.role) } }
        }
        @if !trigger.clauses.is_empty() { (clauses(&trigger.clauses)) }
        @else if trigger.kind == "event" { p.soft { "It asks for nothing in particular: every event will do." } }
        @if !trigger.labels.is_empty() {
            dl.facts.small { @for (label, value) in &trigger.labels { dt { "kept apart by " (label) } dd { @if value.is_empty() { span.soft { "absent" } } @else { (value) } } } }
        }
    }
}

fn role_told(role: &str) -> String {
    match role {
        "nothing" => "does not concern it".to_owned(),
        role => format!("the event {role}"),
    }
}

fn clauses(clauses: &[Clause]) -> Markup {
    table(
        &[column("Holds"), column("Clause"), column("Wanted"), column("Found")],
        &html! {
            @for clause in clauses {
                tr {
                    td { @if clause.holds { (tone_word(Tone::Good, "yes")) } @else { (tone_word(Tone::Bad, "no")) } }
                    td.title { (clause.clause) }
                    td.title { (sentence(&clause.wanted)) }
                    td.title { (sentence(&clause.found)) }
                }
            }
        },
    )
}

fn states(why: &Explanation) -> Markup {
    html! {
        h3 { "What it had counted" }
        dl.facts {
            dt { "Before" } dd { (state_lines(&why.before)) }
            dt { "After" } dd { (state_lines(&why.after)) }
        }
    }
}

fn state_lines(states: &[StateView]) -> Markup {
    html! {
        @if states.is_empty() { span.soft { "nothing" } }
        @for state in states {
            div {
                @if !state.trigger.is_empty() { span.soft { "trigger " (state.trigger) ": " } }
                @if !state.key.is_empty() { code { (state.key.join(", ")) } " " }
                (sentence(&state.holds))
            }
        }
    }
}

fn fired(firing: &Firing) -> Markup {
    let (tone, word) = match firing.state {
        FiringState::Triggered => (Tone::Bad, "Fires"),
        FiringState::Resolved => (Tone::Good, "Clears"),
    };
    html! {
        p { (tone_word(tone, word)) " " (sentence(&firing.because)) " " span.soft { (time(firing.at, As::Time)) } }
    }
}
