//! The incidents page: what is open, what was.

use crate::api::Params;
use crate::api::incidents::IncidentQuery;
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::runs::owners;
use crate::page::ui::{column, empty, incident_state, number, older, pill, severity_tone, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_core::incident::Incident;
use trackside_store::Page;

/// States in the order they are offered.
const STATES: [&str; 4] = ["open", "triggered", "acknowledged", "resolved"];

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
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        (head("Incidents", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "State" select name="state" {
                option value="" { "any" }
                @for known in STATES { option value=(known) selected[known == state] { (known) } }
            } }
            (owners(owner, teams))
            label { "Pipeline" input name="pipeline" value=(pipeline); }
            button type="submit" { "Filter" }
        }
        div id="incidents" data-live {
            (card("Incidents", &nothing(), &html! {
                @if page.items.is_empty() { (none(state)) } @else { (rows(&page.items)) }
                (older("/incidents", &[("state", state), ("owner", owner), ("pipeline", pipeline), ("before", before)], page.next))
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

fn rows(incidents: &[Incident]) -> Markup {
    let columns =
        [column("State"), column("Incident"), wide("Owner"), wide("Severity"), wide("Opened"), number("Failures")];
    table(
        &columns,
        &html! {
            @for incident in incidents {
                tr data-key=(incident.id) {
                    td { (incident_state(incident.state)) }
                    td.title {
                        a href={ "/incidents/" (incident.number) } { "#" (incident.number) " " (incident.title) }
                        div.small.soft { (incident.pipeline.source) " / " (incident.pipeline.name) }
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
