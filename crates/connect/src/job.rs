//! Carrying out the call of a job: the request, what its answer means, and whether it may be sent again.
//!
//! One attempt of a row of the outbox is one [`attempt`]: it makes the call, or asks whether the far end is done, or
//! tells it to stop. What must be known next time is a [`CallProgress`], kept with the row.
//! Invariants: a call that may have been carried out is sent again only where the target honours its key; otherwise it
//! is asked after where that can be done, and else it ends as unknown; a refusal of a repetition says nothing of the try
//! before it. No redirect is followed; a `Location` counts only at the same origin, and as long as the connection leads
//! there. A result is checked against its schema and its size before it is kept.
//! Absent on purpose: the pace of a connection, deadlines and order, which are the outbox's and the core's.

mod app_service;
pub mod callback;
mod classify;
mod http;
mod place;
mod poll;
pub mod schema;
pub mod template;

use crate::connection::ConnectionConfig;
use crate::far_end::{Answer, HttpRequest, Repeat, Request, Verdict, Wire};
use crate::sender::{Exchange, Sender};
use ::http::HeaderMap;
use classify::Meaning;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use trackside_core::effect::Effect;
use trackside_core::job::run::{CallProgress, CallResult, CallStep, ErrorClass, JobCall, JobError};
use trackside_core::job::spec::{Idempotency, JobTarget};
use trackside_identity::broker::{Credential as Authority, CredentialHeader, Outgoing};
use url::{Position, Url};

/// Tries of a call when the job does not say.
pub const ATTEMPTS: u32 = 3;
/// Pause before the second try when the job does not say.
const BACKOFF: SignedDuration = SignedDuration::from_secs(5);
/// Longest pause between two tries or two questions.
const PAUSE_MOST: SignedDuration = SignedDuration::from_mins(5);
/// Shortest pause between two questions, whatever the far end asks for.
const QUESTION_PACE: SignedDuration = SignedDuration::from_secs(1);
/// Times a far end is told to stop before that is given up.
const STOPS: u32 = 5;
/// Most bytes of an answer repeated in an error.
const EXCERPT_BYTES: usize = 600;

/// What an attempt works with.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The row's effect; it carries a [`JobCall`].
    pub effect: &'a Effect,
    /// The connection it goes through.
    pub config: &'a ConnectionConfig,
    /// What authenticates each request, from the connection's credential.
    pub authority: Authority,
    /// Certificates (PEM) that are trusted beside the system's.
    pub trust: Option<Arc<str>>,
    /// Whether an earlier attempt may have reached the far end without an answer.
    pub earlier: Earlier,
    /// What earlier attempts have learnt.
    pub progress: CallProgress,
    /// Address that the far end calls when it is done.
    pub callback: Option<String>,
    /// Time of the attempt.
    pub now: Timestamp,
    /// Longest wait for one answer.
    pub timeout: Duration,
}

pub use crate::act::Earlier;

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Each request that went out, with its answer.
    pub exchanges: Vec<Exchange>,
    /// What follows.
    pub next: Next,
    /// What the next attempt must know.
    pub progress: CallProgress,
    /// Whether the call may have been carried out without anybody having been told so.
    pub in_doubt: bool,
    /// Whether the far end refused the credential: another one must be fetched before the next attempt.
    pub credential: Credential,
}

/// What the far end thought of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// It was not refused.
    Fine,
    /// It was.
    Rejected,
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The call ended.
    Ended(CallResult),
    /// Another attempt is due.
    Again {
        /// Not before.
        at: Timestamp,
        /// Why, for people.
        why: String,
        /// Whether the connection is in trouble.
        trouble: Trouble,
    },
}

/// Whether a connection is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answers; the far end is busy, or not done yet.
    None,
    /// It does not answer, or is overloaded.
    Connection,
}

impl Job<'_> {
    /// Whether the call may have been carried out by an earlier attempt, or by an earlier run under the same key.
    fn may_be_there(&self, call: &JobCall) -> bool {
        self.earlier == Earlier::MayBeThere || !self.effect.key.starts_with(&call.run.to_string())
    }
}

impl Carried {
    /// The verdict as the delivery's page shows it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.next {
            Next::Ended(CallResult::Succeeded { .. } | CallResult::Accepted) => Verdict::Done { far_ref: None },
            Next::Ended(CallResult::Failed { error }) if error.class == ErrorClass::Unknown => {
                Verdict::Unknown { not_before: None, why: error.message.clone() }
            }
            Next::Ended(CallResult::Failed { error }) => Verdict::Refused { why: error.message.clone() },
            Next::Again { at, why, .. } => Verdict::Retry { not_before: Some(*at), why: why.clone() },
        }
    }
}

/// An error of a run.
pub(crate) fn failed(class: ErrorClass, message: impl Into<String>, status: Option<u16>) -> CallResult {
    let message = crate::redact::text(&message.into()).into_owned();
    CallResult::Failed { error: JobError { class, message, status } }
}

/// Makes one attempt.
pub async fn attempt<S: Sender>(sender: &S, job: Job<'_>) -> Carried {
    let Some(call) = job.effect.job.as_deref() else {
        return ended(&job, failed(ErrorClass::Internal, "the delivery carries no call", None));
    };
    match &call.step {
        // Neither Azure Resource Manager nor Kudu stops what it has begun; a DELETE would mean something else there.
        CallStep::Cancel { .. } if matches!(call.spec.target, JobTarget::AppService { .. }) => {
            ended(&job, failed(ErrorClass::Refused, "an App Service cannot be told to stop what it has begun", None))
        }
        CallStep::Cancel { far_ref } => match place::still_ours(&job, call, far_ref) {
            Ok(()) => stop(sender, job, far_ref).await,
            Err(why) => ended(&job, failed(ErrorClass::Internal, why, None)),
        },
        CallStep::Run if job.progress.location.is_some() => ask(sender, job, call).await,
        CallStep::Run if job.earlier == Earlier::MayBeThere => after_doubt(sender, job, call).await,
        CallStep::Run => make(sender, job, call).await,
    }
}

fn ended(job: &Job<'_>, result: CallResult) -> Carried {
    let unknown = matches!(&result, CallResult::Failed { error } if error.class == ErrorClass::Unknown);
    Carried {
        exchanges: Vec::new(),
        next: Next::Ended(result),
        progress: job.progress.clone(),
        in_doubt: unknown,
        credential: Credential::Fine,
    }
}

/// A call whose answer was lost: sent again under the same key, asked after, or given up as unknown.
async fn after_doubt<S: Sender>(sender: &S, mut job: Job<'_>, call: &JobCall) -> Carried {
    match &call.spec.target {
        JobTarget::Http { idempotency: Idempotency::Key, .. } => make(sender, job, call).await,
        JobTarget::Http { .. } => ended(&job, lost_for_good("its answer was lost")),
        JobTarget::AppService { action, .. } => match app_service::question(&job, action) {
            None => ended(&job, lost_for_good("its answer was lost, and a restart cannot be asked after")),
            Some(Err(why)) => ended(&job, failed(ErrorClass::Internal, why, None)),
            Some(Ok(question)) => {
                let request = with_credential(&job, question, Repeat::Harmless);
                let answer = sender.send(&request, job.timeout).await;
                let meaning = app_service::answered(&job, action, &answer);
                let exchange = Exchange { request, answer };
                match meaning {
                    // It is not there, and the list of what is there is whole: sending it again is safe.
                    Meaning::NotTaken { .. } => {
                        job.earlier = Earlier::NotThere;
                        job.progress.unanswered = 0;
                        let mut carried = Box::pin(make(sender, job, call)).await;
                        carried.exchanges.insert(0, exchange);
                        carried
                    }
                    meaning => conclude(job, call, vec![exchange], meaning, Sent::Question),
                }
            }
        },
    }
}

/// What the answer to a repetition means: one that turns it away says nothing of the try whose answer was lost.
fn after_lost(result: CallResult) -> CallResult {
    use ErrorClass::{Internal, Refused, Unauthenticated};
    match result {
        CallResult::Failed { error } if matches!(error.class, Refused | Unauthenticated | Internal) => {
            let CallResult::Failed { error: mut lost } =
                lost_for_good(&format!("{}; an earlier answer was lost", error.message))
            else {
                return CallResult::Failed { error };
            };
            lost.status = error.status;
            CallResult::Failed { error: lost }
        }
        other => other,
    }
}

fn lost_for_good(why: &str) -> CallResult {
    let message = format!("{why}; it may have been carried out. Look at the far end, then settle the run");
    failed(ErrorClass::Unknown, message, None)
}

/// Makes the call.
async fn make<S: Sender>(sender: &S, mut job: Job<'_>, call: &JobCall) -> Carried {
    let request = match &call.spec.target {
        JobTarget::Http { .. } => http::request(&job, call),
        JobTarget::AppService { action, .. } => app_service::request(&job, call, action),
    };
    let request = match request {
        Ok(request) => request,
        Err(why) => return ended(&job, failed(ErrorClass::Internal, why, None)),
    };
    let repeat = if keyed(call) { Repeat::Harmless } else { Repeat::Duplicates };
    let request = with_credential(&job, request, repeat);
    job.progress.calls += 1;
    let answer = sender.send(&request, job.timeout).await;
    let meaning = classify::call(&job, call, &request, &answer);
    conclude(job, call, vec![Exchange { request, answer }], meaning, Sent::Call)
}

/// Asks whether it is done.
async fn ask<S: Sender>(sender: &S, job: Job<'_>, call: &JobCall) -> Carried {
    let location = job.progress.location.clone().unwrap_or_default();
    if let Err(why) = place::still_ours(&job, call, &location) {
        return ended(&job, lost_for_good(&why));
    }
    let request = to_place(&job, http::question(call, &location));
    let answer = sender.send(&request, job.timeout).await;
    let meaning = poll::classify(&job, call, &location, &answer);
    conclude(job, call, vec![Exchange { request, answer }], meaning, Sent::Question)
}

/// Tells the far end to stop.
async fn stop<S: Sender>(sender: &S, mut job: Job<'_>, far_ref: &str) -> Carried {
    let request = HttpRequest::new(::http::Method::DELETE, far_ref).header("accept", "application/json");
    let request = to_place(&job, request);
    job.progress.calls += 1;
    let answer = sender.send(&request, job.timeout).await;
    let calls = job.progress.calls;
    let next = match &answer {
        Answer::Response { status: 200..=299 | 404 | 409 | 410, .. } => {
            Next::Ended(CallResult::Succeeded { output: serde_json::Value::Null })
        }
        Answer::Response { status: status @ (405 | 501), .. } => {
            Next::Ended(failed(ErrorClass::Refused, "the far end cannot be told to stop", Some(*status)))
        }
        _ if calls >= STOPS => Next::Ended(failed(ErrorClass::Unavailable, classify::reason(&answer), None)),
        answer => Next::Again {
            at: job.now + backoff(BACKOFF, calls),
            why: classify::reason(answer),
            trouble: classify::trouble(answer),
        },
    };
    let credential = classify::credential(&answer);
    let exchanges = vec![Exchange { request, answer }];
    Carried { exchanges, next, progress: job.progress, in_doubt: false, credential }
}

/// What was sent: the call, or a question about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Call,
    Question,
}

/// From what an answer means to what follows.
fn conclude(mut job: Job<'_>, call: &JobCall, exchanges: Vec<Exchange>, meaning: Meaning, sent: Sent) -> Carried {
    let before = job.may_be_there(call);
    let rejected = matches!(meaning, Meaning::Rejected { .. });
    let credential = if rejected { Credential::Rejected } else { Credential::Fine };
    let mut in_doubt = before || sent == Sent::Question;
    if !rejected {
        job.progress.rejected = 0;
    }
    let next = match meaning {
        Meaning::Ended(result) => {
            let result = if before && sent == Sent::Call { after_lost(result) } else { result };
            in_doubt = matches!(&result, CallResult::Failed { error } if error.class == ErrorClass::Unknown);
            Next::Ended(result)
        }
        Meaning::Accepted { location } => {
            job.progress.location = location;
            Next::Ended(CallResult::Accepted)
        }
        Meaning::Working { location, at, why } => {
            job.progress.location = location.or(job.progress.location);
            job.progress.unanswered = 0;
            in_doubt = false;
            let at = if sent == Sent::Question { at.max(job.now + QUESTION_PACE) } else { at };
            Next::Again { at, why, trouble: Trouble::None }
        }
        Meaning::Unanswered { not_before, why, trouble } => {
            job.progress.unanswered = job.progress.unanswered.saturating_add(1);
            let at = pause(&job, call, job.progress.unanswered, not_before);
            Next::Again { at, why, trouble }
        }
        Meaning::Rejected { why, status } => turned_away(&mut job, call, why, status, sent),
        Meaning::NotTaken { not_before, why, status, trouble } => match tries_left(call, &job.progress) {
            true => Next::Again { at: pause(&job, call, job.progress.calls, not_before), why, trouble },
            false if before => Next::Ended(lost_for_good(&format!("{why}; an earlier answer was lost"))),
            false => Next::Ended(failed(ErrorClass::Unavailable, format!("given up: {why}"), status)),
        },
        Meaning::Lost { why } => {
            in_doubt = true;
            lost(&job, call, &why)
        }
    };
    if matches!(next, Next::Ended(CallResult::Succeeded { .. } | CallResult::Accepted)) {
        in_doubt = false;
    }
    Carried { exchanges, next, progress: job.progress, in_doubt, credential }
}

/// What follows when the credential is not taken: once more with a new one, then the end. A question goes on.
fn turned_away(job: &mut Job<'_>, call: &JobCall, why: String, status: u16, sent: Sent) -> Next {
    if job.progress.rejected == 0 {
        job.progress.rejected = 1;
        if sent == Sent::Call {
            // It was turned away at the door, so it does not count.
            job.progress.calls = job.progress.calls.saturating_sub(1);
        }
        let why = format!("{why}; trying once more with a new credential");
        return Next::Again { at: job.now, why, trouble: Trouble::None };
    }
    if sent == Sent::Question {
        job.progress.unanswered = job.progress.unanswered.saturating_add(1);
        let at = pause(job, call, job.progress.unanswered, None);
        return Next::Again { at, why, trouble: Trouble::None };
    }
    let refused = failed(ErrorClass::Unauthenticated, why, Some(status));
    Next::Ended(if job.may_be_there(call) { after_lost(refused) } else { refused })
}

/// What follows when it was sent and nobody answered: again where that is safe, or a question, or an unknown end.
fn lost(job: &Job<'_>, call: &JobCall, why: &str) -> Next {
    if keyed(call) && tries_left(call, &job.progress) {
        let at = pause(job, call, job.progress.calls, None);
        let why = format!("{why}; sending it again is safe, it carries the same key");
        Next::Again { at, why, trouble: Trouble::Connection }
    } else if !keyed(call) && app_service::can_be_asked(&call.spec.target) {
        let at = pause(job, call, job.progress.calls, None);
        Next::Again { at, why: format!("{why}; the far end will be asked"), trouble: Trouble::Connection }
    } else {
        Next::Ended(lost_for_good(why))
    }
}

fn keyed(call: &JobCall) -> bool {
    matches!(call.spec.target, JobTarget::Http { idempotency: Idempotency::Key, .. })
}

fn tries_left(call: &JobCall, progress: &CallProgress) -> bool {
    progress.calls < call.spec.retry.attempts.unwrap_or(ATTEMPTS)
}

/// When to try next: what the far end asks for, or a pause that doubles with every try.
fn pause(job: &Job<'_>, call: &JobCall, tries: u32, not_before: Option<Timestamp>) -> Timestamp {
    let first = call.spec.retry.backoff.map_or(BACKOFF, |span| span.0);
    let ours = job.now.saturating_add(backoff(first, tries)).unwrap_or(Timestamp::MAX);
    let latest = job.now.saturating_add(PAUSE_MOST).unwrap_or(Timestamp::MAX);
    ours.max(not_before.unwrap_or(ours)).min(latest)
}

fn backoff(first: SignedDuration, tries: u32) -> SignedDuration {
    let doubled = 1_i32.checked_shl(tries.saturating_sub(1).min(16)).unwrap_or(i32::MAX);
    first.checked_mul(doubled).unwrap_or(PAUSE_MOST).min(PAUSE_MOST)
}

/// A request to where the far end keeps the work. What stands behind the `?` there may be a key (`?code=…` of Azure
/// Functions), so it is not shown.
fn to_place(job: &Job<'_>, request: HttpRequest) -> Request {
    let query = request.url.split_once('?').map(|(_, query)| SecretString::from(query));
    let mut request = with_credential(job, request, Repeat::Harmless);
    request.hide(query);
    request
}

fn with_credential(job: &Job<'_>, mut request: HttpRequest, repeat: Repeat) -> Request {
    request.trust.clone_from(&job.trust);
    let mut secrets = Vec::new();
    for (name, value) in authenticating(job, &request) {
        let value_text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Some((_, token)) = value_text.split_once(' ') {
            secrets.push(SecretString::from(token));
        }
        secrets.push(SecretString::from(value_text.as_str()));
        request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_str()));
        request = request.header(name.as_str().to_owned(), value_text);
    }
    secrets.extend(job.callback.as_deref().and_then(callback::token_of).map(SecretString::from));
    Request::new(Wire::Http(request), repeat, secrets)
}

/// The headers that authenticate one request. One with an address that is none is not sent by anybody.
fn authenticating(job: &Job<'_>, request: &HttpRequest) -> Vec<CredentialHeader> {
    let Ok(url) = Url::parse(&request.url) else { return Vec::new() };
    let pair = |(name, value): &(Cow<'_, str>, String)| Some((name.parse().ok()?, value.parse().ok()?));
    let headers: HeaderMap = request.headers.iter().filter_map(pair).collect();
    let outgoing = Outgoing {
        method: &request.method,
        host: &url[Position::BeforeHost..Position::AfterPort],
        path: url.path(),
        query: url.query(),
        headers: &headers,
        body: request.body.as_bytes(),
    };
    job.authority.headers(&outgoing, job.now)
}

#[cfg(test)]
mod tests;
