//! The credential of a connection on its page: how it stands, when it ends, why the last fetch failed; fetching one anew
//! and trying the connection with it.

use crate::api::connections::ConnectionOut;
use crate::api::credentials::{CheckOut, CredentialOut};
use crate::page::layout::{card, nothing};
use crate::page::ui::{Tone, segment, state};
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
                        (error)
                    }
                }
                @if let Some(warning) = &credential.warning { br; span.small.soft { (warning) } }
            }
        }
    }
}

/// What can be done with a connection that is called.
pub(super) fn acts(connection: &ConnectionOut) -> Markup {
    let at = |act: &str| format!("/connections/{}/{act}", segment(&connection.name));
    html! {
        @if connection.credentials.iter().any(CredentialOut::is_fetched) {
            form method="post" action=(at("credential")) {
                button type="submit" aria-label={ "Fetch the credential of " (connection.name) " anew" } { "Fetch anew" }
            }
        }
        form method="post" action=(at("check")) {
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
                (state(tone, word)) " " (came.detail)
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
