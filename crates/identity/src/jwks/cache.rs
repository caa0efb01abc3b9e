//! The keys of one issuer, kept fresh.
//!
//! The rules are those Microsoft publishes for its own libraries and recommends to others: a set is good for 24 hours,
//! read again every hour in the background, and read at once, but at most every five minutes, when a token names a key
//! that is not in it; when reading fails, the last good set stays in use. Invariants: however many requests wait, one
//! fetch is under way; a key id that is known to be unknown costs no fetch; time comes in as a value.

use super::set::{KeySet, NoKey};
use crate::exchange::{Ask, Exchange};
use crate::issuer::discovery::{self, Address};
use crate::jwt::{Algorithm, BadToken, Compact};
use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Mutex as Turn;

/// How long a set is good.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How often it is read in the background.
pub const REFRESH: SignedDuration = SignedDuration::from_hours(1);
/// Shortest time between two fetches that requests cause.
pub const AT_MOST_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// How soon the background tries again after a failure.
const RETRY: SignedDuration = SignedDuration::from_mins(1);
/// How long a key id is remembered as unknown: one that keeps coming must not use up the fetches of those that are new.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(15);
/// Most key ids that are remembered as unknown; more are simply not remembered.
const UNKNOWN: usize = 1_000;
/// Largest set, in bytes.
pub const SET_BYTES: usize = 1024 * 1024;

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Where its discovery document says.
    Discovery(Address),
    /// At an address of their own.
    Url(Address),
    /// In a file on this machine.
    File(PathBuf),
}

/// Why a signature could not be found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The token is at fault.
    Token(BadToken),
    /// The issuer has no such key.
    Unknown,
    /// There are no keys.
    Unavailable(String),
}

/// The keys of one issuer.
pub struct KeyCache {
    source: KeySource,
    allowed: Vec<Algorithm>,
    exchange: Exchange,
    held: Mutex<Held>,
    fetching: Turn<()>,
    generation: AtomicU64,
}

#[derive(Default)]
struct Held {
    set: Option<Arc<KeySet>>,
    /// Of the bytes of the set.
    digest: [u8; 32],
    /// When the set was last read with success.
    fetched: Option<Timestamp>,
    /// When it was last tried.
    tried: Option<Timestamp>,
    /// When a request last caused that.
    asked: Option<Timestamp>,
    problem: Option<String>,
    /// Key ids that are not in the set, and until when that is taken for granted.
    unknown: BTreeMap<String, Timestamp>,
}

impl Held {
    fn lately(&self, now: Timestamp) -> bool {
        self.tried.is_some_and(|tried| now < tried + AT_MOST_EVERY)
    }

    /// Whether a request has to do without a fetch of its own. A read of the background that went well does not count
    /// against it, so that a key that came just after is found at once.
    fn asked_lately(&self, now: Timestamp) -> bool {
        let asked = self.asked.is_some_and(|asked| now < asked + AT_MOST_EVERY);
        asked || self.problem.is_some() && self.lately(now) || self.fetched.is_some_and(|at| at >= now)
    }
}

/// How things stand with the keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// How many keys can be used.
    pub keys: usize,
    /// When they were last read with success.
    pub fetched: Option<Timestamp>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// Keys that cannot be used, and why.
    pub left_out: Vec<String>,
}

impl std::fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyCache").field("source", &self.source).finish_non_exhaustive()
    }
}

impl KeyCache {
    /// A cache that holds nothing yet.
    #[must_use]
    pub fn new(source: KeySource, allowed: Vec<Algorithm>, exchange: Exchange) -> Self {
        Self {
            source,
            allowed,
            exchange,
            held: Mutex::default(),
            fetching: Turn::new(()),
            generation: AtomicU64::new(0),
        }
    }

    /// Whether another cache would hold the same keys.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.source == other.source && self.allowed == other.allowed
    }

    /// Changes whenever other keys are held: what was verified before is to be verified again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Verifies the signature of a token, fetching the keys when that may help.
    ///
    /// # Errors
    /// When no key of the issuer signed it, or there are no keys.
    pub async fn verify(&self, token: &Compact<'_>, now: Timestamp) -> Result<(), KeyError> {
        let (set, good, lately) = {
            let held = self.held();
            (held.set.clone(), held.fetched.is_some_and(|at| now < at + GOOD_FOR), held.lately(now))
        };
        match set.as_ref().map(|set| set.verify(token)) {
            Some(Ok(())) if good || lately => return Ok(()),
            Some(Err(NoKey::Refused(bad))) if good || lately => return Err(KeyError::Token(bad)),
            Some(Err(NoKey::Unknown)) if good && self.is_unknown(token, now) => return Err(KeyError::Unknown),
            _ => self.fetch_for_request(now).await,
        }
        let (set, problem, read_for_this) = {
            let held = self.held();
            (held.set.clone(), held.problem.clone(), held.fetched.is_some_and(|at| at >= now))
        };
        let Some(set) = set else {
            return Err(KeyError::Unavailable(problem.unwrap_or_else(|| "its keys are not read yet".to_owned())));
        };
        match (set.verify(token), problem) {
            (Ok(()), _) => Ok(()),
            (Err(NoKey::Refused(bad)), _) => Err(KeyError::Token(bad)),
            // The key may be there, where nobody can look now: the caller is not told to give up.
            (Err(NoKey::Unknown), Some(problem)) => Err(KeyError::Unavailable(problem)),
            (Err(NoKey::Unknown), None) => {
                // Only a set that was read for this token says that the key is not there: it may have come since.
                if read_for_this {
                    self.remember_unknown(token, now);
                }
                Err(KeyError::Unknown)
            }
        }
    }

    /// Reads the keys again when it is time: once an hour, soon after a failure, and a file whenever it has changed.
    pub async fn refresh(&self, now: Timestamp) {
        let due = {
            let held = self.held();
            match (&self.source, held.tried) {
                (KeySource::File(_), _) | (_, None) => true,
                (_, Some(tried)) if held.problem.is_some() => now >= tried + RETRY,
                (_, Some(tried)) => now >= tried + REFRESH,
            }
        };
        if due {
            let _turn = self.fetching.lock().await;
            self.fetch(now).await;
        }
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        let held = self.held();
        KeyStatus {
            keys: held.set.as_ref().map_or(0, |set| set.len()),
            fetched: held.fetched,
            problem: held.problem.clone(),
            left_out: held.set.as_ref().map_or_else(Vec::new, |set| set.left_out.clone()),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unknown(&self, token: &Compact<'_>, now: Timestamp) -> bool {
        let held = self.held();
        token.header.kid.as_ref().and_then(|kid| held.unknown.get(kid)).is_some_and(|until| now < *until)
    }

    fn remember_unknown(&self, token: &Compact<'_>, now: Timestamp) {
        let Some(kid) = &token.header.kid else { return };
        let mut held = self.held();
        if held.unknown.len() >= UNKNOWN {
            held.unknown.retain(|_, until| now < *until);
        }
        if held.unknown.len() < UNKNOWN {
            held.unknown.insert(kid.clone(), now + UNKNOWN_FOR);
        }
    }

    /// Fetches because a request needs it, unless that was done a moment ago.
    async fn fetch_for_request(&self, now: Timestamp) {
        let _turn = self.fetching.lock().await;
        let wait = self.held().asked_lately(now);
        if !wait {
            self.held().asked = Some(now);
            self.fetch(now).await;
        }
    }

    /// Fetches and puts what came in place. Only one at a time calls this.
    ///
    /// Whoever waits may go away, and this ends with them. It then counts as a failure, so that neither are the keys asked
    /// for more often, nor is it an hour until the background asks.
    async fn fetch(&self, now: Timestamp) {
        self.held().tried = Some(now);
        let mut broken_off = BrokenOff(Some(self));
        let read = self.read().await.and_then(|bytes| {
            let digest: [u8; 32] = Sha256::digest(&bytes).into();
            let same = { self.held().digest == digest };
            let set = if same { None } else { Some(KeySet::parse(&bytes, &self.allowed)?) };
            Ok((digest, set))
        });
        broken_off.0 = None;
        let mut held = self.held();
        match read {
            Ok((digest, set)) => {
                if let Some(set) = set {
                    held.set = Some(Arc::new(set));
                    held.digest = digest;
                    self.generation.fetch_add(1, Ordering::AcqRel);
                }
                held.fetched = Some(now);
                held.problem = None;
            }
            Err(problem) => held.problem = Some(problem),
        }
    }

    async fn read(&self) -> Result<Bytes, String> {
        let address = match &self.source {
            KeySource::File(path) => {
                let path = path.clone();
                return tokio::task::spawn_blocking(move || read_file(&path))
                    .await
                    .map_err(|error| error.to_string())?;
            }
            KeySource::Url(address) => address.clone(),
            KeySource::Discovery(issuer) => discovery::fetch(&self.exchange, issuer).await?.jwks_uri,
        };
        let reply = (self.exchange)(Ask { limit: SET_BYTES, ..Ask::get(address.url().clone()) })
            .await
            .map_err(|error| error.to_string())?;
        match reply.status {
            StatusCode::OK => Ok(reply.body),
            status => Err(format!("the key page answered {status}")),
        }
    }
}

/// Notes when it is dropped that a fetch did not come to its end.
struct BrokenOff<'a>(Option<&'a KeyCache>);

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.0 {
            cache.held().problem = Some("reading them was broken off".to_owned());
        }
    }
}

/// Reads a file with keys, within the bound of a set.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn read_file(path: &std::path::Path) -> Result<Bytes, String> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(SET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > SET_BYTES {
        return Err(format!("{} has more than 1 MiB", path.display()));
    }
    Ok(bytes.into())
}
