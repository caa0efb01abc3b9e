//! The server: opens the store, starts the loops and the listener, stops them in order.
//!
//! Order of stopping: no new connections, running requests end, then the loops finish what they began; what is
//! not finished is found again at the next start. Taking another configuration is in [`crate::apply`].

use crate::apply::{self, Configurator, Handle, Parts, derived};
use crate::audit::seal::Sealer;
use crate::automations::stored;
use crate::clock::Clock;
use crate::config::{Config, Problems};
use crate::credentials::{self, Credentials};
use crate::decide::{Decider, Step};
use crate::deliver::{Deliverer, Wakes};
use crate::drift::{self, DriftMetrics, Importer};
use crate::gateway::{Gate, GateParts};
use crate::issuers::{CallerMetrics, KeyKeeper};
use crate::secrets;
use crate::watchdog::{Charge, Watchdog};
use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::sender::Sender;
use trackside_core::caller::Caller;
use trackside_core::duty::zone::tzdb_version;
use trackside_core::ids::Seq;
use trackside_core::ruleset::Ruleset;
use trackside_identity::broker::Brokers;
use trackside_identity::callers::Callers;
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::exchange;
use trackside_identity::role::Role;
use trackside_identity::secret::Secrets;
use trackside_identity::token::{Token, TokenForm, TokenHash};
use trackside_store::audit::NewAudit;
use trackside_store::{Access, Options, Store, Threading};
use trackside_web::{AppState, Configure, Configured, Listener, Metrics, Shell, Version};
use url::Url;

mod keys;
mod metrics;

use keys::{Keys, kept_secret};
pub use metrics::{OutboxMetrics, Rows, Waiting};

/// The workspace of a server; one by default.
pub const WORKSPACE: &str = "default";
/// File in the data folder with the token of the local administrator.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// File in the data folder with the database.
const DATABASE_FILE: &str = "trackside.sqlite";
/// Most batches that are decided before anything is served; more is left to the loop.
const CATCH_UP: usize = 64;

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: AppState,
    store: Store,
    decided: watch::Receiver<Seq>,
    public_url: String,
    configuring: Handle,
    stop_serving: watch::Sender<bool>,
    stop_configuring: watch::Sender<bool>,
    stop_loops: watch::Sender<bool>,
    serving: JoinSet<()>,
    configurator: JoinSet<()>,
    loops: JoinSet<()>,
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
        let data = &config.server.data;
        private_folder(data)?;
        let options = Options { access: Access::Serve, threading: Threading::Threads };
        let store = Store::open(&data.join(DATABASE_FILE), options)?;
        let listener = listen(&config).await?;
        let address = listener.tcp.local_addr()?;
        let admin = local_admin(data, &clock)?;
        store.end_interrupted_acts(clock.now()).await?;
        let exchange = exchange::network();
        let keeper = secrets::keeper(exchange.clone(), &clock);
        keeper.adopt(secrets::prepare(&keeper, &config.secrets, &clock).await.map_err(Problems)?).await;
        let secrets = keeper.secrets();
        store.record(&started(&clock)).await?;

        let mut decider = Decider::load(store.clone(), WORKSPACE).await?;
        let ruleset = derived::ruleset(&config, address);
        decider.apply(ruleset.clone(), stored::files(), clock.now()).await?;
        catch_up(&mut decider, &clock).await?;
        apply::start_automations(&store, &config, *decider.decided().borrow(), clock.now()).await?;
        let connections = watch::Sender::new((Arc::new(config.connections.clone()), ruleset.public_url.clone()));
        let keys = Keys::kept(data, &clock)?;
        let sealer = Sealer::new(store.clone(), keys.audit.clone());
        let deliverer = Deliverer::new(store.clone(), connections.borrow().0.clone(), ruleset.public_url.clone())
            .with_secrets(secrets.clone())
            .with_seal_key(keys.seal.clone())
            .with_act_key(keys.act.clone());

        let (stop_serving, stop_loops) = (watch::Sender::new(false), watch::Sender::new(false));
        let (configuring, asked) = apply::handle();
        let credentials = Credentials::new(exchange.clone(), &clock, secrets.clone());
        credentials.put(&config, ruleset.public_url.as_deref().unwrap_or_default());
        let deliverer = deliverer.with_brokers(credentials.brokers());
        let mut issuer = credentials.issuer(store.clone(), keys.seal.clone(), clock.clone());
        issuer.once(clock.now()).await?;
        let callers = Arc::new(derived::callers(&config, &exchange, &secrets, &Callers::default())?);
        let configured = derived::configured(&config, &ruleset, admin.clone(), &secrets, callers, &exchange)?;
        let mut registry = Registry::default();
        secrets::measure(&mut registry, &keeper, &clock);
        let outbox = metrics::register(&mut registry, &store);
        let caller_metrics = CallerMetrics::register(&mut registry);
        let drift_metrics = DriftMetrics::register(&mut registry);
        credentials::register(&mut registry, credentials.brokers());
        let configure = configuring.configure();
        let gate_metrics = trackside_gateway::metrics::Metrics::register(&mut registry);

        let parts = WebParts {
            configured,
            configure,
            keys,
            secrets: secrets.clone(),
            brokers: credentials.brokers(),
            registry,
            stopping: stop_serving.subscribe(),
        };
        let state = web_state(&store, &clock, &decider, parts).await?;
        let ruled = state.clone();
        let importer = Importer::new(drift::Parts {
            store: store.clone(),
            exchange: exchange.clone(),
            secrets: secrets.clone(),
            connections: connections.subscribe(),
            rules: Arc::new(move || ruled.ruleset()),
            metrics: drift_metrics,
        });
        let parts = GateParts {
            state: state.clone(),
            store: store.clone(),
            clock: clock.clone(),
            grants: decider.grants(),
            brokers: credentials.brokers(),
            metrics: gate_metrics,
        };
        let (gate, gate_listener) = Gate::open(&config, parts).await?.unzip();

        let mut loops = JoinSet::new();
        let wakes =
            Wakes { effects: decider.effects(), connections: connections.subscribe(), stop: stop_loops.subscribe() };
        let sender = Arc::new(sender);
        loops.spawn(deliverer.run(sender.clone(), clock.clone(), wakes));
        let decided = decider.decided();
        loops.spawn(decider.run(clock.clone(), stop_loops.subscribe()));
        let charge = charge(&config, &ruleset, &store, outbox, &secrets);
        let keys = KeyKeeper::new(state.clone(), caller_metrics);
        loops.spawn(secrets::run(keeper.clone(), clock.clone(), stop_loops.subscribe()));
        loops.spawn(keys.run(clock.clone(), stop_loops.subscribe()));
        loops.spawn(issuer.run(stop_loops.subscribe()));
        let watchdog = Watchdog::new(charge, clock.now());
        loops.spawn(watchdog.run(sender, clock.clone(), stop_loops.subscribe()));
        loops.spawn(sealer.run(clock.clone(), stop_loops.subscribe()));
        loops.spawn(importer.run(clock.clone(), stop_loops.subscribe()));

        let public_url = ruleset.public_url.clone().unwrap_or_default();
        let (stop_configuring, mut configurator) = (watch::Sender::new(false), JoinSet::new());
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
            exchange,
            connections,
            keeper,
            credentials,
            address,
            admin,
        };
        let task = Configurator::started(folder, parts, config, ruleset, asked).await?;
        configurator.spawn(task.run(stop_configuring.subscribe()));
        state.follow_people(&Caller::rules()).await?;
        let router = trackside_web::router(state.clone());
        serving.spawn(trackside_web::serve(vec![listener], router, stop_serving.subscribe()));
        Ok(Self {
            address,
            state,
            store,
            decided,
            public_url,
            configuring,
            stop_serving,
            stop_configuring,
            stop_loops,
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
        self.stop_serving.send_replace(true);
        while self.serving.join_next().await.is_some() {}
        self.stop_configuring.send_replace(true);
        while self.configurator.join_next().await.is_some() {}
        self.stop_loops.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// The socket to accept on, with its certificate.
async fn listen(config: &Config) -> Result<Listener> {
    let tls = config
        .server
        .tls
        .as_ref()
        .map(|tls| trackside_web::tls_from_files(&tls.cert, &tls.key, tls.client_ca.as_deref()))
        .transpose()?;
    let listen = &config.server.listen;
    let tcp = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    Ok(Listener { tcp, tls })
}

/// What the watchdog looks after.
fn charge(config: &Config, ruleset: &Ruleset, store: &Store, metrics: OutboxMetrics, secrets: &Secrets) -> Charge {
    Charge {
        store: store.clone(),
        retention: config.server.retention,
        metrics,
        heartbeat: config.heartbeat_out.clone(),
        connections: Arc::new(config.connections.clone()),
        public_url: ruleset.public_url.clone(),
        secrets: secrets.clone(),
    }
}

/// What the web needs beside the store, the clock and the decider.
struct WebParts {
    configured: Configured,
    configure: Configure,
    keys: Keys,
    secrets: Secrets,
    brokers: Brokers,
    registry: Registry,
    stopping: watch::Receiver<bool>,
}

async fn web_state(store: &Store, clock: &Clock, decider: &Decider, mut parts: WebParts) -> Result<AppState> {
    let metrics = Metrics::register(&mut parts.registry);
    let (time, dice, waker) = (clock.clone(), clock.clone(), decider.waker());
    let shell = Shell {
        store: store.clone(),
        clock: Arc::new(move || time.now()),
        random: Arc::new(move || dice.random()),
        session_key: parts.keys.session,
        seal_key: parts.keys.seal,
        act_key: parts.keys.act,
        audit_key: parts.keys.audit,
        secrets: parts.secrets,
        brokers: parts.brokers,
        wake_sender: Arc::new(move || waker.send_modify(|count| *count += 1)),
        configure: parts.configure,
        decided: decider.decided(),
        stopping: parts.stopping,
        registry: Arc::new(parts.registry),
        metrics,
        configured: parts.configured,
        version: Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("TRACKSIDE_COMMIT").map(str::to_owned),
        },
    };
    Ok(AppState::new(shell).await?)
}

/// What the audit trail says of a start: with which program and which rules of local time it decides from now on.
fn started(clock: &Clock) -> NewAudit {
    let summary = format!("version {}, time zone database {}", env!("CARGO_PKG_VERSION"), tzdb_version());
    NewAudit::new(clock.now(), Caller::new("trackside", "cli"), "server.started", summary)
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

/// The local administrator: whoever can read the data folder. The token is made at the first start.
fn local_admin(data: &Path, clock: &Clock) -> Result<Grant> {
    let path = data.join(ADMIN_TOKEN_FILE);
    let fresh = Token::new(TokenForm::Bearer, clock.random());
    let token = kept_secret(&path, fresh.expose())?.trim().to_owned();
    Ok(Grant {
        name: "local-admin".to_owned(),
        role: Role::Admin,
        team: None,
        scopes: std::collections::BTreeSet::new(),
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(&token),
    })
}

/// Makes the data folder for its owner only; one that is there keeps its permissions.
fn private_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot create the data folder {}", path.display()))
}
