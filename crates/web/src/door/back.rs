//! What the doors for answers of far ends share: who proves what, who a far end's user is here, and the entry a command
//! becomes.
//!
//! These doors take no token. A connection of the configuration says what is taken, and a signature made with its secret
//! proves whose it is. Invariants: without a secret nothing is taken; a refusal says what to look at and nothing that
//! helps to guess; a command is entered once, under an id derived from the far end's own.

use crate::door::refusal::Refusal;
use crate::state::AppState;
use axum::response::{IntoResponse as _, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::SecretString;
use trackside_connect::connection::Back;
use trackside_connect::signature::BadSignature;
use trackside_core::caller::Caller;
use trackside_core::input::{Command, Input, Origin};
use trackside_core::ruleset::Ruleset;
use trackside_identity::secret::SecretRef;
use trackside_store::log::NewEntry;
use uuid::Uuid;

/// The secrets with which the far end of a connection proves itself; `of` picks them from what is configured.
pub(super) fn secrets(
    state: &AppState,
    connection: &str,
    of: fn(&Back) -> &[SecretRef],
) -> Result<Vec<SecretString>, Refusal> {
    let configured = state.configured();
    let known = configured.connections.get(connection).map_or(&[][..], |info| of(&info.back));
    if known.is_empty() {
        let problem = "no connection of this name and kind has a secret for what it tells back; see `signing_secret` and \
                       `webhook_secrets` in the configuration";
        return Err(Refusal::new(StatusCode::NOT_FOUND, problem));
    }
    let read = |secret: &SecretRef| {
        secret.resolve(&state.secrets).map_err(|error| {
            tracing::error!(connection, %error, "a secret that verifies what a far end tells back cannot be read");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this cannot be verified now; send it again")
        })
    };
    known.iter().map(read).collect()
}

/// A header as the verifiers ask for it.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The refusal of what is not proved.
pub(super) fn unproved(bad: BadSignature) -> Refusal {
    if let BadSignature::Secret(_) = bad {
        tracing::error!(error = %bad, "what a far end tells back cannot be verified");
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this cannot be verified now; send it again");
    }
    Refusal::new(StatusCode::UNAUTHORIZED, bad.to_string())
}

/// A refusal as problem details; what was missing is a signature.
pub(super) fn words(refusal: &Refusal) -> Response {
    let mut response = super::native::problem(refusal).into_response();
    if refusal.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"));
    }
    response
}

/// The person who is known under one of these names, here or by an alias.
pub(crate) fn person<'n>(ruleset: &Ruleset, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    names.into_iter().find_map(|name| {
        let known =
            ruleset.people.iter().find(|(key, person)| *key == name || person.aliases.iter().any(|a| a == name));
        known.map(|(key, _)| key.clone())
    })
}

/// The log entry of a command that a far end passes on.
pub(super) fn entry(
    state: &AppState,
    id: Uuid,
    caller: Caller,
    command: Command,
    origin: Origin,
) -> Result<NewEntry, Refusal> {
    let input = Input::Command { caller, command, origin: Some(origin) };
    NewEntry::input(state.now(), &input, id).map_err(super::refuse_store)
}
