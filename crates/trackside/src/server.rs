//! The server: opens the store, starts the loops and the listener, stops them in order, takes a new configuration.
//!
//! Order of stopping: no new connections, running requests end, then the loops finish what they began; what is
//! not finished is found again at the next start. Invariant: an invalid configuration never replaces a valid one.

use crate::clock::Clock;
use crate::config::Config;
use crate::decide::{Decider, append_ruleset};
use crate::deliver::{Connections, Deliverer, Wakes};
use crate::prefect::Feed;
use crate::watchdog::Watchdog;
use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::connection::{ConnectionConfig, PrefectConfig, SlackAccess};
use trackside_connect::sender::Sender;
use trackside_core::caller::Caller;
use trackside_core::ids::Seq;
use trackside_core::ruleset::{ConnectionKind, Ruleset};
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::role::Role;
use trackside_identity::session::SessionKey;
use trackside_identity::token::{Token, TokenForm, TokenHash};
use trackside_store::{Access, Options, Store, Threading};
use trackside_web::{AppState, Configured, ConnectionInfo, Listener, Metrics, Sends, Shell, Version};
use url::Url;

mod metrics;

pub use metrics::{OutboxMetrics, Rows, Waiting};

/// The workspace of a server; one by default.
pub const WORKSPACE: &str = "default";
/// File in the data folder with the token of the local administrator.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// File in the data folder with the key that browser sessions are signed with.
const SESSION_KEY_FILE: &str = "session.key";
/// File in the data folder with the database.
const DATABASE_FILE: &str = "trackside.sqlite";

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: AppState,
    store: Store,
    decided: watch::Receiver<Seq>,
    clock: Clock,
    connections: watch::Sender<(Connections, Option<String>)>,
    ruleset: Ruleset,
    admin: Grant,
    stop_serving: watch::Sender<bool>,
    stop_loops: watch::Sender<bool>,
    serving: JoinSet<()>,
    loops: JoinSet<()>,
    feeds: Feeds,
}

/// The Prefect servers being read.
#[derive(Debug)]
struct Feeds {
    configured: BTreeMap<String, PrefectConfig>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Starts a server. It listens when this returns.
    ///
    /// # Errors
    /// When the data folder, the address, the certificate or a token cannot be used.
    pub async fn start<S: Sender + Send + Sync + 'static>(config: &Config, clock: Clock, sender: S) -> Result<Self> {
        let data = &config.server.data;
        private_folder(data)?;
        let options = Options { access: Access::Serve, threading: Threading::Threads };
        let store = Store::open(&data.join(DATABASE_FILE), options)?;
        let tls = match &config.server.tls {
            Some(tls) => Some(trackside_web::tls_from_files(&tls.cert, &tls.key)?),
            None => None,
        };
        let listen = &config.server.listen;
        let tcp = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = tcp.local_addr()?;
        let admin = local_admin(data, &clock)?;

        let decider = Decider::load(store.clone(), WORKSPACE).await?;
        let mut ruleset = config.ruleset.clone();
        ruleset.public_url = Some(public_url(config, address));
        decider.apply(ruleset.clone(), configuration_caller(), clock.now()).await?;
        let connections = watch::Sender::new((connections(config), ruleset.public_url.clone()));
        let deliverer = Deliverer::new(store.clone(), connections.borrow().0.clone(), ruleset.public_url.clone());

        let (stop_serving, stop_loops) = (watch::Sender::new(false), watch::Sender::new(false));
        let configured = configured(config, &ruleset, admin.clone(), address)?;
        let session_key = session_key(data, &clock)?;
        let mut registry = Registry::default();
        let outbox = metrics::register(&mut registry, &store);
        let parts = WebParts { configured, session_key, registry, stopping: stop_serving.subscribe() };
        let state = web_state(&store, &clock, &decider, parts).await?;

        let mut loops = JoinSet::new();
        let wakes =
            Wakes { effects: decider.effects(), connections: connections.subscribe(), stop: stop_loops.subscribe() };
        loops.spawn(deliverer.run(sender, clock.clone(), wakes));
        let decided = decider.decided();
        loops.spawn(decider.run(clock.clone(), stop_loops.subscribe()));
        let watchdog = Watchdog::new(store.clone(), config.server.retention, outbox, clock.now());
        loops.spawn(watchdog.run(clock.clone(), stop_loops.subscribe()));
        let mut serving = JoinSet::new();
        let router = trackside_web::router(state.clone());
        serving.spawn(trackside_web::serve(vec![Listener { tcp, tls }], router, stop_serving.subscribe()));
        let mut server = Self {
            address,
            state,
            store,
            decided,
            clock,
            connections,
            ruleset,
            admin,
            stop_serving,
            stop_loops,
            serving,
            loops,
            feeds: Feeds { configured: BTreeMap::new(), stop: watch::Sender::new(false), tasks: JoinSet::new() },
        };
        server.feed(config).await?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address as people reach it, without trailing slash.
    #[must_use]
    pub fn public_url(&self) -> &str {
        self.ruleset.public_url.as_deref().unwrap_or_default()
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

    /// Puts another configuration in force. Address, data folder and certificate stay until the next start.
    ///
    /// # Errors
    /// When it cannot be used; the old one stays in force.
    pub async fn reconfigure(&mut self, config: &Config) -> Result<()> {
        let mut ruleset = config.ruleset.clone();
        ruleset.public_url = Some(public_url(config, self.address));
        let configured = configured(config, &ruleset, self.admin.clone(), self.address)?;
        self.state.reconfigure(configured).await?;
        self.connections.send_replace((connections(config), ruleset.public_url.clone()));
        if ruleset != self.ruleset {
            append_ruleset(&self.store, ruleset.clone(), configuration_caller(), self.clock.now()).await?;
            self.ruleset = ruleset;
        }
        self.feed(config).await
    }

    /// Reads the Prefect servers of a configuration, and no others.
    async fn feed(&mut self, config: &Config) -> Result<()> {
        let wanted: BTreeMap<String, PrefectConfig> = config
            .connections
            .iter()
            .filter_map(|(name, connection)| match connection {
                ConnectionConfig::Prefect(prefect) => Some((name.clone(), prefect.clone())),
                _ => None,
            })
            .collect();
        if wanted == self.feeds.configured {
            return Ok(());
        }
        self.feeds.stop.send_replace(true);
        while self.feeds.tasks.join_next().await.is_some() {}
        self.feeds.stop = watch::Sender::new(false);
        for (name, prefect) in &wanted {
            let feed = Feed::open(name, prefect.clone(), self.store.clone(), self.clock.clone()).await?;
            self.feeds.tasks.spawn(feed.run(self.feeds.stop.subscribe()));
        }
        self.feeds.configured = wanted;
        Ok(())
    }

    /// Stops: requests end, loops finish what they began.
    pub async fn stop(mut self) {
        self.stop_serving.send_replace(true);
        self.feeds.stop.send_replace(true);
        while self.serving.join_next().await.is_some() {}
        while self.feeds.tasks.join_next().await.is_some() {}
        self.stop_loops.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// What the web needs beside the store, the clock and the decider.
struct WebParts {
    configured: Configured,
    session_key: SessionKey,
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
        session_key: parts.session_key,
        wake_sender: Arc::new(move || waker.send_modify(|count| *count += 1)),
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

fn configuration_caller() -> Caller {
    Caller { subject: "configuration".to_owned(), via: "cli".to_owned() }
}

fn connections(config: &Config) -> Connections {
    Arc::new(config.connections.clone())
}

/// The configured address for links; else where it listens, with the port that was really bound.
fn public_url(config: &Config, address: SocketAddr) -> String {
    if config.server.public_url.is_some() {
        return config.server.public_url();
    }
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn configured(config: &Config, ruleset: &Ruleset, admin: Grant, address: SocketAddr) -> Result<Configured> {
    let mut tokens = vec![admin];
    for entry in &config.tokens {
        let secret = entry.secret.resolve().with_context(|| format!("token `{}`", entry.name))?;
        tokens.push(Grant {
            name: entry.name.clone(),
            role: entry.role,
            team: entry.team.clone(),
            origin: Origin::Configuration,
            expires: None,
            hash: TokenHash::of(secrecy::ExposeSecret::expose_secret(&secret)),
        });
    }
    let url = public_url(config, address);
    Ok(Configured {
        public_url: Url::parse(&url).with_context(|| format!("server.public_url `{url}` is not an address"))?,
        tokens,
        connections: config.connections.iter().map(|(name, config)| (name.clone(), shown(config))).collect(),
        ruleset: Arc::new(ruleset.clone()),
    })
}

/// A connection without its secrets.
fn shown(config: &ConnectionConfig) -> ConnectionInfo {
    let (kind, address) = match config {
        ConnectionConfig::Pagerduty(c) => (
            "pagerduty",
            c.url.as_ref().map_or("https://events.pagerduty.com".to_owned(), |url| url.as_str().to_owned()),
        ),
        ConnectionConfig::Slack(c) => match &c.access {
            SlackAccess::IncomingWebhook { .. } => ("slack", "incoming webhook".to_owned()),
            SlackAccess::WebApi { channel, .. } => ("slack", channel.clone()),
        },
        ConnectionConfig::Webhook(c) => ("webhook", c.url.as_str().to_owned()),
        ConnectionConfig::Email(c) => ("email", c.to.iter().map(|to| to.0.to_string()).collect::<Vec<_>>().join(", ")),
        ConnectionConfig::Prefect(c) => ("prefect", c.url.as_str().to_owned()),
    };
    let sends = if config.kind() == ConnectionKind::Prefect { Sends::Nothing } else { Sends::Messages };
    ConnectionInfo { kind: kind.to_owned(), address, sends }
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
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(&token),
    })
}

fn session_key(data: &Path, clock: &Clock) -> Result<SessionKey> {
    use std::fmt::Write as _;
    let path = data.join(SESSION_KEY_FILE);
    let mut fresh = String::new();
    for byte in clock.random() {
        let _ = write!(fresh, "{byte:02x}");
    }
    let text = kept_secret(&path, &fresh)?;
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        let pair = text.get(2 * index..2 * index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = pair.with_context(|| format!("{} is damaged; delete it, people sign in again", path.display()))?;
    }
    Ok(SessionKey::new(key))
}

/// Makes the data folder for its owner only; one that is there keeps its permissions.
fn private_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot create the data folder {}", path.display()))
}

/// Reads a secret file that only its owner may read, or makes it.
fn kept_secret(path: &Path, fresh: &str) -> Result<String> {
    use std::io::Write as _;
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(fresh.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fresh.to_owned())
}
