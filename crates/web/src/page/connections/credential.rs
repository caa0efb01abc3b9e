//! The credential of a connection on its page: how it stands, when it ends, why the last fetch failed; fetching one anew
//! and trying the connection with it.

use crate::api::connections::ConnectionOut;
use crate::api::credentials::{CheckOut, CredentialOut};
use crate::page::layout::{card, nothing};
use crate::page::ui::{Tone, segment, sentence, state};
use crate::page::words::{As, time};
use maud::{Markup, html};

/// How the credentials of a connection stand.
pub(super) fn standing(credentials: &[CredentialOut]) -> Markup {
    html! {
        @for credential in credentials {
            div {
                @let (tone, word) = word(credential.state);
                (state(tone, word))
                " "
                span.small.soft {
                    (credential.kind.replace('_', " "))
                    @if credential.opens == "management" { ", for its management" }
                    @if let Some(expires) = credential.expires { ", ends " (time(expires, As::Time)) }
                    @if let Some(refreshed) = credential.refreshed { ", fetched " (time(refreshed, As::Ago)) }
                    @if credential.callers > 0 { ", for " (credential.callers) " callers" }
                }
                @if let Some(error) = credential.error.as_ref().filter(|_| credential.fails()) {
                    br;
                    span.small {
                        @if let Some(failed) = credential.failed { (time(failed, As::Ago)) ": " }
                        (sentence(error))
                    }
                }
                @if let Some(warning) = &credential.warning { br; span.small.soft { (sentence(warning)) } }
            }
        }
    }
}

/// Fetches its credential anew.
pub(super) fn renewal(connection: &ConnectionOut) -> Markup {
    html! {
        @if connection.credentials.iter().any(CredentialOut::is_fetched) {
            form.acts.end method="post" action={ "/connections/" (segment(&connection.name)) "/credential" } {
                button type="submit" aria-label={ "Fetch anew the credential of " (connection.name) } { "Fetch anew" }
            }
        }
    }
}

/// Tries a connection that is called.
pub(super) fn trial(connection: &ConnectionOut) -> Markup {
    html! {
        form method="post" action={ "/connections/" (segment(&connection.name)) "/check" } {
            button type="submit" aria-label={ "Test " (connection.name) } { "Test" }
        }
    }
}

/// What came of trying a connection.
pub(super) fn came_of(name: &str, came: &CheckOut) -> Markup {
    let (tone, word) = if came.good { (Tone::Good, "Good") } else { (Tone::Bad, "Failed") };
    card(
        &format!("Test of {name}"),
        &nothing(),
        &html! {
            p {
                (state(tone, word)) " " (sentence(&came.detail))
                @if let (Some(address), Some(status)) = (&came.address, came.status) {
                    br; span.small.soft { "GET " code { (address) } " answered " (status) }
                }
            }
        },
    )
}

fn word(state: &str) -> (Tone, &'static str) {
    match state {
        "fixed" => (Tone::Good, "Read at each use"),
        "unused" => (Tone::Idle, "Not needed yet"),
        "good" => (Tone::Good, "Token in use"),
        "failing" => (Tone::Warn, "Cannot be renewed"),
        _ => (Tone::Bad, "No token"),
    }
}
