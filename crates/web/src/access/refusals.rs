//! Refusals in the audit: whoever is known and may not leaves a row, and cannot fill the audit with it.
//!
//! Invariants: the first refusal of a caller's kind of request is written at once; the same one is then counted, and the
//! count goes into the next row, a minute later at the earliest. What is remembered has a bound, and what does not fit is
//! written rather than dropped. Requests without a valid credential have no subject: they are counted in the metrics.

use crate::problem::Problem;
use crate::state::AppState;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use trackside_core::caller::Caller;
use trackside_identity::directory::Identity;
use trackside_store::audit::NewAudit;

/// How long the same refusal is counted and not written.
const QUIET: SignedDuration = SignedDuration::from_mins(1);
/// Most kinds of refusals that are remembered.
const REMEMBERED: usize = 10_000;

/// What was refused, before it is a row.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Which kind of request: two of the same caller count as the same.
    pub(crate) kind: String,
    /// What it was about (`job:refund`); nothing for a whole address.
    pub(crate) resource: Option<String>,
    /// Why, for people.
    pub(crate) because: String,
    /// Policies that decided.
    pub(crate) policies: Vec<String>,
}

impl Refused {
    /// A request for an address that its caller's role does not open.
    pub(crate) fn address(method: &http::Method, template: &str, because: impl Into<String>) -> Self {
        Self { kind: format!("{method} {template}"), resource: None, because: because.into(), policies: Vec::new() }
    }
}

/// Which refusals were written last, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<(String, String), Written>>);

#[derive(Clone, Copy, Debug)]
struct Written {
    at: Timestamp,
    since: u64,
}

impl Refusals {
    /// How many of the same went unwritten before, when this one is to be written.
    fn due(&self, subject: &str, kind: &str, now: Timestamp) -> Option<u64> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |written: &Written| now.duration_since(written.at) < QUIET;
        let key = (subject.to_owned(), kind.to_owned());
        if let Some(last) = written.get_mut(&key) {
            if quiet(last) {
                last.since += 1;
                return None;
            }
            let missed = last.since;
            *last = Written { at: now, since: 0 };
            return Some(missed);
        }
        if written.len() >= REMEMBERED {
            written.retain(|_, last| quiet(last));
        }
        if written.len() < REMEMBERED {
            written.insert(key, Written { at: now, since: 0 });
        }
        Some(0)
    }
}

/// Puts a refusal into the audit, unless the same was put there a moment ago.
///
/// # Errors
/// When it could not be stored.
pub(crate) async fn tell(state: &AppState, who: &Caller, refused: Refused) -> Result<(), Problem> {
    let now = state.now();
    let Some(missed) = state.refusals.due(&who.subject, &refused.kind, now) else { return Ok(()) };
    let summary = match &refused.resource {
        Some(resource) => format!("{} {resource}: {}", refused.kind, refused.because),
        None => format!("{}: {}", refused.kind, refused.because),
    };
    let mut row = NewAudit::new(now, who.clone(), "access.refused", summary).refused(refused.because);
    row.detail.resource = refused.resource;
    row.detail.policies = refused.policies;
    if missed > 0 {
        row.detail.facts.insert("repeated".to_owned(), missed.to_string());
    }
    Ok(state.store.record(&row).await?)
}

/// Refuses, and says so in the audit.
///
/// # Errors
/// 403 with the reason, always.
pub(crate) async fn forbid<T>(
    state: &AppState,
    who: &Identity,
    kind: &str,
    resource: String,
    because: impl Into<String>,
) -> Result<T, Problem> {
    let because = because.into();
    let problem = Problem::new(StatusCode::FORBIDDEN, because.clone());
    let refused = Refused { kind: kind.to_owned(), resource: Some(resource), because, policies: Vec::new() };
    tell(state, &who.caller, refused).await?;
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_written_once_a_minute_and_counted() {
        let refusals = Refusals::default();
        let check = |subject: &str, kind: &str, second: i64, expect: Option<u64>| {
            let now = Timestamp::from_second(second).expect("a time");
            assert_eq!(refusals.due(subject, kind, now), expect, "{subject} {kind} {second}");
        };
        check("ana", "start", 0, Some(0));
        check("ana", "start", 1, None);
        check("ana", "cancel", 1, Some(0));
        check("bo", "start", 1, Some(0));
        check("ana", "start", 59, None);
        check("ana", "start", 60, Some(2));
        check("ana", "start", 61, None);
        check("ana", "start", 121, Some(1));
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_nothing_is_dropped_in_silence() {
        let refusals = Refusals::default();
        for n in 0..REMEMBERED + 5 {
            assert_eq!(refusals.due("ana", &n.to_string(), Timestamp::UNIX_EPOCH), Some(0));
        }
        assert_eq!(refusals.due("ana", "0", Timestamp::UNIX_EPOCH), None);
        assert_eq!(refusals.due("ana", &REMEMBERED.to_string(), Timestamp::UNIX_EPOCH), Some(0), "written again");
        assert_eq!(refusals.0.lock().expect("not poisoned").len(), REMEMBERED);
        let later = Timestamp::from_second(60).expect("a time");
        assert_eq!(refusals.due("bo", "x", later), Some(0));
        assert_eq!(refusals.0.lock().expect("not poisoned").len(), 1, "what is older than a minute is forgotten");
    }
}
