//! The credentials of all connections: who calls a far end asks here.
//!
//! A handle; clones share. Invariants: one fetch at a time for each token; what a connection does not need is not
//! fetched; a connection whose configuration changed starts anew, the others keep their tokens.

use super::behalf::OnBehalf;
use super::config::{Behalf, CredentialConfig, SubjectToken};
use super::failure::{Failure, FailureClass};
use super::fetch::{Discovered, Fetch, Tools};
use super::grant::{Granted, Proof};
use super::oauth::basic;
use super::probe::certificates;
use super::signing::Credential;
use super::slot::{Offer, Slot};
use super::status::CredentialStatus;
use crate::exchange::{Exchange, Way};
use crate::secret::SecretRef;
use http::{HeaderName, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use url::Url;

/// Most callers of one connection whose tokens are kept.
const CALLERS: usize = 10_000;

/// A header that authenticates a request; its value is marked as sensitive.
pub type CredentialHeader = (HeaderName, HeaderValue);

/// The credentials of all connections. The default has none.
#[derive(Clone, Default)]
pub struct Brokers(Option<Arc<Shared>>);

struct Shared {
    tools: Tools,
    lines: RwLock<BTreeMap<String, Arc<Line>>>,
    discovered: Discovered,
}

/// What a connection needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlet {
    /// Address of the far end.
    pub url: Url,
    /// How to authenticate to it; nothing when it asks for nothing.
    pub credential: Option<CredentialConfig>,
    /// Path that is asked to try the connection, behind its address.
    pub check: String,
    /// File with further certificates to trust, at the far end and where its tokens are fetched.
    pub ca: Option<PathBuf>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) outlet: Outlet,
    /// The token on nobody's behalf.
    pub(super) main: Slot,
    /// Tokens on somebody's behalf.
    pub(super) behalf: Cache<[u8; 32], Arc<Slot>>,
}

/// Why a request cannot be authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no credential for `{connection}`: {failure}")]
pub struct CredentialError {
    /// Name of the connection.
    pub connection: String,
    /// Why.
    pub failure: Failure,
    /// How long asking again gives the same.
    pub retry_after: Duration,
}

impl CredentialError {
    /// Whether it passes by itself; else somebody has to change the configuration here or there.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self.failure.class, FailureClass::Busy | FailureClass::NoAnswer)
    }
}

impl fmt::Debug for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brokers").field("connections", &self.lines().len()).finish_non_exhaustive()
    }
}

/// The name under which the management credential of an App Service connection stands: the connection's, then this.
#[must_use]
pub fn management_of(connection: &str) -> String {
    format!("{connection}/management")
}

impl Brokers {
    /// Brokers for no connection yet.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self(Some(Arc::new(Shared { tools, lines: RwLock::default(), discovered: Discovered::default() })))
    }

    /// Puts the connections of a configuration in force. Those that did not change keep their tokens.
    pub fn put(&self, outlets: BTreeMap<String, Outlet>) {
        let Some(shared) = &self.0 else { return };
        let mut lines = shared.lines.write().unwrap_or_else(PoisonError::into_inner);
        let kept = |name: &String, outlet: Outlet| match lines.get(name) {
            Some(line) if line.outlet == outlet => Arc::clone(line),
            _ => Arc::new(Line::new(name, outlet)),
        };
        *lines = outlets.into_iter().map(|(name, outlet)| (name.clone(), kept(&name, outlet))).collect();
    }

    /// What authenticates requests to a connection's far end; no headers when it asks for nothing.
    ///
    /// # Errors
    /// When there is no token, and why.
    pub async fn credential(
        &self,
        connection: &str,
        behalf: Option<OnBehalf<'_>>,
    ) -> Result<Credential, CredentialError> {
        let (shared, line) = self.line(connection)?;
        let Some(config) = &line.outlet.credential else { return Ok(Credential::Headers(Vec::new())) };
        let header = match config {
            CredentialConfig::Bearer { token } => shared.secret(token).and_then(|token| bearer(&token)),
            CredentialConfig::Basic { username, password } => shared
                .secret(username)
                .and_then(|user| Ok((user, shared.secret(password)?)))
                .and_then(|(user, password)| {
                    Ok((header::AUTHORIZATION, basic(user.expose_secret(), password.expose_secret())?))
                }),
            CredentialConfig::Header { name, value } => shared.secret(value).and_then(|value| named(name, &value)),
            _ => {
                let granted = shared.token(&line, config, behalf).await.map_err(|(failure, now, until)| {
                    line.error(failure, Duration::try_from(until.duration_since(now)).unwrap_or_default())
                })?;
                match granted.proof {
                    Proof::Token(token) => bearer(&token),
                    Proof::Signer(signer) => return Ok(Credential::Signer(signer)),
                }
            }
        };
        header
            .map(|header| Credential::Headers(vec![header]))
            .map_err(|failure| line.error(failure.clone(), failure.hold()))
    }

    /// Certificates (PEM) that a connection trusts beside the system's, read anew.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn trusted(&self, connection: &str) -> Result<Option<Arc<str>>, CredentialError> {
        let (_, line) = self.line(connection)?;
        let trusted = line.outlet.ca.as_deref().map(certificates).transpose();
        trusted.map_err(|failure| line.error(failure.clone(), failure.hold()))
    }

    /// The far end did not take a credential (401): the next call fetches anew, unless the token is so young that a new
    /// one would be no better. `behalf` is what the credential was asked for with.
    pub fn rejected(&self, connection: &str, behalf: Option<OnBehalf<'_>>) {
        let Ok((shared, line)) = self.line(connection) else { return };
        let personal = line.outlet.credential.as_ref().is_some_and(is_personal);
        let slot = behalf.filter(|_| personal).map(|behalf| line.behalf.get(&behalf.key()));
        let dropped = match slot {
            None => line.main.reject(shared.tools.now()),
            Some(slot) => slot.is_some_and(|slot| slot.reject(shared.tools.now())),
        };
        if dropped {
            tracing::info!(connection, "the far end did not take the token; the next request fetches another");
        }
    }

    /// Fetches the token of a connection anew, whatever is kept.
    ///
    /// # Errors
    /// When none came; the one that is there stays in use.
    pub async fn refresh(&self, connection: &str) -> Result<CredentialStatus, CredentialError> {
        let (shared, line) = self.line(connection)?;
        // A token for the caller's own cannot be fetched without one.
        let without_caller = |config: &&CredentialConfig| match config {
            CredentialConfig::TokenExchange(exchange) => exchange.subject != SubjectToken::Callers,
            config => is_fetched(config),
        };
        if let Some(config) = line.outlet.credential.as_ref().filter(without_caller) {
            let _alone = line.main.fetching.lock().await;
            if let Err(failure) = shared.fetch(&line, config, &line.main, None).await {
                let hold = failure.hold();
                return Err(line.error(failure, hold));
            }
        }
        Ok(CredentialStatus::of(&line, shared.tools.now()))
    }

    /// Renews every token that is in use and due, so that no caller waits for it.
    pub async fn renew(&self) {
        let Some(shared) = &self.0 else { return };
        let lines: Vec<Arc<Line>> = self.lines().into_values().collect();
        for line in lines {
            let due = matches!(line.main.offer(shared.tools.now()), Offer::Renew(_));
            if let Some(config) = line.outlet.credential.as_ref().filter(|_| due) {
                let _ = shared.token(&line, config, None).await;
            }
        }
    }

    /// How the credential of each connection stands, by name. Connections without one are left out.
    #[must_use]
    pub fn status(&self) -> Vec<CredentialStatus> {
        let Some(shared) = &self.0 else { return Vec::new() };
        let now = shared.tools.now();
        let lines = self.lines();
        let asked = lines.values().filter(|line| line.outlet.credential.is_some());
        asked.map(|line| CredentialStatus::of(line, now)).collect()
    }

    /// Trackside as an issuer; without keys in the default.
    #[must_use]
    pub fn workload(&self) -> crate::workload::Workload {
        self.0.as_ref().map(|shared| shared.tools.workload.clone()).unwrap_or_default()
    }

    /// What works, and what a connection needs.
    pub(super) fn outlet(&self, connection: &str) -> Result<(Tools, Outlet), CredentialError> {
        let (shared, line) = self.line(connection)?;
        Ok((shared.tools.clone(), line.outlet.clone()))
    }

    fn lines(&self) -> BTreeMap<String, Arc<Line>> {
        let Some(shared) = &self.0 else { return BTreeMap::new() };
        shared.lines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line(&self, connection: &str) -> Result<(&Arc<Shared>, Arc<Line>), CredentialError> {
        let unknown = || CredentialError {
            connection: connection.to_owned(),
            failure: Failure::here("there is no such connection, or it is not one that is called with a credential"),
            retry_after: Duration::ZERO,
        };
        let shared = self.0.as_ref().ok_or_else(unknown)?;
        let lines = shared.lines.read().unwrap_or_else(PoisonError::into_inner);
        let line = lines.get(connection).cloned().ok_or_else(unknown)?;
        drop(lines);
        Ok((shared, line))
    }
}

impl Shared {
    fn secret(&self, reference: &SecretRef) -> Result<SecretString, Failure> {
        reference.resolve(&self.tools.secrets).map_err(Failure::here)
    }

    /// A token that can be used now; else why not, and until when that holds.
    async fn token(
        &self,
        line: &Line,
        config: &CredentialConfig,
        behalf: Option<OnBehalf<'_>>,
    ) -> Result<Box<Granted<Proof>>, (Failure, Timestamp, Timestamp)> {
        let behalf = behalf.filter(|_| is_personal(config));
        let slot = line.slot(behalf);
        let slot = slot.as_deref().unwrap_or(&line.main);
        match slot.offer(self.tools.now()) {
            Offer::Use(granted) => return Ok(granted),
            Offer::Refused(failure, until) => return Err((failure, self.tools.now(), until)),
            Offer::Renew(granted) => {
                // Somebody else renews it already: this one is good for a while.
                let Ok(_alone) = slot.fetching.try_lock() else { return Ok(granted) };
                return Ok(self.fetch(line, config, slot, behalf).await.map_or(granted, Box::new));
            }
            Offer::Fetch => {}
        }
        let _alone = slot.fetching.lock().await;
        // Whoever held the lock may have fetched it, or learned that there is none.
        let now = self.tools.now();
        match slot.offer(now) {
            Offer::Use(granted) | Offer::Renew(granted) => Ok(granted),
            Offer::Refused(failure, until) => Err((failure, now, until)),
            Offer::Fetch => self.fetch(line, config, slot, behalf).await.map(Box::new).map_err(|failure| {
                let now = self.tools.now();
                let hold = SignedDuration::try_from(failure.hold()).unwrap_or_default();
                (failure, now, now.saturating_add(hold).unwrap_or(now))
            }),
        }
    }

    /// The network as a connection sees it: with the certificates that it trusts.
    fn way(&self, line: &Line) -> Result<Exchange, Failure> {
        let Some(path) = &line.outlet.ca else { return Ok(Arc::clone(&self.tools.exchange)) };
        let (way, exchange) = (Way::Trusting(certificates(path)?), Arc::clone(&self.tools.exchange));
        Ok(Arc::new(move |mut ask| {
            // A metadata service has a way of its own.
            if ask.way == Way::Usual {
                ask.way = way.clone();
            }
            exchange(ask)
        }))
    }

    /// Fetches and keeps; the caller holds the lock of the slot.
    async fn fetch(
        &self,
        line: &Line,
        config: &CredentialConfig,
        slot: &Slot,
        behalf: Option<OnBehalf<'_>>,
    ) -> Result<Granted<Proof>, Failure> {
        let outcome = match self.way(line) {
            Ok(exchange) => {
                let discovered = &self.discovered;
                Fetch { tools: &self.tools, exchange, discovered, url: &line.outlet.url, behalf }.proof(config).await
            }
            Err(failure) => Err(failure),
        };
        slot.keep(&outcome, self.tools.now(), self.tools.jitter());
        match &outcome {
            Ok(granted) => {
                if let Some(warning) = &granted.warning {
                    tracing::warn!(connection = line.name, "{warning}");
                }
            }
            Err(failure) => {
                tracing::warn!(connection = line.name, class = failure.class.as_str(), "no token: {failure}");
            }
        }
        outcome
    }
}

impl Line {
    fn new(name: &str, outlet: Outlet) -> Self {
        Self { name: name.to_owned(), outlet, main: Slot::default(), behalf: Cache::new(CALLERS) }
    }

    /// The slot of a caller; `None` means the main one.
    fn slot(&self, behalf: Option<OnBehalf<'_>>) -> Option<Arc<Slot>> {
        let key = behalf?.key();
        let made = self.behalf.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        made.ok()
    }

    fn error(&self, failure: Failure, retry_after: Duration) -> CredentialError {
        CredentialError { connection: self.name.clone(), failure, retry_after }
    }
}

/// Whether a token is fetched; the others are read from their reference each time.
pub(super) fn is_fetched(config: &CredentialConfig) -> bool {
    !matches!(
        config,
        CredentialConfig::Bearer { .. } | CredentialConfig::Basic { .. } | CredentialConfig::Header { .. }
    )
}

/// Whether a token depends on who asks.
fn is_personal(config: &CredentialConfig) -> bool {
    match config {
        CredentialConfig::TokenExchange(exchange) => {
            matches!(exchange.subject, SubjectToken::Minted | SubjectToken::Callers)
        }
        CredentialConfig::Workload { behalf, .. } => *behalf == Behalf::Caller,
        _ => false,
    }
}

fn bearer(token: &SecretString) -> Result<CredentialHeader, Failure> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    named("authorization", &SecretString::from(text.as_str()))
}

fn named(name: &str, value: &SecretString) -> Result<CredentialHeader, Failure> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(Failure::here)?;
    let mut value = HeaderValue::from_str(value.expose_secret())
        .map_err(|_| Failure::here("the secret has characters that a header cannot carry; is it the right one?"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
