//! What is kept of an attempt: verdict, request and answer without secrets, cut to what people read.

use super::{Attempted, Recording};
use trackside_connect::far_end::{Answer, Verdict};
use trackside_connect::redact;
use trackside_core::effect::Action;
use trackside_store::Store;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict};

/// Longest text of a request or answer kept per attempt, in bytes.
const EXCERPT: usize = 4 * 1024;

/// Commits what follows an attempt.
///
/// # Errors
/// When the database fails; the row stays "sending" until its lease ends.
pub async fn record(store: &Store, recording: Recording) -> trackside_store::Result<()> {
    store.record_attempt(&recording.delivery, &recording.record, &recording.next, recording.now).await
}

/// The record of an attempt.
pub(super) fn of(attempted: &Attempted) -> AttemptRecord {
    let tried = &attempted.tried;
    let last = tried.exchanges.last();
    let (verdict, error, far_ref) = match &tried.verdict {
        Verdict::Done { far_ref } => (AttemptVerdict::Done, None, far_ref.clone()),
        Verdict::Retry { why, .. } if tried.in_doubt => (AttemptVerdict::Unknown, Some(why.clone()), None),
        Verdict::Retry { why, .. } => (AttemptVerdict::Retry, Some(why.clone()), None),
        Verdict::Refused { why } => (AttemptVerdict::Refused, Some(why.clone()), None),
        Verdict::Unknown { why, .. } => (AttemptVerdict::Unknown, Some(why.clone()), None),
    };
    let kept = |text: &str| kept(attempted, text);
    let (status, answer) = match last.map(|exchange| &exchange.answer) {
        Some(Answer::Response { status, body, .. }) => (Some(*status), Some(kept(body))),
        Some(Answer::NotSent { error } | Answer::Withheld { error } | Answer::Lost { error }) => {
            (None, Some(kept(error)))
        }
        None => (None, None),
    };
    let took = attempted.ended.duration_since(attempted.began).as_millis();
    AttemptRecord {
        at: attempted.began,
        took_ms: u32::try_from(took).unwrap_or(if took < 0 { 0 } else { u32::MAX }),
        verdict,
        in_doubt: tried.in_doubt,
        status,
        request: request(attempted),
        answer,
        error: error.map(|error| kept(&error)),
        far_ref: far_ref.or_else(|| tried.progress.clone()),
        call: None,
    }
}

/// The last request, after the notes about the attempt.
fn request(attempted: &Attempted) -> Option<String> {
    let tried = &attempted.tried;
    let mut text: String = tried.notes.iter().map(|note| format!("note: {note}\n")).collect();
    if let Some(exchange) = tried.exchanges.last() {
        let shown = exchange.request.shown();
        text.push_str(&format!("{} {}\n{}", shown.method, shown.url, shown.body));
    }
    (!text.is_empty()).then(|| kept(attempted, &text))
}

/// A text as people may see it. What is told of events was redacted when they came in; what goes into a job and comes out
/// of it is nobody's business here, so what looks like a secret is left out.
fn kept(attempted: &Attempted, text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(EXCERPT)];
    match attempted.claimed.delivery.effect.action {
        Action::Job => redact::text(cut).into_owned(),
        _ => cut.to_owned(),
    }
}
