//! What the answer to a call means.
//!
//! | answer | the target honours the key | it does not |
//! |---|---|---|
//! | not sent, 408, 425, 429, 503 | tried again | tried again: it says that it did nothing |
//! | 500 | tried again | failed |
//! | 502, 504, none | tried again | asked after, or unknown: it may have been carried out |
//! | 401, a redirect to a page to sign in | once more with a new credential | the same |
//! | other 4xx | refused; after a lost answer unknown | refused |

use super::poll::{self, Location};
use super::{EXCERPT_BYTES, Job, Trouble, app_service, failed, keyed, schema};
use crate::far_end::{Answer, Request, Wire, retry_after};
use jiff::Timestamp;
use serde_json::Value;
use trackside_core::job::run::{CallResult, ErrorClass, JobCall};
use trackside_core::job::spec::{HttpMode, JobSpec, JobTarget};
use trackside_core::limits;

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// It ended.
    Ended(CallResult),
    /// The far end works on it and will call back.
    Accepted { location: Option<String> },
    /// The far end works on it.
    Working { location: Option<String>, at: Timestamp, why: String },
    /// It was surely not carried out, and may be sent again.
    NotTaken { not_before: Option<Timestamp>, why: String, status: Option<u16>, trouble: Trouble },
    /// A question got no usable answer.
    Unanswered { not_before: Option<Timestamp>, why: String, trouble: Trouble },
    /// It may or may not have been carried out.
    Lost { why: String },
    /// The credential was refused, so nothing was done.
    Rejected { why: String, status: u16 },
}

/// An answer in parts.
pub(super) struct Parts<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body).ok()
    }

    /// `answered 422: {"detail": …}`, for people.
    pub(super) fn reason(&self) -> String {
        let body = self.body.trim();
        let excerpt = crate::template::truncate_bytes(body, EXCERPT_BYTES);
        if excerpt.is_empty() {
            format!("answered {}", self.status)
        } else {
            format!("answered {}: {excerpt}", self.status)
        }
    }
}

/// What the answer to the call itself means.
pub(super) fn call(job: &Job<'_>, call: &JobCall, request: &Request, answer: &Answer) -> Meaning {
    let (status, headers, body) = match answer {
        Answer::NotSent { error } => {
            let why = format!("not sent: {error}");
            return Meaning::NotTaken { not_before: None, why, status: None, trouble: Trouble::Connection };
        }
        Answer::Withheld { error } => {
            return Meaning::Ended(failed(ErrorClass::Internal, format!("not sent: {error}"), None));
        }
        Answer::Lost { error } => return Meaning::Lost { why: format!("no answer: {error}") },
        Answer::Response { status, headers, body } => (*status, headers, body),
    };
    let parts = Parts { status, headers, body };
    let asked_at = match &request.wire {
        Wire::Http(http) => http.url.as_str(),
        Wire::Mail(_) => "",
    };
    match status {
        200..=299 => match &call.spec.target {
            JobTarget::Http { mode, .. } => success(job, call, mode, asked_at, &parts),
            JobTarget::AppService { action, .. } => app_service::accepted(job, call, action, asked_at, &parts),
        },
        300..=399 => redirect(job, asked_at, &parts),
        _ => failure(job, call, &parts),
    }
}

fn success(job: &Job<'_>, call: &JobCall, mode: &HttpMode, asked_at: &str, parts: &Parts<'_>) -> Meaning {
    if *mode == HttpMode::Callback {
        // Where it keeps the work is where it can be told to stop.
        let location = match poll::location(asked_at, parts) {
            Location::Here(location) => Some(location),
            Location::None | Location::Elsewhere(_) => None,
        };
        return Meaning::Accepted { location };
    }
    if parts.status == 202 {
        return working(job, call, asked_at, parts);
    }
    poll::answered(job, call, asked_at, parts)
}

/// Accepted: it is asked where it says so.
pub(super) fn working(job: &Job<'_>, call: &JobCall, asked_at: &str, parts: &Parts<'_>) -> Meaning {
    match poll::location(asked_at, parts) {
        Location::Here(location) => Meaning::Working {
            location: Some(location),
            at: poll::next(job, call, parts),
            why: "accepted; the far end is asked until it is done".to_owned(),
        },
        Location::Elsewhere(location) => Meaning::Ended(unknown(
            format!("accepted, but its `Location` leads to another host ({location}), which is not asked"),
            parts.status,
        )),
        Location::None => Meaning::Ended(unknown(
            "accepted with 202 but without a `Location`, so how it ends cannot be learnt; set `mode: {kind: callback}`, \
             or have the far end say where to ask"
                .to_owned(),
            parts.status,
        )),
    }
}

fn unknown(message: String, status: u16) -> CallResult {
    failed(ErrorClass::Unknown, message, Some(status))
}

/// 303 leads to the result (RFC 9110 §15.4.4); a page to sign in means that the credential does not do; nothing else is
/// followed.
pub(super) fn redirect(job: &Job<'_>, asked_at: &str, parts: &Parts<'_>) -> Meaning {
    let target = parts.header("location").unwrap_or_default();
    if is_sign_in(target) {
        let why = "redirected to a page to sign in: the credential is missing or is not for this app".to_owned();
        return Meaning::Rejected { why, status: parts.status };
    }
    match (parts.status, poll::location(asked_at, parts)) {
        (303, Location::Here(location)) => {
            let why = "done; its result is elsewhere".to_owned();
            Meaning::Working { location: Some(location), at: job.now, why }
        }
        _ => {
            let why = format!("{}; redirects are not followed: set the final address", parts.reason());
            Meaning::Ended(failed(ErrorClass::Refused, why, Some(parts.status)))
        }
    }
}

/// Whether an address is where App Service or Entra sends people to sign in.
fn is_sign_in(location: &str) -> bool {
    let location = location.to_ascii_lowercase();
    ["login.microsoftonline.", "login.windows.net", "/.auth/login", "/oauth2/authorize", "/login"]
        .iter()
        .any(|sign| location.contains(sign))
}

fn failure(job: &Job<'_>, call: &JobCall, parts: &Parts<'_>) -> Meaning {
    let not_before = retry_after(parts.headers, job.now);
    let status = Some(parts.status);
    let keyed = keyed(call);
    match parts.status {
        401 => Meaning::Rejected { why: parts.reason(), status: 401 },
        408 | 425 | 429 | 503 => {
            let trouble = if parts.status == 429 { Trouble::None } else { Trouble::Connection };
            Meaning::NotTaken { not_before, why: parts.reason(), status, trouble }
        }
        // The far end still works on an earlier try of the same key (draft-ietf-httpapi-idempotency-key-header §2.6).
        409 if keyed && (job.progress.calls > 1 || job.may_be_there(call)) => {
            Meaning::NotTaken { not_before, why: parts.reason(), status, trouble: Trouble::None }
        }
        // A gateway in between says that it got no answer: the far end may have.
        502 | 504 => Meaning::Lost { why: parts.reason() },
        500..=599 if keyed => {
            Meaning::NotTaken { not_before, why: parts.reason(), status, trouble: Trouble::Connection }
        }
        500..=599 => Meaning::Ended(failed(ErrorClass::Failed, parts.reason(), status)),
        _ => Meaning::Ended(failed(ErrorClass::Refused, parts.reason(), status)),
    }
}

/// A result as it is kept, when it fits.
pub(super) fn result(call: &JobCall, output: Value, status: u16) -> CallResult {
    kept(&call.spec, output, Some(status))
}

/// The same for a result that came without an answer.
pub(super) fn kept(spec: &JobSpec, output: Value, status: Option<u16>) -> CallResult {
    let most = spec.result_bytes.unwrap_or(limits::JOB_RESULT_BYTES).min(limits::JOB_RESULT_BYTES_MOST);
    let size = output.to_string().len();
    if size > most as usize {
        let why = format!("the result has {size} bytes, and the job keeps {most} (`result_bytes`)");
        return failed(ErrorClass::BadResult, why, status);
    }
    match spec.result.as_ref().map(|wanted| schema::check(wanted, &output)) {
        Some(Err(problems)) => {
            let why = format!("the result does not fit its schema: {}", schema::summary(&problems));
            failed(ErrorClass::BadResult, why, status)
        }
        _ => CallResult::Succeeded { output },
    }
}

/// Why there was no usable answer, for people.
pub(super) fn reason(answer: &Answer) -> String {
    match answer {
        Answer::Response { status, headers, body } => Parts { status: *status, headers, body }.reason(),
        Answer::NotSent { error } | Answer::Withheld { error } => format!("not sent: {error}"),
        Answer::Lost { error } => format!("no answer: {error}"),
    }
}

pub(super) fn trouble(answer: &Answer) -> Trouble {
    match answer {
        Answer::Response { status: 500..=599 | 408 | 425, .. } | Answer::NotSent { .. } | Answer::Lost { .. } => {
            Trouble::Connection
        }
        _ => Trouble::None,
    }
}

pub(super) fn credential(answer: &Answer) -> super::Credential {
    match answer {
        Answer::Response { status: 401, .. } => super::Credential::Rejected,
        _ => super::Credential::Fine,
    }
}
