//! The runs page: every run, with filters in the address.

use crate::api::Params;
use crate::api::runs::RunQuery;
use crate::page::audit::given;
use crate::page::events::first;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{column, empty, name, number, older, run_state, segment, table, wide};
use crate::page::words::{As, dash, duration, time_or_dash};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use trackside_core::run::{RunKey, RunState};
use trackside_store::Page;
use trackside_store::runs::RunRow;

/// States in the order they are offered.
const STATES: [RunState; 8] = [
    RunState::Failed,
    RunState::Running,
    RunState::Held,
    RunState::Retrying,
    RunState::Succeeded,
    RunState::Scheduled,
    RunState::Skipped,
    RunState::Cancelled,
];

/// `GET /runs`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<RunQuery>,
) -> Result<Markup, Failed> {
    let page = state.store.runs(&query.filter()?).await?;
    let configured = state.configured();
    let teams: Vec<&str> = configured.ruleset.teams.keys().map(String::as_str).collect();
    let content = render(&query, &page, &teams, configured.public_url.as_str());
    visitor.page(&state, "Runs", Some(Section::Runs), &content).await
}

fn render(query: &RunQuery, page: &Page<RunRow>, teams: &[&str], public_url: &str) -> Markup {
    let (q, state, owner) = (given(&query.q), given(&query.state), given(&query.owner));
    let (source, pipeline) = (given(&query.source), given(&query.pipeline));
    let filters = [("q", q), ("state", state), ("owner", owner), ("source", source), ("pipeline", pipeline)];
    let filtered = filters.iter().any(|(_, value)| !value.is_empty());
    let before = ("before", if query.before.is_some() { "1" } else { "" });
    html! {
        (head("Runs", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "Pipeline or run" input name="q" value=(q) placeholder="orders"; }
            label { "State" select name="state" {
                option value="" { "any" }
                @for known in STATES { option value=(known.as_str()) selected[known.as_str() == state] { (known.as_str()) } }
            } }
            (owners(owner, teams))
            label { "Source" input name="source" value=(source); }
            @if !pipeline.is_empty() { label { "Pipeline, exactly" input name="pipeline" value=(pipeline); } }
            button type="submit" { "Filter" }
            @if filtered { a.button href="/runs" { "Clear" } }
        }
        div id="runs" data-live {
            (card("Runs", &nothing(), &html! {
                @if page.items.is_empty() && !filtered { (first(public_url)) }
                @else if page.items.is_empty() { (empty("No run matches.", &html! { "Loosen the filter, or go on to older runs below." })) }
                @else { (rows(&page.items)) }
                (older("/runs", &filters.iter().copied().chain([before]).collect::<Vec<_>>(), page.next))
            }))
        }
    }
}

/// A choice of team.
pub(crate) fn owners(chosen: &str, teams: &[&str]) -> Markup {
    html! {
        label { "Owner" select name="owner" {
            option value="" { "any" }
            @if !chosen.is_empty() && !teams.contains(&chosen) { option value=(chosen) selected { (chosen) } }
            @for team in teams { option value=(team) selected[*team == chosen] { (team) } }
        } }
    }
}

/// Runs as a table.
pub(crate) fn rows(runs: &[RunRow]) -> Markup {
    let columns = [column("State"), column("Run"), wide("System"), wide("Owner"), wide("Started"), number("Duration")];
    table(
        &columns,
        &html! {
            @for RunRow { position, run } in runs {
                tr data-key=(position) {
                    td { (run_state(run.state)) }
                    td.title {
                        a href=(address(&run.key)) { (name(&run.key.pipeline)) }
                        @if let Some(error) = run.error.as_deref().filter(|_| run.state == RunState::Failed) {
                            div.small.soft { (one_line(error)) }
                        }
                    }
                    td.wide.soft { (run.system.title()) }
                    td.wide { @match run.owner.as_deref() { Some(owner) => (owner), None => (dash()) } }
                    td.wide.nowrap { (time_or_dash(run.started, As::Ago)) }
                    td.num { @match run.duration_s() { Some(seconds) => (duration(seconds)), None => (dash()) } }
                }
            }
        },
    )
}

/// The page of a run.
pub(crate) fn address(key: &RunKey) -> String {
    format!("/runs/{}/{}/{}", segment(&key.source), segment(&key.pipeline), segment(&key.run))
}

/// The first line of a text, cut.
pub(crate) fn one_line(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    &line[..line.floor_char_boundary(160)]
}
