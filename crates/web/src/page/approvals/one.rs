//! One approval: what is asked and why, who has spoken and who is missing, until when; the forms that decide.

use super::state_of;
use crate::api::Segments;
use crate::api::approvals::{find, forbidden, say, take_back, voice};
use crate::page::job::pretty;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{Tone, column, empty, segment, state as tone_word, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use trackside_core::approval::count::Seats;
use trackside_core::approval::request::{Approval, Says, Subject};

/// A word as a form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WordForm {
    remark: String,
}

/// What the visitor may do.
struct May {
    approve: Result<(), String>,
    deny: bool,
    withdraw: bool,
}

/// `GET /approvals/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Markup, Failed> {
    let approval = find(&state, &visitor.who, &id).await?;
    let may = may(&state, &visitor, &approval);
    let title = format!("Approval #{}", approval.number);
    let input = match &approval.subject {
        Subject::JobRun { run, .. } => state.store.job_run(*run).await?.map(|run| run.input),
        Subject::Route { .. } => None,
    };
    visitor.page(&state, &title, Some(Section::Approvals), &render(&approval, input.as_ref(), &may)).await
}

/// `POST /approvals/{id}/approve`
pub(crate) async fn approve(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(form): Form<WordForm>,
) -> Result<Redirect, Failed> {
    say(&state, &visitor.who, &id, Says::Approve, Some(form.remark)).await?;
    Ok(Redirect::to(&format!("/approvals/{}", segment(&id))))
}

/// `POST /approvals/{id}/deny`
pub(crate) async fn deny(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(form): Form<WordForm>,
) -> Result<Redirect, Failed> {
    say(&state, &visitor.who, &id, Says::Deny, Some(form.remark)).await?;
    Ok(Redirect::to(&format!("/approvals/{}", segment(&id))))
}

/// `POST /approvals/{id}/withdraw`
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    take_back(&state, &visitor.who, &id).await?;
    Ok(Redirect::to(&format!("/approvals/{}", segment(&id))))
}

fn may(state: &AppState, visitor: &Visitor, approval: &Approval) -> May {
    let voice = voice(state, &visitor.who, approval);
    let hears = |says| approval.hears(says, &voice.known_as, &voice.speaks_for);
    let barred = forbidden(state, &visitor.who, approval);
    May {
        deny: barred.is_none() && hears(Says::Deny).is_ok(),
        approve: barred.map_or_else(|| hears(Says::Approve), Err),
        withdraw: approval.is_asked_by(&voice.known_as),
    }
}

fn render(approval: &Approval, input: Option<&Value>, may: &May) -> Markup {
    let above = html! { a href="/approvals" { "Approvals" } " · asked " (time(approval.created, As::Both)) };
    let title = format!("#{} {}", approval.number, approval.subject.title());
    html! {
        div id="approval" data-live { (head(&title, &above, &html! { (lamp()) (state_of(approval.state)) })) }
        div.two {
            div.stack {
                @if let Some(input) = input { (card("Input of the run", &nothing(), &html! { pre.wrap { (pretty(input)) } })) }
                @if approval.is_open() { (card("Decide", &nothing(), &decide(approval, may))) }
                div id="voices" data-live { (card("What was said", &nothing(), &voices(approval))) }
            }
            div.stack id="facts" data-live {
                (card("Question", &nothing(), &facts(approval)))
                (card("Who must agree", &nothing(), &needed(approval)))
            }
        }
    }
}

/// Approve and deny without a remark, for a row of the inbox.
pub(super) fn quick(approval: &Approval) -> Markup {
    let name = format!("#{} {}", approval.number, approval.subject.title());
    html! {
        div.acts.end {
            form method="post" action={ "/approvals/" (approval.id) "/approve" } { button.main type="submit" aria-label={ "Approve " (name) } { "Approve" } }
            form method="post" action={ "/approvals/" (approval.id) "/deny" } { button type="submit" aria-label={ "Deny " (name) } { "Deny" } }
        }
    }
}

fn decide(approval: &Approval, may: &May) -> Markup {
    let path = format!("/approvals/{}", approval.id);
    html! {
        p { "It is over " (time(approval.expires, As::Ago)) " when nobody decides." }
        br;
        @if may.approve.is_ok() || may.deny {
            form.plain method="post" action={ (path) "/approve" } {
                label { "Remark (others see it)" input name="remark" maxlength="2000"; }
                div.acts {
                    @if may.approve.is_ok() { button.main type="submit" { "Approve" } }
                    @if may.deny { button type="submit" formaction={ (path) "/deny" } { "Deny" } }
                }
            }
        }
        @if let Err(why) = &may.approve { p.small.soft { "You cannot approve: " (why) "." } }
        @if may.withdraw { form.plain method="post" action={ (path) "/withdraw" } { div.acts { button type="submit" { "Take it back" } } } }
    }
}

fn voices(approval: &Approval) -> Markup {
    if approval.voices.is_empty() {
        return empty("Nobody has spoken yet.", &nothing());
    }
    table(
        &[column("Who"), column("Says"), wide("How"), column("When")],
        &html! {
            @for voice in &approval.voices {
                tr {
                    td { (voice.caller.subject) @if let Some(remark) = &voice.remark { div.small.soft { (remark) } } }
                    td { @match voice.says { Says::Approve => (tone_word(Tone::Good, "Yes")), Says::Deny => (tone_word(Tone::Bad, "No")) } }
                    td.wide { (voice.caller.via) }
                    td.nowrap { (time(voice.at, As::Time)) }
                }
            }
        },
    )
}

fn facts(approval: &Approval) -> Markup {
    html! {
        dl.facts {
            dt { "Asked by" }
            dd {
                (approval.requester.subject)
                @if !approval.requester.behalf.is_empty() { " for " (approval.requester.behalf.join(", for ")) }
            }
            dt { "Why" } dd { @match &approval.justification { Some(why) => (why), None => { span.soft { "no reason given" } } } }
            dt { "About" }
            dd { @match &approval.subject {
                Subject::JobRun { run, job } => { a href={ "/jobs/" (segment(job)) "/runs/" (run) } { "a run of " (job) } }
                Subject::Route { route } => { "route " (route) ", for " (format!("{:#}", approval.rule.holds())) }
            } }
            @if let Some(team) = &approval.team { dt { "Owner" } dd { (team) } }
            @if approval.is_open() { dt { "Waits until" } dd { (time(approval.expires, As::Both)) } }
            @if let Some(at) = approval.decided { dt { "Decided" } dd { (time(at, As::Both)) } }
            @if let Some(note) = &approval.note { dt { "How" } dd { (note) } }
            dt { "Audit" } dd { a href={ "/audit?action=approval" } { "of approvals" } }
        }
    }
}

fn needed(approval: &Approval) -> Markup {
    let tallies = approval.tallies();
    html! {
        @for (index, tally) in tallies.iter().enumerate() {
            @if index > 0 { p.small.soft { "or" } }
            ul.plain-list { @for seats in &tally.groups { li { (seat(seats)) } } }
        }
    }
}

fn seat(seats: &Seats<'_>) -> Markup {
    html! {
        @if seats.missing() == 0 { (tone_word(Tone::Good, "agreed")) } @else { (tone_word(Tone::Warn, "missing")) }
        " " (seats.taken.len()) " of " (seats.voice.needed()) " from " (seats.voice.title())
        @if !seats.taken.is_empty() { span.soft { ": " (seats.taken.join(", ")) } }
    }
}
