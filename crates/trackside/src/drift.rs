//! Reads PagerDuty's teams on a schedule and compares them with ours.
//!
//! Nothing is written there. Invariants: what was read last stays when PagerDuty cannot be read, with why; a difference
//! keeps the time since when it stands; teams are told of new ones through the log, if the connection asks for it, and
//! once. What the answers mean is in `trackside_connect::pagerduty`.

use crate::clock::{Clock, sleep_until};
use crate::deliver::Connections;
use anyhow::{Context as _, Result, anyhow, bail};
use http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use secrecy::ExposeSecret as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;
use trackside_connect::connection::{ConnectionConfig, PagerdutyConfig, PagerdutyImport};
use trackside_connect::pagerduty::drift::{Finding, Route, compare};
use trackside_connect::pagerduty::rest::{self, Account, LISTS, List};
use trackside_core::caller::Caller;
use trackside_core::event::{Event, Fact, Message};
use trackside_core::ids::EventId;
use trackside_core::ruleset::Ruleset;
use trackside_identity::exchange::{Ask, Exchange};
use trackside_identity::secret::Secrets;
use trackside_store::Store;
use trackside_store::audit::NewAudit;
use trackside_store::imports::Drift;
use trackside_store::log::NewEntry;
use url::Url;

/// How often it is looked whether something is due.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(15);
/// How long after a failure it is tried again, when PagerDuty says nothing else and the schedule is slower.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Longest page that is read.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// What ids of messages about differences are derived in.
const DOMAIN: &str = "drift";

/// The rules in force.
pub type Rules = Arc<dyn Fn() -> Arc<Ruleset> + Send + Sync>;

/// What `/metrics` says of differences.
#[derive(Clone, Debug, Default)]
pub struct DriftMetrics {
    /// Differences by connection.
    pub findings: Family<Labels, Gauge>,
    /// Whether the last reading of a connection failed.
    pub failing: Family<Labels, Gauge>,
}

/// Labels of [`DriftMetrics`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// Connection.
    pub connection: String,
}

impl DriftMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Differences between teams here and in PagerDuty";
        registry.register("trackside_drift_findings", help, metrics.findings.clone());
        let help = "Whether the last reading of PagerDuty's teams failed";
        registry.register("trackside_drift_failing", help, metrics.failing.clone());
        metrics
    }
}

/// Reads and compares.
pub struct Importer {
    store: Store,
    exchange: Exchange,
    secrets: Secrets,
    connections: watch::Receiver<(Connections, Option<String>)>,
    rules: Rules,
    metrics: DriftMetrics,
    /// When each connection is read next.
    due: BTreeMap<String, Timestamp>,
}

/// What an importer works with.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The way out.
    pub exchange: Exchange,
    /// Secrets of secret managers.
    pub secrets: Secrets,
    /// Connections in force.
    pub connections: watch::Receiver<(Connections, Option<String>)>,
    /// Rules in force.
    pub rules: Rules,
    /// Figures.
    pub metrics: DriftMetrics,
}

/// Why a reading failed, and when the next one may be.
struct Failed {
    why: anyhow::Error,
    not_before: Option<Timestamp>,
}

impl From<anyhow::Error> for Failed {
    fn from(why: anyhow::Error) -> Self {
        Self { why, not_before: None }
    }
}

impl Importer {
    /// An importer that reads everything at the first look.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, exchange, secrets, connections, rules, metrics } = parts;
        Self { store, exchange, secrets, connections, rules, metrics, due: BTreeMap::new() }
    }

    /// Reads and compares what is due.
    ///
    /// # Errors
    /// When the database fails. What PagerDuty does is kept, not an error.
    pub async fn once(&mut self, now: Timestamp) -> Result<()> {
        let connections = self.connections.borrow().0.clone();
        let imports: BTreeMap<&String, (&PagerdutyConfig, &PagerdutyImport)> = pagerduty(&connections)
            .filter_map(|(name, config)| Some((name, (config, config.import.as_ref()?))))
            .collect();
        self.forget(&imports.keys().map(|name| name.as_str()).collect()).await?;
        for (name, (_, import)) in imports {
            if self.due.get(name).is_some_and(|due| now < *due) {
                continue;
            }
            let labels = Labels { connection: name.clone() };
            let next = match self.read(import, now).await {
                Ok(account) => {
                    self.compare(name, import, &connections, &account, now).await?;
                    self.metrics.failing.get_or_create(&labels).set(0);
                    now + import.every.0
                }
                Err(Failed { why, not_before }) => {
                    let why = format!("{why:#}");
                    tracing::warn!(connection = name, why, "PagerDuty's teams could not be read");
                    self.store.import_failed(name, now, &why).await?;
                    self.metrics.failing.get_or_create(&labels).set(1);
                    not_before.unwrap_or(now + AGAIN_AFTER.min(import.every.0))
                }
            };
            self.due.insert(name.clone(), next);
        }
        Ok(())
    }

    /// Runs until stopped.
    pub async fn run(mut self, clock: Clock, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let done = tokio::select! {
                _ = stop.changed() => continue,
                done = self.once(clock.now()) => done,
            };
            if let Err(error) = done {
                tracing::error!(%error, "what PagerDuty says could not be kept");
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = sleep_until(&clock, clock.now() + LOOK_EVERY) => {}
            }
        }
    }

    /// Forgets connections that are not read any more.
    async fn forget(&mut self, wanted: &BTreeSet<&str>) -> Result<()> {
        for kept in self.store.imports().await? {
            if !wanted.contains(kept.connection.as_str()) {
                self.store.drop_import(&kept.connection).await?;
                self.due.remove(&kept.connection);
                let labels = Labels { connection: kept.connection };
                self.metrics.findings.remove(&labels);
                self.metrics.failing.remove(&labels);
            }
        }
        Ok(())
    }

    async fn read(&self, import: &PagerdutyImport, now: Timestamp) -> Result<Account, Failed> {
        let token = import.api_token.resolve(&self.secrets).context("api_token")?;
        let authorization = HeaderValue::from_str(&format!("Token token={}", token.expose_secret()));
        let mut authorization = authorization.context("api_token cannot stand in a header")?;
        authorization.set_sensitive(true);
        let base = import.api_url.as_ref().map_or(rest::API, |url| url.as_str()).trim_end_matches('/').to_owned();
        let mut account = Account::default();
        for list in LISTS {
            let mut offset = Some(0);
            while let Some(at) = offset {
                let page = self.page(&base, list, at, &authorization, now).await?;
                offset = account.take(list, at, &page).map_err(anyhow::Error::from)?;
            }
        }
        Ok(account)
    }

    async fn page(
        &self,
        base: &str,
        list: List,
        offset: usize,
        authorization: &HeaderValue,
        now: Timestamp,
    ) -> Result<Vec<u8>, Failed> {
        let url = Url::parse(&format!("{base}{}", list.path(offset))).context("api_url")?;
        let mut ask = Ask { limit: PAGE_BYTES, ..Ask::get(url) };
        ask.headers.insert(AUTHORIZATION, authorization.clone());
        ask.headers.insert(ACCEPT, HeaderValue::from_static(rest::ACCEPT));
        let reply = (self.exchange)(ask).await.map_err(anyhow::Error::from)?;
        match reply.status {
            StatusCode::OK => Ok(reply.body.to_vec()),
            StatusCode::TOO_MANY_REQUESTS => Err(Failed {
                why: anyhow!("PagerDuty asks for a pause (429)"),
                not_before: Some(now + pause(&reply.headers)),
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(anyhow!("PagerDuty refuses the api_token ({})", reply.status.as_u16()).into())
            }
            status => Err(anyhow!("PagerDuty answered {} for its {}", status.as_u16(), list.name()).into()),
        }
    }

    /// Compares what was read, keeps it, and tells of what is new.
    async fn compare(
        &self,
        name: &str,
        import: &PagerdutyImport,
        connections: &BTreeMap<String, ConnectionConfig>,
        account: &Account,
        now: Timestamp,
    ) -> Result<()> {
        let routes = self.routes(name, connections);
        let findings = compare(&(self.rules)(), &routes, account);
        let known = self.store.drift().await?;
        let since = |key: &str| known.iter().find(|one| one.connection == name && one.key == key).map(|one| one.since);
        let (mut drift, mut changes, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &findings {
            let key = finding.key();
            let before = since(&key);
            if before.is_none() {
                changes.push(audit("drift.found", name, &finding.summary, now));
                new.push(finding);
            }
            let body = serde_json::to_value(finding)?;
            drift.push(Drift { connection: name.to_owned(), key, since: before.unwrap_or(now), body });
        }
        for over in known.iter().filter(|one| one.connection == name && !drift.iter().any(|now| now.key == one.key)) {
            let summary = over.body["summary"].as_str().unwrap_or_default();
            changes.push(audit("drift.over", name, summary, now));
        }
        if import.tell && !new.is_empty() {
            // Before it is kept: a crash in between tells again, and the log knows the same message.
            self.store.append(messages(name, &new, now)?).await?;
        }
        let count = i64::try_from(drift.len()).unwrap_or(i64::MAX);
        self.metrics.findings.get_or_create(&Labels { connection: name.to_owned() }).set(count);
        self.store.put_import(name, now, &serde_json::to_value(account)?, &drift, &changes).await?;
        Ok(())
    }

    /// Which service each connection leads to, for those that this import speaks for: those without an import of their
    /// own, and its own.
    fn routes(&self, name: &str, connections: &BTreeMap<String, ConnectionConfig>) -> BTreeMap<String, Route> {
        let mine = pagerduty(connections).filter(|(other, config)| *other == name || config.import.is_none());
        let route = |(other, config): (&String, &PagerdutyConfig)| {
            if let Some(service) = &config.service_id {
                return Some((other.clone(), Route::Service(service.clone())));
            }
            match config.routing_key.resolve(&self.secrets) {
                Ok(key) => Some((other.clone(), Route::Key(rest::fingerprint(key.expose_secret())))),
                Err(error) => {
                    tracing::warn!(connection = other, %error, "its service in PagerDuty cannot be told");
                    None
                }
            }
        };
        mine.filter_map(route).collect()
    }
}

fn pagerduty(connections: &BTreeMap<String, ConnectionConfig>) -> impl Iterator<Item = (&String, &PagerdutyConfig)> {
    connections.iter().filter_map(|(name, connection)| match connection {
        ConnectionConfig::Pagerduty(config) => Some((name, config)),
        _ => None,
    })
}

/// How long PagerDuty asks to wait, within reason: `Retry-After`, else `ratelimit-reset`, in seconds.
fn pause(headers: &HeaderMap) -> SignedDuration {
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let wait = seconds(RETRY_AFTER.as_str()).or_else(|| seconds("ratelimit-reset"));
    SignedDuration::from_secs(wait.unwrap_or(60).clamp(1, 3600))
}

fn audit(action: &str, connection: &str, summary: &str, at: Timestamp) -> NewAudit {
    NewAudit::new(at, Caller::rules(), action, format!("{connection}: {summary}"))
}

/// One message per team with what is new for it; the default team hears of what concerns all.
fn messages(connection: &str, new: &[&Finding], now: Timestamp) -> Result<Vec<NewEntry>> {
    let mut by_team: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for finding in new {
        by_team.entry(finding.team.as_deref()).or_default().push(&finding.summary);
    }
    let mut entries = Vec::new();
    for (team, summaries) in by_team {
        let text = format!("PagerDuty and the configuration differ: {}", summaries.join("; "));
        let day = now.as_second().div_euclid(24 * 60 * 60).to_string();
        let id = EventId(trackside_core::ids::derive(DOMAIN, &[connection, team.unwrap_or_default(), &text, &day]));
        let message = Message {
            text,
            channel: None,
            blocks: serde_json::Value::Null,
            owners: team.map(str::to_owned).into_iter().collect(),
        };
        entries.push(NewEntry::event(&Event {
            id,
            source: connection.to_owned(),
            occurred: now,
            received: now,
            event: "pagerduty.drift.found".to_owned(),
            resource: [("prefect.resource.id".to_owned(), format!("trackside.connection.{connection}"))].into(),
            related: Vec::new(),
            payload: serde_json::Value::Null,
            follows: None,
            fact: Some(Fact::Message(Box::new(message))),
        })?);
    }
    if entries.len() > trackside_store::log::APPEND_ENTRIES {
        bail!("{} teams have new differences, more than one write takes", entries.len());
    }
    Ok(entries)
}
