//! The incidents page: what is open, what was.

use crate::api::Params;
use crate::api::incidents::IncidentQuery;
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::runs::owners;
use crate::page::ui::{column, empty, incident_state, number, older, pill, severity_tone, table, wide};
use crate::page::words::{As, plural, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use std::collections::BTreeSet;
use trackside_core::incident::{Incident, Suppression};
use trackside_store::Page;

/// States in the order they are offered.
const STATES: [&str; 5] = ["open", "triggered", "acknowledged", "snoozed", "resolved"];
/// Severities in the order they are offered.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];
/// Whether somebody is told, as it is offered.
const TOLD: [(&str, &str); 2] = [("false", "told"), ("true", "held back")];

/// `GET /incidents`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<IncidentQuery>,
) -> Result<Markup, Failed> {
    let page = state.store.incidents(&query.filter()?).await?;
    let configured = state.configured();
    let teams: Vec<&str> = configured.ruleset.teams.keys().map(String::as_str).collect();
    let content = render(&query, &page, &teams);
    visitor.page(&state, "Incidents", Some(Section::Incidents), &content).await
}

fn render(query: &IncidentQuery, page: &Page<Incident>, teams: &[&str]) -> Markup {
    let (state, owner, pipeline) = (given(&query.state), given(&query.owner), given(&query.pipeline));
    let (severity, source) = (given(&query.severity), given(&query.source));
    let suppressed = query.suppressed.map_or("", |suppressed| if suppressed { "true" } else { "false" });
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        (head("Incidents", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "State" select name="state" {
                option value="" { "any" }
                @for known in STATES { option value=(known) selected[known == state] { (known) } }
            } }
            (owners(owner, teams))
            label { "Severity" select name="severity" {
                option value="" { "any" }
                @for known in SEVERITIES { option value=(known) selected[known == severity] { (known) } }
            } }
            label { "People are" select name="suppressed" {
                option value="" { "any" }
                @for (word, told) in TOLD { option value=(word) selected[word == suppressed] { (told) } }
            } }
            @if !source.is_empty() { input type="hidden" name="source" value=(source); }
            label { "Pipeline" input name="pipeline" value=(pipeline); }
            button type="submit" { "Filter" }
        }
        div id="incidents" data-live {
            (card("Incidents", &nothing(), &html! {
                @if page.items.is_empty() { (none(state)) } @else { (rows(&page.items)) }
                (older("/incidents", &[("state", state), ("owner", owner), ("severity", severity), ("suppressed", suppressed), ("source", source), ("pipeline", pipeline), ("before", before)], page.next))
            }))
        }
    }
}

fn none(state: &str) -> Markup {
    if matches!(state, "open" | "triggered") {
        return empty("All quiet.", &html! { "No incident is open." });
    }
    empty(
        "No incident.",
        &html! {
            "One opens when a rule of the configuration fires, for example "
            code { "rules: [{name: failed, when: {failed: {}}}]" } ", and its owner is told."
        },
    )
}

/// Why nobody is told, in a word or two.
fn held_by(incident: &Incident) -> String {
    let word = |suppression: &Suppression| match suppression {
        Suppression::Maintenance { .. } => "in maintenance",
        Suppression::Silence { .. } => "silenced",
        Suppression::Inhibition { .. } => "held back by another",
        Suppression::Storm { .. } => "part of a storm",
    };
    let words: BTreeSet<&str> = incident.suppressed_by.iter().map(word).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn rows(incidents: &[Incident]) -> Markup {
    let columns =
        [column("State"), column("Incident"), wide("Owner"), wide("Severity"), wide("Opened"), number("Failures")];
    table(
        &columns,
        &html! {
            @for incident in incidents {
                tr data-key=(incident.id) {
                    td {
                        (incident_state(incident.state))
                        @if let Some(until) = incident.snoozed_until { div.small.soft { "until " (time(until, As::Time)) } }
                        @if !incident.suppressed_by.is_empty() && incident.is_open() { div.small.soft { (held_by(incident)) } }
                    }
                    td.title {
                        a href={ "/incidents/" (incident.number) } { "#" (incident.number) " " (incident.title) }
                        div.small.soft {
                            (incident.pipeline.source) " / " (incident.pipeline.name)
                            @if let Some(who) = incident.acknowledged_by.as_ref().filter(|_| incident.is_open()) { " · " (who) " has it" }
                            @if !incident.affected.is_empty() { " · " (plural(incident.affected.len() as u64, "pipeline", "pipelines")) " affected" }
                        }
                    }
                    td.wide { (incident.owner) }
                    td.wide { (pill(severity_tone(incident.severity), incident.severity.as_str())) }
                    td.wide.nowrap { (time(incident.opened, As::Ago)) }
                    td.num { (incident.occurrences) }
                }
            }
        },
    )
}
