//! One run of a job: how it stands and why, what went in and came out, who asked, and what can be done about it.

use crate::api::jobs::act::might_end;
use crate::page::job::pretty;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{Tone, column, copyable, name, segment, sentence, state as tone_word, table, wide, wide_number};
use crate::page::words::{As, dash, time, time_or_dash};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use trackside_core::decision::Explanation;
use trackside_core::job::run::{CallProgress, JobRun, RunState};
use trackside_store::jobs::JobRunRow;
use trackside_store::outbox::DeliveryDetail;
use uuid::Uuid;

/// What stands around a run.
struct Around {
    call: Option<DeliveryDetail>,
    why: Vec<Explanation>,
    may_cancel: bool,
    may_settle: bool,
}

/// `GET /jobs/{name}/runs/{id}`, for a browser.
pub(crate) async fn show(state: &AppState, visitor: &Visitor, run: &JobRun) -> Result<Markup, Failed> {
    let own = run.caller.subject == visitor.who.caller.subject;
    let open = run.in_doubt || run.state == RunState::Unknown;
    let call = match run.delivery {
        Some(delivery) => state.store.delivery(delivery).await?,
        None => None,
    };
    let around = Around {
        call,
        why: state.store.explanations_of_entry(run.seq).await?,
        may_cancel: !run.state.ended() && might_end(state, &visitor.who, run, own),
        may_settle: run.state.ended() && open && might_end(state, &visitor.who, run, false),
    };
    let content = render(run, &around);
    visitor.page(state, &run.job, Some(Section::Jobs), &content).await
}

fn render(run: &JobRun, around: &Around) -> Markup {
    let path = format!("/jobs/{}/runs/{}", segment(&run.job), run.id);
    let above = html! {
        a href="/jobs" { "Jobs" } " · " a href={ "/jobs/" (segment(&run.job)) } { (run.job) }
        " · asked for " (time(run.created, As::Both))
    };
    html! {
        div id="job-run" data-live {
            (head(&run.job, &above, &html! {
                (lamp()) (state_of(run.state))
                @if around.may_cancel {
                    form method="post" action={ (path) "/cancel" } { button type="submit" { "Cancel" } }
                }
            }))
            @if let Some(error) = &run.error {
                section.card { div.title { h2 { "Error" } span.small.soft { (class(error.class)) } } pre.wrap { (error.message) } }
            }
            @if around.may_settle { (settlement(&path)) }
            div.two {
                div.stack {
                    @if let Some(output) = &run.output { (value("Result", output)) }
                    (value("Input", &run.input))
                    @if !around.why.is_empty() { (card("Why", &nothing(), &why(&around.why, run.id))) }
                }
                div.stack {
                    (card("Facts", &nothing(), &facts(run, around)))
                    (card("Identity", &nothing(), &identity(run)))
                }
            }
        }
    }
}

/// What nobody knows, somebody may say.
fn settlement(path: &str) -> Markup {
    card(
        "What became of it is not known",
        &nothing(),
        &html! {
            p { "The call may have been carried out, and it is not repeated by itself. Look at the far end, then say how it ended." }
            form.plain method="post" action={ (path) "/settle" } {
                label { "It" select name="ended" {
                    option value="failed" { "was not carried out, or failed" }
                    option value="succeeded" { "succeeded" }
                } }
                label { "Result, as JSON, when it succeeded" textarea name="output" rows="3" spellcheck="false" {} }
                label { "What went wrong, when it did not" input name="error" maxlength="1000"; }
                button.main type="submit" { "Settle" }
            }
        },
    )
}

/// What went in or came out. Members that look like secrets are not shown, whoever looks.
fn value(title: &str, value: &Value) -> Markup {
    let mut value = value.clone();
    trackside_connect::redact::value(&mut value);
    let text = pretty(&value);
    let copy = html! {
        button.copy type="button" data-script hidden data-copy=(text) aria-label={ "copy " (title.to_lowercase()) } { "copy" }
    };
    card(title, &copy, &html! { pre.wrap { (text) } })
}

fn facts(run: &JobRun, around: &Around) -> Markup {
    let progress = around.call.as_ref().map(|call| CallProgress::read(call.delivery.far_ref.as_deref()));
    let calls = progress.map_or(run.calls, |progress| progress.calls.max(run.calls));
    html! {
        dl.facts {
            dt { "Run" } dd { (copyable(&run.id.to_string())) }
            dt { "Attempt" } dd { (run.attempt) ", " (calls) @if calls == 1 { " call" } @else { " calls" } }
            dt { "Called" } dd { (time_or_dash(run.started, As::Both)) @if let Some(started) = run.started { span.soft { " after " (between(run.created, started)) } } }
            dt { "Ended" } dd { (time_or_dash(run.ended, As::Both)) @if let Some((started, ended)) = run.started.zip(run.ended) { span.soft { " after " (between(started, ended)) } } }
            @if !run.state.ended() { dt { "Given up" } dd { (time(run.deadline, As::Both)) } }
            dt { "Key" } dd { @match &run.key { Some(key) => { (copyable(key)) } None => { (dash()) } } }
            @if let Some(origin) = &run.origin { dt { "Origin" } dd { (name(origin)) } }
            @if let Some(previous) = run.previous {
                dt { "Before" } dd { a href={ "/jobs/" (segment(&run.job)) "/runs/" (previous) } { "the run of the attempt before" } }
            }
            @if let Some(delivery) = run.delivery { dt { "Call" } dd { a href={ "/deliveries/" (delivery) } { "its requests and answers" } } }
            @if let Some(approval) = run.approval { dt { "Approval" } dd { a href={ "/approvals/" (approval) } { "the question and its voices" } } }
            dt { "As a run" } dd { a href={ "/runs/trackside.jobs/" (segment(&run.job)) "/" (run.id) } { "with alerts and durations" } }
        }
    }
}

fn identity(run: &JobRun) -> Markup {
    let caller = &run.caller;
    html! {
        dl.facts {
            dt { "Asked by" } dd { (caller.subject) }
            dt { "Came in by" } dd { (caller.via) @if let Some(token) = &caller.token { ", credential " code { (token) } } }
            @if !caller.behalf.is_empty() {
                dt { "For" } dd { @for (index, name) in caller.behalf.iter().enumerate() { @if index > 0 { " for " } (name) } }
            }
            @if let Some(why) = &run.justification { dt { "Because" } dd { (why) } }
        }
    }
}

/// Why it runs. The page is the run's own, so that its id says nothing here.
fn why(explanations: &[Explanation], run: Uuid) -> Markup {
    let told = |text: &str| text.replace(&format!("run {run}"), "this run");
    html! {
        @for explanation in explanations {
            p { (told(&explanation.meaning)) br; span.soft { (sentence(&told(&explanation.outcome))) } }
        }
    }
}

/// Runs as a table.
pub(crate) fn rows(runs: &[JobRunRow], with_job: bool) -> Markup {
    let columns = [
        column("State"),
        column(if with_job { "Job" } else { "Run" }),
        wide("Asked by"),
        wide("When"),
        wide_number("Took"),
    ];
    table(
        &columns,
        &html! {
            @for JobRunRow { run, .. } in runs {
                tr data-key=(run.id) {
                    td { (state_of(run.state)) }
                    td.title {
                        a href={ "/jobs/" (segment(&run.job)) "/runs/" (run.id) } {
                            @if with_job { (name(&run.job)) } @else { (name(&run.key.clone().unwrap_or_else(|| run.id.to_string()))) }
                        }
                        @if let Some(error) = &run.error { br; span.small.soft { (excerpt(&error.message)) } }
                        div.narrow.small.soft { (run.caller.subject) ", " (time(run.created, As::Ago)) }
                    }
                    td.wide { (run.caller.subject) }
                    td.wide { (time(run.created, As::Ago)) }
                    td.num.wide { @match run.started.zip(run.ended) { Some((started, ended)) => { (between(started, ended)) } None => { (dash()) } } }
                }
            }
        },
    )
}

fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(120)]
}

fn between(from: Timestamp, to: Timestamp) -> String {
    crate::page::words::duration(to.duration_since(from).as_secs_f64())
}

fn class(class: trackside_core::job::run::ErrorClass) -> String {
    serde_json::to_value(class)
        .ok()
        .and_then(|word| word.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

/// The state of a run of a job.
pub(crate) fn state_of(state: RunState) -> Markup {
    let (tone, word) = match state {
        RunState::AwaitingApproval => (Tone::Warn, "Awaits approval"),
        RunState::Queued => (Tone::Idle, "Queued"),
        RunState::Running => (Tone::Info, "Running"),
        RunState::Succeeded => (Tone::Good, "Succeeded"),
        RunState::Failed => (Tone::Bad, "Failed"),
        RunState::Cancelled => (Tone::Idle, "Cancelled"),
        RunState::Denied => (Tone::Idle, "Denied"),
        RunState::TimedOut => (Tone::Bad, "Timed out"),
        RunState::Unknown => (Tone::Warn, "Unknown"),
    };
    tone_word(tone, word)
}
