//! The gateway within the server: what it is made of, what is in force, and its calls in the audit trail.
//!
//! Routes, issuers and policies follow a reload at once, and requests that run go to their end with what they began
//! with; the socket and its certificate stay until the next start, as the server's do.

use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use anyhow::{Result, anyhow};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trackside_connect::connection::ConnectionConfig;
use trackside_core::approval::grants::Grants;
use trackside_core::caller::Caller;
use trackside_core::decision::AuditDetail;
use trackside_gateway::config::GatewaySettings;
use trackside_gateway::config::route::{Access, RouteConfig};
use trackside_gateway::gateway::{Gateway, Shell, Wish};
use trackside_gateway::metrics::Metrics;
use trackside_gateway::proxy::upstream::UpstreamConfig;
use trackside_gateway::record::{CallRecord, Ended};
use trackside_gateway::serve::{Listener, serve};
use trackside_identity::broker::Brokers;
use trackside_identity::session::Transport;
use trackside_store::Store;
use trackside_store::audit::NewAudit;
use trackside_web::{AppState, Configured, Guard, LetsIn, RouteAccess};

/// How often calls are put into the audit trail.
const RECORD_EVERY: SignedDuration = SignedDuration::from_millis(500);
/// Most rows of one write.
const ROWS: usize = 500;

/// The gateway of a server.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    gateway: Arc<Gateway>,
    settings: GatewaySettings,
    store: Store,
}

/// What a gateway is made of.
pub(crate) struct GateParts {
    pub(crate) state: AppState,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) grants: watch::Receiver<Arc<Grants>>,
    pub(crate) brokers: Brokers,
    pub(crate) metrics: Metrics,
}

impl Gate {
    /// The gateway that a configuration asks for, with its routes in force; `None` when it asks for none.
    ///
    /// # Errors
    /// When its routes or certificates cannot be used, or its address cannot be bound.
    pub(crate) async fn open(config: &Config, parts: GateParts) -> Result<Option<(Self, Listener)>> {
        let Some(settings) = &config.gateway else { return Ok(None) };
        let listener = Listener::bind(settings).await.map_err(|error| anyhow!("gateway: {error}"))?;
        let (clock, state, grants) = (parts.clock.clone(), parts.state.clone(), parts.grants);
        let people = parts.state.clone();
        let random = parts.clock.random();
        let mut start = [0; 8];
        start.copy_from_slice(&random[..8]);
        let shell = Shell {
            clock: Arc::new(move || clock.now()),
            start: u64::from_be_bytes(start),
            tokens: Arc::new(move || state.directory()),
            admit: Arc::new(move |identity| people.admit(identity)),
            approved: Arc::new(move |caller, route, now| grants.borrow().holds(caller, route, now).cloned()),
            brokers: parts.brokers,
            cookies: Transport::cookie_names().to_vec(),
        };
        let gateway = Arc::new(Gateway::new(shell, parts.metrics));
        let gate = Self { gateway, settings: settings.clone(), store: parts.store };
        gate.put(config, &parts.state.configured())?;
        Ok(Some((gate, listener)))
    }

    /// Puts the routes of a configuration in force.
    ///
    /// # Errors
    /// When they cannot be used; those in force stay.
    pub(crate) fn put(&self, config: &Config, configured: &Configured) -> Result<()> {
        let settings = config.gateway.as_ref().unwrap_or(&self.settings);
        let wish = Wish {
            routes: &config.routes,
            upstreams: upstreams(&config.connections),
            callers: Arc::clone(&configured.callers),
            judge: Arc::clone(&configured.judge),
            settings,
        };
        self.gateway.put(wish).map_err(|error| anyhow!("gateway: {error}"))
    }

    /// Starts serving, and putting calls into the audit trail.
    pub(crate) fn start(
        self,
        listener: Listener,
        clock: Clock,
        (serving, stop_serving): (&mut JoinSet<()>, watch::Receiver<bool>),
        (loops, stop_loops): (&mut JoinSet<()>, watch::Receiver<bool>),
    ) {
        if let Ok(address) = listener.address() {
            tracing::info!(%address, "the gateway is serving");
        }
        serving.spawn(self.clone().serve(listener, stop_serving));
        loops.spawn(self.record(clock, stop_loops));
    }

    /// Serves until `stop` becomes true and the running requests are done.
    async fn serve(self, listener: Listener, stop: watch::Receiver<bool>) {
        serve(listener, self.gateway, stop).await;
    }

    /// Puts calls into the audit trail until `stop` changes, and then those that are left.
    async fn record(self, clock: Clock, mut stop: watch::Receiver<bool>) {
        loop {
            let stopped = tokio::select! {
                () = sleep_until(&clock, clock.now() + RECORD_EVERY) => false,
                _ = stop.changed() => true,
            };
            self.record_once(&clock).await;
            if stopped {
                break;
            }
        }
    }

    async fn record_once(&self, clock: &Clock) {
        let mut batch = self.gateway.take_records();
        if batch.lost > 0 {
            let summary = format!("{} calls through the gateway are missing here: too many at a time", batch.lost);
            let row = NewAudit::new(clock.now(), Caller::rules(), "gateway.gap", summary);
            if self.store.record(&row).await.is_ok() {
                batch.lost = 0;
            }
        }
        while !batch.records.is_empty() {
            let next = batch.records.split_off(batch.records.len().min(ROWS));
            let rows: Vec<NewAudit> = batch.records.iter().map(row).collect();
            if let Err(error) = self.store.record_all(&rows).await {
                tracing::error!(%error, "calls could not be put into the audit trail; they are kept for now");
                batch.records.extend(next);
                break;
            }
            batch.records = next;
        }
        if !batch.records.is_empty() || batch.lost > 0 {
            self.gateway.put_back(batch);
        }
    }
}

/// Where routes may lead.
fn upstreams(connections: &BTreeMap<String, ConnectionConfig>) -> Vec<UpstreamConfig> {
    let upstream = |(name, connection): (&String, &ConnectionConfig)| {
        let url = connection.service_url()?.as_str().to_owned();
        let (credential, ca) = match connection {
            ConnectionConfig::Http(http) => (http.credential.is_some(), http.ca.clone()),
            ConnectionConfig::Airflow(airflow) => (airflow.credential.is_some(), None),
            ConnectionConfig::AppService(app) => (app.credential.is_some(), None),
            _ => (false, None),
        };
        Some(UpstreamConfig { name: name.clone(), url, ca, has_credential: credential })
    };
    connections.iter().filter_map(upstream).collect()
}

/// Who may use which route, for `trackside access explain`.
pub(crate) fn access(config: &Config) -> BTreeMap<String, RouteAccess> {
    let access = |(name, route): (&String, &RouteConfig)| {
        let lets_in = match route.access {
            Access::Holders => LetsIn::Holders,
            Access::Authenticated => LetsIn::Known,
            Access::Public => LetsIn::Everybody,
        };
        let guard = if route.approval.is_some() { Guard::Approval } else { Guard::Open };
        (name.clone(), RouteAccess { owner: route.team.clone(), needs: route.needs.clone(), lets_in, guard })
    };
    config.routes.iter().map(access).collect()
}

/// A call as a row of the audit trail.
fn row(call: &CallRecord) -> NewAudit {
    let outcome = match (call.ended, call.status) {
        (Ended::Refused, 500..) => "failed",
        (Ended::Refused, _) => "refused",
        (Ended::Cut, _) => "unknown",
        (Ended::Answered, 500..) => "failed",
        (Ended::Answered, _) => "done",
    };
    let mut facts = BTreeMap::new();
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            facts.insert(name.to_owned(), value);
        }
    };
    fact("method", call.method.clone());
    fact("path", call.path.clone());
    fact("status", call.status.to_string());
    fact("request_id", call.request_id.clone());
    fact("client", call.client.map(|client| client.to_string()).unwrap_or_default());
    fact("milliseconds", call.took.as_millis().to_string());
    fact("sent", call.sent.to_string());
    fact("received", call.received.to_string());
    fact("guard", call.hits.iter().map(|hit| hit.rule.to_string()).collect::<Vec<_>>().join(", "));
    if let Some(recorded) = &call.recorded {
        let fields = |fields: &[(String, String)]| {
            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
        };
        fact("request_headers", fields(&recorded.request_headers));
        fact("response_headers", fields(&recorded.response_headers));
        fact("request_body", recorded.request_body.clone().unwrap_or_default());
        fact("response_body", recorded.response_body.clone().unwrap_or_default());
    }
    let mut row = NewAudit::new(call.at, call.caller(), "gateway.call", call.summary());
    row.detail = AuditDetail {
        resource: Some(call.route.as_ref().map_or_else(|| "gateway".to_owned(), |route| format!("route:{route}"))),
        outcome: Some(outcome.to_owned()),
        because: Some(call.because.clone()).filter(|because| !because.is_empty()),
        policies: call.policies.clone(),
        approval: call.grant.as_ref().map(|grant| grant.id),
        begun: Some(call.at),
        facts,
        ..AuditDetail::default()
    };
    row
}
