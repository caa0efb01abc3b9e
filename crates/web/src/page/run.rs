//! One run: its attempts, its events, how long its pipeline usually takes.

use crate::api::Segments;
use crate::api::runs::{RunQuery, find};
use crate::page::chart::{Sample, durations};
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{column, copyable, empty, is_web, number, outside, run_state, segment, table, wide};
use crate::page::words::{As, count, dash, duration, percent, time, time_or_dash};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use trackside_core::incident::Incident;
use trackside_core::pipeline::Pipeline;
use trackside_core::pipeline::datasets::DatasetUse;
use trackside_core::run::{Attempt, Run, RunState};
use trackside_core::timer::{Timer, TimerKey};
use trackside_store::incidents::{IncidentFilter, IncidentStates};
use trackside_store::log::LoggedEvent;
use trackside_store::runs::{RunDetail, RunRow};

/// Runs in the chart of durations.
pub(crate) const SAMPLES: usize = 40;

/// Most held attempts whose timers are asked for.
const HOLDS: usize = 100;

/// What stands around a run.
struct Around {
    pipeline: Option<Pipeline>,
    /// Runs of the pipeline, latest first.
    runs: Vec<RunRow>,
    incident: Option<Incident>,
    /// When held failures are told as final.
    holds: Vec<Timer>,
}

/// `GET /runs/{source}/{pipeline}/{run}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(key): Segments<(String, String, String)>,
) -> Result<Markup, Failed> {
    let detail = find(&state, key).await?;
    let (source, name) = (&detail.run.key.source, &detail.run.key.pipeline);
    let open = IncidentFilter {
        states: Some(IncidentStates::Open),
        source: Some(source.to_string()),
        pipeline: Some(name.to_string()),
        limit: 1,
        ..IncidentFilter::default()
    };
    let held = detail.attempts.iter().filter(|attempt| attempt.state == RunState::Held);
    let holds: Vec<TimerKey> = held.take(HOLDS).map(|held| TimerKey::Hold { attempt: held.key.clone() }).collect();
    let around = Around {
        holds: state.store.timers(&holds).await?,
        pipeline: state.store.pipeline(source, name).await?,
        runs: recent(&state, source, name).await?,
        incident: state.store.incidents(&open).await?.items.pop(),
    };
    let content = render(&detail, &around);
    visitor.page(&state, name, Some(Section::Runs), &content).await
}

/// The latest runs of a pipeline, latest first.
pub(crate) async fn recent(state: &AppState, source: &str, pipeline: &str) -> Result<Vec<RunRow>, Failed> {
    let query = RunQuery {
        source: Some(source.to_owned()),
        pipeline: Some(pipeline.to_owned()),
        limit: Some(SAMPLES),
        ..RunQuery::default()
    };
    Ok(state.store.runs(&query.filter()?).await?.items)
}

fn render(detail: &RunDetail, around: &Around) -> Markup {
    let run = &detail.run;
    let above = html! {
        a href="/runs" { "Runs" } " · " (run.system.title()) " · " (run.key.source)
        @if let Some(started) = run.started { " · started " (time(started, As::Both)) }
    };
    html! {
        div id="run" data-live {
            (head(&run.key.pipeline, &above, &html! {
                (lamp()) (run_state(run.state))
                @if let Some(url) = run.url.as_ref().filter(|url| is_web(url)) { a.button href=(url) rel="noreferrer noopener" { "Open in " (run.system.title()) } }
            }))
            @if let Some(incident) = &around.incident {
                p.note.bad { a href={ "/incidents/" (incident.id) } { "Incident #" (incident.number) } " is open for this pipeline: " (incident.title) }
            }
            @if let Some(error) = run.error.as_deref().filter(|_| run.state != RunState::Succeeded) {
                section.card { div.title { h2 { "Error" } } pre.wrap { (error) } }
            }
            div.two {
                div.stack {
                    (card("Attempts", &nothing(), &attempts(&detail.attempts, &around.holds)))
                    (card("Events", &nothing(), &events(&detail.events)))
                }
                div.stack {
                    (card("Facts", &nothing(), &facts(run)))
                    (history(&around.runs))
                    @if let Some(pipeline) = &around.pipeline { (card("Pipeline", &nothing(), &figures(pipeline))) }
                }
            }
        }
    }
}

fn attempts(attempts: &[Attempt], holds: &[Timer]) -> Markup {
    if attempts.is_empty() {
        return empty("No task was reported.", &html! { "Only the run itself is known." });
    }
    table(
        &[column("State"), column("Task"), number("Try"), wide("Started"), number("Duration")],
        &html! {
            @for attempt in attempts {
                tr {
                    td { (run_state(attempt.state)) }
                    td {
                        (attempt.key.task)
                        @if attempt.key.map_index >= 0 { span.soft { " [" (attempt.key.map_index) "]" } }
                        @if let Some(url) = &attempt.log_url { " " span.small { (outside(url, "log")) } }
                        @if let Some(note) = &attempt.note { div.small.soft { (note) } }
                    @if let Some(due) = held_until(attempt, holds) { div.small.warn { "told as final " (time(due, As::Both)) " unless a retry begins" } }
                        @if let Some(error) = &attempt.error { details { summary.small { (crate::page::runs::one_line(error)) } pre.wrap { (error) } } }
                    }
                    td.num { (attempt.key.try_number) }
                    td.wide.nowrap { (time_or_dash(attempt.started, As::Time)) }
                    td.num { @match attempt.duration_s() { Some(seconds) => (duration(seconds)), None => (dash()) } }
                }
            }
        },
    )
}

/// When a failure that is held back is told as final.
fn held_until(attempt: &Attempt, holds: &[Timer]) -> Option<Timestamp> {
    let of = |timer: &&Timer| matches!(&timer.key, TimerKey::Hold { attempt: key } if *key == attempt.key);
    holds.iter().find(of).map(|timer| timer.due)
}

fn events(events: &[LoggedEvent]) -> Markup {
    if events.is_empty() {
        return empty(
            "The events are gone.",
            &html! { "They were older than the retention allows; the run itself is kept longer." },
        );
    }
    html! {
        ol.timeline {
            @for logged in events {
                li { span.when { (time(logged.event.occurred, As::Time)) } " " a href={ "/events/" (logged.event.id) } { (logged.event.event) } }
            }
        }
    }
}

fn facts(run: &Run) -> Markup {
    html! {
        dl.facts {
            dt { "State" } dd { (run_state(run.state)) }
            dt { "Owner" } dd { @match run.owner.as_deref() { Some(owner) => (owner), None => (dash()) } }
            dt { "Duration" } dd { @match run.duration_s() { Some(seconds) => (duration(seconds)), None => (dash()) } }
            @if let Some(nominal) = run.nominal { dt { "For" } dd { (time(nominal, As::Time)) } }
            @if let Some(ended) = run.ended { dt { "Ended" } dd { (time(ended, As::Both)) } }
            @if let Some(rows) = run.rows { dt { "Rows" } dd { (count(rows)) } }
            @if run.clear_number > 0 { dt { "Cleared" } dd { (run.clear_number) " times" } }
            @if !run.tags.is_empty() { dt { "Tags" } dd { @for tag in &run.tags { code { (tag) } " " } } }
            dt { "Run" } dd { (copyable(run.run_id.as_deref().unwrap_or(&run.key.run))) }
        }
    }
}

/// Durations of the pipeline's latest runs.
pub(crate) fn history(latest_first: &[RunRow]) -> Markup {
    let ended = latest_first.iter().rev();
    let samples: Vec<Sample> = ended
        .filter_map(|row| Some(Sample { seconds: row.run.duration_s()?, failed: row.run.state == RunState::Failed }))
        .collect();
    html! {
        @if samples.len() > 1 {
            (card(&format!("Duration of last {} runs", samples.len()), &html! { span.small.bad { "● failed" } }, &durations(&samples)))
        }
    }
}

fn figures(pipeline: &Pipeline) -> Markup {
    let all = format!("/runs?source={}&pipeline={}", segment(&pipeline.key.source), segment(&pipeline.key.name));
    html! {
        dl.facts {
            dt { "Success rate" } dd { @match pipeline.success_rate() { Some(rate) => (percent(rate)), None => (dash()) } }
            dt { "Mean" } dd { @match pipeline.mean_duration_s() { Some(seconds) => (duration(seconds)), None => (dash()) } }
            dt { "p95" } dd { @match pipeline.p95_duration_s() { Some(seconds) => (duration(seconds)), None => (dash()) } }
            dt { "Last success" } dd { (time_or_dash(pipeline.last_success, As::Both)) }
            @if pipeline.streak > 0 { dt { "Failures in a row" } dd.bad { (pipeline.streak) } }
            @if !pipeline.reads.is_empty() { dt { "Reads" } dd { (datasets(&pipeline.reads)) } }
            @if !pipeline.writes.is_empty() { dt { "Writes" } dd { (datasets(&pipeline.writes)) } }
            dt { "Runs" } dd { a href=(all) { "all runs of this pipeline" } }
        }
        @if let Some(suggestion) = &pipeline.suggestion {
            p.note { (suggestion.text) " " span.soft { (time(suggestion.at, As::Both)) } }
        }
    }
}

fn datasets(uses: &[DatasetUse]) -> Markup {
    html! { @for dataset in uses { div { code { (dataset.name) } } } }
}
