//! The loop around the phases: sends run beside each other, records are committed beside each other.

use super::attempt::broken;
use super::{Attempted, Claimed, Connections, Deliverer, record, send};
use crate::clock::{Clock, sleep_until};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use trackside_connect::sender::Sender;

/// How often leases of dead senders are looked for.
const RECOVER_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// Wait after the database failed.
const AFTER_ERROR: SignedDuration = SignedDuration::from_millis(500);

/// What wakes the loop from outside.
#[derive(Debug)]
pub struct Wakes {
    /// Changes when rows were added or put back.
    pub effects: watch::Receiver<u64>,
    /// The connections and the public address in force.
    pub connections: watch::Receiver<(Connections, Option<String>)>,
    /// Becomes true when the server stops.
    pub stop: watch::Receiver<bool>,
}

/// The sends and records in progress.
struct Work {
    sends: JoinSet<Attempted>,
    claims: BTreeMap<Id, Claimed>,
    records: JoinSet<trackside_store::Result<()>>,
}

impl Deliverer {
    /// Runs until stopped. Requests in flight are finished and recorded before it returns.
    pub async fn run<S: Sender + Send + Sync + 'static>(mut self, sender: Arc<S>, clock: Clock, mut wakes: Wakes) {
        let mut work = Work { sends: JoinSet::new(), claims: BTreeMap::new(), records: JoinSet::new() };
        self.recover_all(Timestamp::MAX, clock.now()).await;
        let mut recover_at = clock.now() + RECOVER_EVERY;
        while !*wakes.stop.borrow() {
            if clock.now() >= recover_at {
                self.recover_all(clock.now(), clock.now()).await;
                recover_at = clock.now() + RECOVER_EVERY;
            }
            wakes.effects.mark_unchanged();
            if wakes.connections.has_changed().unwrap_or(false) {
                let (connections, public_url) = wakes.connections.borrow_and_update().clone();
                self.reconfigure(connections, public_url);
            }
            let wake = match self.start_due(&sender, &clock, &mut work).await {
                Ok(wake) => wake.map_or(recover_at, |wake| wake.min(recover_at)),
                Err(error) => {
                    tracing::error!(%error, "planning deliveries failed; trying again");
                    clock.now() + AFTER_ERROR
                }
            };
            self.wait(&clock, wake, &mut work, &mut wakes).await;
        }
        self.finish(&clock, work).await;
    }

    async fn recover_all(&mut self, leases_until: Timestamp, now: Timestamp) {
        loop {
            match self.recover(leases_until, now).await {
                Ok(0) => return,
                Ok(count) => tracing::warn!(count, "deliveries were interrupted while being sent; they are in doubt"),
                Err(error) => {
                    tracing::error!(%error, "interrupted deliveries could not be recovered; trying again later");
                    return;
                }
            }
        }
    }

    /// Starts what is due; gives the time of the next due thing.
    async fn start_due<S: Sender + Send + Sync + 'static>(
        &mut self,
        sender: &Arc<S>,
        clock: &Clock,
        work: &mut Work,
    ) -> trackside_store::Result<Option<Timestamp>> {
        for claimed in self.plan(clock.now()).await? {
            let (sender, clock, row) = (sender.clone(), clock.clone(), claimed.clone());
            let handle = work.sends.spawn(async move { send(&*sender, row, &clock).await });
            work.claims.insert(handle.id(), claimed);
        }
        self.next_wake(clock.now()).await
    }

    async fn wait(&mut self, clock: &Clock, wake: Timestamp, work: &mut Work, wakes: &mut Wakes) {
        tokio::select! {
            Some(sent) = work.sends.join_next_with_id() => self.sent(clock, sent, work),
            Some(recorded) = work.records.join_next() => report(recorded),
            _ = wakes.effects.changed() => {}
            _ = wakes.connections.changed() => {}
            _ = wakes.stop.changed() => {}
            () = sleep_until(clock, wake) => {}
        }
        // What else has ended meanwhile is taken along, so that one claim fills all slots that are free: a backlog goes
        // out in as many commits as there are rounds, not as there are messages.
        while let Some(sent) = work.sends.try_join_next_with_id() {
            self.sent(clock, sent, work);
        }
        while let Some(recorded) = work.records.try_join_next() {
            report(recorded);
        }
    }

    /// An attempt ended, or its connector panicked.
    fn sent(&mut self, clock: &Clock, sent: Result<(Id, Attempted), JoinError>, work: &mut Work) {
        let attempted = match sent {
            Ok((id, attempted)) => {
                work.claims.remove(&id);
                attempted
            }
            Err(error) => {
                tracing::error!(%error, "a connector failed");
                let Some(claimed) = work.claims.remove(&error.id()) else {
                    return;
                };
                broken(claimed, clock.now())
            }
        };
        let recording = self.settle(&attempted, clock.now(), clock.jitter());
        let store = self.store.clone();
        work.records.spawn(async move { record(&store, recording).await });
    }

    async fn finish(mut self, clock: &Clock, mut work: Work) {
        while let Some(sent) = work.sends.join_next_with_id().await {
            self.sent(clock, sent, &mut work);
        }
        while let Some(recorded) = work.records.join_next().await {
            report(recorded);
        }
    }
}

fn report(recorded: Result<trackside_store::Result<()>, JoinError>) {
    match recorded {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "the outcome of a delivery could not be recorded; its lease will end");
        }
        Err(error) => tracing::error!(%error, "recording the outcome of a delivery failed"),
    }
}
