//! The connections page: what is configured, how it does, and a test that shows request and answer.

use crate::api::Segments;
use crate::api::connections::{ConnectionOut, all, send_test};
use crate::api::credentials::{CheckOut, fetch_anew, try_it};
use crate::api::secrets;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{Tone, column, empty, segment, state as tone_word, table, wide, wide_number};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use axum::response::Redirect;
use http::StatusCode;
use maud::{Markup, html};
use trackside_identity::role::Role;

mod credential;
mod secret;

/// `GET /connections`
pub(crate) async fn list(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failed> {
    let content = page(&state, &visitor, None).await?;
    visitor.page(&state, "Connections", Some(Section::Connections), &content).await
}

/// `POST /connections/{name}/test`: sends a test and shows the delivery, with request and answer.
pub(crate) async fn test(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<Redirect, Failed> {
    let detail = send_test(&state, &visitor.who, &name).await?;
    Ok(Redirect::to(&format!("/deliveries/{}", detail.delivery.effect.id)))
}

/// `POST /connections/{name}/credential`: fetches its tokens anew.
pub(crate) async fn refresh(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<Redirect, Failed> {
    match fetch_anew(&state, &visitor.who, &name).await {
        // That none came shows beside the connection.
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::BAD_GATEWAY => {}
        Err(problem) => return Err(problem.into()),
    }
    Ok(Redirect::to("/connections"))
}

/// `POST /connections/{name}/check`: tries a connection that is called, and shows what came of it.
pub(crate) async fn check(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<Markup, Failed> {
    let came = try_it(&state, &visitor.who, &name).await?;
    let content = page(&state, &visitor, Some((&name, &came))).await?;
    visitor.page(&state, "Connections", Some(Section::Connections), &content).await
}

async fn page(state: &AppState, visitor: &Visitor, tried: Option<(&str, &CheckOut)>) -> Result<Markup, Failed> {
    // How secrets stand is for those who can change the configuration.
    let secrets = if visitor.may(Role::Admin) { secrets::all(state) } else { Vec::new() };
    let connections = all(state).await?;
    Ok(html! {
        (render(&connections, visitor.may(Role::Operator), tried))
        div id="secrets" data-live { (secret::section(&secrets)) }
    })
}

fn render(connections: &[ConnectionOut], may_test: bool, tried: Option<(&str, &CheckOut)>) -> Markup {
    html! {
        (head("Connections", &nothing(), &lamp()))
        @if let Some((name, came)) = tried { (credential::came_of(name, came)) }
        div id="connections" data-live {
            (card("Outside systems", &html! { span.small.soft { "a test shows the request and the answer" } }, &html! {
                @if connections.is_empty() { (none()) } @else { (rows(connections, may_test)) }
            }))
        }
    }
}

fn none() -> Markup {
    empty(
        "No connection is configured.",
        &html! {
            "Add one to a file of the configuration folder, then reload:"
            pre { "connections:\n  pd-payments: {kind: pagerduty, routing_key: {env: PD_KEY}}\n  slack-data:  {kind: slack, webhook_url: {env: SLACK_URL}}\n" }
        },
    )
}

fn rows(connections: &[ConnectionOut], may_test: bool) -> Markup {
    let columns = [column("Name"), wide("Kind"), wide("Leads to"), column("State"), wide_number("Waiting"), column("")];
    table(
        &columns,
        &html! {
            @for connection in connections {
                tr data-key=(connection.name) {
                    td.title { a href={ "/deliveries?connection=" (segment(&connection.name)) } { (connection.name) } }
                    td.wide { (connection.kind) }
                    td.wide.soft {
                        (connection.address)
                        @if let Some(told_at) = &connection.told_at {
                            br; span.small { "takes answers at " code { (told_at) } }
                        }
                    }
                    td {
                        (standing(connection)) (credential::standing(&connection.credentials))
                        @if may_test { (credential::renewal(connection)) }
                    }
                    td.num.wide { (connection.waiting) }
                    td.num {
                        @if connection.calls && may_test { (credential::trial(connection)) }
                        @if connection.sends && may_test {
                            form method="post" action={ "/connections/" (segment(&connection.name)) "/test" } {
                                button type="submit" aria-label={ "Send a test through " (connection.name) } { "Test" }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn standing(connection: &ConnectionOut) -> Markup {
    html! {
        @if connection.dead > 0 {
            a href={ "/deliveries?state=dead&connection=" (segment(&connection.name)) } {
                (tone_word(Tone::Bad, &format!("{} given up", connection.dead)))
            }
        } @else if connection.calls {
            @if connection.credentials.is_empty() { (tone_word(Tone::Info, "Called without a credential")) }
        } @else if !connection.sends { (tone_word(Tone::Info, "Reads events")) }
        @else if connection.waiting > 0 { (tone_word(Tone::Warn, "Waiting")) }
        @else { (tone_word(Tone::Good, "Nothing waits")) }
        @if let Some(canary) = &connection.canary {
            br;
            span.small.soft {
                "test alert, " (time(canary.sent, As::Ago)) ": "
                @match canary.took_ms {
                    Some(took) => { "arrived after " (took) " ms" }
                    None => { "has not arrived" }
                }
            }
        }
    }
}
