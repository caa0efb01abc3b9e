//! The deliverer: claims due rows, sends them, records what came of it.
//!
//! Three phases with nothing in memory that matters between them: [`Deliverer::plan`] commits the claims,
//! [`send`] does the I/O, [`Deliverer::settle`] and [`Deliverer::record`] decide and commit what follows. A crash between any two leaves rows
//! "sending"; [`Deliverer::recover`] puts them in doubt, so they are asked after or repeated under the same key.
//! Invariants: a connection's trouble never delays another; a panic of one connector ends one attempt, not the loop.

mod channel;
mod run;

use channel::Channel;
pub use run::Wakes;

use crate::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::far_end::{Answer, Verdict, classify_reconcile, reconcile};
use trackside_connect::sender::{self, Exchange, Sender};
use trackside_core::delivery::{LaneRow, Progress, next_attempt, plan_lane};
use trackside_core::ids::DeliveryId;
use trackside_core::input::DeliveryResult;
use trackside_store::Store;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Delivery, DeliveryState, Next};

/// How long a claim is held beyond the connection's time-out before the row is taken to be of a dead process.
const LEASE_MARGIN: SignedDuration = SignedDuration::from_mins(2);
/// Longest text of a request or answer kept per attempt, in bytes.
const EXCERPT: usize = 4 * 1024;

/// Connections by name, as configured.
pub type Connections = Arc<BTreeMap<String, ConnectionConfig>>;

/// Plans and settles deliveries.
#[derive(Debug)]
pub struct Deliverer {
    store: Store,
    connections: Connections,
    public_url: Option<String>,
    channels: BTreeMap<String, Channel>,
}

/// A row that was claimed for one attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row, with this attempt counted.
    pub delivery: Delivery,
    /// The far end's latest name for what this lane brought it.
    pub far_ref: Option<String>,
    config: Option<ConnectionConfig>,
    public_url: Option<String>,
}

/// What an attempt came to, before it is decided what follows.
#[derive(Clone, Debug)]
pub struct Attempted {
    claimed: Claimed,
    began: Timestamp,
    ended: Timestamp,
    verdict: Verdict,
    exchanges: Vec<Exchange>,
    in_doubt: bool,
}

/// What is to be committed about an attempt.
#[derive(Clone, Debug)]
pub struct Recording {
    delivery: Delivery,
    record: AttemptRecord,
    next: Next,
    now: Timestamp,
}

impl Deliverer {
    /// A deliverer for these connections.
    #[must_use]
    pub fn new(store: Store, connections: Connections, public_url: Option<String>) -> Self {
        Self { store, connections, public_url, channels: BTreeMap::new() }
    }

    /// Uses other connections from now on. What is known of the health of those that stay is kept.
    pub fn reconfigure(&mut self, connections: Connections, public_url: Option<String>) {
        self.channels.retain(|name, _| self.connections.get(name) == connections.get(name));
        self.connections = connections;
        self.public_url = public_url;
    }

    /// Puts rows whose sender is gone in doubt. At start every row "sending" is of a dead process: use
    /// [`Timestamp::MAX`]; later, `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recover(&mut self, leases_until: Timestamp, now: Timestamp) -> trackside_store::Result<usize> {
        let rows = self.store.expired_leases(leases_until).await?;
        for row in &rows {
            let record = AttemptRecord {
                at: now,
                took_ms: 0,
                verdict: AttemptVerdict::Unknown,
                in_doubt: true,
                status: None,
                request: None,
                answer: None,
                error: Some("the process ended while this was being sent; it may have arrived".to_owned()),
                far_ref: None,
            };
            self.store.record_attempt(row, &record, &Next::Retry { due: now }, now).await?;
        }
        Ok(rows.len())
    }

    /// Claims what may be sent now. What later rows made pointless is superseded on the way.
    ///
    /// # Errors
    /// When the database fails; nothing is claimed then.
    pub async fn plan(&mut self, now: Timestamp) -> trackside_store::Result<Vec<Claimed>> {
        let mut blocked = Vec::new();
        for (name, channel) in &mut self.channels {
            if channel.slots(now) == 0 {
                blocked.push(name.clone());
            }
        }
        let heads = self.store.due(now, &blocked, channel::IN_FLIGHT).await?;
        let mut claimed = Vec::new();
        let mut lease = now;
        for head in heads {
            let name = head.effect.connection.clone();
            let config = self.connections.get(&name).cloned();
            let channel = self.channels.entry(name).or_insert_with(|| Channel::new(config.as_ref(), now));
            if channel.slots(now) == 0 {
                continue;
            }
            let Some(row) = self.plan_lane(head, now).await? else {
                continue;
            };
            let Some(channel) = self.channels.get_mut(&row.delivery.effect.connection) else {
                continue;
            };
            channel.start(now);
            lease = lease.max(now + channel.timeout() + LEASE_MARGIN);
            claimed.push(row);
        }
        let ids: Vec<DeliveryId> = claimed.iter().map(|row| row.delivery.effect.id).collect();
        if let Err(error) = self.store.claim(&ids, lease).await {
            for row in &claimed {
                self.release(&row.delivery.effect.connection);
            }
            return Err(error);
        }
        for row in &mut claimed {
            row.delivery.state = DeliveryState::Sending;
            row.delivery.attempts += 1;
            row.delivery.lease_until = Some(lease);
        }
        Ok(claimed)
    }

    fn release(&mut self, connection: &str) {
        if let Some(channel) = self.channels.get_mut(connection) {
            channel.finished();
        }
    }

    /// The row of a lane to send now, if it is `head`; supersedes what is pointless.
    async fn plan_lane(&self, head: Delivery, now: Timestamp) -> trackside_store::Result<Option<Claimed>> {
        let lane = self.store.lane(&head).await?;
        let rows: Vec<LaneRow> = lane.rows.iter().map(lane_row).collect();
        let plan = plan_lane(&rows);
        let row_of = |id| lane.rows.iter().find(|row| row.effect.id == id);
        let pointless: Vec<(&Delivery, &str)> =
            plan.supersede.iter().filter_map(|(id, why)| Some((row_of(*id)?, *why))).collect();
        if !pointless.is_empty() {
            self.store.supersede(&pointless, now).await?;
        }
        // Another row became the head: it is due in the next round.
        if plan.head != Some(head.effect.id) {
            return Ok(None);
        }
        let config = self.connections.get(&head.effect.connection).cloned();
        Ok(Some(Claimed { delivery: head, far_ref: lane.far_ref, config, public_url: self.public_url.clone() }))
    }

    /// Decides what follows an attempt: the end, or when to try again.
    #[must_use]
    pub fn settle(&mut self, attempted: &Attempted, now: Timestamp, jitter: f64) -> Recording {
        let delivery = attempted.claimed.delivery.clone();
        let connection = delivery.effect.connection.clone();
        let config = self.connections.get(&connection).cloned();
        let channel = self.channels.entry(connection).or_insert_with(|| Channel::new(config.as_ref(), now));
        channel.finished();
        let created = delivery.effect.at;
        let give_up = channel.gives_up(delivery.attempts, created, now);
        let next = match &attempted.verdict {
            Verdict::Done { .. } => {
                channel.answered();
                Next::End(DeliveryResult::Delivered)
            }
            Verdict::Refused { why } => {
                channel.answered();
                Next::End(DeliveryResult::Dead { error: why.clone() })
            }
            Verdict::Retry { not_before, why } | Verdict::Unknown { not_before, why } => {
                let healthy_at = channel.failed(now, *not_before, jitter);
                if give_up {
                    Next::End(DeliveryResult::Dead { error: format!("given up: {why}") })
                } else {
                    Next::Retry { due: next_attempt(now, created, *not_before, jitter).max(healthy_at) }
                }
            }
        };
        let record = attempt_record(attempted);
        Recording { delivery, record, next, now }
    }

    /// When something can be sent next, as far as is known: the earliest due row of a connection that is free, or the moment
    /// a blocked one is free again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_wake(&mut self, now: Timestamp) -> trackside_store::Result<Option<Timestamp>> {
        let mut blocked = Vec::new();
        let mut free_at: Vec<Timestamp> = Vec::new();
        for (name, channel) in &mut self.channels {
            if channel.slots(now) == 0 {
                blocked.push(name.clone());
                free_at.extend(channel.free_at(now));
            }
        }
        let due = self.store.next_due(&blocked).await?;
        Ok(due.into_iter().chain(free_at).min())
    }
}

/// Commits what follows an attempt.
///
/// # Errors
/// When the database fails; the row stays "sending" until its lease ends.
pub async fn record(store: &Store, recording: Recording) -> trackside_store::Result<()> {
    store.record_attempt(&recording.delivery, &recording.record, &recording.next, recording.now).await
}

/// Makes the attempt: asks first when the row is in doubt and the far end can be asked, then sends.
pub async fn send<S: Sender>(sender: &S, claimed: Claimed, clock: &Clock) -> Attempted {
    let began = clock.now();
    let mut in_doubt = claimed.delivery.in_doubt;
    let (verdict, exchanges) = exchange(sender, &claimed, began, &mut in_doubt).await;
    let lost = exchanges.iter().any(|exchange| matches!(exchange.answer, Answer::Lost { .. }));
    let in_doubt = match verdict {
        Verdict::Done { .. } => false,
        _ => in_doubt || lost || matches!(verdict, Verdict::Unknown { .. }),
    };
    Attempted { claimed, began, ended: clock.now(), verdict, exchanges, in_doubt }
}

async fn exchange<S: Sender>(
    sender: &S,
    claimed: &Claimed,
    now: Timestamp,
    in_doubt: &mut bool,
) -> (Verdict, Vec<Exchange>) {
    let effect = &claimed.delivery.effect;
    let Some(config) = &claimed.config else {
        let why = format!("there is no connection `{}` in the configuration", effect.connection);
        return (Verdict::Refused { why }, Vec::new());
    };
    let connection = match config.open(&effect.connection, claimed.public_url.as_deref()) {
        Ok(connection) => connection,
        Err(error) => return (Verdict::Retry { not_before: None, why: error.to_string() }, Vec::new()),
    };
    let timeout = config.delivery().timeout;
    let previous = claimed.far_ref.as_deref();
    let mut exchanges = Vec::new();
    if *in_doubt && let Some(question) = reconcile(&connection, effect, previous) {
        let answer = sender.send(&question, timeout).await;
        let verdict = classify_reconcile(&connection, effect, previous, &answer, now);
        exchanges.push(Exchange { request: question, answer });
        match verdict {
            Verdict::Retry { not_before: None, .. } => *in_doubt = false,
            settled => return (settled, exchanges),
        }
    }
    match sender::attempt(sender, &connection, effect, previous, now, timeout).await {
        Ok(attempt) => {
            exchanges.extend(attempt.exchanges);
            (attempt.verdict, exchanges)
        }
        Err(error) => (Verdict::Refused { why: error.to_string() }, exchanges),
    }
}

/// An attempt that ended without an answer because our own code failed.
fn broken(claimed: Claimed, now: Timestamp) -> Attempted {
    let why = "the connector failed inside Trackside; please report this with the server's log".to_owned();
    let verdict = Verdict::Retry { not_before: None, why };
    Attempted { claimed, began: now, ended: now, verdict, exchanges: Vec::new(), in_doubt: true }
}

fn lane_row(row: &Delivery) -> LaneRow {
    let progress = match row.state {
        DeliveryState::Sending => Progress::Sending,
        _ if row.in_doubt => Progress::MayBeThere,
        _ => Progress::NotThere,
    };
    LaneRow { id: row.effect.id, action: row.effect.action, progress }
}

fn attempt_record(attempted: &Attempted) -> AttemptRecord {
    let last = attempted.exchanges.last();
    let (verdict, error, far_ref) = match &attempted.verdict {
        Verdict::Done { far_ref } => (AttemptVerdict::Done, None, far_ref.clone()),
        Verdict::Retry { why, .. } if attempted.in_doubt => (AttemptVerdict::Unknown, Some(why.clone()), None),
        Verdict::Retry { why, .. } => (AttemptVerdict::Retry, Some(why.clone()), None),
        Verdict::Refused { why } => (AttemptVerdict::Refused, Some(why.clone()), None),
        Verdict::Unknown { why, .. } => (AttemptVerdict::Unknown, Some(why.clone()), None),
    };
    let (status, answer) = match last.map(|exchange| &exchange.answer) {
        Some(Answer::Response { status, body, .. }) => (Some(*status), Some(cut(body))),
        Some(Answer::NotSent { error } | Answer::Withheld { error } | Answer::Lost { error }) => (None, Some(cut(error))),
        None => (None, None),
    };
    let request = last.map(|exchange| {
        let shown = exchange.request.shown();
        cut(&format!("{} {}\n{}", shown.method, shown.url, shown.body))
    });
    let took = attempted.ended.duration_since(attempted.began).as_millis();
    AttemptRecord {
        at: attempted.began,
        took_ms: u32::try_from(took).unwrap_or(if took < 0 { 0 } else { u32::MAX }),
        verdict,
        in_doubt: attempted.in_doubt,
        status,
        request,
        answer,
        error,
        far_ref,
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(EXCERPT)].to_owned()
}
