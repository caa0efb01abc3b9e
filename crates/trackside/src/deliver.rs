//! The deliverer: claims due rows, sends them, records what came of it.
//!
//! Three phases with nothing in memory that matters between them: [`Deliverer::plan`] commits the claims,
//! [`send`] does the I/O, [`Deliverer::settle`] and [`Deliverer::record`] decide and commit what follows. A crash between any two leaves rows
//! "sending"; [`Deliverer::recover`] puts them in doubt, so they are asked after or repeated under the same key.
//! Invariants: a connection's trouble never delays another; a panic of one connector ends one attempt, not the loop.
//! What can be gone through is found in [`route`], the attempt is made in [`attempt`].

mod attempt;
mod channel;
mod job;
mod record;
mod route;
mod run;

use attempt::Tried;
pub use attempt::send;
use channel::Channel;
pub use record::record;
use route::{Route, Routes};
pub use run::Wakes;

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::far_end::Verdict;
use trackside_core::delivery::{LaneRow, Progress, next_attempt, plan_lane};
use trackside_core::event::Event;
use trackside_core::ids::DeliveryId;
use trackside_core::input::DeliveryResult;
use trackside_identity::act_link::ActKey;
use trackside_identity::broker::Brokers;
use trackside_identity::seal::SealKey;
use trackside_identity::secret::Secrets;
use trackside_store::Store;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Delivery, DeliveryState, Next};

/// How long a claim is held beyond what an attempt may take before the row is taken to be of a dead process.
const LEASE_MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// Connections by name, as configured.
pub type Connections = Arc<BTreeMap<String, ConnectionConfig>>;

/// Plans and settles deliveries.
#[derive(Debug)]
pub struct Deliverer {
    store: Store,
    routes: Routes,
    channels: BTreeMap<String, Channel>,
}

/// A row that was claimed for one attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row, with this attempt counted.
    pub delivery: Delivery,
    /// The far end's latest name for what this lane brought it.
    pub far_ref: Option<String>,
    route: Route,
    public_url: Option<String>,
    secrets: Secrets,
    act_key: Option<Arc<ActKey>>,
    /// What an automation's texts are made of, when this is an action of one.
    material: Option<Arc<Material>>,
    /// Where the credential of a job's call comes from.
    brokers: Brokers,
}

/// What the texts of an automation's action are made of.
#[derive(Clone, Debug)]
struct Material {
    /// The events of the firing that are in the log.
    events: Vec<Event>,
    /// The Prefect server that the event came from, by name.
    origin: Option<(String, ConnectionConfig)>,
    /// Where that server's pages are.
    pages: Option<String>,
}

/// What an attempt came to, before it is decided what follows.
#[derive(Clone, Debug)]
pub struct Attempted {
    claimed: Claimed,
    began: Timestamp,
    ended: Timestamp,
    tried: Tried,
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
        let routes = Routes {
            store: store.clone(),
            connections,
            public_url,
            secrets: Secrets::default(),
            seal_key: None,
            act_key: None,
            brokers: Brokers::default(),
        };
        Self { store, routes, channels: BTreeMap::new() }
    }

    /// The same, able to open the secrets of block documents.
    #[must_use]
    pub fn with_seal_key(mut self, key: Arc<SealKey>) -> Self {
        self.routes.seal_key = Some(key);
        self
    }

    /// The same, with the secrets of secret managers.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.routes.secrets = secrets;
        self
    }

    /// The same, able to authenticate the calls of jobs.
    #[must_use]
    pub fn with_brokers(mut self, brokers: Brokers) -> Self {
        self.routes.brokers = brokers;
        self
    }

    /// The same, able to put links that act into mails.
    #[must_use]
    pub fn with_act_key(mut self, key: Arc<ActKey>) -> Self {
        self.routes.act_key = Some(key);
        self
    }

    /// Uses other connections from now on. What is known of the health of those that stay is kept.
    pub fn reconfigure(&mut self, connections: Connections, public_url: Option<String>) {
        self.channels.retain(|name, _| self.routes.connections.get(name) == connections.get(name));
        self.routes.connections = connections;
        self.routes.public_url = public_url;
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
                call: None,
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
        let mut routes: BTreeMap<String, Route> = BTreeMap::new();
        for head in heads {
            let name = head.effect.connection.clone();
            let route = match routes.get(&name) {
                Some(route) => route.clone(),
                None => self.routes.find(&head.effect).await?,
            };
            let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(route.policy(), now));
            channel.follow(route.policy(), now);
            routes.insert(name, route.clone());
            if channel.slots(now) == 0 {
                continue;
            }
            let Some(row) = self.plan_lane(head, route, now).await? else {
                continue;
            };
            let Some(channel) = self.channels.get_mut(&row.delivery.effect.connection) else {
                continue;
            };
            channel.start(now);
            lease = lease.max(now + row.route.longest() + LEASE_MARGIN);
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
    async fn plan_lane(
        &self,
        head: Delivery,
        route: Route,
        now: Timestamp,
    ) -> trackside_store::Result<Option<Claimed>> {
        let lane = self.store.lane(&head).await?;
        let rows: Vec<LaneRow> = lane.rows.iter().map(lane_row).collect();
        let plan = plan_lane(&rows);
        let row_of = |id| lane.rows.iter().find(|row| row.effect.id == id);
        let pointless: Vec<(&Delivery, &str)> =
            plan.supersede.iter().filter_map(|(id, why)| Some((row_of(*id)?, *why))).collect();
        if !pointless.is_empty() {
            self.store.supersede(&pointless, now).await?;
        }
        if let Some(why) = job::pointless(&self.store, &head).await? {
            self.store.supersede(&[(&head, why)], now).await?;
            return Ok(None);
        }
        // Another row became the head: it is due in the next round.
        if plan.head != Some(head.effect.id) {
            return Ok(None);
        }
        let material = match &head.effect.act {
            Some(act) => Some(Arc::new(self.routes.material(act).await?)),
            None => None,
        };
        let (public_url, act_key) = (self.routes.public_url.clone(), self.routes.act_key.clone());
        let secrets = self.routes.secrets.clone();
        Ok(Some(Claimed {
            delivery: head,
            far_ref: lane.far_ref,
            route,
            public_url,
            secrets,
            act_key,
            material,
            brokers: self.routes.brokers.clone(),
        }))
    }

    /// Decides what follows an attempt: the end, or when to try again.
    #[must_use]
    pub fn settle(&mut self, attempted: &Attempted, now: Timestamp, jitter: f64) -> Recording {
        let delivery = attempted.claimed.delivery.clone();
        let connection = delivery.effect.connection.clone();
        let policy = attempted.claimed.route.policy();
        let channel = self.channels.entry(connection).or_insert_with(|| Channel::new(policy, now));
        channel.finished();
        if let Some(next) = &attempted.tried.next {
            return job::settle(channel, attempted, next, now, jitter);
        }
        let created = delivery.effect.at;
        let give_up = channel.gives_up(delivery.attempts, created, now);
        let next = match &attempted.tried.verdict {
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
        let record = record::of(attempted);
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

fn lane_row(row: &Delivery) -> LaneRow {
    let progress = match row.state {
        DeliveryState::Sending => Progress::Sending,
        _ if row.in_doubt => Progress::MayBeThere,
        _ => Progress::NotThere,
    };
    LaneRow { id: row.effect.id, action: row.effect.action, progress }
}
