//! One incident: its story with what comes next, why this team, and what can be done about it.
//!
//! - [`acts`]: what people do about it; [`bonds`]: what it goes with, and why nobody is told

pub(crate) mod acts;
pub(crate) mod bonds;

use crate::api::Segments;
use crate::api::incidents::story::{self, Stands, Story};
use crate::page::automation::concerned;
use crate::page::explain;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::people::team::target;
use crate::page::run::{history, recent};
use crate::page::ui::{
    Tone, address, column, copyable, incident_state, outside, pill, sentence, severity_tone, table, wide, wide_number,
};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor, timeline, zone};
use crate::state::AppState;
use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use trackside_core::duty::zone::Zone;
use trackside_core::incident::{Alert, Incident, IncidentState};
use trackside_core::ruleset::Ruleset;
use trackside_identity::role::Role;
use trackside_store::incidents::{IncidentDetail, IncidentFilter, IncidentStates};
use trackside_store::runs::RunRow;

/// Open incidents that it can be merged into, at most.
const OTHERS: usize = 50;

/// Everything that the page shows.
struct View<'a> {
    story: &'a Story,
    ruleset: &'a Ruleset,
    timeline: Markup,
    runs: Vec<RunRow>,
    automations: Markup,
    /// Other open incidents.
    others: Vec<Incident>,
    zone: Zone,
    now: Timestamp,
    may_act: bool,
}

/// `GET /incidents/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Markup, Failed> {
    let story = story::read(&state, &id).await?;
    let ruleset = state.configured().ruleset.clone();
    let (detail, now) = (&story.detail, state.now());
    let pipeline = &detail.incident.pipeline;
    let timers = state.store.timers(&timeline::timers(&story, &ruleset)).await?;
    let open = IncidentFilter { states: Some(IncidentStates::Open), limit: OTHERS, ..IncidentFilter::default() };
    let mut others = state.store.incidents(&open).await?.items;
    others.retain(|other| other.id != detail.incident.id);
    let view = View {
        timeline: timeline::render(&story, &timers, &ruleset, now),
        runs: recent(&state, &pipeline.source, &pipeline.name).await?,
        automations: concerned::opened_by(&concerned::of_incident(&state, detail).await?),
        zone: zone::asked(None, &visitor, &ruleset)?,
        may_act: visitor.may(Role::Responder),
        story: &story,
        ruleset: &ruleset,
        others,
        now,
    };
    visitor.page(&state, &detail.incident.title, Some(Section::Incidents), &render(&view)).await
}

fn render(view: &View<'_>) -> Markup {
    let detail = &view.story.detail;
    let incident = &detail.incident;
    let above = html! {
        a href="/incidents" { "Incident " (incident.number) } " · opened " (time(incident.opened, As::Both)) " · owner " (incident.owner)
    };
    html! {
        div id="incident" data-live {
            (head(&incident.title, &above, &doing(view)))
            (bonds::held_back(view.story))
            div.two {
                div.stack {
                    (card("Timeline", &lamp(), &view.timeline))
                    @if !detail.alerts.is_empty() { (card("Alerts that fire", &nothing(), &alerts(&detail.alerts))) }
                    (bonds::affected(incident))
                    (bonds::members(view.story))
                }
                div.stack {
                    (card("Why you", &nothing(), &why_you(view)))
                    (history(&view.runs))
                    (bonds::related(view.story))
                    @if !detail.explanations.is_empty() { (card("Every reason", &nothing(), &reasons(detail))) }
                    (card("Afterwards", &nothing(), &bonds::export(incident, &view.zone)))
                }
            }
        }
        @if view.may_act { (card("Add a note", &nothing(), &acts::note_form(incident.number))) }
    }
}

/// Where it stands and what can be done.
fn doing(view: &View<'_>) -> Markup {
    let incident = &view.story.detail.incident;
    let tone = match incident.state {
        IncidentState::Resolved => Tone::Good,
        _ if !incident.suppressed_by.is_empty() => Tone::Idle,
        _ => severity_tone(incident.severity),
    };
    let held = if incident.is_open() && !incident.suppressed_by.is_empty() { " · nobody is told" } else { "" };
    let words = format!("{} · {}{held}", incident.severity.as_str(), incident.state.as_str());
    html! {
        (pill(tone, &words))
        @if view.may_act && incident.is_open() {
            (acts::forms(&acts::Possible {
                incident,
                alerts: &view.story.detail.alerts,
                ruleset: view.ruleset,
                others: &view.others,
                zone: &view.zone,
                now: view.now,
                can_escalate: view.story.outlook.as_ref().is_some_and(|outlook| outlook.stands == Stands::Running),
            }))
        }
    }
}

fn why_you(view: &View<'_>) -> Markup {
    let detail = &view.story.detail;
    let incident = &detail.incident;
    let pipeline = &incident.pipeline;
    let runs = address("/runs", &[("source", &pipeline.source), ("pipeline", &pipeline.name)], None);
    let runbook =
        detail.deliveries.iter().rev().find_map(|row| row.effect.notice.pipeline.as_ref()?.runbook.as_deref());
    html! {
        dl.facts {
            dt { "Owner" } dd { (incident.owner) span.soft { " (" (sentence(&incident.owner_because)) ")" } }
            dt { "State" } dd {
                (incident_state(incident.state))
                @if let Some(until) = incident.snoozed_until { span.soft { " until " (time(until, As::Both)) } }
                @if incident.reopened > 0 { div.small.soft { "opened again " @if let Some(at) = incident.reopened_at { (time(at, As::Both)) } @if incident.reopened > 1 { ", " (incident.reopened) " times in all" } } }
            }
            @if let Some(outlook) = &view.story.outlook { dt { "Escalation" } dd { a href={ "/people#team-" (incident.owner) } { (outlook.policy) } span.soft { ", " (stands(outlook.stands)) } } }
            @if let Some(to) = &incident.assigned { dt { "Given to" } dd { (target(view.ruleset, to)) } }
            dt { "Pipeline" } dd { a href=(runs) { (pipeline.name) } span.soft { " in " (pipeline.source) } }
            @if let Some(runbook) = runbook { dt { "Runbook" } dd { (outside(runbook, runbook)) } }
            dt { "Told" } dd { @if incident.told.is_empty() { span.warn { "nobody yet" } } @else { (told(incident)) } }
            @if let Some(who) = &incident.acknowledged_by {
                dt { "Taken by" } dd { (who) @if let Some(at) = incident.acknowledged { span.soft { ", " (time(at, As::Time)) } } }
            }
            @if let Some(at) = incident.resolved { dt { "Resolved" } dd { (time(at, As::Both)) } }
            @if !view.automations.0.is_empty() { dt { "Automation" } dd { (view.automations) } }
            dt { "Failures" } dd { (incident.occurrences) }
            dt { "Dedup key" } dd { (copyable(&incident.id.to_string())) }
            dt { "Opened by" } dd { "log entry " (incident.opened_by) }
        }
    }
}

/// Who was told, each once.
fn told(incident: &Incident) -> String {
    incident.told.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn stands(stands: Stands) -> &'static str {
    match stands {
        Stands::Running => "running",
        Stands::Acknowledged => "stopped: somebody has it",
        Stands::Snoozed => "put off",
        Stands::Suspended => "held back",
        Stands::Finished => "no step is left",
        Stands::Over => "over",
    }
}

fn alerts(alerts: &[Alert]) -> Markup {
    table(
        &[column("Alert"), wide("Rule"), column("Since"), wide_number("Streak")],
        &html! {
            @for alert in alerts {
                tr {
                    td.title { (sentence(&alert.summary)) @if !alert.key.subject.is_empty() { div.small.soft { (alert.key.subject) } } }
                    td.wide { (alert.key.rule) }
                    td.nowrap { (time(alert.since, As::Time)) }
                    td.num.wide { (alert.streak) }
                }
            }
        },
    )
}

fn reasons(detail: &IncidentDetail) -> Markup {
    html! {
        @for why in &detail.explanations {
            details {
                summary { (sentence(&why.meaning)) }
                @if let Some(event) = why.event { p { a href={ "/events/" (event) } { "The event" } } }
                (explain::one(why))
            }
        }
    }
}
