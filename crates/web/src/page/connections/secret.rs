//! The part of the connections page about secrets of secret managers. Shows how they stand, never what they are.

use crate::api::secrets::SecretOut;
use crate::page::layout::card;
use crate::page::ui::{Tone, column, state as tone_word, table, wide};
use crate::page::words::{As, time};
use maud::{Markup, html};

/// The card; nothing where no secret manager is used.
pub(super) fn section(secrets: &[SecretOut]) -> Markup {
    let hint = html! { span.small.soft { "values are fetched, renewed and never shown" } };
    html! {
        @if !secrets.is_empty() { (card("Secrets", &hint, &rows(secrets))) }
    }
}

fn rows(secrets: &[SecretOut]) -> Markup {
    let columns = [column("Secret"), wide("Used by"), column("State"), wide("Fetched")];
    table(
        &columns,
        &html! {
            @for secret in secrets {
                tr data-key=(secret.secret) {
                    td.title { (secret.secret) br; span.small.soft { "from " (secret.source) } }
                    td.wide.soft { @for place in &secret.used_by { code { (place) } " " } }
                    td { (standing(secret)) }
                    td.wide.soft {
                        @if let Some(fetched) = secret.fetched { (time(fetched, As::Ago)) }
                        @if let Some(version) = &secret.version { br; span.small { "version " code { (version) } } }
                        @if let Some(expires) = secret.expires { br; span.small { "ends " (time(expires, As::Ago)) } }
                    }
                }
            }
        },
    )
}

fn standing(secret: &SecretOut) -> Markup {
    html! {
        @match secret.state {
            "fresh" => { (tone_word(Tone::Good, "Fresh")) }
            "kept" => { (tone_word(Tone::Warn, "Last good value kept")) }
            _ => { (tone_word(Tone::Bad, "Missing")) }
        }
        @if let Some(error) = &secret.error { br; span.small.soft { (error) } }
    }
}
