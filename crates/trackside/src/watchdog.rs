//! Looks after the server itself: messages that do not get out, and what has been kept long enough.
//!
//! Invariant: it only writes inputs and asks the store to purge; what a lag means is decided in the core.

use crate::clock::{Clock, sleep_until};
use crate::config::RetentionSettings;
use crate::server::{OutboxMetrics, Rows, Waiting};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use tokio::sync::watch;
use trackside_core::ids::derive;
use trackside_core::input::{Input, Lag};
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_store::retention::Retention;

/// How long a message may wait before somebody is told.
pub const LAG: SignedDuration = SignedDuration::from_secs(60);
/// How often the outbox is looked at.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// How often old things are deleted.
const PURGE_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The watchdog of one server.
#[derive(Debug)]
pub struct Watchdog {
    store: Store,
    behind: BTreeSet<String>,
    retention: RetentionSettings,
    metrics: OutboxMetrics,
    purge_at: Timestamp,
}

impl Watchdog {
    /// A watchdog that begins at `now`.
    #[must_use]
    pub fn new(store: Store, retention: RetentionSettings, metrics: OutboxMetrics, now: Timestamp) -> Self {
        Self { store, behind: BTreeSet::new(), retention, metrics, purge_at: now + PURGE_EVERY }
    }

    /// Looks once: writes what changed about lags, purges when it is time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn once(&mut self, now: Timestamp) -> trackside_store::Result<()> {
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
                entries.push(lag(connection, Lag::Behind { since: *since }, now)?);
            }
        }
        for connection in self.behind.difference(&late) {
            entries.push(lag(connection, Lag::CaughtUp, now)?);
        }
        if !entries.is_empty() {
            self.store.append(entries).await?;
        }
        self.behind = late;
        if now >= self.purge_at {
            self.purge(now).await?;
            self.purge_at = now + PURGE_EVERY;
        }
        Ok(())
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
        let retention = Retention {
            log: history,
            runs: history,
            incidents: history,
            deliveries: history,
            audit: now.checked_sub(self.retention.audit.0).ok(),
        };
        while self.store.purge(&retention).await?.may_have_more() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Runs until stopped.
    pub async fn run(mut self, clock: Clock, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.once(clock.now()).await {
                tracing::error!(%error, "the watchdog could not look");
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = sleep_until(&clock, clock.now() + LOOK_EVERY) => {}
            }
        }
    }
}

fn lag(connection: &str, lag: Lag, now: Timestamp) -> trackside_store::Result<NewEntry> {
    let id = derive("lag", &[connection, &now.to_string()]);
    NewEntry::input(now, &Input::Lag { connection: connection.to_owned(), lag }, id)
}
