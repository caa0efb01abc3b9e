//! The page of sessions: where one is signed in, and for administrators where everybody is; each can be ended.

use crate::api::sessions::{SessionFilter, SessionOut, all, end_of, end_one};
use crate::api::{Params, Segments, filled, id};
use crate::page::layout::{Section, card, head, nothing};
use crate::page::ui::{column, empty, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use http::HeaderMap;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_identity::role::Role;

/// Whose sessions end.
#[derive(Deserialize)]
pub(crate) struct Person {
    subject: String,
}

/// `GET /sessions`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    Params(filter): Params<SessionFilter>,
) -> Result<Markup, Failed> {
    let subject = filled(filter.subject);
    let found = all(&state, &visitor.who, &headers, subject.as_deref()).await?;
    let content = render(&found, visitor.may(Role::Admin), subject.as_deref(), &visitor.who.caller.subject);
    visitor.page(&state, "Sessions", Some(Section::Access), &content).await
}

/// `POST /sessions/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<Redirect, Failed> {
    end_one(&state, &visitor.who, id("a session", &name)?).await?;
    Ok(Redirect::to("/sessions"))
}

/// `POST /sessions/end`: every one of a person.
pub(crate) async fn end_all(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(person): Form<Person>,
) -> Result<Redirect, Failed> {
    end_of(&state, &visitor.who, &person.subject).await?;
    Ok(Redirect::to("/sessions"))
}

fn render(sessions: &[SessionOut], may_all: bool, subject: Option<&str>, me: &str) -> Markup {
    let title = if may_all { "Who is signed in" } else { "Where you are signed in" };
    html! {
        (head("Sessions", &html! { a href="/access" { "Access" } }, &nothing()))
        @if may_all { (filter(subject)) }
        (card(title, &html! { span.small.soft { "browsers; programs have tokens" } }, &html! {
            @if sessions.is_empty() {
                (empty("No session.", &html! { "Whoever signs in with a browser is listed here, and can be signed out." }))
            } @else { (rows(sessions, me)) }
        }))
        @if may_all { @if let Some(subject) = subject.filter(|_| !sessions.is_empty()) { (end_all_form(subject)) } }
    }
}

fn filter(subject: Option<&str>) -> Markup {
    html! {
        form.filters method="get" action="/sessions" {
            label { "Person" input type="search" name="subject" value=(subject.unwrap_or_default()); }
            button type="submit" { "Show" }
        }
    }
}

fn end_all_form(subject: &str) -> Markup {
    html! {
        form method="post" action="/sessions/end" {
            input type="hidden" name="subject" value=(subject);
            button type="submit" { "Sign " (subject) " out everywhere" }
        }
    }
}

fn rows(sessions: &[SessionOut], me: &str) -> Markup {
    let columns = [column("Person"), wide("Came by"), column("Signed in"), wide("Last seen"), wide("Ends"), column("")];
    table(
        &columns,
        &html! {
            @for session in sessions {
                tr {
                    td.title {
                        (session.subject)
                        @if session.current { " " span.small.good { "this browser" } }
                        @else if session.subject == me { " " span.small.soft { "you" } }
                    }
                    td.wide { (session.issuer.as_deref().unwrap_or("token or one-time link")) }
                    td { (time(session.started, As::Ago)) }
                    td.wide { (time(session.seen, As::Ago)) }
                    td.wide { (time(session.ends, As::Time)) }
                    td.num {
                        form method="post" action={ "/sessions/" (session.id) "/end" } {
                            button type="submit" aria-label={ "Sign out the session of " (session.subject) " that began " (session.started) } { "Sign out" }
                        }
                    }
                }
            }
        },
    )
}
