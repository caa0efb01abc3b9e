//! The loops of a server, put together and then started at once.
//!
//! Invariant: each ends by itself once it is told to stop, finishing what it began.

use super::OutboxMetrics;
use super::ground::{Connections, Ground};
use crate::audit::seal::Sealer;
use crate::clock::Clock;
use crate::config::Config;
use crate::credentials::Issuer;
use crate::decide::Decider;
use crate::deliver::{Deliverer, Wakes};
use crate::drift::{self, DriftMetrics, Importer};
use crate::issuers::{CallerMetrics, KeyKeeper};
use crate::secrets;
use crate::watchdog::{Charge, Watchdog};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::sender::Sender;
use trackside_identity::secret::keeper::Keeper;
use trackside_web::AppState;

/// Figures that loops keep.
pub(super) struct Meters {
    pub(super) outbox: OutboxMetrics,
    pub(super) callers: CallerMetrics,
    pub(super) drift: DriftMetrics,
    pub(super) gate: trackside_gateway::metrics::Metrics,
}

/// Every loop but that of decisions, which others wait for while it is still being set up.
pub(super) struct Loops {
    deliverer: Deliverer,
    connections: watch::Receiver<Connections>,
    keeper: Arc<Keeper>,
    keys: KeyKeeper,
    issuer: Issuer,
    watchdog: Watchdog,
    sealer: Sealer,
    importer: Importer,
}

impl Loops {
    pub(super) fn of(
        ground: &Ground,
        config: &Config,
        state: &AppState,
        meters: Meters,
        issuer: Issuer,
        clock: &Clock,
    ) -> Self {
        let (connections, public_url) = ground.connections.borrow().clone();
        let (store, secrets, keys) = (&ground.store, ground.keeper.secrets(), &ground.keys);
        let charge = Charge {
            store: store.clone(),
            retention: config.server.retention,
            metrics: meters.outbox,
            heartbeat: config.heartbeat_out.clone(),
            connections: connections.clone(),
            public_url: public_url.clone(),
            secrets: secrets.clone(),
        };
        let ruled = state.clone();
        Self {
            deliverer: Deliverer::new(store.clone(), connections, public_url)
                .with_secrets(secrets.clone())
                .with_seal_key(keys.seal.clone())
                .with_act_key(keys.act.clone())
                .with_brokers(ground.credentials.brokers()),
            connections: ground.connections.subscribe(),
            keeper: ground.keeper.clone(),
            keys: KeyKeeper::new(state.clone(), meters.callers),
            issuer,
            watchdog: Watchdog::new(charge, clock.now()),
            sealer: Sealer::new(store.clone(), keys.audit.clone(), ground.head.clone()),
            importer: Importer::new(drift::Parts {
                store: store.clone(),
                exchange: ground.exchange.clone(),
                secrets,
                connections: ground.connections.subscribe(),
                rules: Arc::new(move || ruled.ruleset()),
                metrics: meters.drift,
            }),
        }
    }

    /// Starts them all.
    pub(super) fn spawn<S: Sender + Send + Sync + 'static>(
        self,
        decider: Decider,
        sender: Arc<S>,
        clock: &Clock,
        stop: &watch::Sender<bool>,
    ) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        let wakes = Wakes { effects: decider.effects(), connections: self.connections, stop: stop.subscribe() };
        loops.spawn(self.deliverer.run(sender.clone(), clock.clone(), wakes));
        loops.spawn(decider.run(clock.clone(), stop.subscribe()));
        loops.spawn(secrets::run(self.keeper, clock.clone(), stop.subscribe()));
        loops.spawn(self.keys.run(clock.clone(), stop.subscribe()));
        loops.spawn(self.issuer.run(stop.subscribe()));
        loops.spawn(self.watchdog.run(sender, clock.clone(), stop.subscribe()));
        loops.spawn(self.sealer.run(clock.clone(), stop.subscribe()));
        loops.spawn(self.importer.run(clock.clone(), stop.subscribe()));
        loops
    }
}
