//! What is in force, and putting something else in force.
//!
//! Invariants: nothing is put in force before all of it was checked; the rules and the automations of one configuration
//! enter the log together.

use super::derived;
use super::plan::{View, changes};
use crate::automations::edits::edits;
use crate::automations::stored::{self, Kept};
use crate::clock::Clock;
use crate::config::{Config, Problem, Problems, ServerSettings};
use crate::credentials::Credentials;
use crate::decide::ruleset_entry;
use crate::deliver::Connections;
use crate::gateway::Gate;
use crate::prefect::Feed;
use crate::secrets;
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::connection::{ConnectionConfig, PrefectConfig};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_core::ids::Seq;
use trackside_core::ruleset::Ruleset;
use trackside_gateway::config::GatewaySettings;
use trackside_identity::directory::Grant;
use trackside_identity::exchange::Exchange;
use trackside_identity::secret::Secrets;
use trackside_identity::secret::keeper::{Keeper, Prepared};
use trackside_store::Store;
use trackside_web::{AppState, ConfigChange, Configured};

/// Longest wait for what was put in force to be decided.
const DECIDED_WITHIN: Duration = Duration::from_secs(5);

/// Why something cannot be put in force.
#[derive(Debug)]
pub(super) enum Refused {
    /// There are mistakes in the files.
    Problems(Vec<Problem>),
    /// It does not go together with what is there.
    Conflict(String),
    /// Something failed.
    Failed(anyhow::Error),
}

impl From<Refused> for anyhow::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Problems(problems) => Problems(problems).into(),
            Refused::Conflict(conflict) => anyhow::anyhow!(conflict),
            Refused::Failed(error) => error,
        }
    }
}

impl From<trackside_store::Error> for Refused {
    fn from(error: trackside_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The parts of the server that follow the configuration.
pub(crate) struct Parts {
    /// The gateway, if there is one.
    pub(crate) gate: Option<Gate>,
    pub(crate) state: AppState,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) decided: watch::Receiver<Seq>,
    /// How issuers are asked.
    pub(crate) exchange: Exchange,
    pub(crate) connections: watch::Sender<(Connections, Option<String>)>,
    /// Keeps the secrets of secret managers.
    pub(crate) keeper: Arc<Keeper>,
    /// Credentials for far ends.
    pub(crate) credentials: Credentials,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The local administrator.
    pub(crate) admin: Grant,
}

/// What is in force.
pub(super) struct InForce {
    parts: Parts,
    /// Its `server` is as at the start, but for the public address; so are the sign of life and the gateway, but for the
    /// fields that a reload takes over.
    config: Config,
    ruleset: Ruleset,
    feeds: Feeds,
    /// The last entry that a change of configuration wrote to the log.
    written: Seq,
}

/// The Prefect servers being read.
struct Feeds {
    configured: BTreeMap<String, PrefectConfig>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What can be put in force on this server.
pub(super) struct Admitted {
    configured: Configured,
    prepared: Prepared,
}

/// What a configuration would change.
pub(super) struct Plan {
    /// Stands for what is in force.
    pub(super) in_force: String,
    pub(super) changes: Vec<ConfigChange>,
    edits: Vec<AutomationEdit>,
}

impl InForce {
    /// What was put in force by a start, with its Prefect servers being read.
    pub(super) async fn started(parts: Parts, config: Config, ruleset: Ruleset) -> Result<Self> {
        let feeds = Feeds { configured: BTreeMap::new(), stop: watch::Sender::new(false), tasks: JoinSet::new() };
        let mut started = Self { parts, config, ruleset, feeds, written: 0 };
        started.feed().await?;
        Ok(started)
    }

    /// Secrets of secret managers, as last fetched.
    pub(super) fn secrets(&self) -> Secrets {
        self.parts.keeper.secrets()
    }

    /// What another configuration would change.
    pub(super) async fn plan(&self, config: &Config) -> Result<Plan, Refused> {
        self.wait_until_decided().await;
        let kept = stored::kept(&self.parts.store, &config.automations).await?;
        let edits = self.edits(config, &kept)?;
        let before = View::of(&self.config).with_kept(&kept.automations);
        let after = View::of(config).with_wanted(&config.automations, &kept.automations, &edits);
        Ok(Plan { in_force: before.fingerprint(), changes: changes(&before, &after), edits })
    }

    /// What a configuration leads to in the weeks from now on that is not meant.
    pub(super) fn ahead(&self, config: &Config) -> Vec<Problem> {
        config.ahead(self.parts.clock.now())
    }

    fn edits(&self, config: &Config, kept: &Kept) -> Result<Vec<AutomationEdit>, Refused> {
        edits(&config.automations, &kept.automations, &kept.said, self.parts.clock.now()).map_err(Refused::Problems)
    }

    /// Whether a configuration can be put in force on this server: its secrets can be had, its tokens do not conflict.
    pub(super) async fn admit(&self, config: &Config) -> Result<Admitted, Refused> {
        let parts = &self.parts;
        let prepared =
            secrets::prepare(&parts.keeper, &config.secrets, &parts.clock).await.map_err(Refused::Problems)?;
        let configured = self.configured(config)?;
        parts.state.check(&configured).await.map_err(|error| Refused::Conflict(error.to_string()))?;
        Ok(Admitted { configured, prepared })
    }

    fn configured(&self, config: &Config) -> Result<Configured, Refused> {
        let parts = &self.parts;
        let (ruleset, secrets) = (derived::ruleset(config, parts.address), parts.keeper.secrets());
        derived::callers(config, &parts.exchange, &secrets, &parts.state.callers())
            .and_then(|callers| {
                derived::configured(config, &ruleset, parts.admin.clone(), &secrets, Arc::new(callers), &parts.exchange)
            })
            .map_err(|error| Refused::Conflict(format!("{error:#}")))
    }

    /// Derives anew what is made of secrets, after one of them changed: the tokens that are taken.
    pub(super) async fn rotated(&self) -> Result<(), Refused> {
        let configured = self.configured(&self.config)?;
        self.parts.state.reconfigure(configured).await.map_err(|error| Refused::Conflict(error.to_string()))
    }

    /// Puts a configuration in force.
    pub(super) async fn put(
        &mut self,
        config: Config,
        plan: Plan,
        admitted: Admitted,
        caller: &Caller,
    ) -> Result<(), Refused> {
        let Admitted { configured, prepared } = admitted;
        let ruleset = Ruleset::clone(&configured.ruleset);
        let now = self.parts.clock.now();
        let mut entries = Vec::new();
        if ruleset != self.ruleset {
            entries.push(ruleset_entry(ruleset.clone(), caller.clone(), now)?);
        }
        if !plan.edits.is_empty() {
            let decided = *self.parts.decided.borrow();
            entries.push(derived::automations_entry(plan.edits, caller.clone(), decided, now)?);
        }
        self.parts.state.reconfigure(configured).await.map_err(|error| Refused::Failed(error.into()))?;
        self.parts.keeper.adopt(prepared).await;
        if let Some(gate) = &self.parts.gate {
            gate.put(&config, &self.parts.state.configured()).map_err(Refused::Failed)?;
        }
        self.parts.credentials.put(&config, ruleset.public_url.as_deref().unwrap_or_default());
        self.parts.connections.send_replace((Arc::new(config.connections.clone()), ruleset.public_url.clone()));
        if !entries.is_empty() {
            let appended = self.parts.store.append(entries).await?;
            self.written = appended.last().map_or(self.written, |appended| appended.seq);
        }
        self.ruleset = ruleset;
        let public_url = config.server.public_url.clone();
        let server = ServerSettings { public_url, ..self.config.server.clone() };
        let heartbeat_out = self.config.heartbeat_out.clone();
        let gateway = gateway(self.config.gateway.take(), config.gateway.as_ref());
        self.config = Config { server, gateway, heartbeat_out, ..config };
        self.feed().await.map_err(Refused::Failed)?;
        self.wait_until_decided().await;
        self.parts.state.follow_people(caller).await?;
        Ok(())
    }

    /// A decider that is far behind is not waited for: what is in the log will come into force.
    async fn wait_until_decided(&self) {
        let (mut decided, written) = (self.parts.decided.clone(), self.written);
        let _ = tokio::time::timeout(DECIDED_WITHIN, decided.wait_for(|position| *position >= written)).await;
    }

    /// Reads the Prefect servers of the configuration, and no others.
    async fn feed(&mut self) -> Result<()> {
        let wanted: BTreeMap<String, PrefectConfig> = self
            .config
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
        self.stop_feeds().await;
        self.feeds.stop = watch::Sender::new(false);
        for (name, prefect) in &wanted {
            let parts = &self.parts;
            let feed =
                Feed::open(name, prefect.clone(), parts.store.clone(), parts.clock.clone(), parts.keeper.secrets())
                    .await?;
            self.feeds.tasks.spawn(feed.run(self.feeds.stop.subscribe()));
        }
        self.feeds.configured = wanted;
        Ok(())
    }

    /// Stops reading Prefect servers.
    pub(super) async fn stop_feeds(&mut self) {
        self.feeds.stop.send_replace(true);
        while self.feeds.tasks.join_next().await.is_some() {}
    }
}

/// The gateway as it serves after a reload: how it listens is as at the start.
fn gateway(serving: Option<GatewaySettings>, wanted: Option<&GatewaySettings>) -> Option<GatewaySettings> {
    match (serving, wanted) {
        (Some(serving), Some(wanted)) => Some(GatewaySettings {
            trusted_proxies: wanted.trusted_proxies.clone(),
            body_timeout: wanted.body_timeout,
            ..serving
        }),
        (serving, _) => serving,
    }
}
