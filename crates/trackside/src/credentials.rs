//! Credentials out, in the shell: brokers with the real network and clock, and the keys of the issuer.
//!
//! The loop is a few lines around [`Issuer::once`] and [`Brokers::renew`]. Invariant: keys change with their audit row in
//! one batch, and what is in force in memory is what the store has.

use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use trackside_connect::connection::ConnectionConfig;
use trackside_core::caller::Caller;
use trackside_identity::broker::config::CredentialConfig;
use trackside_identity::broker::{Brokers, Outlet, Tools, management_of};
use trackside_identity::exchange::Exchange;
use trackside_identity::seal::{RANDOM_BYTES, Randomness, SealKey};
use trackside_identity::secret::Secrets;
use trackside_identity::workload::key::{OpenKey, SealedKey, make};
use trackside_identity::workload::ring::{KeyTimes, Step, steps};
use trackside_identity::workload::settings::WorkloadSettings;
use trackside_identity::workload::{OTHERS_BYTES, Workload, public_keys};
use trackside_store::Store;
use trackside_store::audit::NewAudit;
use trackside_store::workload::{KeyChange, WorkloadKey};
use url::Url;
use uuid::Uuid;

mod metrics;

pub(crate) use metrics::register;

/// How often tokens and keys are looked at.
const LOOK: SignedDuration = SignedDuration::from_secs(15);
/// Where Azure is managed.
const MANAGEMENT_URL: &str = "https://management.azure.com";
/// Version of the management interface that is spoken when a connection is tried.
const ARM_VERSION: &str = "2025-05-01";
/// Something of Airflow that asks for a credential and changes nothing.
const AIRFLOW_CHECK: &str = "/api/v2/dags?limit=1";

/// What follows the configuration: the brokers, and what the issuer is to be.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    brokers: Brokers,
    wanted: watch::Sender<WantedIssuer>,
}

/// The issuer as configured.
#[derive(Clone, Debug, Default, PartialEq)]
struct WantedIssuer {
    issuer: String,
    settings: WorkloadSettings,
}

impl Credentials {
    /// Brokers for no connection yet.
    pub(crate) fn new(exchange: Exchange, clock: &Clock, secrets: Secrets) -> Self {
        let (time, dice, waiting) = (clock.clone(), clock.clone(), clock.clone());
        let tools = Tools {
            exchange,
            clock: Arc::new(move || time.now()),
            random: Arc::new(move || dice.random()),
            wait: Arc::new(move |wait| {
                let clock = waiting.clone();
                async move {
                    let until = clock.now().saturating_add(SignedDuration::try_from(wait).unwrap_or_default());
                    sleep_until(&clock, until.unwrap_or_else(|_| clock.now())).await;
                }
                .boxed()
            }),
            variable: Arc::new(|name| std::env::var(name).ok()),
            secrets,
            workload: Workload::default(),
        };
        Self { brokers: Brokers::new(tools), wanted: watch::Sender::default() }
    }

    /// Puts what a configuration says in force. Connections that did not change keep their tokens.
    pub(crate) fn put(&self, config: &Config, public_url: &str) {
        self.brokers.put(outlets(&config.connections));
        let issuer = config.workload.issuer.clone().unwrap_or_else(|| public_url.to_owned());
        self.wanted.send_replace(WantedIssuer { issuer, settings: config.workload.clone() });
    }

    /// For whoever calls a far end.
    pub(crate) fn brokers(&self) -> Brokers {
        self.brokers.clone()
    }

    /// The task that renews tokens and changes keys.
    pub(crate) fn issuer(&self, store: Store, seal: Arc<SealKey>, clock: Clock) -> Issuer {
        Issuer { store, seal, clock, brokers: self.brokers.clone(), wanted: self.wanted.subscribe() }
    }
}

/// What each connection that is called needs.
fn outlets(connections: &BTreeMap<String, ConnectionConfig>) -> BTreeMap<String, Outlet> {
    let mut outlets = BTreeMap::new();
    let mut add =
        |name: String, url: &str, credential: Option<&CredentialConfig>, (check, ca): (&str, Option<&PathBuf>)| {
            // Addresses were checked when the configuration was read.
            if let Ok(url) = Url::parse(url) {
                outlets.insert(
                    name,
                    Outlet { url, credential: credential.cloned(), check: check.to_owned(), ca: ca.cloned() },
                );
            }
        };
    for (name, connection) in connections {
        match connection {
            ConnectionConfig::Http(http) => {
                add(
                    name.clone(),
                    http.url.as_str(),
                    http.credential.as_ref(),
                    (http.check.as_deref().unwrap_or("/"), http.ca.as_ref()),
                );
            }
            ConnectionConfig::Airflow(airflow) => {
                let check = airflow.check.as_deref().unwrap_or(AIRFLOW_CHECK);
                add(name.clone(), airflow.url.as_str(), airflow.credential.as_ref(), (check, None));
            }
            ConnectionConfig::AppService(app) => {
                add(
                    name.clone(),
                    app.url.as_str(),
                    app.credential.as_ref(),
                    (app.check.as_deref().unwrap_or("/"), None),
                );
                let management = app.management_url.as_ref().map_or(MANAGEMENT_URL, |url| url.as_str());
                let site = format!(
                    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}?api-version={ARM_VERSION}",
                    app.subscription, app.resource_group, app.site
                );
                add(management_of(name), management, Some(&app.management), (&site, None));
            }
            _ => {}
        }
    }
    outlets
}

/// Renews tokens before they are needed, and changes the keys of the issuer.
pub(crate) struct Issuer {
    store: Store,
    seal: Arc<SealKey>,
    clock: Clock,
    brokers: Brokers,
    wanted: watch::Receiver<WantedIssuer>,
}

impl Issuer {
    /// Looks after both until `stop` changes.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let next = self.clock.now().saturating_add(LOOK).unwrap_or_else(|_| self.clock.now());
            let clock = self.clock.clone();
            tokio::select! {
                () = sleep_until(&clock, next) => {}
                changed = self.wanted.changed() => if changed.is_err() { return },
                _ = stop.changed() => return,
            }
            if let Err(error) = self.once(self.clock.now()).await {
                tracing::error!(error = format!("{error:#}"), "the keys of the issuer could not be looked after");
            }
            self.brokers.renew().await;
        }
    }

    /// Makes, retires and removes keys as their time has come, and puts what is there in force.
    ///
    /// # Errors
    /// When the store or the cryptographic library refuses; what is in force stays.
    pub(crate) async fn once(&mut self, now: Timestamp) -> Result<()> {
        let WantedIssuer { issuer, settings } = self.wanted.borrow_and_update().clone();
        let mut keys = self.open(now).await?;
        let times: Vec<KeyTimes> = keys.iter().map(|key| key.times).collect();
        let steps = steps(&times, &settings, now);
        for step in &steps {
            let (change, audit) = self.change(*step, &settings, now)?;
            self.store.change_workload_key(&change, &audit).await?;
        }
        if !steps.is_empty() {
            keys = self.open(now).await?;
        }
        let others = settings.also_publish.iter().flat_map(|path| others(path)).collect();
        self.brokers.workload().put(&issuer, &settings, keys, others);
        Ok(())
    }

    /// The keys of the store. One that cannot be opened is of no use to anybody, and is removed.
    async fn open(&self, now: Timestamp) -> Result<Vec<OpenKey>> {
        let mut open = Vec::new();
        for stored in self.store.workload_keys().await? {
            let id = stored.id;
            match read(stored).and_then(|key| Ok(key.open(&self.seal)?)) {
                Ok(key) => open.push(key),
                Err(error) => {
                    let summary = format!("Signing key {id} removed: {error:#}");
                    tracing::error!("{summary}");
                    let audit = told(now, "workload.key_removed", summary, id);
                    self.store.change_workload_key(&KeyChange::Remove(id), &audit).await?;
                }
            }
        }
        Ok(open)
    }

    fn change(&self, step: Step, settings: &WorkloadSettings, now: Timestamp) -> Result<(KeyChange, NewAudit)> {
        Ok(match step {
            Step::Make { signs } => {
                let key = make(settings.algorithm, self.id(), (now, signs), &self.seal, self.randomness())?;
                let id = key.times.id;
                let summary = format!("Signing key {id} ({}) published; it signs from {signs} on", key.times.algorithm);
                (KeyChange::Add(stored(key)), told(now, "workload.key_published", summary, id))
            }
            Step::Retire(id) => {
                let summary = format!("Signing key {id} retired: the next one signs");
                (KeyChange::Retire(id, now), told(now, "workload.key_retired", summary, id))
            }
            Step::Remove(id) => {
                let summary = format!("Signing key {id} removed: nothing signed with it is valid any more");
                (KeyChange::Remove(id), told(now, "workload.key_removed", summary, id))
            }
        })
    }

    fn id(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.clock.random()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    fn randomness(&self) -> Randomness {
        let mut bytes = [0; RANDOM_BYTES];
        for chunk in bytes.chunks_mut(32) {
            chunk.copy_from_slice(&self.clock.random()[..chunk.len()]);
        }
        Randomness::new(bytes)
    }
}

fn told(now: Timestamp, action: &str, summary: String, id: Uuid) -> NewAudit {
    NewAudit::new(now, Caller::rules(), action, summary).about(format!("workload_key:{id}"))
}

fn stored(key: SealedKey) -> WorkloadKey {
    let KeyTimes { id, algorithm, published, signs, retired } = key.times;
    WorkloadKey { id, algorithm: algorithm.to_string(), sealed: key.sealed, published, signs, retired }
}

fn read(key: WorkloadKey) -> Result<SealedKey> {
    let algorithm = key.algorithm.parse()?;
    let WorkloadKey { id, published, signs, retired, .. } = key;
    Ok(SealedKey { times: KeyTimes { id, algorithm, published, signs, retired }, sealed: key.sealed })
}

/// Public keys of others from a file, read anew each time. A file that cannot be read leaves them out, and says so.
fn others(path: &Path) -> Vec<serde_json::Value> {
    let read = || -> Result<Vec<serde_json::Value>> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(OTHERS_BYTES as u64 + 1).read_to_string(&mut text)?;
        public_keys(&text).map_err(anyhow::Error::msg)
    };
    read().with_context(|| format!("workload.also_publish: {}", path.display())).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Vec::new()
    })
}

#[cfg(test)]
mod tests;
