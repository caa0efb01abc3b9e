//! The deliveries page: every message to the outside, how it stands, and those that were given up.

use crate::api::Params;
use crate::api::deliveries::DeliveryQuery;
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{Tone, column, empty, number, older, state as tone_word, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_core::effect::Action;
use trackside_store::Page;
use trackside_store::outbox::{Delivery, DeliveryState};

/// `GET /deliveries`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<DeliveryQuery>,
) -> Result<Markup, Failed> {
    let page = state.store.deliveries(&query.filter()?).await?;
    let connections: Vec<String> = state.configured().connections.keys().cloned().collect();
    let content = render(&query, &page, &connections);
    visitor.page(&state, "Deliveries", Some(Section::Deliveries), &content).await
}

fn render(query: &DeliveryQuery, page: &Page<Delivery>, connections: &[String]) -> Markup {
    let (state, connection, incident) = (given(&query.state), given(&query.connection), given(&query.incident));
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        (head("Deliveries", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "State" select name="state" {
                option value="" { "any" }
                @for known in DeliveryState::ALL { option value=(known.as_str()) selected[known.as_str() == state] { (known.as_str()) } }
            } }
            label { "Connection" select name="connection" {
                option value="" { "any" }
                @for known in connections { option value=(known) selected[known == connection] { (known) } }
            } }
            @if !incident.is_empty() { label { "Incident" input name="incident" value=(incident); } }
            button type="submit" { "Filter" }
        }
        div id="deliveries" data-live {
            (card("Messages to the outside", &nothing(), &html! {
                @if page.items.is_empty() { (none(state)) } @else { (rows(&page.items)) }
                (older("/deliveries", &[("state", state), ("connection", connection), ("incident", incident), ("before", before)], page.next))
            }))
        }
    }
}

fn none(state: &str) -> Markup {
    if state == "dead" {
        return empty(
            "Nothing was given up.",
            &html! { "A message that a far end refuses, or that cannot be sent for too long, shows up here and can be sent again." },
        );
    }
    empty(
        "No message yet.",
        &html! {
            "When an incident opens, its owner is told through the connections of the team. "
            a href="/connections" { "Send a test message" } " to see that a connection works."
        },
    )
}

/// Deliveries as a table.
pub(crate) fn rows(deliveries: &[Delivery]) -> Markup {
    table(
        &[column("State"), column("Message"), wide("Through"), wide("Decided"), number("Attempts")],
        &html! {
            @for row in deliveries {
                tr data-key=(row.effect.id) {
                    td { (delivery_state(row.state)) }
                    td.title {
                        a href={ "/deliveries/" (row.effect.id) } { (action(row.effect.action)) ": " (row.effect.notice.title) }
                        @if let Some(error) = row.last_error.as_ref().filter(|_| row.state != DeliveryState::Delivered) { div.small.soft { (error) } }
                    }
                    td.wide { (row.effect.connection) }
                    td.wide.nowrap { (time(row.effect.at, As::Time)) }
                    td.num { (row.attempts) }
                }
            }
        },
    )
}

/// The state of a delivery.
pub(crate) fn delivery_state(state: DeliveryState) -> Markup {
    match state {
        DeliveryState::Pending => tone_word(Tone::Info, "Waiting"),
        DeliveryState::Sending => tone_word(Tone::Info, "Sending"),
        DeliveryState::Delivered => tone_word(Tone::Good, "Delivered"),
        DeliveryState::Dead => tone_word(Tone::Bad, "Given up"),
        DeliveryState::Superseded => tone_word(Tone::Idle, "Not needed"),
    }
}

/// What a delivery does, for people.
pub(crate) fn action(action: Action) -> &'static str {
    match action {
        Action::Trigger => "New problem",
        Action::Update => "Update",
        Action::Remind => "Paged again",
        Action::Acknowledge => "Acknowledged",
        Action::Resolve => "Resolved",
        Action::Message => "Message",
        Action::Test => "Test",
        Action::Act => "Action",
        Action::Job => "Job",
    }
}
