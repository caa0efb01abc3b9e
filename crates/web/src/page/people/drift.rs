//! Where PagerDuty's teams differ from ours, as a card.
//!
//! Pure.

use crate::api::drift::DriftReportOut;
use crate::page::layout::card;
use crate::page::ui::{column, table, wide};
use crate::page::words::{As, count, time};
use maud::{Markup, html};

/// The card; nothing when PagerDuty is not read.
pub(super) fn card_of(report: &DriftReportOut) -> Markup {
    if report.sources.is_empty() {
        return html! {};
    }
    let aside = html! { span.small.soft { (count(report.findings.len() as u64)) } };
    card(
        "Differences from PagerDuty",
        &aside,
        &html! {
            @for source in &report.sources {
                @if let Some(why) = &source.failed { p.warn { (source.connection) " could not be read, " (time(source.tried, As::Ago)) ": " (why) } }
                @else if let Some(taken) = source.taken { p.small.soft { (source.connection) " was read " (time(taken, As::Ago)) } }
            }
            @if !report.findings.is_empty() { (list(report)) }
            @else if report.sources.iter().all(|source| source.taken.is_some()) { p { "Teams here and there agree." } }
            @else { p { "Nothing has been compared yet." } }
        },
    )
}

fn list(report: &DriftReportOut) -> Markup {
    table(
        &[column("What"), column("Team"), wide("Connection"), wide("Since")],
        &html! {
            @for found in &report.findings {
                tr {
                    td { (found.summary) }
                    td { @if let Some(team) = &found.team { a href={ "#team-" (team) } { (team) } } @else { span.soft { "all" } } }
                    td.wide { (found.connection) }
                    td.wide.nowrap { (time(found.since, As::Ago)) }
                }
            }
        },
    )
}
