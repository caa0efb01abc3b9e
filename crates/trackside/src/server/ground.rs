//! What a server stands on before anything runs: the data folder, the database, the socket, keys, secrets, decisions.
//!
//! Invariant: nothing here has a loop of its own; whoever drops it has stopped it.

use super::WORKSPACE;
use super::keys::{Keys, kept_secret};
use crate::apply::derived;
use crate::audit::head::{HEAD_FILE, Head};
use crate::automations::stored;
use crate::clock::Clock;
use crate::config::{Config, Problems};
use crate::credentials::Credentials;
use crate::decide::Decider;
use crate::secrets;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use trackside_connect::connection::ConnectionConfig;
use trackside_core::caller::Caller;
use trackside_core::duty::zone::tzdb_version;
use trackside_core::ruleset::Ruleset;
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::exchange::{self, Exchange};
use trackside_identity::role::Role;
use trackside_identity::secret::keeper::Keeper;
use trackside_identity::token::{Token, TokenForm, TokenHash};
use trackside_store::audit::NewAudit;
use trackside_store::{Access, Options, Store, Threading};
use trackside_web::Listener;

/// File in the data folder with the token of the local administrator.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// File in the data folder with the database.
const DATABASE_FILE: &str = "trackside.sqlite";

/// The connections, and the address under which far ends reach us.
pub(super) type Connections = (Arc<BTreeMap<String, ConnectionConfig>>, Option<String>);

/// See the head of this file.
pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) listener: Listener,
    pub(super) address: SocketAddr,
    pub(super) admin: Grant,
    pub(super) exchange: Exchange,
    pub(super) keeper: Arc<Keeper>,
    pub(super) keys: Keys,
    pub(super) head: Arc<Head>,
    pub(super) decider: Decider,
    pub(super) ruleset: Ruleset,
    pub(super) connections: watch::Sender<Connections>,
    pub(super) credentials: Credentials,
}

impl Ground {
    /// Opens everything; what an earlier process left in the middle of an act is marked as such.
    pub(super) async fn lay(config: &Config, clock: &Clock) -> Result<Self> {
        let data = &config.server.data;
        private_folder(data)?;
        let options = Options { access: Access::Serve, threading: Threading::Threads };
        let store = Store::open(&data.join(DATABASE_FILE), options)?;
        let listener = listen(config).await?;
        let address = listener.tcp.local_addr()?;
        let admin = local_admin(data, clock)?;
        store.end_interrupted_acts(clock.now()).await?;
        let exchange = exchange::network();
        let keeper = secrets::keeper(exchange.clone(), clock);
        keeper.adopt(secrets::prepare(&keeper, &config.secrets, clock).await.map_err(Problems)?).await;
        store.record(&started(clock)).await?;

        let decider = Decider::load(store.clone(), WORKSPACE).await?;
        let ruleset = derived::ruleset(config, address);
        decider.apply(ruleset.clone(), stored::files(), clock.now()).await?;
        let connections = watch::Sender::new((Arc::new(config.connections.clone()), ruleset.public_url.clone()));
        let keys = Keys::kept(data, clock)?;
        let head =
            Arc::new(Head::kept(data).with_context(|| format!("cannot read {}", data.join(HEAD_FILE).display()))?);
        let credentials = Credentials::new(exchange.clone(), clock, keeper.secrets());
        credentials.put(config, ruleset.public_url.as_deref().unwrap_or_default());
        let ground = Self {
            store,
            listener,
            address,
            admin,
            exchange,
            keeper,
            keys,
            head,
            decider,
            ruleset,
            connections,
            credentials,
        };
        Ok(ground)
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

/// What the audit trail says of a start: with which program and which rules of local time it decides from now on.
fn started(clock: &Clock) -> NewAudit {
    let summary = format!("version {}, time zone database {}", env!("CARGO_PKG_VERSION"), tzdb_version());
    NewAudit::new(clock.now(), Caller::new("trackside", "cli"), "server.started", summary)
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
