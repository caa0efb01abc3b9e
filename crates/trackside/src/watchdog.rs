//! Looks after the server itself: messages that do not get out, pages that were due and not sent, and what has been kept
//! long enough.
//!
//! Invariants: what a lag means is decided in the core; the sign of life ([`pulse`]) follows from what was found here
//! and from nothing else, so a watchdog that cannot look sends none.

mod pulse;

use crate::clock::{Clock, sleep_until};
use crate::config::{HeartbeatOut, RetentionSettings};
use crate::deliver::Connections;
use crate::server::{OutboxMetrics, Rows, Waiting};
use jiff::{SignedDuration, Timestamp};
use pulse::{Pulse, Reach};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use trackside_connect::sender::Sender;
use trackside_core::ids::derive;
use trackside_core::input::{Input, Lag};
use trackside_identity::secret::Secrets;
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_store::retention::Retention;

/// How long a message may wait before somebody is told.
pub const LAG: SignedDuration = SignedDuration::from_secs(60);
/// How often the outbox is looked at.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// How often what was due is compared with what was sent.
const AUDIT_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How far back pages are looked at.
const AUDIT_WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// How often old things are deleted.
const PURGE_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// What a server is looked after with.
#[derive(Debug)]
pub struct Charge {
    /// Its database.
    pub store: Store,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// Figures of the outbox.
    pub metrics: OutboxMetrics,
    /// Where signs of life go.
    pub heartbeat: Option<HeartbeatOut>,
    /// Connections, for the alarm that goes past the log.
    pub connections: Connections,
    /// Address of the server as people reach it.
    pub public_url: Option<String>,
    /// Secrets of secret managers, as last fetched.
    pub secrets: Secrets,
}

/// The watchdog of one server.
#[derive(Debug)]
pub struct Watchdog {
    store: Store,
    behind: BTreeSet<String>,
    retention: RetentionSettings,
    metrics: OutboxMetrics,
    purge_at: Timestamp,
    audit_at: Timestamp,
    /// What the last audit found.
    late: Option<String>,
    pulse: Pulse,
}

impl Watchdog {
    /// A watchdog that begins at `now`.
    #[must_use]
    pub fn new(charge: Charge, now: Timestamp) -> Self {
        let Charge { store, retention, metrics, heartbeat, connections, public_url, secrets } = charge;
        Self {
            store,
            behind: BTreeSet::new(),
            retention,
            metrics,
            purge_at: now + PURGE_EVERY,
            audit_at: now,
            late: None,
            pulse: Pulse::new(heartbeat, Reach { connections, public_url, secrets }, now),
        }
    }

    /// Looks once: writes what changed about lags and late pages, purges when it is time. What is wrong, in words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn once(&mut self, now: Timestamp) -> trackside_store::Result<Option<String>> {
        let waiting = self.store.waiting_since().await?;
        self.measure(&waiting, now).await?;
        let late: BTreeSet<String> = waiting
            .iter()
            .filter(|(_, since)| now.duration_since(*since) > LAG)
            .map(|(connection, _)| connection.clone())
            .collect();
        let mut entries = Vec::new();
        for (connection, since) in &waiting {
            if late.contains(connection) && !self.behind.contains(connection) {
                entries.push(entry(connection, Lag::Behind { since: *since }, now)?);
            }
        }
        for connection in self.behind.difference(&late) {
            entries.push(entry(connection, Lag::CaughtUp, now)?);
        }
        if now >= self.audit_at {
            entries.extend(self.audit(now).await?);
            self.audit_at = now + AUDIT_EVERY;
        }
        if !entries.is_empty() {
            self.store.append(entries).await?;
        }
        self.behind = late;
        if now >= self.purge_at {
            self.purge(now).await?;
            self.purge_at = now + PURGE_EVERY;
        }
        let behind = self.behind.iter().map(|name| format!("messages through {name} do not get out"));
        let trouble: Vec<String> = self.late.clone().into_iter().chain(behind).collect();
        Ok((!trouble.is_empty()).then(|| trouble.join("; ")))
    }

    /// Compares what was due with what was sent; an entry when late pages begin or end.
    async fn audit(&mut self, now: Timestamp) -> trackside_store::Result<Option<NewEntry>> {
        let found = self.store.overdue(now, LAG, AUDIT_WINDOW).await?;
        let since = found.people().map(|timer| timer.due).min();
        let was_late = self.late.is_some();
        let (timers, pages) = (found.people().count(), found.pages.len());
        self.late = match (timers, pages) {
            (0, 0) => None,
            (0, pages) => Some(format!("{pages} pages have reached nobody")),
            (timers, 0) => Some(format!("{timers} steps of escalations are late")),
            (timers, pages) => {
                Some(format!("{timers} steps of escalations are late, {pages} pages have reached nobody"))
            }
        };
        let lag = match (&self.late, was_late) {
            (Some(what), false) => Lag::PagesLate { since: since.unwrap_or(now), what: what.clone() },
            (None, true) => Lag::PagesInTime,
            _ => return Ok(None),
        };
        entry("self-audit", lag, now).map(Some)
    }

    /// Refreshes the figures of the outbox. What is no longer there is no longer said.
    async fn measure(&self, waiting: &[(String, Timestamp)], now: Timestamp) -> trackside_store::Result<()> {
        self.metrics.waiting.clear();
        for (connection, since) in waiting {
            let labels = Waiting { connection: connection.clone() };
            self.metrics.waiting.get_or_create(&labels).set(now.duration_since(*since).as_secs());
        }
        self.metrics.rows.clear();
        for count in self.store.delivery_counts().await? {
            let labels = Rows { connection: count.connection, state: count.state.as_str() };
            self.metrics.rows.get_or_create(&labels).set(i64::try_from(count.count).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    async fn purge(&self, now: Timestamp) -> trackside_store::Result<()> {
        let history = now.checked_sub(self.retention.history.0).ok();
        let audit = now.checked_sub(self.retention.audit.0).ok();
        let retention = Retention { log: history, runs: history, incidents: history, deliveries: history, audit };
        while self.store.purge(&retention).await?.may_have_more() {
            tokio::task::yield_now().await;
        }
        if let Some(before) = audit {
            while self.store.expire_audit(before, now).await? > 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Looks once, and says how things are to whoever listens for a sign of life.
    pub async fn look<S: Sender>(&mut self, sender: &S, now: Timestamp) {
        let trouble = self.once(now).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the watchdog could not look");
            Some(format!("the watchdog could not look: {error}"))
        });
        self.pulse.say(sender, trouble, now).await;
    }

    /// Runs until stopped.
    pub async fn run<S: Sender>(mut self, sender: Arc<S>, clock: Clock, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            self.look(&*sender, clock.now()).await;
            tokio::select! {
                _ = stop.changed() => {}
                () = sleep_until(&clock, clock.now() + LOOK_EVERY) => {}
            }
        }
    }
}

fn entry(connection: &str, lag: Lag, now: Timestamp) -> trackside_store::Result<NewEntry> {
    let id = derive("lag", &[connection, &now.to_string()]);
    NewEntry::input(now, &Input::Lag { connection: connection.to_owned(), lag }, id)
}
