//! One job: what it is, a form that starts it, its runs.

use crate::api::jobs::start::might_start;
use crate::api::jobs::{JobRunQuery, read_runs, seen_job};
use crate::page::audit::given;
use crate::page::job_run::rows;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{empty, older, segment};
use crate::page::words::dash;
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use maud::{Markup, html};
use serde_json::{Value, json};
use trackside_core::job::run::RunState;
use trackside_core::job::spec::{AppServiceAction, Idempotency, JobSpec, JobTarget};
use trackside_store::Page;
use trackside_store::jobs::JobRunRow;

/// `GET /jobs/{name}`, for a browser.
pub(crate) async fn show(
    state: &AppState,
    visitor: &Visitor,
    name: &str,
    query: &JobRunQuery,
) -> Result<Markup, Failed> {
    let spec = seen_job(state, &visitor.who, name)?;
    let runs = read_runs(state, &visitor.who, Some(name.to_owned()), query).await?;
    let may = might_start(state, &visitor.who, name, &spec);
    let content = render(name, &spec, query, &runs, may);
    visitor.page(state, name, Some(Section::Jobs), &content).await
}

fn render(name: &str, spec: &JobSpec, query: &JobRunQuery, runs: &Page<JobRunRow>, may_start: bool) -> Markup {
    let path = format!("/jobs/{}", segment(name));
    let state = given(&query.state);
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        (head(name, &html! { a href="/jobs" { "Jobs" } }, &lamp()))
        @if !spec.description.is_empty() { p.lead { (spec.description) } }
        div.two {
            div.stack {
                form.filters method="get" role="search" {
                    label { "State" select name="state" {
                        option value="" { "any" }
                        @for known in RunState::ALL { option value=(known.as_str()) selected[known.as_str() == state] { (known.as_str()) } }
                    } }
                    button type="submit" { "Filter" }
                }
                div id="runs" data-live {
                    (card("Runs", &nothing(), &html! {
                        @if runs.items.is_empty() { (empty("No run.", &html! { "Nobody asked for one yet, or none fits the filter." })) }
                        @else { (rows(&runs.items, false)) }
                        (older(&path, &[("state", state), ("before", before)], runs.next))
                    }))
                }
            }
            div.stack {
                @if may_start { (card("Start a run", &nothing(), &form(&path, spec))) }
                (card("What it does", &nothing(), &facts(spec)))
                @if let Some(schema) = &spec.input { (schema_card("Input", schema)) }
                @if let Some(schema) = &spec.result { (schema_card("Result", schema)) }
            }
        }
    }
}

fn form(path: &str, spec: &JobSpec) -> Markup {
    html! {
        form.plain method="post" action={ (path) "/runs" } {
            label { "Input, as JSON" textarea.mono name="input" rows="8" spellcheck="false" { (pretty(&sample(spec))) } }
            label { "Key: the same key is the same run; empty is a run of its own" input name="key" maxlength="255"; }
            @if spec.approval.is_some() {
                label { "Why, for whoever approves" input name="justification" maxlength="1000"; }
            }
            button.main type="submit" { "Start" }
        }
    }
}

/// An input to begin with: every member that the schema names, by its default, its example or its type.
fn sample(spec: &JobSpec) -> Value {
    let properties = spec.input.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let members = properties.into_iter().flatten().map(|(name, schema)| {
        let given =
            schema.get("default").or_else(|| schema.get("examples")?.get(0)).or_else(|| schema.get("enum")?.get(0));
        let value = given.cloned().unwrap_or_else(|| match schema.get("type").and_then(Value::as_str) {
            Some("string") => json!(""),
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => Value::Null,
        });
        (name.clone(), value)
    });
    Value::Object(members.collect())
}

fn facts(spec: &JobSpec) -> Markup {
    let retry = spec.retry.attempts.unwrap_or(trackside_connect::job::ATTEMPTS);
    let timeout = spec.timeout.map_or_else(|| "1h".to_owned(), |span| span.to_string());
    html! {
        dl.facts {
            dt { "Calls" } dd { (target(&spec.target)) }
            dt { "Through" } dd { a href="/connections" { (spec.target.connection()) } }
            dt { "Owner" } dd { @match &spec.owner { Some(owner) => { (owner) } None => { (dash()) } } }
            dt { "At most" } dd { (timeout) ", " (retry) " tries" @if let Some(most) = spec.concurrency { ", " (most) " at a time" } }
            dt { "Who may" } dd {
                @if spec.needs.is_empty() { "the role " code { "service" } }
                @else { @for (index, name) in spec.needs.iter().enumerate() { @if index > 0 { ", " } code { (name) } } }
            }
            @if spec.approval.is_some() { dt { "Approval" } dd { "needed for each run" } }
        }
    }
}

fn target(target: &JobTarget) -> Markup {
    match target {
        JobTarget::Http { method, path, idempotency, .. } => html! {
            code { (method.as_deref().unwrap_or("POST")) " " (path) }
            br;
            span.small.soft {
                @match idempotency {
                    Idempotency::Key => { "honours keys: a lost answer is asked for again" }
                    Idempotency::None => { "honours no keys: a lost answer is never repeated by itself" }
                }
            }
        },
        JobTarget::AppService { action, .. } => html! {
            @match action {
                AppServiceAction::Restart { slot, .. } => { "restart of slot " (slot.as_deref().unwrap_or("production")) }
                AppServiceAction::SwapSlots { source, target } => { "swap of slot " (source) " with " (target.as_deref().unwrap_or("production")) }
                AppServiceAction::ZipDeploy { slot } => { "zip deployment to slot " (slot.as_deref().unwrap_or("production")) }
            }
        },
    }
}

fn schema_card(title: &str, schema: &Value) -> Markup {
    card(title, &nothing(), &html! { details { summary { "JSON Schema" } pre.wrap { (pretty(schema)) } } })
}

/// JSON for people.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
