//! Browser sessions: who a cookie stands for.
//!
//! A session that came from a token has the token's role of this moment, and none once the token is gone.

use crate::problem::Problem;
use crate::state::AppState;
use http::HeaderMap;
use std::sync::Arc;
use trackside_core::caller::Caller;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::session::{SESSION_LIFETIME, Session, Subject};

/// How a session's caller came in, for the audit.
const VIA: &str = "session";

/// Who the session cookie of a request stands for.
pub(crate) fn identity(state: &AppState, headers: &HeaderMap) -> Option<Arc<Identity>> {
    let cookie = state.configured().transport().find(headers)?;
    let now = state.now();
    match state.session_key.open(cookie, now)?.subject {
        Subject::Token(name) => {
            let directory = state.directory();
            let grant = directory.named(&name)?;
            let valid = grant.expires.is_none_or(|expires| now < expires);
            valid.then(|| Arc::new(grant.identity(VIA)))
        }
        Subject::Link { person, role } => {
            Some(Arc::new(Identity::simple(Caller::new(person, VIA), Kind::Person, role)))
        }
    }
}

/// The `Set-Cookie` value that begins a session.
pub(crate) fn begin(state: &AppState, subject: Subject) -> Result<String, Problem> {
    let expires = state
        .now()
        .checked_add(SESSION_LIFETIME)
        .map_err(|_| Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the clock is out of range"))?;
    let value = state.session_key.seal(&Session { subject, expires });
    Ok(state.configured().transport().begin(&value))
}
