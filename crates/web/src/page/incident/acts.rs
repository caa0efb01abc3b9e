//! What people do about an incident: have it, give it back, put it off, page the next one, give it to somebody, merge
//! it, note, end it.
//!
//! Each is a form that posts to its own address and leads back; it goes the way of the API
//! ([`crate::api::incidents::action`]).

use crate::api::Segments;
use crate::api::incidents::action::{SnoozeIn, act, add_note, give, join, put_off};
use crate::page::oncall::title;
use crate::page::ui::segment;
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::duty::zone::Zone;
use trackside_core::incident::{Alert, Incident, IncidentState};
use trackside_core::input::Command;
use trackside_core::ruleset::people::Target;
use trackside_core::ruleset::{Ruleset, Span};

/// Labels by which a report is known to those who wrote it.
const REPORTED: [&str; 4] = ["alertname", "instance", "job", "service"];

/// A note as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct NoteForm {
    text: String,
}

/// How long an incident is put off: a length such as `1h`, or a time.
#[derive(Debug, Deserialize)]
pub(crate) struct SnoozeForm {
    #[serde(rename = "for")]
    length: Option<String>,
    until: Option<Timestamp>,
}

/// Whom an incident is given to.
#[derive(Debug, Deserialize)]
pub(crate) struct ReassignForm {
    to: String,
}

/// Where an incident goes on.
#[derive(Debug, Deserialize)]
pub(crate) struct MergeForm {
    into: String,
}

/// `POST /incidents/{id}/acknowledge`
pub(crate) async fn acknowledge(state: State<AppState>, visitor: Visitor, id: Segments<String>) -> Done {
    simple(state, visitor, id, |incident| Command::Acknowledge { incident }).await
}

/// `POST /incidents/{id}/unacknowledge`
pub(crate) async fn unacknowledge(state: State<AppState>, visitor: Visitor, id: Segments<String>) -> Done {
    simple(state, visitor, id, |incident| Command::Unacknowledge { incident }).await
}

/// `POST /incidents/{id}/escalate`
pub(crate) async fn escalate(state: State<AppState>, visitor: Visitor, id: Segments<String>) -> Done {
    simple(state, visitor, id, |incident| Command::Escalate { incident }).await
}

/// `POST /incidents/{id}/resolve`
pub(crate) async fn resolve(state: State<AppState>, visitor: Visitor, id: Segments<String>) -> Done {
    simple(state, visitor, id, |incident| Command::Resolve { incident }).await
}

/// `POST /incidents/{id}/snooze`
pub(crate) async fn snooze(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(form): Form<SnoozeForm>,
) -> Done {
    let length = form.length.map(|text| text.parse::<Span>()).transpose();
    let length = length.map_err(|problem| Problem::bad("for", problem))?;
    put_off(&state, &visitor.who, &id, &SnoozeIn { length, until: form.until }).await?;
    Ok(back(&id))
}

/// `POST /incidents/{id}/reassign`
pub(crate) async fn reassign(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(form): Form<ReassignForm>,
) -> Done {
    let to = form.to.parse::<Target>().map_err(|problem| Problem::bad("to", problem))?;
    give(&state, &visitor.who, &id, to).await?;
    Ok(back(&id))
}

/// `POST /incidents/{id}/merge`
pub(crate) async fn merge(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(form): Form<MergeForm>,
) -> Done {
    join(&state, &visitor.who, &id, &form.into).await?;
    Ok(back(&form.into))
}

/// `POST /incidents/{id}/note`
pub(crate) async fn note(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(note): Form<NoteForm>,
) -> Done {
    add_note(&state, &visitor.who, &id, &note.text).await?;
    Ok(back(&id))
}

type Done = Result<Redirect, Failed>;

async fn simple(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    command: impl FnOnce(trackside_core::ids::IncidentId) -> Command,
) -> Done {
    act(&state, &visitor.who, &id, command).await?;
    Ok(back(&id))
}

fn back(id: &str) -> Redirect {
    Redirect::to(&format!("/incidents/{}", segment(id.trim())))
}

/// What decides which forms are shown.
pub(super) struct Possible<'a> {
    pub(super) incident: &'a Incident,
    /// What fires in it.
    pub(super) alerts: &'a [Alert],
    pub(super) ruleset: &'a Ruleset,
    /// Other open incidents.
    pub(super) others: &'a [Incident],
    pub(super) zone: &'a Zone,
    pub(super) now: Timestamp,
    /// Whether a step of the escalation can be brought to now.
    pub(super) can_escalate: bool,
}

/// The forms of an incident that is open.
pub(super) fn forms(possible: &Possible<'_>) -> Markup {
    let incident = possible.incident;
    let to = format!("/incidents/{}", incident.number);
    html! {
        @if incident.state == IncidentState::Triggered {
            form method="post" action={ (to) "/acknowledge" } { button.main type="submit" { "Acknowledge" } }
        } @else {
            form method="post" action={ (to) "/unacknowledge" } { button type="submit" { @if incident.state == IncidentState::Snoozed { "Wake up" } @else { "Give back" } } }
        }
        (snoozing(possible, &to))
        @if possible.can_escalate {
            form method="post" action={ (to) "/escalate" } { button type="submit" { "Escalate now" } }
        }
        (elsewhere(possible, &to))
        form method="post" action={ (to) "/resolve" } { button type="submit" { "Resolve" } }
    }
}

fn snoozing(possible: &Possible<'_>, to: &str) -> Markup {
    let tomorrow = tomorrow_morning(possible.now, possible.zone);
    html! {
        details.menu {
            summary.button { "Snooze" }
            form method="post" action={ (to) "/snooze" } {
                button type="submit" name="for" value="1h" { "for 1 hour" }
                button type="submit" name="for" value="4h" { "for 4 hours" }
                button type="submit" name="until" value=(tomorrow) { "until tomorrow 09:00" }
                p.small.soft { (possible.zone.name()) ". Then its escalation starts again." }
            }
        }
    }
}

fn tomorrow_morning(now: Timestamp, zone: &Zone) -> Timestamp {
    let tomorrow = zone.local(now).date().saturating_add(1.day());
    zone.instant(tomorrow.at(9, 0, 0, 0))
}

/// Giving it to somebody else, merging it, silencing what it is about.
fn elsewhere(possible: &Possible<'_>, to: &str) -> Markup {
    html! {
        details.menu {
            summary.button { "More" }
            div {
                form.plain.field method="post" action={ (to) "/reassign" } {
                    label { "Give it to" (targets(possible.ruleset)) }
                    button type="submit" { "Give" }
                }
                @if !possible.others.is_empty() {
                    form.plain.field method="post" action={ (to) "/merge" } {
                        label { "It is the same as" select name="into" required {
                            @for other in possible.others { option value=(other.number) { "#" (other.number) " " (other.title) } }
                        } }
                        button type="submit" { "Merge into it" }
                    }
                }
                a.button href=(silence_this(possible.incident, possible.alerts)) { "Silence this" }
            }
        }
    }
}

fn targets(ruleset: &Ruleset) -> Markup {
    html! {
        select name="to" required {
            @if !ruleset.schedules.is_empty() { optgroup label="On call" { @for name in ruleset.schedules.keys() { option value={ "oncall:" (name) } { (name) } } } }
            @if !ruleset.people.is_empty() { optgroup label="People" { @for name in ruleset.people.keys() { option value={ "person:" (name) } { (title(ruleset, name)) } } } }
            optgroup label="Teams (becomes the owner)" { @for name in ruleset.teams.keys() { option value={ "team:" (name) } { (name) } } }
        }
    }
}

/// The address that fills the form of silences with what an incident is about: its pipeline, or what the reports in it
/// call themselves.
fn silence_this(incident: &Incident, alerts: &[Alert]) -> String {
    let matcher = |label: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{label}=\"{value}\"")
    };
    let named = alerts.first().filter(|_| alerts.len() == 1).map(|alert| &alert.labels);
    let named = named.into_iter().flatten().filter(|(label, _)| REPORTED.contains(&label.as_str()));
    let mut matchers: Vec<String> = named.map(|(label, value)| matcher(label, value)).collect();
    if matchers.is_empty() {
        let pipeline = &incident.pipeline;
        matchers = vec![matcher("source", &pipeline.source), matcher("pipeline", &pipeline.name)];
    }
    let query = [("matchers", matchers.join("\n")), ("preview", "1".to_owned())];
    let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
    format!("{}#silence", crate::page::ui::address("/silences", &query, None))
}

/// The form of notes.
pub(super) fn note_form(number: u64) -> Markup {
    html! {
        form.plain method="post" action={ "/incidents/" (number) "/note" } {
            label { "For the timeline, at most 4,000 bytes" textarea name="text" required maxlength="4000" {} }
            button type="submit" { "Add" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tomorrow_begins_where_somebody_lives() {
        let check = |now: &str, zone: &str, expect: &str| {
            let got = tomorrow_morning(now.parse().expect("a time"), &Zone::new(zone).expect("a zone"));
            assert_eq!(got.to_string(), expect);
        };
        check("2026-11-21T22:30:00Z", "UTC", "2026-11-22T09:00:00Z");
        check("2026-11-21T23:30:00Z", "Europe/Paris", "2026-11-23T08:00:00Z");
        check("2026-11-21T03:30:00Z", "America/New_York", "2026-11-21T14:00:00Z");
    }
}
