//! One incident: its story with what comes next, why this team, and what can be done about it.

use crate::api::Segments;
use crate::api::incidents::{act, add_note, find};
use crate::page::automation::concerned;
use crate::page::explain;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::run::{history, recent};
use crate::page::ui::{
    column, copyable, incident_state, number, outside, pill, segment, sentence, severity_tone, table,
};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor, timeline};
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::incident::{Alert, IncidentState};
use trackside_core::input::Command;
use trackside_identity::role::Role;
use trackside_store::incidents::IncidentDetail;
use trackside_store::runs::RunRow;

/// A note as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct NoteForm {
    text: String,
}

/// `GET /incidents/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Markup, Failed> {
    let detail = find(&state, &id).await?;
    let pipeline = &detail.incident.pipeline;
    let runs = recent(&state, &pipeline.source, &pipeline.name).await?;
    let timers = state.store.timers(&timeline::timers(&detail)).await?;
    let story = timeline::render(&detail, &timers, state.now());
    let automations = concerned::opened_by(&concerned::of_incident(&state, &detail).await?);
    let content = render(&detail, &story, &runs, &automations, visitor.may(Role::Responder));
    visitor.page(&state, &detail.incident.title, Some(Section::Incidents), &content).await
}

/// `POST /incidents/{id}/acknowledge`
pub(crate) async fn acknowledge(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    act(&state, &visitor.who.caller, &id, |incident| Command::Acknowledge { incident }).await?;
    Ok(back(&id))
}

/// `POST /incidents/{id}/resolve`
pub(crate) async fn resolve(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    act(&state, &visitor.who.caller, &id, |incident| Command::Resolve { incident }).await?;
    Ok(back(&id))
}

/// `POST /incidents/{id}/note`
pub(crate) async fn note(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(note): Form<NoteForm>,
) -> Result<Redirect, Failed> {
    add_note(&state, &visitor.who.caller, &id, &note.text).await?;
    Ok(back(&id))
}

fn back(id: &str) -> Redirect {
    Redirect::to(&format!("/incidents/{}", segment(id)))
}

fn render(detail: &IncidentDetail, story: &Markup, runs: &[RunRow], automations: &Markup, may_act: bool) -> Markup {
    let incident = &detail.incident;
    let above = html! {
        a href="/incidents" { "Incident " (incident.number) } " · opened " (time(incident.opened, As::Both)) " · owner " (incident.owner)
    };
    html! {
        div id="incident" data-live {
            (head(&incident.title, &above, &acts(detail, may_act)))
            div.two {
                div.stack {
                    (card("Timeline", &lamp(), story))
                    @if !detail.alerts.is_empty() { (card("Alerts that fire", &nothing(), &alerts(&detail.alerts))) }
                }
                div.stack {
                    (card("Why you", &nothing(), &why_you(detail, automations)))
                    (history(runs))
                    @if !detail.explanations.is_empty() { (card("Every reason", &nothing(), &reasons(detail))) }
                }
            }
        }
        @if may_act { (card("Add a note", &nothing(), &note_form(incident.number))) }
    }
}

fn acts(detail: &IncidentDetail, may_act: bool) -> Markup {
    let incident = &detail.incident;
    let tone = if incident.state == IncidentState::Resolved {
        crate::page::ui::Tone::Good
    } else {
        severity_tone(incident.severity)
    };
    let words = format!("{} · {}", incident.severity.as_str(), incident.state.as_str());
    let address = format!("/incidents/{}", incident.number);
    html! {
        (pill(tone, &words))
        @if may_act && incident.state == IncidentState::Triggered {
            form method="post" action={ (address) "/acknowledge" } { button.main type="submit" { "Acknowledge" } }
        }
        @if may_act && incident.state != IncidentState::Resolved {
            form method="post" action={ (address) "/resolve" } { button type="submit" { "Resolve" } }
        }
    }
}

fn note_form(number: u64) -> Markup {
    html! {
        form.plain method="post" action={ "/incidents/" (number) "/note" } {
            label { "For the timeline, at most 4,000 bytes" textarea name="text" required maxlength="4000" {} }
            button type="submit" { "Add" }
        }
    }
}

fn why_you(detail: &IncidentDetail, automations: &Markup) -> Markup {
    let incident = &detail.incident;
    let pipeline = &incident.pipeline;
    let runs = format!("/runs?source={}&pipeline={}", segment(&pipeline.source), segment(&pipeline.name));
    let runbook =
        detail.deliveries.iter().rev().find_map(|row| row.effect.notice.pipeline.as_ref()?.runbook.as_deref());
    html! {
        dl.facts {
            dt { "Owner" } dd { (incident.owner) span.soft { " (" (sentence(&incident.owner_because)) ")" } }
            dt { "State" } dd { (incident_state(incident.state)) }
            dt { "Pipeline" } dd { a href=(runs) { (pipeline.name) } span.soft { " in " (pipeline.source) } }
            @if let Some(runbook) = runbook { dt { "Runbook" } dd { (outside(runbook, runbook)) } }
            dt { "Told" } dd { @if incident.told.is_empty() { span.warn { "nobody yet" } } @else { (incident.told.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) } }
            @if let Some(who) = &incident.acknowledged_by {
                dt { "Taken by" } dd { (who) @if let Some(at) = incident.acknowledged { span.soft { ", " (time(at, As::Time)) } } }
            }
            @if let Some(at) = incident.resolved { dt { "Resolved" } dd { (time(at, As::Both)) } }
            @if !automations.0.is_empty() { dt { "Automation" } dd { (automations) } }
            dt { "Failures" } dd { (incident.occurrences) }
            dt { "Dedup key" } dd { (copyable(&incident.id.to_string())) }
            dt { "Opened by" } dd { "log entry " (incident.opened_by) }
        }
    }
}

fn alerts(alerts: &[Alert]) -> Markup {
    table(
        &[column("Alert"), column("Rule"), column("Since"), number("Streak")],
        &html! {
            @for alert in alerts {
                tr {
                    td.title { (alert.summary) @if !alert.key.subject.is_empty() { div.small.soft { (alert.key.subject) } } }
                    td { (alert.key.rule) }
                    td.nowrap { (time(alert.since, As::Time)) }
                    td.num { (alert.streak) }
                }
            }
        },
    )
}

fn reasons(detail: &IncidentDetail) -> Markup {
    html! {
        @for why in &detail.explanations {
            details {
                summary {
                    (sentence(&why.meaning))
                    @if let Some(event) = why.event { " · " a href={ "/events/" (event) } { "event" } }
                }
                (explain::one(why))
            }
        }
    }
}
