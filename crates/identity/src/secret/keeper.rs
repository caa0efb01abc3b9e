//! Keeps the secrets of secret managers: fetches them, fetches them again before they are old, and keeps the last good
//! value when that fails.
//!
//! Invariants: one fetch at a time for each secret, however many use it; a value that was good is never given up because a
//! fetch fails; a configuration is prepared beside the one in force and changes nothing until it is adopted; values go to
//! [`Secrets`] and nowhere else. Time is a value; waiting is done elsewhere.

use super::document::{Document, Fetched, Place, Surroundings};
use super::reference::SecretRef;
use super::snapshot::{Kept, SecretStatus, Secrets, Standing};
use super::vaults::VaultConfig;
use crate::broker::failure::{Failure, FailureClass};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use source::Source;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

mod source;

/// First wait after a failed fetch, in seconds; doubled with each further failure.
const AGAIN_S: i64 = 10;
/// Longest wait after a failed fetch, in seconds.
const AGAIN_AT_MOST_S: i64 = 300;

/// What a configuration wants to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Sources by name.
    pub sources: BTreeMap<String, VaultConfig>,
    /// References, each with the places of the configuration that use it.
    pub references: BTreeMap<SecretRef, Vec<String>>,
}

impl Wanted {
    /// The name of the source that a reference means.
    ///
    /// # Errors
    /// When there is none, or more than one could be meant.
    pub fn source_of(&self, reference: &SecretRef) -> Result<&str, String> {
        let named = match reference {
            SecretRef::Env(_) | SecretRef::File(_) => None,
            SecretRef::Vault(place) => place.source.as_deref(),
            SecretRef::Aws(place) => place.source.as_deref(),
            SecretRef::Azure(place) => place.source.as_deref(),
        };
        let fitting: Vec<&str> =
            self.sources.iter().filter(|(_, config)| config.fits(reference)).map(|(name, _)| &**name).collect();
        let known = || if fitting.is_empty() { "none".to_owned() } else { fitting.join(", ") };
        match (named, &fitting[..]) {
            (Some(named), _) => fitting.iter().copied().find(|name| *name == named).ok_or_else(|| {
                format!("`vaults` declares no source of this kind with the name `{named}`; declared are: {}", known())
            }),
            (None, [one]) => Ok(one),
            (None, []) => Err("`vaults` declares no source of this kind; add one".to_owned()),
            (None, _) => {
                Err(format!("there is more than one source of this kind; say which with `source`: {}", known()))
            }
        }
    }
}

/// Why a reference of a configuration that is prepared has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfetched {
    /// The reference.
    pub reference: SecretRef,
    /// Places of the configuration that use it.
    pub used_by: Vec<String>,
    /// Why.
    pub failure: Failure,
}

/// Keeps secrets.
pub struct Keeper {
    world: Surroundings,
    state: Mutex<State>,
    secrets: Secrets,
    figures: Figures,
}

/// How often was fetched, and how often that failed.
#[derive(Debug, Default)]
pub struct Figures {
    fetched: AtomicU64,
    failed: AtomicU64,
}

impl Figures {
    /// Fetches that gave a value.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Fetches that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// What is kept for one configuration. `Debug` of a secret shows nothing.
#[derive(Clone, Debug, Default)]
struct State {
    wanted: Wanted,
    sources: BTreeMap<String, Source>,
    entries: BTreeMap<Document, Entry>,
    /// The last value of each reference, for when its field goes away.
    good: BTreeMap<SecretRef, SecretString>,
}

/// A document with the history of its fetches.
#[derive(Clone, Debug)]
struct Entry {
    found: Option<(Fetched, Timestamp)>,
    next: Timestamp,
    failures: u32,
    failure: Option<(Failure, Timestamp)>,
}

/// A configuration whose secrets were fetched, ready to be adopted.
#[derive(Debug)]
pub struct Prepared(State);

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("figures", &self.figures).finish_non_exhaustive()
    }
}

impl Keeper {
    /// A keeper that keeps nothing yet.
    #[must_use]
    pub fn new(world: Surroundings) -> Self {
        Self { world, state: Mutex::default(), secrets: Secrets::default(), figures: Figures::default() }
    }

    /// Where the values are read.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Counters.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Fetches what another configuration wants and is not kept already. A secret that is kept counts as fetched, also
    /// when its last fetch failed. The new values can be read at once, as what uses them is made before it is in force.
    ///
    /// # Errors
    /// Every reference without a value, and why.
    pub async fn prepare(&self, wanted: Wanted, now: Timestamp) -> Result<Prepared, Vec<Unfetched>> {
        let mut state = self.state.lock().await.for_another(wanted, now);
        state.fetch(&self.world, &self.figures, now).await;
        let missing = state.unfetched();
        if !missing.is_empty() {
            return Err(missing);
        }
        let values = state.kept().into_iter().filter_map(|(reference, kept)| Some((reference, kept.value?)));
        self.secrets.stage(values.collect());
        Ok(Prepared(state))
    }

    /// Keeps what was prepared from now on, and nothing else.
    pub async fn adopt(&self, prepared: Prepared) {
        let mut state = self.state.lock().await;
        *state = prepared.0;
        self.secrets.publish(state.kept());
        self.secrets.stage(BTreeMap::new());
    }

    /// Fetches what is due. When to look again; never when nothing is kept.
    pub async fn once(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.state.lock().await;
        state.fetch(&self.world, &self.figures, now).await;
        self.secrets.publish(state.kept());
        state.next()
    }
}

impl State {
    /// The state for another configuration: what both want is taken over.
    fn for_another(&self, wanted: Wanted, now: Timestamp) -> Self {
        let mut next = Self::default();
        for (name, config) in &wanted.sources {
            let source = match self.wanted.sources.get(name) {
                Some(old) if old == config => self.sources.get(name).cloned(),
                _ => None,
            };
            next.sources.insert(name.clone(), source.unwrap_or_else(|| Source::new(config)));
        }
        for document in wanted.references.keys().filter_map(|reference| document(&wanted, reference)) {
            let same = self.wanted.sources.get(&document.source) == wanted.sources.get(&document.source);
            let entry = self.entries.get(&document).filter(|entry| same && entry.found.is_some()).cloned();
            let new = || Entry { found: None, next: now, failures: 0, failure: None };
            next.entries.entry(document).or_insert_with(|| entry.unwrap_or_else(new));
        }
        next.good = self.good.clone();
        next.good.retain(|reference, _| wanted.references.contains_key(reference));
        next.wanted = wanted;
        next
    }

    /// Fetches every document that is due: sources side by side, the documents of one source one after the other.
    async fn fetch(&mut self, world: &Surroundings, figures: &Figures, now: Timestamp) {
        let mut due: BTreeMap<&str, Vec<(&Document, &mut Entry)>> = BTreeMap::new();
        for (document, entry) in &mut self.entries {
            if entry.next <= now {
                due.entry(&document.source).or_default().push((document, entry));
            }
        }
        let wanted = &self.wanted;
        let works = self.sources.iter_mut().filter_map(|(name, source)| {
            let config = wanted.sources.get(name)?;
            let due = due.remove(&**name).unwrap_or_default();
            Some(async move {
                source.tend(config, world, now).await;
                let mut silent: Option<Failure> = None;
                for (document, entry) in due {
                    // A source that does not answer is asked once a round, not once for each of its secrets.
                    let result = match &silent {
                        Some(failure) => Err(failure.clone()),
                        None => source.read(config, &document.place, world, now).await,
                    };
                    silent = result.as_ref().err().filter(|failure| failure.class == FailureClass::NoAnswer).cloned();
                    let counter = if result.is_ok() { &figures.fetched } else { &figures.failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                    entry.take(result, config.refresh_s(), world.jitter(), now);
                }
            })
        });
        join_all(works).await;
    }

    /// When something is due.
    fn next(&self) -> Option<Timestamp> {
        let tokens = self.sources.values().filter_map(Source::due);
        self.entries.values().map(|entry| entry.next).chain(tokens).min()
    }

    /// What every reference has.
    fn kept(&mut self) -> BTreeMap<SecretRef, Kept> {
        let mut kept = BTreeMap::new();
        for (reference, used_by) in &self.wanted.references {
            let Some(document) = document(&self.wanted, reference) else { continue };
            let Some(entry) = self.entries.get(&document) else { continue };
            let one = entry.kept(reference, self.good.get(reference), &document.source, used_by);
            if let Some(value) = &one.value {
                self.good.insert(reference.clone(), value.clone());
            }
            kept.insert(reference.clone(), one);
        }
        kept
    }

    fn unfetched(&self) -> Vec<Unfetched> {
        let mut missing = Vec::new();
        for (reference, used_by) in self.wanted.references.iter().filter(|(reference, _)| !reference.is_local()) {
            let failure = match self.wanted.source_of(reference) {
                Err(problem) => Some(Failure::here(problem)),
                Ok(_) => document(&self.wanted, reference)
                    .and_then(|document| self.entries.get(&document))
                    .and_then(|entry| entry.lacks(reference)),
            };
            if let Some(failure) = failure {
                missing.push(Unfetched { reference: reference.clone(), used_by: used_by.clone(), failure });
            }
        }
        missing
    }
}

/// The document that a reference is taken from.
fn document(wanted: &Wanted, reference: &SecretRef) -> Option<Document> {
    let place = Place::of(reference)?;
    Some(Document { source: wanted.source_of(reference).ok()?.to_owned(), place })
}

impl Entry {
    /// Takes the result of a fetch, and plans the next.
    fn take(&mut self, result: Result<Fetched, Failure>, refresh_s: i64, jitter: f64, now: Timestamp) {
        let wait = match result {
            Ok(fetched) => {
                self.found = Some((fetched, now));
                (self.failures, self.failure) = (0, None);
                refresh_s
            }
            Err(failure) => {
                let since = self.failure.as_ref().map_or(now, |(_, since)| *since);
                let hold = i64::try_from(failure.hold().as_secs()).unwrap_or(AGAIN_AT_MOST_S);
                let again = AGAIN_S.saturating_mul(1 << self.failures.min(10)).min(AGAIN_AT_MOST_S);
                self.failures = self.failures.saturating_add(1);
                self.failure = Some((failure, since));
                again.max(hold).min(refresh_s.max(hold))
            }
        };
        // Up to a tenth earlier, so that many servers do not ask at once.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "some minutes in milliseconds")]
        let wait = (wait as f64 * 1000.0 * (1.0 - 0.1 * jitter)) as i64;
        self.next = now.saturating_add(SignedDuration::from_millis(wait)).unwrap_or(now);
    }

    fn kept(&self, reference: &SecretRef, last: Option<&SecretString>, source: &str, used_by: &[String]) -> Kept {
        let (fresh, unusable) = match self.found.as_ref().map(|(fetched, _)| fetched.value(reference)) {
            Some(Ok(value)) => (Some(value), None),
            Some(Err(problem)) => (None, Some(problem)),
            None => (None, None),
        };
        let state = match (&fresh, last, &self.failure) {
            (Some(_), _, None) => Standing::Fresh,
            (None, None, _) => Standing::Missing,
            _ => Standing::Kept,
        };
        let value = fresh.or_else(|| last.cloned());
        let (error, failing_since) = match &self.failure {
            Some((failure, since)) => (Some(failure.text.clone()), Some(*since)),
            None => (unusable, None),
        };
        let status = SecretStatus {
            secret: reference.to_string(),
            source: source.to_owned(),
            used_by: used_by.to_vec(),
            state,
            fetched: self.found.as_ref().map(|(_, at)| *at),
            expires: self.found.as_ref().and_then(|(fetched, _)| fetched.expires),
            next: Some(self.next),
            version: self.found.as_ref().and_then(|(fetched, _)| fetched.version.clone()),
            error,
            failing_since,
        };
        Kept { value, status }
    }

    /// Why a reference has no value.
    fn lacks(&self, reference: &SecretRef) -> Option<Failure> {
        match (&self.found, &self.failure) {
            (Some((fetched, _)), _) => fetched.value(reference).err().map(Failure::unusable),
            (None, Some((failure, _))) => Some(failure.clone()),
            (None, None) => Some(Failure::here("it was not fetched")),
        }
    }
}

#[cfg(test)]
mod tests;
