//! The audit page: who did what, on what authority, with what outcome; newest first, filtered by the address.

use crate::api::Params;
use crate::api::audit::AuditQuery;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{address, column, empty, older, segment, sentence, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_store::Page;
use trackside_store::audit::AuditRow;
use uuid::Uuid;

/// Beginnings of actions that are offered.
const ACTIONS: [&str; 17] = [
    "access.",
    "alert.",
    "approval.",
    "configuration.",
    "delivery.",
    "gateway.",
    "grant.",
    "guard.",
    "incident.",
    "job.",
    "notify.",
    "people.",
    "rules.",
    "secret.",
    "session.",
    "token.",
    "workload.",
];
/// Outcomes that are offered.
const OUTCOMES: [&str; 4] = ["done", "refused", "failed", "unknown"];

/// `GET /audit`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<AuditQuery>,
) -> Result<Markup, Failed> {
    let page = state.store.audit(&query.filter()?).await?;
    let sealed = state.store.last_checkpoint().await?;
    let content = html! {
        (head("Audit", &nothing(), &lamp()))
        (filters(&query))
        div id="audit" data-live {
            (card("What happened", &html! {
                @if let Some(sealed) = &sealed {
                    span.soft.small title=(sealed.hash) { "sealed up to row " (sealed.last) " " (time(sealed.at, As::Time)) }
                }
            }, &html! {
                @if page.items.is_empty() {
                    (empty("Nothing matches.", &html! { "Every decision and every act of a person or program leaves a row here." }))
                } @else { (rows(&page)) }
                (more(&query, &page))
            }))
        }
    };
    visitor.page(&state, "Audit", Some(Section::Audit), &content).await
}

fn filters(query: &AuditQuery) -> Markup {
    let outcome = given(&query.outcome);
    html! {
        form.filters method="get" role="search" {
            label { "Who" input name="subject" value=(given(&query.subject)) placeholder="token or person"; }
            label { "What" input name="action" value=(given(&query.action)) placeholder="incident." list="actions"; }
            datalist id="actions" { @for action in ACTIONS { option value=(action) {} } }
            label { "About" input name="resource" value=(given(&query.resource)) placeholder="route:orders"; }
            label { "Outcome"
                select name="outcome" {
                    option value="" selected[outcome.is_empty()] { "any" }
                    @for known in OUTCOMES { option value=(known) selected[outcome == known] { (known) } }
                }
            }
            label { "From" input type="datetime-local" name="since" value=(given(&query.since)); }
            label { "Until" input type="datetime-local" name="until" value=(given(&query.until)); }
            @for (name, title, value) in [("incident", "Incident", &query.incident), ("job", "Run", &query.job)] {
                @if !given(value).is_empty() { label { (title) input name=(name) value=(given(value)); } }
            }
            button type="submit" { "Filter" }
        }
    }
}

fn more(query: &AuditQuery, page: &Page<AuditRow>) -> Markup {
    let given = [
        ("subject", given(&query.subject)),
        ("action", given(&query.action)),
        ("resource", given(&query.resource)),
        ("outcome", given(&query.outcome)),
        ("since", given(&query.since)),
        ("until", given(&query.until)),
        ("incident", given(&query.incident)),
        ("job", given(&query.job)),
        ("before", if query.before.is_some() { "1" } else { "" }),
    ];
    older("/audit", &given, page.next)
}

fn rows(page: &Page<AuditRow>) -> Markup {
    table(
        &[column("When"), wide("Who"), column("What"), wide("Concerns")],
        &html! {
            @for row in &page.items {
                tr data-key=(row.position) {
                    td.nowrap { (time(row.at, As::Time)) }
                    td.wide { (who(row)) }
                    td { (sentence(&told(row))) div.narrow.soft.small { (row.caller.subject) } (authority(row)) }
                    td.wide.small { (concerns(row)) }
                }
            }
        },
    )
}

/// Who, how they came in, and for whom.
fn who(row: &AuditRow) -> Markup {
    let token = row.caller.token.as_deref().filter(|token| *token != row.caller.subject);
    html! {
        span.nowrap { (row.caller.subject) span.soft.small { " by " (row.caller.via) } }
        @if let Some(token) = token { div.soft.small { "credential " code { (token) } } }
        @if !row.caller.behalf.is_empty() { div.soft.small { "for " (row.caller.behalf.join(", for ")) } }
    }
}

/// What was done, on what authority, what came of it.
fn authority(row: &AuditRow) -> Markup {
    let detail = &row.detail;
    let bad = matches!(detail.outcome.as_deref(), Some("refused" | "failed" | "unknown"));
    html! {
        div.soft.small {
            code { (row.action) }
            @if let Some(outcome) = &detail.outcome { " · " @if bad { strong.bad { (outcome) } } @else { (outcome) } }
            @if let Some(because) = detail.because.as_ref().filter(|because| !row.summary.contains(because.as_str())) { " · " (sentence(because)) }
            @if !detail.policies.is_empty() { " · policy " (detail.policies.join(", ")) }
        }
        @if detail.before.is_some() || detail.after.is_some() || !detail.facts.is_empty() || detail.begun.is_some() {
            details.small {
                summary { "Details" }
                dl.facts {
                    @if let Some(begun) = detail.begun { dt { "Begun" } dd { (time(begun, As::Time)) } }
                    @if let Some(before) = &detail.before { dt { "Before" } dd { code { (before) } } }
                    @if let Some(after) = &detail.after { dt { "After" } dd { code { (after) } } }
                    @for (name, value) in &detail.facts { dt { (name) } dd { code { (value) } } }
                }
            }
        }
    }
}

/// Links to what a row concerns.
pub(crate) fn concerns(row: &AuditRow) -> Markup {
    html! {
        @if let Some(id) = row.incident { a href={ "/incidents/" (id) } { "incident" } " " }
        @if let Some(id) = row.event { a href={ "/events/" (id) } { "event" } " " }
        @if let Some(id) = row.delivery { a href={ "/deliveries/" (id) } { "delivery" } " " }
        @if let Some(id) = row.detail.approval { a href={ "/approvals/" (id) } { "approval" } " " }
        @if let Some((run, job)) = row.job.zip(row.detail.resource.as_ref().and_then(|about| about.strip_prefix("job:"))) {
            a href={ "/jobs/" (segment(job)) "/runs/" (run) } { "run" } " "
        }
        @if let Some(resource) = &row.detail.resource {
            a href=(address("/audit", &[("resource", resource)], None)) { (kind_or_name(resource)) }
        }
    }
}

/// What happened, without the id of a run that is linked beside it.
fn told(row: &AuditRow) -> String {
    match row.job {
        Some(run) => row.summary.replace(&format!("run {run} of"), "run of"),
        None => row.summary.clone(),
    }
}

/// `route:orders`; of what only has an id, `session`.
fn kind_or_name(resource: &str) -> &str {
    match resource.split_once(':') {
        Some((kind, name)) if Uuid::try_parse(name).is_ok() => kind,
        _ => resource,
    }
}

/// A filter as it was given.
pub(crate) fn given(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("")
}
