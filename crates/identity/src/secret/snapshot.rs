//! The secrets of secret managers as they were last fetched, for whoever uses one; and how each of them stands.
//!
//! Clones share. Invariants: reading never waits for the network; a value is replaced whole; nothing here shows a value.

use super::reference::SecretRef;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// The secrets that were fetched. The default has none.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: RwLock<BTreeMap<SecretRef, Kept>>,
    /// What a configuration that is not in force yet will use.
    staged: RwLock<BTreeMap<SecretRef, SecretString>>,
    /// Counts publications that changed a value.
    changes: watch::Sender<u64>,
}

/// A secret that is kept, or could not be fetched yet.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The last good value.
    pub value: Option<SecretString>,
    /// How it stands.
    pub status: SecretStatus,
}

/// How a secret stands. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretStatus {
    /// The reference, in words.
    pub secret: String,
    /// The source in `vaults`.
    pub source: String,
    /// Places of the configuration that use it.
    pub used_by: Vec<String>,
    /// In one word.
    pub state: Standing,
    /// When the value in use was fetched.
    pub fetched: Option<Timestamp>,
    /// When the value ends by itself, where the source says so.
    pub expires: Option<Timestamp>,
    /// When it is fetched next.
    pub next: Option<Timestamp>,
    /// The version in use, as the source names it.
    pub version: Option<String>,
    /// Why the last fetch failed; absent when it did not.
    pub error: Option<String>,
    /// Since when fetching fails.
    pub failing_since: Option<Timestamp>,
}

/// How a secret stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The last fetch gave the value in use.
    Fresh,
    /// The last fetch failed; the last good value is in use.
    Kept,
    /// There is no value.
    Missing,
}

impl Secrets {
    /// The value of a reference, when there is one.
    #[must_use]
    pub fn get(&self, reference: &SecretRef) -> Option<SecretString> {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get(reference) {
            return kept.value.clone();
        }
        self.0.staged.read().unwrap_or_else(PoisonError::into_inner).get(reference).cloned()
    }

    /// How each secret stands.
    #[must_use]
    pub fn status(&self) -> Vec<SecretStatus> {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.values().map(|kept| kept.status.clone()).collect()
    }

    /// Changes whenever a value did, for what is derived from values.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Lets the values of a configuration be used that is about to be put in force.
    pub(crate) fn stage(&self, values: BTreeMap<SecretRef, SecretString>) {
        *self.0.staged.write().unwrap_or_else(PoisonError::into_inner) = values;
    }

    /// Replaces everything that is known.
    pub(crate) fn publish(&self, kept: BTreeMap<SecretRef, Kept>) {
        let changed = {
            let mut current = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
            let changed = kept.iter().any(|(reference, new)| differs(current.get(reference), new));
            *current = kept;
            changed
        };
        if changed {
            self.0.changes.send_modify(|count| *count += 1);
        }
    }
}

fn differs(old: Option<&Kept>, new: &Kept) -> bool {
    let old = old.and_then(|kept| kept.value.as_ref()).map(secrecy::ExposeSecret::expose_secret);
    old != new.value.as_ref().map(|value| value.expose_secret())
}
