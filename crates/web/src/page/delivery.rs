//! One delivery: what it tells, each attempt with request and answer, and the button that sends it again.

use crate::api::Segments;
use crate::api::deliveries::{find, put_back};
use crate::api::model::there;
use crate::page::deliveries::{action, delivery_state};
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{copyable, empty};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use trackside_identity::role::Role;
use trackside_store::outbox::{AttemptVerdict, Delivery, DeliveryAttempt, DeliveryDetail, DeliveryState};

/// `GET /deliveries/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Markup, Failed> {
    let detail = find(&state, &id).await?;
    let content = render(&detail, visitor.may(Role::Operator), state.now());
    visitor.page(&state, &detail.delivery.effect.notice.title, Some(Section::Deliveries), &content).await
}

/// `POST /deliveries/{id}/retry`
pub(crate) async fn retry(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    put_back(&state, &visitor.who.caller, &id).await?;
    Ok(Redirect::to(&format!("/deliveries/{id}")))
}

fn render(detail: &DeliveryDetail, may_retry: bool, now: Timestamp) -> Markup {
    let row = &detail.delivery;
    let title = format!("{}: {}", action(row.effect.action), row.effect.notice.title);
    let above = html! { a href="/deliveries" { "Deliveries" } " · through " (row.effect.connection) " · decided " (time(row.effect.at, As::Both)) };
    html! {
        div id="delivery" data-live {
            (head(&title, &above, &html! {
                (lamp())
                @if row.state == DeliveryState::Dead && may_retry {
                    form method="post" action={ "/deliveries/" (row.effect.id) "/retry" } { button.main type="submit" { "Send again" } }
                }
            }))
            (standing(row, now))
            div.two {
                (card("Attempts", &nothing(), &html! {
                    @if detail.attempts.is_empty() { (empty("Not tried yet.", &html! { "It goes out as soon as its turn comes." })) }
                    @else { ol.timeline { @for attempt in &detail.attempts { (one(attempt)) } } }
                }))
                (card("Facts", &nothing(), &facts(row)))
            }
        }
    }
}

/// One sentence on where the delivery stands and what happens next.
fn standing(row: &Delivery, now: Timestamp) -> Markup {
    let error = row.last_error.as_deref().unwrap_or("no reason was recorded");
    html! {
        @match row.state {
            DeliveryState::Dead => { p.note.bad { "Given up: " (error) ". The message was not delivered. Fix the cause, then send it again." } }
            DeliveryState::Pending => {
                @match row.due {
                    None => { p.note { "Waits for an earlier message of the same incident, so that they arrive in order." } }
                    Some(due) if due > now => { p.note.warn { "The latest attempt failed: " (error) ". Next attempt " (time(due, As::Both)) "." } }
                    Some(_) => {}
                }
            }
            DeliveryState::Superseded => { p.note { "Not sent: " (error) "." } }
            DeliveryState::Sending | DeliveryState::Delivered => {}
        }
    }
}

fn one(attempt: &DeliveryAttempt) -> Markup {
    let (class, word) = match attempt.verdict {
        AttemptVerdict::Done => ("good", "delivered"),
        AttemptVerdict::Retry => ("warn", "failed, to be tried again"),
        AttemptVerdict::Refused => ("bad", "refused"),
        AttemptVerdict::Unknown => ("warn", "outcome unknown"),
    };
    html! {
        li class=(class) {
            span.when { (time(attempt.at, As::Time)) } " " b { "Attempt " (attempt.n) ": " (word) }
            div.more {
                @if let Some(status) = attempt.status { "answer " (status) " · " }
                "took " (attempt.took_ms) " ms"
                @if let Some(error) = &attempt.error { " · " (error) }
            }
            (exchange(attempt))
        }
    }
}

/// Request and answer of an attempt.
pub(crate) fn exchange(attempt: &DeliveryAttempt) -> Markup {
    html! {
        @if let Some(request) = &attempt.request { details { summary { "Request" } pre.wrap { (request) } } }
        @if let Some(answer) = &attempt.answer { details { summary { "Answer" } pre.wrap { (answer) } } }
    }
}

fn facts(row: &Delivery) -> Markup {
    let notice = &row.effect.notice;
    html! {
        dl.facts {
            dt { "State" } dd { (delivery_state(row.state)) @if row.in_doubt { span.soft { " (may have arrived)" } } }
            dt { "Tells" } dd { (notice.summary) }
            dt { "Owner" } dd { (notice.owner.team) span.soft { " (" (notice.owner.because) ")" } }
            @if let Some(incident) = &notice.incident { dt { "Incident" } dd { a href={ "/incidents/" (incident.id) } { "#" (incident.number) } } }
            dt { "Attempts" } dd { (row.attempts) }
            @if let Some(done) = row.done { dt { "Ended" } dd { (time(done, As::Both)) } }
            dt { "Cause" } dd { "log entry " (row.effect.cause) }
            dt { "Key" } dd { (copyable(&row.effect.key)) }
            dt { "Id" } dd { (copyable(&row.effect.id.to_string())) }
            @if let Some(name) = there(row) { dt { "There" } dd { (copyable(&name)) } }
        }
    }
}
