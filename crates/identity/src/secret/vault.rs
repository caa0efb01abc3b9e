//! HashiCorp Vault: logging in, keeping the token alive, reading the key-value engine.
//!
//! Source: Vault's HTTP API (`/v1/auth/*/login`, `/v1/auth/token/*`, KV 1 and 2). Invariants: the times of a token are
//! those that Vault gave, never those that were asked for; a refused login is not repeated until what it was made with
//! changes or some minutes have passed, because a secret id may have few uses; one read logs in anew at most once.

use super::document::{Body, Fetched, Surroundings, fields, not_understood};
use super::reference::SecretRef;
use super::vaults::{HashicorpConfig, VaultAuth};
use super::{SecretError, Secrets};
use crate::broker::failure::{Failure, FailureClass};
use crate::exchange::{Ask, Reply, Way};
use http::{HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

mod answer;

use answer::{Lease, Read, judge_lease, judge_login, judge_read};

/// Where the token of a pod's service account is.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// How long a refused login is not repeated with the same credential.
const LOGIN_REFUSED_FOR: SignedDuration = SignedDuration::from_mins(5);
/// A token is not used in its last seconds.
const SPARE: SignedDuration = SignedDuration::from_secs(5);
/// How often a read is repeated because a node has not heard of a write yet (412).
const BEHIND: u32 = 2;

/// What is known of one Vault: the token, and what was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    token: Option<Token>,
    refused: Option<Refused>,
}

#[derive(Clone, Debug)]
struct Token {
    value: SecretString,
    /// When it is renewed, if it can be.
    renew_at: Option<Timestamp>,
    /// When it ends, if it does.
    ends: Option<Timestamp>,
    /// The life it was given first, in seconds: what is asked for again.
    life: i64,
}

#[derive(Clone, Debug)]
struct Refused {
    credential: SecretString,
    until: Timestamp,
    failure: Failure,
}

impl Token {
    fn new(value: SecretString, lease: Lease, now: Timestamp) -> Self {
        let mut token = Self { value, renew_at: None, ends: None, life: lease.seconds };
        token.take(lease, now);
        token
    }

    /// Takes the times of a lease: renewed at two thirds of it.
    fn take(&mut self, lease: Lease, now: Timestamp) {
        if lease.seconds <= 0 {
            (self.renew_at, self.ends) = (None, None);
            return;
        }
        let after = |seconds: i64| now.saturating_add(SignedDuration::from_secs(seconds)).ok();
        self.ends = after(lease.seconds);
        self.renew_at = if lease.renewable { after((lease.seconds * 2 / 3).max(1)) } else { None };
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| now.saturating_add(SPARE).unwrap_or(now) >= ends)
    }
}

impl Session {
    /// Reads what is at a path.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) async fn read(
        &mut self,
        config: &HashicorpConfig,
        path: &str,
        version: Option<u64>,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<Fetched, Failure> {
        let url = address(config, path, version)?;
        let mut relogged = self.token.is_none();
        let mut behind = 0;
        self.tend(config, world, now).await?;
        loop {
            let token = self.token(config, world, now).await?;
            let ask = asking(config, Ask::get(url.clone()), Some(&token))?;
            let reply = (world.exchange)(ask).await.map_err(Failure::from)?;
            match judge_read(config, path, &reply, now) {
                Read::Found(fetched) => return Ok(fetched),
                Read::Denied if !relogged => {
                    relogged = true;
                    self.token = None;
                }
                Read::Denied => return Err(denied(config, path, &reply)),
                Read::Behind if behind < BEHIND => behind += 1,
                Read::Behind => return Err(answer::behind(&reply)),
                Read::Failed(failure) => return Err(failure),
            }
        }
    }

    /// When the token wants to be renewed.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.token.as_ref()?.renew_at
    }

    /// Renews the token when it is time. A token that Vault shortens has come to its end: the next login replaces it.
    ///
    /// # Errors
    /// When Vault does not answer, and the token is over too.
    pub(crate) async fn tend(
        &mut self,
        config: &HashicorpConfig,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let Some(token) = self.token.as_mut().filter(|token| token.renew_at.is_some_and(|at| now >= at)) else {
            return Ok(());
        };
        let body = json!({ "increment": format!("{}s", token.life) });
        let ask = asking(config, post(config, "auth/token/renew-self", &body)?, Some(&token.value))?;
        let renewed = match (world.exchange)(ask).await {
            Ok(reply) => judge_lease(&reply, now),
            Err(error) => Err(error.into()),
        };
        match renewed {
            // The longest life is near: what is left is used up, then a new login is needed.
            Ok(lease) if lease.seconds < token.life / 2 && can_log_in(&config.auth) => self.token = None,
            Ok(lease) => token.take(lease, now),
            Err(failure) if matches!(failure.class, FailureClass::Busy | FailureClass::NoAnswer) => {
                // Tried again soon; the token still holds for a third of its life.
                token.renew_at = now.saturating_add(SignedDuration::from_secs(5)).ok();
                if token.is_over(now) {
                    self.token = None;
                    return Err(failure);
                }
            }
            Err(_) => self.token = None,
        }
        Ok(())
    }

    /// A token that holds.
    async fn token(
        &mut self,
        config: &HashicorpConfig,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<SecretString, Failure> {
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_over(now)) {
            return Ok(token.value.clone());
        }
        self.token = None;
        let credential = credential(&config.auth)?;
        if let Some(refused) = &self.refused
            && now < refused.until
            && refused.credential.expose_secret() == credential.expose_secret()
        {
            return Err(refused.failure.clone());
        }
        let token = match login(config, &credential)? {
            None => given(config, &credential, world, now).await?,
            Some(ask) => {
                let reply = (world.exchange)(asking(config, ask, None)?).await.map_err(Failure::from)?;
                let (value, lease) = judge_login(&config.auth, &reply, now).inspect_err(|failure| {
                    if matches!(failure.class, FailureClass::Refused | FailureClass::Permanent) {
                        let until = now.saturating_add(LOGIN_REFUSED_FOR).unwrap_or(now);
                        self.refused =
                            Some(Refused { credential: credential.clone(), until, failure: failure.clone() });
                    }
                })?;
                Token::new(value, lease, now)
            }
        };
        self.refused = None;
        let value = token.value.clone();
        self.token = Some(token);
        Ok(value)
    }
}

/// The token that is configured, with the times that Vault says it has. A policy that does not let a token look at itself
/// is no reason not to use it.
async fn given(
    config: &HashicorpConfig,
    token: &SecretString,
    world: &Surroundings,
    now: Timestamp,
) -> Result<Token, Failure> {
    let url = endpoint(config, "auth/token/lookup-self")?;
    let reply = (world.exchange)(asking(config, Ask::get(url), Some(token))?).await.map_err(Failure::from)?;
    let lease = match judge_lease(&reply, now) {
        Ok(lease) => lease,
        Err(failure) if matches!(failure.class, FailureClass::Busy | FailureClass::NoAnswer) => return Err(failure),
        Err(_) => Lease { seconds: 0, renewable: false },
    };
    Ok(Token::new(token.clone(), lease, now))
}

fn can_log_in(auth: &VaultAuth) -> bool {
    !matches!(auth, VaultAuth::Token(_))
}

/// What a login is made with, read anew.
fn credential(auth: &VaultAuth) -> Result<SecretString, Failure> {
    let none = Secrets::default();
    let read = |reference: &SecretRef| reference.resolve(&none).map_err(|error: SecretError| Failure::here(error));
    match auth {
        VaultAuth::Token(secret) | VaultAuth::Approle { secret_id: secret, .. } => read(secret),
        VaultAuth::Jwt { token_file, .. } => read(&SecretRef::File(token_file.clone())),
        VaultAuth::Kubernetes { token_path, .. } => {
            read(&SecretRef::File(token_path.clone().unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT))))
        }
    }
}

/// The request that logs in; none for a token.
fn login(config: &HashicorpConfig, credential: &SecretString) -> Result<Option<Ask>, Failure> {
    let credential = credential.expose_secret();
    let (mount, default, body) = match &config.auth {
        VaultAuth::Token(_) => return Ok(None),
        VaultAuth::Approle { role_id, mount, .. } => {
            (mount, "approle", json!({ "role_id": role_id, "secret_id": credential }))
        }
        VaultAuth::Jwt { role, mount, .. } => (mount, "jwt", json!({ "role": role, "jwt": credential })),
        VaultAuth::Kubernetes { role, mount, .. } => (mount, "kubernetes", json!({ "role": role, "jwt": credential })),
    };
    let mount = mount.as_deref().unwrap_or(default).trim_matches('/');
    post(config, &format!("auth/{mount}/login"), &body).map(Some)
}

fn post(config: &HashicorpConfig, path: &str, body: &Value) -> Result<Ask, Failure> {
    Ok(Ask { method: Method::POST, body: body.to_string().into(), ..Ask::get(endpoint(config, path)?) })
}

/// A request as Vault wants it.
fn asking(config: &HashicorpConfig, mut ask: Ask, token: Option<&SecretString>) -> Result<Ask, Failure> {
    let header = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Failure::here("the token or namespace of Vault does not fit into a header"))
    };
    ask.headers.insert(HeaderName::from_static("x-vault-request"), HeaderValue::from_static("true"));
    if let Some(namespace) = &config.namespace {
        ask.headers.insert(HeaderName::from_static("x-vault-namespace"), header(namespace)?);
    }
    if let Some(token) = token {
        let mut value = header(token.expose_secret())?;
        value.set_sensitive(true);
        ask.headers.insert(HeaderName::from_static("x-vault-token"), value);
    }
    ask.timeout = Duration::from_secs(10);
    ask.way = way(config.ca.as_deref())?;
    Ok(ask)
}

/// Which certificates are trusted. The file is read anew, so that it can be replaced.
pub(crate) fn way(ca: Option<&Path>) -> Result<Way, Failure> {
    let Some(path) = ca else { return Ok(Way::Usual) };
    let pem = std::fs::read_to_string(path)
        .map_err(|error| Failure::here(format!("the file `{}` of `ca` cannot be read: {error}", path.display())))?;
    Ok(Way::Trusting(pem.into()))
}

fn endpoint(config: &HashicorpConfig, path: &str) -> Result<Url, Failure> {
    let mut url = config.address.clone();
    url.path_segments_mut()
        .map_err(|()| Failure::here("the `address` of Vault is not the address of a server"))?
        .pop_if_empty()
        .push("v1")
        .extend(path.split('/'));
    Ok(url)
}

/// The address of a secret. A path that begins with the mount is whole, as policies and the command line write it; else
/// it is below the mount.
fn address(config: &HashicorpConfig, path: &str, version: Option<u64>) -> Result<Url, Failure> {
    let mount = config.mount.trim_matches('/');
    let below = path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    let below = match config.kv {
        1 => below.to_owned(),
        _ => format!("data/{}", below.strip_prefix("data/").unwrap_or(below)),
    };
    let mut url = endpoint(config, &format!("{mount}/{below}"))?;
    if let Some(version) = version.filter(|_| config.kv != 1) {
        url.query_pairs_mut().append_pair("version", &version.to_string());
    }
    Ok(url)
}

fn denied(config: &HashicorpConfig, path: &str, reply: &Reply) -> Failure {
    let verb = "Vault denies access to";
    let advice = if can_log_in(&config.auth) {
        "a fresh login did not help, so the policy of the role does not allow `read` there"
    } else {
        "the token is wrong or over, or its policy does not allow `read` there"
    };
    Failure {
        class: FailureClass::Permanent,
        status: Some(reply.status),
        after: None,
        text: format!("{verb} `{path}`: {advice}"),
    }
}

/// What a reply holds of a secret.
fn found(config: &HashicorpConfig, body: &Value) -> Option<Fetched> {
    let (data, version) = match config.kv {
        1 => (body.get("data")?, None),
        _ => {
            let data = body.get("data")?;
            let version = data.pointer("/metadata/version").and_then(Value::as_u64).map(|version| version.to_string());
            (data.get("data")?, version)
        }
    };
    Some(Fetched { body: Body::Fields(fields(data)?), version, expires: None })
}

/// The reply was no success, or is not what Vault answers.
fn unlike() -> Failure {
    not_understood("Vault")
}

#[cfg(test)]
mod tests;
