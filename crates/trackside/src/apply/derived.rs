//! What follows from a configuration for the parts of the server: rules with the real address, tokens with their
//! hashes, connections as they are shown.
//!
//! Invariant: the value of a secret is hashed here and goes no further.

use crate::config::{Config, Spot};
use anyhow::{Context, Result};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::sync::Arc;
use trackside_connect::connection::{ConnectionConfig, SlackAccess};
use trackside_core::automation::definition::Automation;
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_core::ids::{Seq, derive};
use trackside_core::input::Input;
use trackside_core::ruleset::Ruleset;
use trackside_identity::callers::Callers;
use trackside_identity::certificate::Certificates;
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::exchange::Exchange;
use trackside_identity::issuer::{Invalid, Issuers};
use trackside_identity::secret::Secrets;
use trackside_identity::sign_in::SignIn;
use trackside_identity::token::TokenHash;
use trackside_store::log::NewEntry;
use trackside_web::{Configured, ConnectionInfo, Sends};
use url::Url;

/// The rules of a configuration, with the address for links.
pub(crate) fn ruleset(config: &Config, address: SocketAddr) -> Ruleset {
    Ruleset { public_url: Some(public_url(config, address)), ..config.ruleset.clone() }
}

/// The configured address for links; else where it listens, with the port that was really bound.
fn public_url(config: &Config, address: SocketAddr) -> String {
    if config.server.public_url.is_some() {
        return config.server.public_url();
    }
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// What the web needs of a configuration.
pub(crate) fn configured(
    config: &Config,
    ruleset: &Ruleset,
    admin: Grant,
    secrets: &Secrets,
    callers: Arc<Callers>,
    exchange: &Exchange,
) -> Result<Configured> {
    let mut tokens = vec![admin];
    for entry in &config.tokens {
        let secret = entry.secret.resolve(secrets).with_context(|| format!("token `{}`", entry.name))?;
        tokens.push(Grant {
            name: entry.name.clone(),
            role: entry.role,
            team: entry.team.clone(),
            scopes: entry.scopes.clone(),
            origin: Origin::Configuration,
            expires: None,
            hash: TokenHash::of(secret.expose_secret()),
        });
    }
    let url = ruleset.public_url.as_deref().unwrap_or_default();
    Ok(Configured {
        public_url: Url::parse(url).with_context(|| format!("server.public_url `{url}` is not an address"))?,
        tokens,
        connections: config.connections.iter().map(|(name, config)| (name.clone(), shown(config))).collect(),
        ruleset: Arc::new(ruleset.clone()),
        kept_in: config.automations.iter().map(|known| (known.id, place(&known.spot))).collect(),
        sign_in: sign_in(config, &callers, exchange, secrets)?,
        local_access: config.server.local_access,
        callers,
        judge: config.policies.judge(),
        schemas: trackside_connect::job::schema::Schemas::of(&ruleset.jobs),
        routes: crate::gateway::access(config),
        scim: config.scim.clone(),
    })
}

/// How people sign in with a browser, if there is a provider.
fn sign_in(config: &Config, callers: &Callers, exchange: &Exchange, secrets: &Secrets) -> Result<Option<Arc<SignIn>>> {
    let Some(sign_in) = &config.sign_in else { return Ok(None) };
    let opened = SignIn::open(sign_in.clone(), callers.issuers(), Arc::clone(exchange), secrets.clone());
    opened.map(|sign_in| Some(Arc::new(sign_in))).map_err(|why| anyhow::anyhow!("sign_in.issuer: {why}"))
}

/// Whose tokens and certificates are taken. Keys that are read already stay.
pub(crate) fn callers(config: &Config, exchange: &Exchange, secrets: &Secrets, before: &Callers) -> Result<Callers> {
    let issuers = Issuers::open(&config.issuers, exchange, secrets, before.issuers())
        .map_err(|found| anyhow::anyhow!("{}", issuer_mistakes(&found)))?;
    Ok(before.succeeded_by(Arc::new(issuers), Certificates::new(&config.certificates)))
}

fn issuer_mistakes(found: &[(String, Invalid)]) -> String {
    let lines = found.iter().map(|(name, invalid)| format!("issuers.{name}.{}: {}", invalid.field, invalid.problem));
    lines.collect::<Vec<_>>().join("; ")
}

/// File and line, as the page of an automation says where it is kept.
fn place(spot: &Spot) -> String {
    let file = spot.file.file_name().unwrap_or_default().to_string_lossy();
    if spot.line > 0 { format!("{file}, line {}", spot.line) } else { file.into_owned() }
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
        ConnectionConfig::Http(c) => ("http", c.url.as_str().to_owned()),
        ConnectionConfig::Airflow(c) => ("airflow", c.url.as_str().to_owned()),
        ConnectionConfig::AppService(c) => ("app_service", c.url.as_str().to_owned()),
    };
    let sends = match config {
        ConnectionConfig::Http(_) | ConnectionConfig::Airflow(_) | ConnectionConfig::AppService(_) => Sends::Calls,
        _ if config.kind().can_tell() => Sends::Messages,
        _ => Sends::Nothing,
    };
    ConnectionInfo { kind: kind.to_owned(), address, sends, back: config.back() }
}

/// The log entry with the edits that files bring. The same edits of the same state are the same entry, so that a start
/// after a crash does not repeat them; `decided` stands for the state.
///
/// # Errors
/// When it cannot be written down.
pub(crate) fn automations_entry(
    edits: Vec<AutomationEdit>,
    caller: Caller,
    decided: Seq,
    now: Timestamp,
) -> trackside_store::Result<NewEntry> {
    let timeless: Vec<AutomationEdit> = edits.iter().map(without_times).collect();
    let cause = serde_json::to_string(&timeless).unwrap_or_default();
    let id = derive("files", &[&decided.to_string(), &cause]);
    NewEntry::input(now, &Input::Automations { caller, edits }, id)
}

fn without_times(edit: &AutomationEdit) -> AutomationEdit {
    match edit {
        AutomationEdit::Put(automation) => {
            let (created, updated) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            AutomationEdit::Put(Box::new(Automation { created, updated, ..Automation::clone(automation) }))
        }
        other => other.clone(),
    }
}
