//! Asking whether the far end is done: where, how often, and what it says.

use super::classify::{self, Meaning, Parts};
use super::{Job, app_service, failed};
use crate::far_end::{Answer, retry_after};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use trackside_core::job::run::{ErrorClass, JobCall};
use trackside_core::job::spec::{HttpMode, JobTarget};
use url::Url;

/// Pause between two questions when neither the job nor the far end names one.
const EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Longest pause that a far end may ask for; a run that was cancelled meanwhile is looked at sooner.
const PAUSE_MOST: SignedDuration = SignedDuration::from_mins(5);
/// Statuses of a body that mean success, unless the job names others.
const SUCCEEDED: [&str; 5] = ["succeeded", "success", "completed", "done", "finished"];
/// Statuses of a body that mean failure, unless the job names others.
const FAILED: [&str; 5] = ["failed", "error", "cancelled", "canceled", "timed_out"];

/// A `Location`, judged.
pub(super) enum Location {
    /// At the origin that was asked.
    Here(String),
    /// At another one.
    Elsewhere(String),
    /// There is none.
    None,
}

/// The `Location` of an answer; relative ones are resolved (RFC 9110 §10.2.2).
pub(super) fn location(asked_at: &str, parts: &Parts<'_>) -> Location {
    let Some(text) = parts.header("location").or_else(|| parts.header("operation-location")) else {
        return Location::None;
    };
    let Some((base, mut there)) =
        Url::parse(asked_at).ok().and_then(|base| Some((base.clone(), base.join(text).ok()?)))
    else {
        return Location::None;
    };
    if base.origin() == there.origin() {
        // A name and a password in it would stand in the place of our credential. Those of an address that has a host can
        // be taken away.
        let _ = there.set_username("").and_then(|()| there.set_password(None));
        there.set_fragment(None);
        Location::Here(there.into())
    } else {
        Location::Elsewhere(there.origin().ascii_serialization())
    }
}

/// When to ask next.
pub(super) fn next(job: &Job<'_>, call: &JobCall, parts: &Parts<'_>) -> Timestamp {
    let every = match &call.spec.target {
        JobTarget::Http { mode: HttpMode::Poll { every: Some(every), .. }, .. } => every.0,
        _ => EVERY,
    };
    let at = retry_after(parts.headers, job.now).unwrap_or_else(|| later(job.now, every));
    at.clamp(job.now, later(job.now, PAUSE_MOST))
}

fn later(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// What the answer to a question means.
pub(super) fn classify(job: &Job<'_>, call: &JobCall, asked_at: &str, answer: &Answer) -> Meaning {
    let Answer::Response { status, headers, body } = answer else {
        let (why, trouble) = (classify::reason(answer), classify::trouble(answer));
        return Meaning::Unanswered { not_before: None, why, trouble };
    };
    let parts = Parts { status: *status, headers, body };
    match status {
        202 => match (app_service::deployment(job, call, &parts), location(asked_at, &parts)) {
            (Some(meaning), _) => meaning,
            (None, Location::Here(location)) => working(job, call, Some(location), &parts),
            (None, Location::Elsewhere(_) | Location::None) => working(job, call, None, &parts),
        },
        200..=299 => {
            app_service::deployment(job, call, &parts).unwrap_or_else(|| answered(job, call, asked_at, &parts))
        }
        300..=399 => classify::redirect(job, asked_at, &parts),
        401 => Meaning::Rejected { why: parts.reason(), status: 401 },
        404 | 410 => {
            let why = format!("the far end no longer knows the work it accepted ({})", parts.reason());
            Meaning::Ended(failed(ErrorClass::Unknown, why, Some(*status)))
        }
        400..=499 if !matches!(status, 408 | 425 | 429) => Meaning::Ended(failed(
            ErrorClass::Unknown,
            format!("asked whether it is done: {}", parts.reason()),
            Some(*status),
        )),
        _ => Meaning::Unanswered {
            not_before: retry_after(headers, job.now),
            why: parts.reason(),
            trouble: classify::trouble(answer),
        },
    }
}

fn working(job: &Job<'_>, call: &JobCall, location: Option<String>, parts: &Parts<'_>) -> Meaning {
    Meaning::Working { location, at: next(job, call, parts), why: "the far end is still working".to_owned() }
}

/// A success with a body: the result, or a status that says how it stands.
pub(super) fn answered(job: &Job<'_>, call: &JobCall, asked_at: &str, parts: &Parts<'_>) -> Meaning {
    let body = match parts.json() {
        Some(body) => body,
        None if parts.body.trim().is_empty() => Value::Null,
        None => Value::from(parts.body),
    };
    let asks = job.progress.location.is_some();
    let (pointer, good, bad, output) = match &call.spec.target {
        JobTarget::Http { mode: HttpMode::Poll { status, succeeded, failed, output, .. }, .. } => {
            (status.as_deref().unwrap_or("/status"), Some(succeeded), Some(failed), output.as_deref())
        }
        _ if asks => ("/status", None, None, None),
        _ => return Meaning::Ended(classify::result(call, body, parts.status)),
    };
    let Some(word) = body.pointer(pointer).and_then(Value::as_str) else {
        return Meaning::Ended(classify::result(call, taken(body, output), parts.status));
    };
    if is_one_of(word, good, &SUCCEEDED) {
        return Meaning::Ended(classify::result(call, taken(body, output), parts.status));
    }
    if is_one_of(word, bad, &FAILED) {
        return Meaning::Ended(failed(ErrorClass::Failed, said(&body, word), Some(parts.status)));
    }
    match location(asked_at, parts) {
        Location::Here(location) => working(job, call, Some(location), parts),
        Location::None | Location::Elsewhere(_) if asks => working(job, call, None, parts),
        Location::None | Location::Elsewhere(_) => {
            let why = format!("the far end says `{word}` and not where to ask (no `Location` at its own address)");
            Meaning::Ended(failed(ErrorClass::Unknown, why, Some(parts.status)))
        }
    }
}

/// The part of the body that is the result.
fn taken(body: Value, pointer: Option<&str>) -> Value {
    match pointer {
        Some(pointer) => body.pointer(pointer).cloned().unwrap_or(Value::Null),
        None => body,
    }
}

fn is_one_of(word: &str, named: Option<&BTreeSet<String>>, usual: &[&str]) -> bool {
    match named.filter(|named| !named.is_empty()) {
        Some(named) => named.iter().any(|name| name.eq_ignore_ascii_case(word)),
        None => usual.iter().any(|name| name.eq_ignore_ascii_case(word)),
    }
}

/// What the far end says went wrong.
pub(super) fn said(body: &Value, word: &str) -> String {
    let text = ["error", "detail", "message", "reason"].iter().find_map(|name| match body.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        Value::Object(members) => members.get("message").and_then(Value::as_str).map(str::to_owned),
        other => Some(other.to_string()),
    });
    let text = text.unwrap_or_else(|| body.to_string());
    format!("the far end says `{word}`: {}", crate::template::truncate_bytes(text.trim(), super::EXCERPT_BYTES))
}
