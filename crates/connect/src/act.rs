//! Carrying out one action of an automation: its texts, its target, its requests, and what came of them.
//!
//! An action becomes an [`order::Order`] (everything rendered, every target known) and then requests, by the way it
//! goes: a block, a connection that takes messages, a Prefect server. Texts are rendered when the action is carried
//! out, from the events in the log and, where they name objects of a Prefect server, from what that server says now.
//! Invariants: what cannot be done says why and is refused at once; an error of rendering is never tried again; where
//! a message goes to several recipients, each gets it once however often it is tried ([`Attempt::progress`]).
//! Decided elsewhere: which connection ([`trackside_core::engine`]), when to try again, what ends a delivery.

use crate::block::{Block, Content, Occasion};
use crate::connection::{Connection, Target};
use crate::far_end::{Request, Verdict, classify_reconcile, reconcile};
use crate::sender::{self, Attempt, Exchange, Sender};
use crate::webhook;
use jiff::Timestamp;
use order::Order;
use std::collections::BTreeSet;
use std::time::Duration;
use trackside_core::automation::act::Act;
use trackside_core::automation::firing::FiringState;
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Event;
use trackside_core::ids::derive;
use trackside_core::notice::OwnerView;
use trackside_core::ruleset::ConnectionKind;

mod objects;
mod order;
mod prefect;
mod target;
mod texts;

/// What an attempt at an action works with.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The delivery; it carries an [`Act`].
    pub effect: &'a Effect,
    /// Which way it goes.
    pub way: Way<'a>,
    /// Events of the firing that are in the log.
    pub events: &'a [Event],
    /// The Prefect server that the firing's event came from, if any.
    pub origin: Option<&'a Connection>,
    /// Base address of the pages of Prefect that texts link to.
    pub pages: Option<&'a str>,
    /// Whether an earlier attempt may have arrived.
    pub earlier: Earlier,
    /// [`Attempt::progress`] of the attempts before.
    pub progress: Option<&'a str>,
    /// Time of the attempt.
    pub now: Timestamp,
    /// Longest wait for one answer.
    pub timeout: Duration,
}

/// Which way an action goes.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// Through a connection of the configuration.
    Connection(&'a Connection),
    /// Through a block document.
    Block(&'a Block),
}

/// What is known of earlier attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing of them can be at the far end.
    NotThere,
    /// One may be.
    MayBeThere,
}

/// How often one attempt waits for an answer at most, beside one per further recipient of a block: objects that texts
/// name, the question whether it arrived, a look-up, the action and what belongs to it.
pub const ROUNDS: u32 = 10;

/// The key under which a far end knows the alert: the same for every firing of one automation for one subject.
#[must_use]
pub fn alert_key(act: &Act) -> String {
    let id = act.automation.id.to_string();
    let mut parts = vec![id.as_str()];
    for (label, value) in &act.firing.labels {
        parts.extend([label.as_str(), value.as_str()]);
    }
    derive("automation-alert", &parts).to_string()
}

/// Makes one attempt.
pub async fn attempt<S: Sender>(sender: &S, job: &Job<'_>) -> Attempt {
    let Some(act) = job.effect.act.as_deref() else {
        return Attempt::refused("the delivery carries no action".to_owned());
    };
    let material = texts::gather(sender, job, act).await;
    let mut attempt = match order::of(act, &material) {
        Ok(order) => carry_out(sender, job, act, order).await,
        Err(why) => Attempt::refused(why),
    };
    attempt.notes.splice(0..0, material.notes);
    attempt
}

async fn carry_out<S: Sender>(sender: &S, job: &Job<'_>, act: &Act, order: Order) -> Attempt {
    let kind = act.action.kind();
    let connection = match job.way {
        Way::Block(block) => return through_block(sender, job, act, block, &order).await,
        Way::Connection(connection) => connection,
    };
    match (order, &connection.target) {
        (Order::Prefect(command), Target::Prefect { api, auth }) => {
            let api = prefect::Api { base: api, auth: auth.as_ref() };
            at_prefect(sender, job, act, &api, &command).await
        }
        (Order::Notify { .. }, Target::Prefect { .. }) | (Order::Prefect(_), _) => {
            Attempt::refused(wrong_kind(connection, kind, needed(kind)))
        }
        (Order::Notify { subject, body }, _) => {
            let effect = plain(job.effect, act, connection.kind(), subject, body);
            notify(sender, job, connection, &effect).await
        }
        (Order::Call { payload }, Target::Webhook { url, secrets }) => {
            match webhook::call(connection, url, secrets, &payload, job.effect, job.now) {
                Ok(request) => {
                    let answer = sender.send(&request, job.timeout).await;
                    let verdict = crate::far_end::classify(connection, &request, &answer, job.now);
                    Attempt::of(vec![Exchange { request, answer }], verdict)
                }
                Err(error) => Attempt::refused(error.to_string()),
            }
        }
        (Order::Call { .. } | Order::Elsewhere, _) => Attempt::refused(wrong_kind(connection, kind, needed(kind))),
    }
}

/// The kind of connection that an action needs.
fn needed(action: &str) -> &'static str {
    match action {
        "send-notification" | "notify-channel" => "slack, pagerduty, webhook or email",
        "call-webhook" => "webhook",
        "trigger-dag" | "clear-task" => "airflow",
        "start-build" => "teamcity",
        "run-job" => "jobs",
        _ => "prefect",
    }
}

fn wrong_kind(connection: &Connection, action: &str, needed: &str) -> String {
    let kind = connection.kind().as_str();
    format!(
        "no such connection: `{}` is of kind {kind}, and {action} needs one of kind {needed}; name another one",
        connection.name
    )
}

/// Why an action cannot go through a connection that is not configured, for people.
#[must_use]
pub fn no_such_connection(name: &str, act: Option<&Act>) -> String {
    let needed = act.map(|act| needed(act.action.kind()));
    let add = needed.map_or_else(String::new, |needed| format!(" (kind {needed})"));
    format!(
        "no such connection: `{name}` is not in the configuration; add it under `connections`{add}, or name another one"
    )
}

/// The action as an ordinary message of this connection.
fn plain(effect: &Effect, act: &Act, kind: ConnectionKind, subject: String, body: String) -> Effect {
    let mut effect = effect.clone();
    effect.act = None;
    effect.action = Action::Message;
    effect.notice.title = subject;
    effect.notice.summary = body;
    effect.notice.passthrough = None;
    // The text says itself whom it is for; who asks for it is told beside it.
    effect.notice.owner = OwnerView { team: String::new(), because: String::new() };
    effect.notice.details.insert("Automation".to_owned(), act.automation.spec.name.clone());
    if kind == ConnectionKind::Pagerduty {
        effect.key = alert_key(act);
        effect.action = match act.firing.state {
            FiringState::Triggered => Action::Trigger,
            FiringState::Resolved => Action::Resolve,
        };
    }
    effect
}

/// Sends a message as every other, asking first where it may be there.
async fn notify<S: Sender>(sender: &S, job: &Job<'_>, connection: &Connection, effect: &Effect) -> Attempt {
    let mut asked = Vec::new();
    if job.earlier == Earlier::MayBeThere
        && let Some(question) = reconcile(connection, effect, None)
    {
        let answer = sender.send(&question, job.timeout).await;
        let verdict = classify_reconcile(connection, effect, None, &answer, job.now);
        asked.push(Exchange { request: question, answer });
        if !matches!(verdict, Verdict::Retry { not_before: None, .. }) {
            return Attempt::of(asked, verdict);
        }
    }
    match sender::attempt(sender, connection, effect, None, job.now, job.timeout).await {
        Ok(mut attempt) => {
            attempt.exchanges.splice(0..0, asked);
            attempt
        }
        Err(error) => Attempt::of(asked, Verdict::Refused { why: error.to_string() }),
    }
}

async fn at_prefect<S: Sender>(
    sender: &S,
    job: &Job<'_>,
    act: &Act,
    api: &prefect::Api<'_>,
    command: &prefect::Command,
) -> Attempt {
    let asking = prefect::Asking {
        automation: &act.automation,
        action: act.action.kind(),
        delivery: job.effect.id,
        key: &job.effect.key,
        now: job.now,
    };
    let mut exchanges = Vec::new();
    if job.earlier == Earlier::MayBeThere
        && let Some(question) = command.question(api)
    {
        let answer = sender.send(&question, job.timeout).await;
        let verdict = command.answered(&answer, &asking);
        exchanges.push(Exchange { request: question, answer });
        if !matches!(verdict, Verdict::Retry { .. }) {
            return Attempt::of(exchanges, verdict);
        }
    }
    let mut pool = None;
    if let prefect::Command::WorkPool { pool: id, .. } = command {
        let question = api.pool(*id);
        let answer = sender.send(&question, job.timeout).await;
        let name = prefect::pool_name(*id, &answer, &asking);
        exchanges.push(Exchange { request: question, answer });
        match name {
            Ok(name) => pool = Some(name),
            Err(verdict) => return Attempt::of(exchanges, verdict),
        }
    }
    let request = command.request(api, &asking, pool.as_deref());
    let answer = sender.send(&request, job.timeout).await;
    let verdict = command.classify(&request, &answer, &asking);
    exchanges.push(Exchange { request, answer });
    Attempt::of(exchanges, verdict)
}

async fn through_block<S: Sender>(sender: &S, job: &Job<'_>, act: &Act, block: &Block, order: &Order) -> Attempt {
    let content = match order {
        Order::Notify { subject, body } => Content::Notification { subject, body },
        Order::Call { payload } => Content::Payload(payload),
        Order::Prefect(_) | Order::Elsewhere => {
            return Attempt::refused(format!("{} does not go through a block", act.action.kind()));
        }
    };
    let alert = alert_key(act);
    let occasion = Occasion { delivery: job.effect.id, alert: &alert, state: act.firing.state };
    match block.requests(content, &occasion) {
        Ok(requests) => to_each(sender, job, block, requests).await,
        Err(why) => Attempt::refused(why),
    }
}

/// Sends each request that was not taken before. One that is refused does not keep the others from theirs; one that
/// fails ends the attempt, because the far end is not well.
async fn to_each<S: Sender>(sender: &S, job: &Job<'_>, block: &Block, requests: Vec<Request>) -> Attempt {
    let count = requests.len();
    let mut taken = progress::read(job.progress);
    let mut refused = Vec::new();
    let mut far_ref = None;
    let mut exchanges = Vec::new();
    let mut ended = None;
    for (index, request) in requests.into_iter().enumerate() {
        if taken.contains(&index) {
            continue;
        }
        let answer = sender.send(&request, job.timeout).await;
        let verdict = block.classify(&request, &answer, job.now);
        exchanges.push(Exchange { request, answer });
        match verdict {
            Verdict::Done { far_ref: name } => {
                taken.insert(index);
                far_ref = far_ref.or(name);
            }
            Verdict::Refused { why } => refused.push((index, why)),
            failed => {
                ended = Some(failed);
                break;
            }
        }
    }
    let verdict = match (ended, refused.first()) {
        (Some(failed), _) => failed,
        (None, None) => Verdict::Done { far_ref },
        (None, Some((_, why))) if count == 1 => Verdict::Refused { why: why.clone() },
        (None, Some((index, why))) => Verdict::Refused {
            why: format!(
                "{} of {count} recipients were refused, the first is number {}: {why}",
                refused.len(),
                index + 1
            ),
        },
    };
    let progress = (count > 1).then(|| progress::write(&taken));
    Attempt { progress, ..Attempt::of(exchanges, verdict) }
}

/// Which recipients have it, as text: `taken:0,2`.
mod progress {
    use super::BTreeSet;

    const PREFIX: &str = "taken:";

    pub(super) fn read(text: Option<&str>) -> BTreeSet<usize> {
        let list = text.and_then(|text| text.strip_prefix(PREFIX)).unwrap_or_default();
        list.split(',').filter_map(|index| index.parse().ok()).collect()
    }

    pub(super) fn write(taken: &BTreeSet<usize>) -> String {
        let list: Vec<String> = taken.iter().map(ToString::to_string).collect();
        format!("{PREFIX}{}", list.join(","))
    }
}

/// A name as one segment of a path.
fn path_segment(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests;
