//! What the handlers work with. The shell (crate `trackside`) provides it: the store, time, randomness, the position
//! of the decider, the configuration in force.
//!
//! Invariant: nothing here reads a clock or makes a random number by itself.

use crate::access::refusals::Refusals;
use crate::api::automations::backtest::AT_ONCE;
use crate::api::automations::known::Shelf;
use crate::api::jobs::watch::SEATS;
use crate::configure::Configure;
use crate::door::body::Budget;
use crate::metrics::Metrics;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use trackside_connect::connection::Back;
use trackside_connect::job::schema::Schemas;
use trackside_core::automation::definition::AutomationId;
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_core::ids::Seq;
use trackside_core::input::{Command, DutyEdit, Input};
use trackside_core::ruleset::Ruleset;
use trackside_identity::act_link::ActKey;
use trackside_identity::audit_key::AuditKey;
use trackside_identity::broker::Brokers;
use trackside_identity::callers::Callers;
use trackside_identity::directory::{Conflict, Directory, Grant, Origin};
use trackside_identity::link::{Links, Redeemed};
use trackside_identity::local::LocalAccess;
use trackside_identity::question::Judge;
use trackside_identity::role::{Role, UnknownRole};
use trackside_identity::roster::Roster;
use trackside_identity::scim::ScimConfig;
use trackside_identity::seal::SealKey;
use trackside_identity::secret::Secrets;
use trackside_identity::session::{SessionKey, Transport};
use trackside_identity::sign_in::SignIn;
use trackside_identity::token::TokenHash;
use trackside_store::Store;
use trackside_store::accounts::TokenRecord;
use trackside_store::audit::chain::Checkpoint;
use trackside_store::heard::Once;
use trackside_store::log::{Appended, NewEntry};
use url::Url;
use uuid::Uuid;

mod routes;

pub use routes::{Guard, LetsIn, RouteAccess};

/// Longest time a write waits for its decision before it answers "accepted, not yet in effect".
const DECIDED_WITHIN: Duration = Duration::from_secs(5);

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Makes 32 random bytes.
pub type Random = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;
/// Tells a loop that there is something to do.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What the shell provides.
pub struct Shell {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Randomness for tokens and ids.
    pub random: Random,
    /// Key that browser sessions are signed with; kept beside the database, so that sessions survive a restart.
    pub session_key: Arc<SessionKey>,
    /// Key that secrets in block documents are sealed with; kept beside the database.
    pub seal_key: Arc<SealKey>,
    /// Key that the links in mails are signed with; kept beside the database.
    pub act_key: Arc<ActKey>,
    /// Secrets of secret managers, as last fetched.
    pub secrets: Secrets,
    /// Credentials for far ends, and the keys that far ends trust us by.
    pub brokers: Brokers,
    /// Key that checkpoints of the audit are signed with; its public half is given out.
    pub audit_key: Arc<AuditKey>,
    /// The newest checkpoint of the audit, as it is remembered outside the database.
    pub audit_head: watch::Receiver<Option<Checkpoint>>,
    /// Wakes the loop that sends, after a delivery was put back.
    pub wake_sender: Wake,
    /// Says what other configuration files would change, and puts them in force.
    pub configure: Configure,
    /// Position up to which the log is decided and committed.
    pub decided: watch::Receiver<Seq>,
    /// Becomes true when the server stops; long answers (streams, sockets) end then.
    pub stopping: watch::Receiver<bool>,
    /// Every metric of the process, with those of [`Metrics`] registered.
    pub registry: Arc<Registry>,
    /// Metrics of this crate.
    pub metrics: Metrics,
    /// The configuration in force.
    pub configured: Configured,
    /// What `/version` says.
    pub version: Version,
}

/// What the program says of itself.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, when known.
    pub commit: Option<String>,
}

/// The part of the configuration that this crate needs. Replaced as a whole on reload.
#[derive(Clone)]
pub struct Configured {
    /// Address under which people and far ends reach the server. Its scheme decides the cookie's form.
    pub public_url: Url,
    /// Tokens of the configuration.
    pub tokens: Vec<Grant>,
    /// Connections, without their secrets.
    pub connections: BTreeMap<String, ConnectionInfo>,
    /// The rules in force.
    pub ruleset: Arc<Ruleset>,
    /// Where the automations of the configuration stand: file and line.
    pub kept_in: BTreeMap<AutomationId, String>,
    /// Sign-in by an identity provider.
    pub sign_in: Option<Arc<SignIn>>,
    /// Whether somebody on the same machine must sign in.
    pub local_access: LocalAccess,
    /// The issuers whose tokens are taken.
    pub callers: Arc<Callers>,
    /// The policies in force.
    pub judge: Judge,
    /// The schemas of the inputs of jobs.
    pub schemas: Schemas,
    /// Who may use the routes of the gateway.
    pub routes: BTreeMap<String, RouteAccess>,
    /// What is said of the directory that writes people and groups.
    pub scim: ScimConfig,
}

/// A connection as pages and the API show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Kind, as in the configuration.
    pub kind: String,
    /// Where it leads, without secrets (`https://events.pagerduty.com`).
    pub address: String,
    /// Whether a test can be sent; a Prefect connection is only read from.
    pub sends: Sends,
    /// What its far end tells back, and what proves it.
    pub back: Back,
}

/// Whether something can be sent through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// Messages go out here.
    Messages,
    /// Jobs and routes call here, with a credential of their own.
    Calls,
    /// Events come in here.
    Nothing,
}

/// The handle that every handler gets; clones share it.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

/// What [`AppState`] shares.
pub struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) session_key: Arc<SessionKey>,
    pub(crate) seal_key: Arc<SealKey>,
    pub(crate) act_key: Arc<ActKey>,
    pub(crate) secrets: Secrets,
    pub(crate) brokers: Brokers,
    pub(crate) audit_key: Arc<AuditKey>,
    pub(crate) audit_head: watch::Receiver<Option<Checkpoint>>,
    pub(crate) wake_sender: Wake,
    pub(crate) configure: Configure,
    pub(crate) decided: watch::Receiver<Seq>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    pub(crate) version: Version,
    pub(crate) budget: Budget,
    /// Permits for back-tests.
    pub(crate) trials: Arc<Semaphore>,
    /// Seats for those who wait for runs of jobs.
    pub(crate) seats: Arc<Semaphore>,
    /// Every automation, as last read.
    pub(crate) known: Shelf,
    configured: RwLock<Arc<Configured>>,
    directory: RwLock<Arc<Directory>>,
    links: Mutex<Links>,
    pub(crate) roster: RwLock<Arc<Roster>>,
    /// Held while people are compared with who is gone: the roster that everything else has followed.
    pub(crate) following: tokio::sync::Mutex<Option<Arc<Roster>>>,
    /// Held while tokens or people are read and put in force.
    pub(crate) reading: tokio::sync::Mutex<()>,
    /// Minute in which the use of tokens was last noted.
    uses_noted: AtomicI64,
    pub(crate) refusals: Refusals,
}

impl Deref for AppState {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Whether a command is in effect when its answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The decision is committed.
    Decided,
    /// It is in the log and will be decided; the decider is behind.
    Accepted,
}

/// A command that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commanded {
    /// Its position.
    pub(crate) seq: Seq,
    /// When it was accepted: the time of its decision.
    pub(crate) at: Timestamp,
    /// Whether it is in effect.
    pub(crate) effect: Effect,
}

impl AppState {
    /// The state of a server that is about to serve.
    ///
    /// # Errors
    /// When the tokens cannot be read, or two of them conflict.
    pub async fn new(shell: Shell) -> Result<Self, ConfigureError> {
        let state = Self(Arc::new(Inner {
            store: shell.store,
            clock: shell.clock,
            random: shell.random,
            session_key: shell.session_key,
            seal_key: shell.seal_key,
            act_key: shell.act_key,
            secrets: shell.secrets,
            brokers: shell.brokers,
            audit_key: shell.audit_key,
            audit_head: shell.audit_head,
            wake_sender: shell.wake_sender,
            configure: shell.configure,
            decided: shell.decided,
            stopping: shell.stopping,
            registry: shell.registry,
            metrics: shell.metrics,
            version: shell.version,
            budget: Budget::new(),
            trials: Arc::new(Semaphore::new(AT_ONCE)),
            seats: Arc::new(Semaphore::new(SEATS)),
            known: Shelf::default(),
            configured: RwLock::new(Arc::new(shell.configured.clone())),
            directory: RwLock::default(),
            links: Mutex::default(),
            roster: RwLock::default(),
            following: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            uses_noted: AtomicI64::new(0),
            refusals: Refusals::default(),
        }));
        state.reconfigure(shell.configured).await?;
        Ok(state)
    }

    /// Puts another configuration in force.
    ///
    /// # Errors
    /// When its tokens conflict with each other or with tokens made through the API; the old one then stays.
    pub async fn reconfigure(&self, configured: Configured) -> Result<(), ConfigureError> {
        self.store_token_uses().await?;
        {
            let _one_at_a_time = self.reading.lock().await;
            let directory = self.read_directory(&configured.tokens).await?;
            *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
            *self.configured.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configured);
        }
        self.read_roster().await?;
        Ok(())
    }

    /// Whether a configuration could be put in force.
    ///
    /// # Errors
    /// As [`AppState::reconfigure`].
    pub async fn check(&self, configured: &Configured) -> Result<(), ConfigureError> {
        self.read_directory(&configured.tokens).await.map(drop)
    }

    /// Reads the tokens again, after one was made or revoked. One reads at a time: a token that was revoked meanwhile does
    /// not come back with what was read before.
    pub(crate) async fn reload_tokens(&self) -> Result<(), ConfigureError> {
        self.store_token_uses().await?;
        let _one_at_a_time = self.reading.lock().await;
        let directory = self.read_directory(&self.configured().tokens).await?;
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
        Ok(())
    }

    /// Stores when tokens were last used, at most once a minute. Called when somebody looks at pages or the API, never
    /// at a door: an ingest request does not pay for it.
    pub(crate) async fn note_token_uses(&self) {
        let minute = self.now().as_second() / 60;
        if self.uses_noted.swap(minute, Ordering::Relaxed) == minute {
            return;
        }
        if let Err(error) = self.store_token_uses().await {
            tracing::warn!(%error, "the last use of tokens could not be stored");
        }
    }

    async fn store_token_uses(&self) -> Result<(), trackside_store::Error> {
        let directory = self.directory();
        let uses: BTreeMap<&str, Timestamp> = directory.last_uses().collect();
        if uses.is_empty() {
            return Ok(());
        }
        let made = self.store.tokens().await?;
        let used = made.iter().filter(|token| token.revoked.is_none());
        let used: Vec<(Uuid, Timestamp)> =
            used.filter_map(|token| Some((token.id, *uses.get(token.name.as_str())?))).collect();
        self.store.touch_tokens(&used).await
    }

    async fn read_directory(&self, configured: &[Grant]) -> Result<Directory, ConfigureError> {
        let records = self.store.tokens().await?;
        let made = records.iter().filter(|token| token.revoked.is_none());
        let grants =
            configured.iter().cloned().map(Ok).chain(made.clone().map(grant)).collect::<Result<Vec<_>, _>>()?;
        let directory = Directory::new(grants)?;
        let formers = made.filter_map(|token| token.former.map(|(hash, until)| (&token.name, hash, until)));
        Ok(formers
            .fold(directory, |directory, (name, hash, until)| directory.also(name, TokenHash::from_bytes(hash), until)))
    }

    /// Uses a one-time link up.
    pub(crate) fn redeem_link(&self, presented: &str) -> Option<Redeemed> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).redeem(presented, self.now())
    }

    /// A one-time sign-in address for `person`, to be printed where only they see it.
    pub fn sign_in_link(&self, person: &str, role: Role) -> Url {
        let token = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.offer((self.random)(), person, role, self.now())
        };
        let mut url = self.configured().public_url.clone();
        url.set_path("/sign-in");
        url.set_query(Some(&format!("link={}", token.expose())));
        url
    }

    /// The rules in force.
    #[must_use]
    pub fn ruleset(&self) -> Arc<Ruleset> {
        Arc::clone(&self.configured().ruleset)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The configuration in force.
    pub fn configured(&self) -> Arc<Configured> {
        Arc::clone(&self.configured.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whose tokens and certificates are taken.
    #[must_use]
    pub fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.configured().callers)
    }

    /// The API tokens in force.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An id that sorts by time (UUID version 7).
    pub(crate) fn new_id(&self) -> Uuid {
        let random = (self.random)();
        let mut bits = [0u8; 10];
        bits.copy_from_slice(&random[..10]);
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
    }

    /// Puts a command into the log and waits until it is decided, but not for ever.
    pub(crate) async fn command(&self, caller: Caller, command: Command) -> Result<Commanded, trackside_store::Error> {
        self.put(&Input::Command { caller, command, origin: None }).await
    }

    /// Puts edits of automations into the log, all of them or none, and waits as [`AppState::command`] does.
    pub(crate) async fn edit(
        &self,
        caller: Caller,
        edits: Vec<AutomationEdit>,
    ) -> Result<Commanded, trackside_store::Error> {
        self.put(&Input::Automations { caller, edits }).await
    }

    /// Puts changes of what is planned into the log, and waits as [`AppState::command`] does.
    pub(crate) async fn duty(&self, caller: Caller, edits: Vec<DutyEdit>) -> Result<Commanded, trackside_store::Error> {
        self.put(&Input::Duty { caller, edits }).await
    }

    /// Puts an entry into the log unless it was heard before, and waits as [`AppState::command`] does; `None` when it was.
    pub(crate) async fn enter_once(
        &self,
        once: Once<'_>,
        entry: NewEntry,
    ) -> Result<Option<Commanded>, trackside_store::Error> {
        let at = self.now();
        match self.store.append_once(once, vec![entry], at).await? {
            Some(appended) => Ok(Some(self.settled(&appended, at).await)),
            None => Ok(None),
        }
    }

    pub(crate) async fn put(&self, input: &Input) -> Result<Commanded, trackside_store::Error> {
        let at = self.now();
        let entry = NewEntry::input(at, input, self.new_id())?;
        let appended = self.store.append(vec![entry]).await?;
        Ok(self.settled(&appended, at).await)
    }

    /// Waits for the decision of what was appended, but not for ever.
    async fn settled(&self, appended: &[Appended], at: Timestamp) -> Commanded {
        let seq = appended.first().map_or(0, |appended| appended.seq);
        let mut decided = self.decided.clone();
        let waited = tokio::time::timeout(DECIDED_WITHIN, decided.wait_for(|position| *position >= seq)).await;
        let effect = if matches!(waited, Ok(Ok(_))) { Effect::Decided } else { Effect::Accepted };
        Commanded { seq, at, effect }
    }
}

/// A token of the database as a grant.
fn grant(token: &TokenRecord) -> Result<Grant, UnknownRole> {
    Ok(Grant {
        name: token.name.clone(),
        role: token.role.parse()?,
        team: token.team.clone(),
        scopes: token.scopes.clone(),
        origin: Origin::Api,
        expires: token.expires,
        hash: TokenHash::from_bytes(token.hash),
    })
}

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured").field("public_url", &self.public_url.as_str()).finish_non_exhaustive()
    }
}

impl Configured {
    /// The origin browsers see, without a trailing slash.
    pub(crate) fn public_origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// How browsers reach the server.
    pub(crate) fn transport(&self) -> Transport {
        if self.public_url.scheme() == "https" { Transport::Tls } else { Transport::Plain }
    }
}

/// Why a configuration cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// Two tokens conflict.
    #[error(transparent)]
    Tokens(#[from] Conflict),
    /// A token of the database has a role of another version of the program.
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] trackside_store::Error),
}

/// Completes when the server is to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the shell is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
