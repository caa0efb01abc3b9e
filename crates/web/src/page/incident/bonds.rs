//! What an incident goes with: what holds it back, what it makes fail, its storm, the same problem before, its export.
//!
//! Pure.

use crate::api::incidents::story::Story;
use crate::page::layout::{card, nothing};
use crate::page::ui::{address, column, incident_state, pill, sentence, severity_tone, table};
use crate::page::words::{As, duration, plural, time};
use maud::{Markup, html};
use trackside_core::duty::zone::Zone;
use trackside_core::incident::{Incident, Suppression};

/// Why nobody is told, and until when.
pub(super) fn held_back(story: &Story) -> Markup {
    let incident = &story.detail.incident;
    let merged = story.parent.as_ref().filter(|_| !incident.is_open());
    html! {
        @if incident.is_open() && !incident.suppressed_by.is_empty() {
            div.note.warn {
                b { "Nobody is told of this now." } " Its escalation waits. When nothing holds it back any more and it is still there, it is told and escalated from the start."
                ul.plain-list { @for suppression in &incident.suppressed_by { li { (why(suppression, story.parent.as_ref())) } } }
            }
        }
        @if let Some(parent) = merged { div.note { "It goes on as part of " (linked(parent)) "." } }
    }
}

fn why(suppression: &Suppression, parent: Option<&Incident>) -> Markup {
    html! {
        @match suppression {
            Suppression::Maintenance { window, until } => {
                "Maintenance window " a href="/silences#maintenance" { (window) } ", ends " (time(*until, As::Both))
            },
            Suppression::Silence { until, .. } => { a href="/silences" { "A silence" } ", ends " (time(*until, As::Both)) },
            Suppression::Inhibition { name, incident } => {
                a href={ "/incidents/" (incident) } { "Another incident" } " makes messages about this one needless (" (name) "), until that one is over"
            },
            Suppression::Storm { incident } => {
                "Told as part of a storm: "
                @match parent { Some(parent) => (linked(parent)), None => { a href={ "/incidents/" (incident) } { "its incident" } } }
            },
        }
    }
}

fn linked(incident: &Incident) -> Markup {
    html! { a href={ "/incidents/" (incident.number) } { "#" (incident.number) " " (incident.title) } }
}

/// Pipelines that fail because this one does.
pub(super) fn affected(incident: &Incident) -> Markup {
    if incident.affected.is_empty() {
        return nothing();
    }
    let rows = html! {
        @for affected in &incident.affected {
            tr {
                td.title {
                    a href=(address("/runs", &[("source", &affected.pipeline.source), ("pipeline", &affected.pipeline.name)], None)) { (affected.pipeline.name) }
                    div.small.soft { (affected.pipeline.source) }
                }
                td { (sentence(&affected.because)) }
                td.nowrap { (time(affected.since, As::Time)) }
            }
        }
    };
    let aside = html! { span.small.soft { (plural(incident.affected.len() as u64, "pipeline", "pipelines")) } };
    card("Affected", &aside, &table(&[column("Pipeline"), column("How it depends"), column("Since")], &rows))
}

/// Incidents that are part of it.
pub(super) fn members(story: &Story) -> Markup {
    if story.members.is_empty() {
        return nothing();
    }
    let aside = html! { span.small.soft { (plural(story.members.len() as u64, "incident", "incidents")) } };
    card("Part of it", &aside, &listing(&story.members))
}

/// The same pipeline before.
pub(super) fn related(story: &Story) -> Markup {
    if story.related.is_empty() {
        return card("Before", &nothing(), &html! { p.soft { "This is the first incident of this pipeline." } });
    }
    let pipeline = &story.detail.incident.pipeline;
    let all = address("/incidents", &[("pipeline", &pipeline.name)], None);
    card("Before", &html! { a.small href=(all) { "all of this pipeline" } }, &listing(&story.related))
}

fn listing(incidents: &[Incident]) -> Markup {
    html! {
        ul.plain-list.spaced {
            @for incident in incidents {
                li {
                    (linked(incident)) " " (pill(severity_tone(incident.severity), incident.severity.as_str()))
                    div.small { (incident_state(incident.state)) span.soft { " · opened " (time(incident.opened, As::Both)) (ended(incident)) } }
                }
            }
        }
    }
}

/// How long it took, and who had it.
fn ended(incident: &Incident) -> String {
    let took = incident.resolved.map(|at| at.duration_since(incident.since()).as_secs_f64());
    let took = took.map(|seconds| format!(" · over after {}", duration(seconds.max(0.0)))).unwrap_or_default();
    let by = incident.acknowledged_by.as_ref().map(|who| format!(" · {who} had it")).unwrap_or_default();
    format!("{took}{by}")
}

/// The story as a document.
pub(super) fn export(incident: &Incident, zone: &Zone) -> Markup {
    let path = format!("/api/v1/incidents/{}/timeline", incident.number);
    html! {
        p { "The whole story as a document: " a href=(address(&path, &[("format", "markdown"), ("zone", zone.name())], None)) { "Markdown" } " · " a href=(address(&path, &[("format", "json")], None)) { "JSON" } }
    }
}
