//! The issuers of one configuration.
//!
//! Invariants: no two have the same `iss`, so that a token has one judge; another configuration keeps the keys of
//! issuers whose keys are read from the same place, so that a reload does not fetch them all anew.

use super::config::{Invalid, IssuerConfig};
use super::{Issuer, Profile};
use crate::exchange::Exchange;
use crate::jwks::cache::KeyStatus;
use crate::secret::Secrets;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The issuers of one configuration.
#[derive(Debug, Default)]
pub struct Issuers {
    by_name: BTreeMap<String, Arc<Issuer>>,
    by_iss: HashMap<String, Arc<Issuer>>,
}

/// How things stand with an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its `iss`.
    pub issuer: String,
    /// What kind it is.
    pub profile: Profile,
    /// Its keys.
    pub keys: KeyStatus,
}

impl Issuers {
    /// Those of a configuration; nothing is asked yet. Keys that `before` holds are taken over.
    ///
    /// # Errors
    /// What is wrong, with the name of the issuer.
    pub fn open(
        configs: &BTreeMap<String, IssuerConfig>,
        exchange: &Exchange,
        secrets: &Secrets,
        before: &Self,
    ) -> Result<Self, Vec<(String, Invalid)>> {
        let found = Self::check(configs);
        if !found.is_empty() {
            return Err(found);
        }
        let mut issuers = Self::default();
        for (name, config) in configs {
            let of = |found: Vec<Invalid>| found.into_iter().map(|invalid| (name.clone(), invalid)).collect::<Vec<_>>();
            let mut issuer = Issuer::open(name, config.clone(), Arc::clone(exchange), secrets.clone()).map_err(of)?;
            if let Some(old) = before.of(&config.issuer).filter(|old| old.keys.same(&issuer.keys)) {
                issuer.keys = Arc::clone(&old.keys);
            }
            let issuer = Arc::new(issuer);
            issuers.by_iss.insert(config.issuer.clone(), Arc::clone(&issuer));
            issuers.by_name.insert(name.clone(), issuer);
        }
        Ok(issuers)
    }

    /// Everything that is wrong with a configuration.
    #[must_use]
    pub fn check(configs: &BTreeMap<String, IssuerConfig>) -> Vec<(String, Invalid)> {
        let mut found = Vec::new();
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, config) in configs {
            found.extend(config.check().into_iter().map(|invalid| (name.clone(), invalid)));
            if name.is_empty() || name.contains(':') {
                let problem = "an issuer's name must not be empty or have a `:`: callers are known as `ISSUER:SUBJECT`, and \
                               two could be taken for each other";
                found.push((name.clone(), Invalid::new("issuer", problem)));
            }
            if let Some(other) = seen.insert(&config.issuer, name) {
                let problem = format!("`{other}` has the same issuer; a token must have one judge, so make them one");
                found.push((name.clone(), Invalid::new("issuer", problem)));
            }
        }
        found
    }

    /// The one of that name in the configuration.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.by_name.get(name)
    }

    /// The one whose tokens say `iss`.
    #[must_use]
    pub fn of(&self, iss: &str) -> Option<&Arc<Issuer>> {
        self.by_iss.get(iss)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.by_name.values()
    }

    /// Reads the keys that are due, all at the same time.
    pub async fn refresh(&self, now: Timestamp) {
        futures_util::future::join_all(self.iter().map(|issuer| issuer.keys.refresh(now))).await;
    }

    /// How things stand with each.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        let status = |issuer: &Arc<Issuer>| IssuerStatus {
            name: issuer.name.clone(),
            issuer: issuer.config.issuer.clone(),
            profile: issuer.config.profile,
            keys: issuer.keys.status(),
        };
        self.iter().map(status).collect()
    }
}
