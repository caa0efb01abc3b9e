//! One attempt of a claimed row: opens the route, asks first when the row is in doubt, sends, judges.

use super::job;
use super::route::Route;
use super::{Attempted, Claimed, Material};
use crate::clock::Clock;
use jiff::Timestamp;
use std::time::Duration;
use trackside_connect::act::{self, Earlier, Job, Way};
use trackside_connect::connection::{Connection, ConnectionConfig};
use trackside_connect::far_end::{Answer, Verdict, classify_reconcile, reconcile};
use trackside_connect::sender::{self, Attempt, Exchange, Sender};
use trackside_core::effect::Action;

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) verdict: Verdict,
    /// Each request that went out, with its answer.
    pub(super) exchanges: Vec<Exchange>,
    /// Whether the message may be at the far end without anybody having been told so.
    pub(super) in_doubt: bool,
    /// What the next attempt must know.
    pub(super) progress: Option<String>,
    /// What people should know beside the verdict.
    pub(super) notes: Vec<String>,
    /// What follows, when this is the call of a job.
    pub(super) next: Option<trackside_connect::job::Next>,
}

impl Tried {
    pub(super) fn nothing(verdict: Verdict, in_doubt: bool) -> Self {
        Self { verdict, exchanges: Vec::new(), in_doubt, progress: None, notes: Vec::new(), next: None }
    }
}

/// Makes the attempt: asks first when the row is in doubt and the far end can be asked, then sends.
pub async fn send<S: Sender>(sender: &S, claimed: Claimed, clock: &Clock) -> Attempted {
    let began = clock.now();
    let mut tried = attempt(sender, &claimed, began).await;
    if tried.next.is_some() {
        return Attempted { claimed, began, ended: clock.now(), tried };
    }
    let lost = tried.exchanges.iter().any(|exchange| matches!(exchange.answer, Answer::Lost { .. }));
    tried.in_doubt = match tried.verdict {
        Verdict::Done { .. } => false,
        _ => tried.in_doubt || lost || matches!(tried.verdict, Verdict::Unknown { .. }),
    };
    Attempted { claimed, began, ended: clock.now(), tried }
}

/// An attempt that ended without an answer because our own code failed.
pub(super) fn broken(claimed: Claimed, now: Timestamp) -> Attempted {
    let why = "the connector failed inside Trackside; please report this with the server's log".to_owned();
    let tried = Tried::nothing(Verdict::Retry { not_before: None, why }, true);
    Attempted { claimed, began: now, ended: now, tried }
}

async fn attempt<S: Sender>(sender: &S, claimed: &Claimed, now: Timestamp) -> Tried {
    let effect = &claimed.delivery.effect;
    let in_doubt = claimed.delivery.in_doubt;
    match (&claimed.route, effect.action) {
        (Route::Nowhere(why), _) => Tried::nothing(Verdict::Refused { why: why.clone() }, in_doubt),
        (Route::Block(block), _) => act(sender, claimed, Way::Block(block), block.delivery().timeout, now).await,
        (Route::Connection(config), Action::Job) => job::call(sender, claimed, config, now).await,
        (Route::Connection(config), action) => {
            let connection = match config.open(&effect.connection, claimed.public_url.as_deref(), &claimed.secrets) {
                Ok(connection) => connection,
                Err(error) => {
                    return Tried::nothing(Verdict::Retry { not_before: None, why: error.to_string() }, in_doubt);
                }
            };
            let connection = match &claimed.act_key {
                Some(key) => connection.with_links(key),
                None => connection,
            };
            match action {
                Action::Act => act(sender, claimed, Way::Connection(&connection), config.delivery().timeout, now).await,
                _ => message(sender, claimed, config, &connection, now).await,
            }
        }
    }
}

/// An action of an automation.
async fn act<S: Sender>(sender: &S, claimed: &Claimed, way: Way<'_>, timeout: Duration, now: Timestamp) -> Tried {
    let delivery = &claimed.delivery;
    let material = claimed.material.as_deref();
    let mut notes = Vec::new();
    let origin = material.and_then(|material| origin(material, claimed, &mut notes));
    let job = Job {
        effect: &delivery.effect,
        way,
        events: material.map(|material| material.events.as_slice()).unwrap_or_default(),
        origin: origin.as_ref(),
        pages: material.and_then(|material| material.pages.as_deref()),
        earlier: if delivery.in_doubt { Earlier::MayBeThere } else { Earlier::NotThere },
        progress: delivery.far_ref.as_deref(),
        now,
        timeout,
    };
    let attempt = act::attempt(sender, &job).await;
    let mut tried = tried(attempt, delivery.in_doubt);
    tried.notes.splice(0..0, notes);
    tried
}

/// The Prefect server that the event came from, when its credential can be read.
fn origin(material: &Material, claimed: &Claimed, notes: &mut Vec<String>) -> Option<Connection> {
    let (name, config) = material.origin.as_ref()?;
    match config.open(name, claimed.public_url.as_deref(), &claimed.secrets) {
        Ok(connection) => Some(connection),
        Err(error) => {
            notes.push(format!("connection `{name}` cannot be asked: {error}"));
            None
        }
    }
}

/// A message about an incident, a message passed on, or a test.
async fn message<S: Sender>(
    sender: &S,
    claimed: &Claimed,
    config: &ConnectionConfig,
    connection: &Connection,
    now: Timestamp,
) -> Tried {
    let effect = &claimed.delivery.effect;
    let timeout = config.delivery().timeout;
    let previous = claimed.far_ref.as_deref();
    let mut in_doubt = claimed.delivery.in_doubt;
    let mut asked = Vec::new();
    if in_doubt && let Some(question) = reconcile(connection, effect, previous) {
        let answer = sender.send(&question, timeout).await;
        let verdict = classify_reconcile(connection, effect, previous, &answer, now);
        asked.push(Exchange { request: question, answer });
        match verdict {
            Verdict::Retry { not_before: None, .. } => in_doubt = false,
            settled => return Tried { exchanges: asked, ..Tried::nothing(settled, in_doubt) },
        }
    }
    match sender::attempt(sender, connection, effect, previous, now, timeout).await {
        Ok(attempt) => {
            let mut tried = tried(attempt, in_doubt);
            tried.exchanges.splice(0..0, asked);
            tried
        }
        Err(error) => {
            Tried { exchanges: asked, ..Tried::nothing(Verdict::Refused { why: error.to_string() }, in_doubt) }
        }
    }
}

fn tried(attempt: Attempt, in_doubt: bool) -> Tried {
    let Attempt { exchanges, verdict, progress, notes } = attempt;
    Tried { verdict, exchanges, in_doubt, progress, notes, next: None }
}
