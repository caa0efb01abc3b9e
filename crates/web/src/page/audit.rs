//! The audit page: who did what and why, newest first.

use crate::api::Params;
use crate::api::audit::AuditQuery;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{column, empty, older, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_store::Page;
use trackside_store::audit::AuditRow;

/// `GET /audit`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<AuditQuery>,
) -> Result<Markup, Failed> {
    let page = state.store.audit(&query.filter()?).await?;
    let content = render(&query, &page);
    visitor.page(&state, "Audit", Some(Section::Audit), &content).await
}

fn render(query: &AuditQuery, page: &Page<AuditRow>) -> Markup {
    let (subject, action) = (given(&query.subject), given(&query.action));
    let incident = given(&query.incident);
    html! {
        (head("Audit", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "Who" input name="subject" value=(subject) placeholder="token or person"; }
            label { "What" input name="action" value=(action) placeholder="incident." list="actions"; }
            datalist id="actions" {
                @for action in ["incident.", "alert.", "notify.", "delivery.", "rules.", "token.", "session.", "test."] { option value=(action) {} }
            }
            @if !incident.is_empty() { label { "Incident" input name="incident" value=(incident); } }
            button type="submit" { "Filter" }
        }
        div id="audit" data-live {
            (card("What happened", &nothing(), &html! {
                @if page.items.is_empty() {
                    (empty("Nothing matches.", &html! { "Every decision and every act of a person or token leaves a row here." }))
                } @else { (rows(page)) }
                (older("/audit", &[("subject", subject), ("action", action), ("incident", incident), ("before", if query.before.is_some() { "1" } else { "" })], page.next))
            }))
        }
    }
}

fn rows(page: &Page<AuditRow>) -> Markup {
    table(
        &[column("When"), wide("Who"), column("What"), wide("Concerns")],
        &html! {
            @for row in &page.items {
                tr data-key=(row.position) {
                    td.nowrap { (time(row.at, As::Time)) }
                    td.wide.nowrap { (row.caller.subject) span.soft.small { " by " (row.caller.via) } }
                    td { (row.summary) div.soft.small { code { (row.action) } } }
                    td.wide.small { (concerns(row)) }
                }
            }
        },
    )
}

/// Links to what a row concerns.
pub(crate) fn concerns(row: &AuditRow) -> Markup {
    html! {
        @if let Some(id) = row.incident { a href={ "/incidents/" (id) } { "incident" } " " }
        @if let Some(id) = row.event { a href={ "/events/" (id) } { "event" } " " }
        @if let Some(id) = row.delivery { a href={ "/deliveries/" (id) } { "delivery" } }
    }
}

/// A filter as it was given.
pub(crate) fn given(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("")
}
