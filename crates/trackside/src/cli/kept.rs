//! Sign-ins of the command line, as `trackside login` keeps them: one file in the user's configuration folder.
//!
//! Invariants: only its owner may read the file; a token is sent to the server it was had for and to no other; a refresh
//! token is used by one process at a time (a lock beside the file), because a provider takes each once and ends the whole
//! sign-in when one comes again; the file is replaced whole, so that it is never half written.

use crate::clock::Clock;
use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use trackside_identity::exchange;
use trackside_identity::issuer::discovery::{self, Address};
use trackside_identity::sign_in::client::{self, Client, Moment, Proof, Refusal, Tokens};

/// A token is not used in its last moments: it must still be valid when it arrives.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
/// Life of a token of which nobody says how long it lives.
const UNSAID: SignedDuration = SignedDuration::from_mins(5);
/// Where logins are, in the user's configuration folder.
const FILE: &str = "logins.json";

/// A sign-in at one server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Login {
    /// Who vouches.
    pub(super) issuer: String,
    /// The public client that asked.
    pub(super) client_id: String,
    access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires: Timestamp,
}

impl Login {
    /// A sign-in that has just been made.
    pub(super) fn new(issuer: &str, client_id: &str, tokens: &Tokens, now: Timestamp) -> Self {
        let life = tokens.expires_in.and_then(|seconds| i64::try_from(seconds).ok());
        let life = life.map_or(UNSAID, SignedDuration::from_secs);
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            access_token: tokens.access_token.expose_secret().to_owned(),
            refresh_token: tokens.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
            expires: now.saturating_add(life).unwrap_or(now),
        }
    }

    fn usable(&self, now: Timestamp) -> bool {
        now.saturating_add(SPARE).is_ok_and(|then| then < self.expires)
    }
}

/// The name under which the sign-in at a server is kept.
fn name(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Whether there is a sign-in at a server.
pub(super) fn has(url: &str) -> bool {
    path().and_then(|path| read(&path)).is_ok_and(|logins| logins.contains_key(name(url)))
}

/// Keeps a sign-in.
pub(super) fn keep(url: &str, login: Login) -> Result<()> {
    let _lock = lock()?;
    let path = path()?;
    let mut logins = read(&path)?;
    logins.insert(name(url).to_owned(), login);
    write(&path, &logins)
}

/// Forgets the sign-in at a server; says whether there was one.
pub(super) fn forget(url: &str) -> Result<bool> {
    let _lock = lock()?;
    let path = path()?;
    let mut logins = read(&path)?;
    let found = logins.remove(name(url)).is_some();
    if found {
        write(&path, &logins)?;
    }
    Ok(found)
}

/// A token for a server that is good for now; had anew when the kept one ends.
pub(super) async fn token(url: &str, clock: &Clock) -> Result<String> {
    let path = path()?;
    let gone = || anyhow!("you are not signed in at {url} any more; run `trackside login`");
    if let Some(login) = read(&path)?.remove(name(url)).filter(|login| login.usable(clock.now())) {
        return Ok(login.access_token);
    }
    let _lock = lock()?;
    // Another process may have had a new one while this one waited.
    let mut logins = read(&path)?;
    let login = logins.get(name(url)).cloned().ok_or_else(gone)?;
    if login.usable(clock.now()) {
        return Ok(login.access_token);
    }
    match refreshed(&login, clock).await {
        Ok(fresh) => {
            let token = fresh.access_token.clone();
            logins.insert(name(url).to_owned(), fresh);
            write(&path, &logins)?;
            Ok(token)
        }
        Err(Refusal::Refused(why)) => {
            logins.remove(name(url));
            write(&path, &logins)?;
            bail!("the sign-in at {url} is over ({why}); run `trackside login`")
        }
        Err(Refusal::Unusable(why)) => bail!("the sign-in at {url} cannot be renewed now: {why}"),
    }
}

async fn refreshed(login: &Login, clock: &Clock) -> Result<Login, Refusal> {
    let over = |why: &str| Refusal::Refused(client::ErrorCode { error: why.to_owned(), error_description: None });
    let refresh = login.refresh_token.clone().ok_or_else(|| over("there is no refresh token"))?;
    let network = exchange::network();
    let issuer = Address::parse(&login.issuer).map_err(Refusal::Unusable)?;
    let metadata = discovery::fetch(&network, &issuer).await.map_err(Refusal::Unusable)?;
    let endpoint = metadata.token_endpoint.ok_or_else(|| Refusal::Unusable("there is no token address".to_owned()))?;
    let us = Client { id: login.client_id.clone(), proof: Proof::Nothing };
    let moment = Moment { now: clock.now(), random: clock.random() };
    let refresh = SecretString::from(refresh);
    let tokens = client::refresh(&network, endpoint.url(), &us, &refresh, moment).await?;
    let fresh = Login::new(&login.issuer, &login.client_id, &tokens, clock.now());
    // A provider that does not rotate refresh tokens sends none (RFC 6749 §6).
    Ok(Login { refresh_token: fresh.refresh_token.clone().or_else(|| login.refresh_token.clone()), ..fresh })
}

/// The file; its folder is made when it is not there.
fn path() -> Result<PathBuf> {
    let given = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = given("XDG_CONFIG_HOME").or_else(|| given("HOME").map(|home| home.join(".config")));
    let folder = folder.context("there is no folder for sign-ins: set HOME or XDG_CONFIG_HOME")?.join("trackside");
    Ok(folder.join(FILE))
}

fn read(path: &PathBuf) -> Result<BTreeMap<String, Login>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; delete it and run `trackside login`", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn write(path: &PathBuf, logins: &BTreeMap<String, Login>) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let fresh = path.with_extension("new");
    let mut file = private().truncate(true).open(&fresh).with_context(cannot)?;
    file.write_all(serde_json::to_string_pretty(logins)?.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(cannot)
}

/// Waits until no other process works with the file. The lock ends with the value.
fn lock() -> Result<File> {
    let path = path()?.with_extension("lock");
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = private().open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
