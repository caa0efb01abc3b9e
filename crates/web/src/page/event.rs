//! One event: what it said, what Trackside understood, and why it led to what it led to.

use crate::api::explain::{Why, of_event};
use crate::api::{Segments, id};
use crate::page::automation::concerned;
use crate::page::deliveries::rows as delivery_rows;
use crate::page::explain;
use crate::page::layout::{Section, card, head, nothing};
use crate::page::ui::{copyable, empty};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_core::event::Labels;
use trackside_core::ids::EventId;
use trackside_store::log::LoggedEvent;

/// `GET /events/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(text): Segments<String>,
) -> Result<Markup, Failed> {
    let event: EventId = id("an event", &text)?;
    let why = of_event(&state, event).await?.ok_or_else(|| Problem::missing("event", &text))?;
    let decided = *state.decided.borrow();
    let automations = match &why.event {
        Some(logged) => concerned::of_event(&state, &logged.event).await?,
        None => nothing(),
    };
    let content = why.event.as_ref().map(|event| render(event, &why, decided, &automations)).unwrap_or_default();
    let title = why.event.as_ref().map_or("Event", |event| event.event.event.as_str());
    visitor.page(&state, title, Some(Section::Events), &content).await
}

fn render(logged: &LoggedEvent, why: &Why, decided: u64, automations: &Markup) -> Markup {
    let event = &logged.event;
    let above =
        html! { a href="/events" { "Events" } " · " (event.source) " · occurred " (time(event.occurred, As::Both)) };
    html! {
        (head(&event.event, &above, &nothing()))
        div.two {
            div.stack {
                (card("Why", &nothing(), &html! {
                    @if why.explanations.is_empty() { (unexplained(logged.seq, decided)) }
                    @for explanation in &why.explanations { (explain::one(explanation)) }
                }))
                (automations)
                @if !why.deliveries.is_empty() {
                    @let sent: Vec<_> = why.deliveries.iter().map(|detail| detail.delivery.clone()).collect();
                    (card("What was sent", &nothing(), &delivery_rows(&sent)))
                }
                (card("Content", &html! { span.soft.small { "secrets are removed at the door" } }, &html! {
                    pre.wrap { (pretty(&event.payload)) }
                }))
                @if let Some(fact) = &event.fact {
                    (card("What was understood", &nothing(), &html! { pre.wrap { (pretty(&serde_json::to_value(fact).unwrap_or_default())) } }))
                }
            }
            div.stack {
                (card("Facts", &nothing(), &facts(logged, why)))
                (card("Resource", &nothing(), &labels(&event.resource)))
                @for related in &event.related { (card("Related", &nothing(), &labels(related))) }
            }
        }
    }
}

fn unexplained(seq: u64, decided: u64) -> Markup {
    if seq > decided {
        return empty("Not decided yet.", &html! { "The decider is at position " (decided) "." });
    }
    empty(
        "No rule looked at it.",
        &html! {
            "It is kept and counted; rules look at runs, reports and heartbeats. Events that only carry information change nothing."
        },
    )
}

fn facts(logged: &LoggedEvent, why: &Why) -> Markup {
    html! {
        dl.facts {
            dt { "Id" } dd { (copyable(&logged.event.id.to_string())) }
            dt { "Position" } dd { (logged.seq) }
            dt { "Received" } dd { (time(logged.event.received, As::Both)) }
            @if let Some(follows) = logged.event.follows { dt { "Follows" } dd { a href={ "/events/" (follows) } { (follows) } } }
            @for incident in &why.incidents {
                dt { "Incident" } dd { a href={ "/incidents/" (incident.id) } { "#" (incident.number) " " (incident.title) } }
            }
        }
    }
}

fn labels(labels: &Labels) -> Markup {
    html! { dl.facts.small { @for (name, value) in labels { dt { (name) } dd { (value) } } } }
}

/// JSON as people read it.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
