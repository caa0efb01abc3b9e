//! Calls of jobs: whether one is still wanted, with which credential it goes out, and what follows it.
//!
//! Invariants: a call whose run has ended is not made; a credential that the far end refused is fetched anew before the
//! next attempt; how long to go on is the run's deadline's business, not the connection's.

use super::attempt::Tried;
use super::channel::Channel;
use super::{Claimed, Recording, record};
use crate::deliver::Attempted;
use jiff::{SignedDuration, Timestamp};
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::far_end::Verdict;
use trackside_connect::job::callback::PATH;
use trackside_connect::job::{self, Credential, Earlier, Job, Trouble};
use trackside_connect::sender::Sender;
use trackside_core::input::DeliveryResult;
use trackside_core::job::run::{CallProgress, CallResult, CallStep, ErrorClass, JobCall, JobError};
use trackside_core::job::spec::JobTarget;
use trackside_identity::broker::{OnBehalf, management_of};
use trackside_identity::workload::claims::Work;
use trackside_store::Store;
use trackside_store::outbox::{Delivery, Next};

/// How long after the deadline a far end may still call back: it counts as what was learnt late.
const CALLBACK_GRACE: SignedDuration = SignedDuration::from_hours(24);
/// Pause after a credential could not be had.
const NO_CREDENTIAL: SignedDuration = SignedDuration::from_secs(10);

/// Why a call is not wanted any more.
pub(super) async fn pointless(store: &Store, row: &Delivery) -> trackside_store::Result<Option<&'static str>> {
    let Some(call) = row.effect.job.as_deref().filter(|call| call.step == CallStep::Run) else {
        return Ok(None);
    };
    let run = store.job_run(call.run).await?;
    Ok(match run {
        None => Some("its run is gone"),
        Some(run) if run.state.ended() => Some("its run ended before"),
        Some(_) => None,
    })
}

/// Makes one attempt at a call.
pub(super) async fn call<S: Sender>(sender: &S, claimed: &Claimed, config: &ConnectionConfig, now: Timestamp) -> Tried {
    let row = &claimed.delivery;
    let Some(call) = row.effect.job.as_deref() else {
        return Tried::nothing(Verdict::Refused { why: "the delivery carries no call".to_owned() }, row.in_doubt);
    };
    let outlet = outlet(call, &row.effect.connection);
    let behalf =
        OnBehalf { work: Work { job: Some(&call.job), run: Some(call.run) }, ..OnBehalf::caller(&call.caller) };
    let credential = claimed.brokers.credential(&outlet, Some(behalf)).await;
    let ready = credential.and_then(|authority| Ok((authority, claimed.brokers.trusted(&outlet)?)));
    let (authority, trust) = match ready {
        Ok(ready) => ready,
        Err(error)
            if !error.passes() && !row.in_doubt && CallProgress::read(row.far_ref.as_deref()).location.is_none() =>
        {
            return no_credential(&error.to_string());
        }
        Err(error) => {
            let why = error.to_string();
            let pause = SignedDuration::try_from(error.retry_after).unwrap_or(NO_CREDENTIAL).max(NO_CREDENTIAL);
            let at = now + pause;
            let mut tried = Tried::nothing(Verdict::Retry { not_before: Some(at), why: why.clone() }, row.in_doubt);
            tried.next = Some(job::Next::Again { at, why, trouble: Trouble::None });
            return tried;
        }
    };
    let work = Job {
        effect: &row.effect,
        config,
        authority,
        trust,
        earlier: if row.in_doubt { Earlier::MayBeThere } else { Earlier::NotThere },
        progress: CallProgress::read(row.far_ref.as_deref()),
        callback: callback(claimed, call),
        now,
        timeout: config.delivery().timeout,
    };
    let carried = job::attempt(sender, work).await;
    if carried.credential == Credential::Rejected {
        claimed.brokers.rejected(&outlet, Some(behalf));
    }
    Tried {
        verdict: carried.verdict(),
        exchanges: carried.exchanges,
        in_doubt: carried.in_doubt,
        progress: Some(carried.progress.write()),
        notes: Vec::new(),
        next: Some(carried.next),
    }
}

/// The connection as the brokers know it: an action on an App Service is not a call of the app.
fn outlet(call: &JobCall, connection: &str) -> String {
    match call.spec.target {
        JobTarget::AppService { .. } => management_of(connection),
        JobTarget::Http { .. } => connection.to_owned(),
    }
}

/// Somebody has to change the configuration, here or there, so the call is not made.
fn no_credential(why: &str) -> Tried {
    let error = JobError { class: ErrorClass::Unauthenticated, message: why.to_owned(), status: None };
    let mut tried = Tried::nothing(Verdict::Refused { why: why.to_owned() }, false);
    tried.next = Some(job::Next::Ended(CallResult::Failed { error }));
    tried
}

/// The address that the far end calls when it is done; it works once.
fn callback(claimed: &Claimed, call: &JobCall) -> Option<String> {
    let (base, key) = (claimed.public_url.as_deref()?, claimed.act_key.as_ref()?);
    let expires = call.deadline.saturating_add(CALLBACK_GRACE).unwrap_or(Timestamp::MAX);
    Some(format!("{}{PATH}{}", base.trim_end_matches('/'), key.seal_run(call.run, expires)))
}

/// What follows an attempt at a call.
pub(super) fn settle(
    channel: &mut Channel,
    attempted: &Attempted,
    next: &job::Next,
    now: Timestamp,
    jitter: f64,
) -> Recording {
    let delivery = attempted.claimed.delivery.clone();
    let mut record = record::of(attempted);
    let next = match next {
        job::Next::Ended(result) => {
            channel.answered();
            record.call = Some(result.clone());
            Next::End(end_of(result))
        }
        job::Next::Again { at, trouble: Trouble::None, .. } => {
            channel.answered();
            Next::Retry { due: *at }
        }
        job::Next::Again { at, trouble: Trouble::Connection, .. } => {
            let healthy_at = channel.failed(now, None, jitter);
            Next::Retry { due: healthy_at.max(*at) }
        }
    };
    Recording { delivery, record, next, now }
}

/// A call that was answered has arrived, whatever the answer; one that was not, or may not have been, is dead.
fn end_of(result: &CallResult) -> DeliveryResult {
    match result {
        CallResult::Failed { error } if unanswered(error.class) => {
            DeliveryResult::Dead { error: error.message.clone() }
        }
        _ => DeliveryResult::Delivered,
    }
}

fn unanswered(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Unknown | ErrorClass::Unavailable | ErrorClass::Internal)
}
