//! When an automation fired: why, for what, by which events, and what each of its actions became.

use super::backtest::{event_links, labels, what};
use super::{Shown, Tab, address};
use crate::api::model::{FiredOut, FiringOut};
use crate::api::{Params, Segments};
use crate::page::deliveries::delivery_state;
use crate::page::layout::{Section, card, lamp};
use crate::page::ui::{Tone, empty, older, pill, sentence};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use trackside_core::automation::firing::FiringState;
use trackside_core::ids::DeliveryId;
use trackside_store::Page;
use trackside_store::firings::{FiringFilter, FiringRow};
use trackside_store::outbox::DeliveryState;
use uuid::Uuid;

/// Firings on a page.
const PAGE: usize = 25;
/// Deliveries of one firing whose state is shown.
const DELIVERIES: usize = 10;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct FiringsQuery {
    before: Option<u64>,
}

/// `GET /automations/{id}/firings`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Params(query): Params<FiringsQuery>,
) -> Result<Markup, Failed> {
    let shown = Shown::find(&state, &id).await?;
    let filter = FiringFilter {
        automation: Some(shown.automation.id),
        before: query.before,
        limit: PAGE,
        ..FiringFilter::default()
    };
    let page = state.store.firings(&filter).await?;
    let states = delivery_states(&state, &page).await?;
    let content = shown.frame(&visitor, Tab::Firings, &render(&query, &shown, &page, &states));
    visitor.page(&state, &shown.automation.spec.name, Some(Section::Automations), &content).await
}

/// How the deliveries of these firings stand.
async fn delivery_states(state: &AppState, page: &Page<FiringRow>) -> Result<BTreeMap<Uuid, DeliveryState>, Failed> {
    let mut states = BTreeMap::new();
    for row in &page.items {
        for DeliveryId(id) in row.record.deliveries.iter().take(DELIVERIES) {
            let found = state.store.delivery(DeliveryId(*id)).await?;
            states.extend(found.map(|detail| (*id, detail.delivery.state)));
        }
    }
    Ok(states)
}

fn render(
    query: &FiringsQuery,
    shown: &Shown,
    page: &Page<FiringRow>,
    states: &BTreeMap<Uuid, DeliveryState>,
) -> Markup {
    let path = format!("{}/firings", address(&shown.automation.id.to_string()));
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        div id="firings" data-live {
            (card("Firings", &lamp(), &html! {
                @if page.items.is_empty() { (none(shown)) }
                @else { ol.timeline { @for row in &page.items { (one(row, states)) } } }
                (older(&path, &[("before", before)], page.next))
            }))
        }
    }
}

fn none(shown: &Shown) -> Markup {
    let at = address(&shown.automation.id.to_string());
    empty(
        "It has not fired.",
        &html! {
            a href={ (at) "/backtest?days=14" } { "Back-test it" } " to see when it would have, or "
            a href={ (at) "/try" } { "try it on an event" } " to see why it did not."
        },
    )
}

fn one(row: &FiringRow, states: &BTreeMap<Uuid, DeliveryState>) -> Markup {
    let out = FiringOut::from(row);
    let firing: &FiredOut = &out.firing;
    let tone = if firing.state == FiringState::Triggered { "bad" } else { "good" };
    html! {
        li class=(tone) {
            span.when { (time(firing.at, As::Both)) } " " (what(firing.state)) " "
            @if let Some(due) = firing.due { (pill(Tone::Warn, "late")) span.small.soft { " due " (time(due, As::Time)) } }
            div { (sentence(&firing.because)) }
            (labels(&firing.labels))
            div.more { "By " (event_links(firing)) }
            @if !out.actions.is_empty() {
                ul.small.did { @for line in &out.actions { li { (sentence(line)) } } }
            }
            @if out.incident.is_some() || !out.deliveries.is_empty() {
                div.small.links {
                    @if let Some(incident) = out.incident { a href={ "/incidents/" (incident) } { "incident" } }
                    @for delivery in &out.deliveries {
                        a href={ "/deliveries/" (delivery) } { "delivery " @if let Some(state) = states.get(delivery) { (delivery_state(*state)) } }
                    }
                }
            }
        }
    }
}
