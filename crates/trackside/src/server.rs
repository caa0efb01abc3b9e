//! The server: opens the store, starts the loops and the listener, stops them in order.
//!
//! Order of stopping: no new connections, running requests end, then the loops finish what they began; what is
//! not finished is found again at the next start. Taking another configuration is in [`crate::apply`].

use crate::apply::{self, Configurator, Handle, Parts, derived};
use crate::clock::Clock;
use crate::config::Config;
use crate::credentials;
use crate::decide::{Decider, Step};
use crate::drift::DriftMetrics;
use crate::gateway::{Gate, GateParts};
use crate::issuers::CallerMetrics;
use crate::secrets;
use anyhow::Result;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::sender::Sender;
use trackside_core::caller::Caller;
use trackside_core::ids::Seq;
use trackside_identity::callers::Callers;
use trackside_identity::role::Role;
use trackside_store::Store;
use trackside_web::{AppState, Configure, Metrics, Shell, Version};
use url::Url;

mod ground;
mod keys;
mod loops;
mod metrics;

pub use ground::ADMIN_TOKEN_FILE;
use ground::Ground;
use loops::{Loops, Meters};
pub use metrics::{OutboxMetrics, Rows, Waiting};

/// The workspace of a server; one by default.
pub const WORKSPACE: &str = "default";
/// Most batches that are decided before anything is served; more is left to the loop.
const CATCH_UP: usize = 64;

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    gateway: Option<SocketAddr>,
    state: AppState,
    store: Store,
    decided: watch::Receiver<Seq>,
    public_url: String,
    configuring: Handle,
    stops: Stops,
    serving: JoinSet<()>,
    configurator: JoinSet<()>,
    loops: JoinSet<()>,
}

/// What each part of a server watches: it ends when its value becomes true.
#[derive(Debug)]
struct Stops {
    serving: watch::Sender<bool>,
    configuring: watch::Sender<bool>,
    loops: watch::Sender<bool>,
}

impl Server {
    /// Starts a server with what stands in a folder. It listens when this returns.
    ///
    /// # Errors
    /// When the data folder, the address, the certificate, a token or an automation cannot be used.
    pub async fn start<S: Sender + Send + Sync + 'static>(
        config: Config,
        folder: &Path,
        clock: Clock,
        sender: S,
    ) -> Result<Self> {
        // What is set up is large; callers hold no more than a pointer to it while they wait.
        Box::pin(Self::set_up(config, folder, clock, sender)).await
    }

    async fn set_up<S: Sender + Send + Sync + 'static>(
        config: Config,
        folder: &Path,
        clock: Clock,
        sender: S,
    ) -> Result<Self> {
        let mut ground = Ground::lay(&config, &clock).await?;
        catch_up(&mut ground.decider, &clock).await?;
        let seen = *ground.decider.decided().borrow();
        apply::start_automations(&ground.store, &config, seen, clock.now()).await?;
        let mut issuer = ground.credentials.issuer(ground.store.clone(), ground.keys.seal.clone(), clock.clone());
        issuer.once(clock.now()).await?;
        let (configuring, asked) = apply::handle();
        let (stop_serving, stop_loops) = (watch::Sender::new(false), watch::Sender::new(false));
        let (registry, meters) = instruments(&ground, &clock);
        let (configure, stopping) = (configuring.configure(), stop_serving.subscribe());
        let shell = shell(&ground, &config, &clock, registry, configure, stopping)?;
        let state = AppState::new(shell).await?;
        let gate_parts = GateParts {
            state: state.clone(),
            store: ground.store.clone(),
            clock: clock.clone(),
            grants: ground.decider.grants(),
            brokers: ground.credentials.brokers(),
            metrics: meters.gate.clone(),
        };
        let (gate, gate_listener) = Gate::open(&config, gate_parts).await?.unzip();
        let gateway = gate_listener.as_ref().map(trackside_gateway::serve::Listener::address).transpose()?;

        let (store, decided) = (ground.store.clone(), ground.decider.decided());
        let loops = Loops::of(&ground, &config, &state, meters, issuer, &clock);
        let mut loops = loops.spawn(ground.decider, Arc::new(sender), &clock, &stop_loops);
        let mut serving = JoinSet::new();
        if let (Some(gate), Some(listener)) = (gate.clone(), gate_listener) {
            let (serving, loops) = ((&mut serving, stop_serving.subscribe()), (&mut loops, stop_loops.subscribe()));
            gate.start(listener, clock.clone(), serving, loops);
        }
        let parts = Parts {
            gate,
            state: state.clone(),
            store: store.clone(),
            clock,
            decided: decided.clone(),
            exchange: ground.exchange,
            connections: ground.connections,
            keeper: ground.keeper,
            credentials: ground.credentials,
            address: ground.address,
            admin: ground.admin,
        };
        let public_url = ground.ruleset.public_url.clone().unwrap_or_default();
        let (stop_configuring, mut configurator) = (watch::Sender::new(false), JoinSet::new());
        let task = Configurator::started(folder, parts, config, ground.ruleset, asked).await?;
        configurator.spawn(task.run(stop_configuring.subscribe()));
        state.follow_people(&Caller::rules()).await?;
        let router = trackside_web::router(state.clone());
        serving.spawn(trackside_web::serve(vec![ground.listener], router, stop_serving.subscribe()));
        let stops = Stops { serving: stop_serving, configuring: stop_configuring, loops: stop_loops };
        let address = ground.address;
        Ok(Self {
            address,
            gateway,
            state,
            store,
            decided,
            public_url,
            configuring,
            stops,
            serving,
            configurator,
            loops,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its gateway listens, when it has one.
    #[must_use]
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.gateway
    }

    /// Address as people reached it at the start, without trailing slash.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// A one-time sign-in address for the local administrator.
    #[must_use]
    pub fn sign_in_link(&self) -> Url {
        self.state.sign_in_link("local-admin", Role::Admin)
    }

    /// The last input decided; changes with each decision.
    #[must_use]
    pub fn decided(&self) -> watch::Receiver<Seq> {
        self.decided.clone()
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the configuration folder again and puts it in force. Address, data folder and certificate stay until the
    /// next start.
    ///
    /// # Errors
    /// When it cannot be used; the old one stays in force.
    pub async fn reload(&self) -> Result<()> {
        self.configuring.reload().await
    }

    /// Stops: requests end, loops finish what they began.
    pub async fn stop(mut self) {
        self.stops.serving.send_replace(true);
        while self.serving.join_next().await.is_some() {}
        self.stops.configuring.send_replace(true);
        while self.configurator.join_next().await.is_some() {}
        self.stops.loops.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// Makes everything that is measured known to `/metrics`.
fn instruments(ground: &Ground, clock: &Clock) -> (Registry, Meters) {
    let mut registry = Registry::default();
    secrets::measure(&mut registry, &ground.keeper, clock);
    credentials::register(&mut registry, ground.credentials.brokers());
    let meters = Meters {
        outbox: metrics::register(&mut registry, &ground.store),
        callers: CallerMetrics::register(&mut registry),
        drift: DriftMetrics::register(&mut registry),
        gate: trackside_gateway::metrics::Metrics::register(&mut registry),
    };
    (registry, meters)
}

/// What the web has of the outside.
fn shell(
    ground: &Ground,
    config: &Config,
    clock: &Clock,
    mut registry: Registry,
    configure: Configure,
    stopping: watch::Receiver<bool>,
) -> Result<Shell> {
    let secrets = ground.keeper.secrets();
    let callers = Arc::new(derived::callers(config, &ground.exchange, &secrets, &Callers::default())?);
    let configured =
        derived::configured(config, &ground.ruleset, ground.admin.clone(), &secrets, callers, &ground.exchange)?;
    let metrics = Metrics::register(&mut registry);
    let (time, dice, waker) = (clock.clone(), clock.clone(), ground.decider.waker());
    Ok(Shell {
        store: ground.store.clone(),
        clock: Arc::new(move || time.now()),
        random: Arc::new(move || dice.random()),
        session_key: ground.keys.session.clone(),
        seal_key: ground.keys.seal.clone(),
        act_key: ground.keys.act.clone(),
        audit_key: ground.keys.audit.clone(),
        audit_head: ground.head.subscribe(),
        secrets,
        brokers: ground.credentials.brokers(),
        wake_sender: Arc::new(move || waker.send_modify(|count| *count += 1)),
        configure,
        decided: ground.decider.decided(),
        stopping,
        registry: Arc::new(registry),
        metrics,
        configured,
        version: Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("TRACKSIDE_COMMIT").map(str::to_owned),
        },
    })
}

/// Decides what was accepted before the last end, so that what is compared with the files is what is in force.
async fn catch_up(decider: &mut Decider, clock: &Clock) -> Result<()> {
    for _ in 0..CATCH_UP {
        if !matches!(decider.once(clock.now()).await?, Step::Decided(_)) {
            break;
        }
    }
    Ok(())
}
