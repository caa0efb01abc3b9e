//! The jobs page: every job with how it does and its last runs.

use crate::api::jobs::{JobRunQuery, read_runs, sees};
use crate::page::job_run::{rows, state_of};
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{column, empty, name as name_of, segment, table, wide, wide_number};
use crate::page::words::{As, dash, percent, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use maud::{Markup, html};
use std::collections::BTreeMap;
use trackside_core::job::SOURCE;
use trackside_core::job::run::JobRun;
use trackside_core::job::spec::JobSpec;
use trackside_core::pipeline::Pipeline;
use trackside_store::jobs::JobRunRow;
use trackside_store::runs::PipelineFilter;

/// Runs shown below the jobs.
const LATEST: usize = 20;

/// `GET /jobs`, for a browser.
pub(crate) async fn list(state: &AppState, visitor: &Visitor) -> Result<Markup, Failed> {
    let configured = state.configured();
    let query = JobRunQuery { limit: Some(LATEST), ..JobRunQuery::default() };
    let runs = read_runs(state, &visitor.who, None, &query).await?;
    let mine = PipelineFilter { source: Some(SOURCE.to_owned()), limit: 500, ..PipelineFilter::default() };
    let figures = state.store.pipelines(&mine).await?;
    let figures = figures.into_iter().map(|pipeline| (pipeline.key.name.to_string(), pipeline)).collect();
    let jobs = configured.ruleset.jobs.iter().filter(|(name, spec)| sees(state, &visitor.who, name, spec));
    let jobs = jobs.map(|(name, spec)| (name.clone(), spec.clone())).collect();
    let content = render(&jobs, &figures, &runs.items);
    visitor.page(state, "Jobs", Some(Section::Jobs), &content).await
}

fn render(jobs: &BTreeMap<String, JobSpec>, figures: &BTreeMap<String, Pipeline>, runs: &[JobRunRow]) -> Markup {
    html! {
        (head("Jobs", &nothing(), &lamp()))
        div id="jobs" data-live {
            (card("What can be run", &nothing(), &html! {
                @if jobs.is_empty() { (none()) } @else { (table_of(jobs, figures, runs)) }
            }))
            @if !jobs.is_empty() {
                (card("Latest runs", &nothing(), &html! {
                    @if runs.is_empty() { (empty("No run yet.", &html! { "Start one from the page of a job, or with its address." })) }
                    @else { (rows(runs, true)) }
                }))
            }
        }
    }
}

fn none() -> Markup {
    empty(
        "No job is configured.",
        &html! {
            "A job is a call that is checked, queued, made once, and remembered with its result. Add one to a file of the \
             configuration folder:"
            pre { "jobs:\n  refresh:\n    target: {kind: http, connection: app, path: /refresh}\n" }
        },
    )
}

fn table_of(jobs: &BTreeMap<String, JobSpec>, figures: &BTreeMap<String, Pipeline>, runs: &[JobRunRow]) -> Markup {
    let columns = [
        column("Job"),
        wide("Calls through"),
        wide("Owner"),
        column("Last run"),
        wide_number("Success, 30 d"),
        wide("Last success"),
    ];
    table(
        &columns,
        &html! {
            @for (name, spec) in jobs {
                @let known = figures.get(name);
                tr data-key=(name) {
                    td.title {
                        a href={ "/jobs/" (segment(name)) } { (name_of(name)) }
                        @if !spec.description.is_empty() { br; span.small.soft { (spec.description) } }
                    }
                    td.wide { (spec.target.connection()) }
                    td.wide { @match &spec.owner { Some(owner) => { (owner) } None => { (dash()) } } }
                    td { @match last(runs, name) { Some(run) => { (state_of(run.state)) } None => { (dash()) } } }
                    td.num.wide { (success(known)) }
                    td.wide { @match known.and_then(|known| known.last_success) { Some(at) => { (time(at, As::Ago)) } None => { (dash()) } } }
                }
            }
        },
    )
}

fn last<'r>(runs: &'r [JobRunRow], job: &str) -> Option<&'r JobRun> {
    runs.iter().map(|row| &row.run).find(|run| run.job == job)
}

fn success(pipeline: Option<&Pipeline>) -> Markup {
    match pipeline.and_then(Pipeline::success_rate) {
        Some(rate) => html! { (percent(rate)) },
        None => dash(),
    }
}
