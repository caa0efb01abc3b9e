//! Who is known: the tokens of the configuration and of the database, looked up by hash.
//!
//! A value, built anew when tokens change and swapped as a whole, so that a door authenticates without reading the
//! database. Invariant: names are unique, so that a name in the audit means one token.

use crate::rights::Rights;
use crate::role::Role;
use crate::token::TokenHash;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use trackside_core::caller::Caller;

/// A verified caller and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who, for every write and its audit row.
    pub caller: Caller,
    /// A person or a program.
    pub kind: Kind,
    /// What they may do in Trackside.
    pub rights: Rights,
    /// Team the token is bound to; the first owner candidate of what it sends.
    pub team: Option<String>,
    /// Teams they belong to, as their issuer or SCIM says.
    pub teams: BTreeSet<String>,
    /// What their issuer says they are: its roles and scopes, or the scopes of an API token. Routes and jobs may ask
    /// for them by name; they mean nothing else to Trackside.
    pub names: BTreeSet<String>,
    /// Issuer in the configuration that vouches for them; `None` for our own tokens.
    pub issuer: Option<String>,
    /// Claims that policies may look at, as text.
    pub attributes: BTreeMap<String, String>,
    /// Other names by which their issuer knows them. Some can be chosen by whoever has them, so they take access away
    /// ([`crate::roster`]) and never give it.
    pub aliases: BTreeSet<String>,
    /// When the credential ends to be valid.
    pub expires: Option<Timestamp>,
    /// Name of the token, or of the person signed in; the source of events that name none.
    pub token_name: String,
}

/// What calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person.
    Person,
    /// A program.
    Service,
}

impl Identity {
    /// Somebody with one role everywhere and nothing else.
    #[must_use]
    pub fn simple(caller: Caller, kind: Kind, role: Role) -> Self {
        Self {
            token_name: caller.subject.clone(),
            caller,
            kind,
            rights: Rights::everywhere(role),
            team: None,
            teams: BTreeSet::new(),
            names: BTreeSet::new(),
            issuer: None,
            attributes: BTreeMap::new(),
            aliases: BTreeSet::new(),
            expires: None,
        }
    }
}

/// A token that opens Trackside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Unique name.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Team it is bound to.
    pub team: Option<String>,
    /// Names that routes and jobs may ask for.
    pub scopes: BTreeSet<String>,
    /// Where it was made.
    pub origin: Origin,
    /// When it ends to be valid by itself.
    pub expires: Option<Timestamp>,
    /// SHA-256 of the token.
    pub hash: TokenHash,
}

/// Where a token was made, hence where it is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the configuration, as a secret reference.
    Configuration,
    /// Through the API.
    Api,
}

/// Why two grants cannot stand together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two tokens have one name.
    #[error("two tokens are named `{0}`; give each its own name")]
    Name(String),
    /// Two names have the same token.
    #[error("tokens `{0}` and `{1}` have the same secret; give each its own")]
    Secret(String, String),
}

/// All grants.
#[derive(Debug, Default)]
pub struct Directory {
    by_hash: HashMap<TokenHash, Holder>,
    by_name: BTreeMap<String, Grant>,
}

#[derive(Debug)]
struct Holder {
    identity: Arc<Identity>,
    expires: Option<Timestamp>,
    /// Milliseconds since 1970 of the latest use; 0 before the first.
    last_used: AtomicI64,
}

impl Directory {
    /// A directory of these grants.
    ///
    /// # Errors
    /// When two grants share a name or a secret.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, Conflict> {
        let mut directory = Self::default();
        for grant in grants {
            if directory.by_name.contains_key(&grant.name) {
                return Err(Conflict::Name(grant.name));
            }
            let identity = Arc::new(grant.identity("token"));
            let holder = Holder { identity, expires: grant.expires, last_used: AtomicI64::new(0) };
            if let Some(other) = directory.by_hash.insert(grant.hash, holder) {
                return Err(Conflict::Secret(other.identity.token_name.clone(), grant.name));
            }
            directory.by_name.insert(grant.name.clone(), grant);
        }
        Ok(directory)
    }

    /// Takes a former secret of the token of that name as well, until a time: its holders are changing over.
    #[must_use]
    pub fn also(mut self, name: &str, former: TokenHash, until: Timestamp) -> Self {
        let Some(grant) = self.by_name.get(name) else { return self };
        let expires = Some(grant.expires.map_or(until, |expires| expires.min(until)));
        let holder = Holder { identity: Arc::new(grant.identity("token")), expires, last_used: AtomicI64::new(0) };
        // A secret that is in force is never replaced by a former one.
        self.by_hash.entry(former).or_insert(holder);
        self
    }

    /// Whose token this is, when it has expired: for an answer that helps.
    #[must_use]
    pub fn expired(&self, presented: &str, now: Timestamp) -> Option<(&Arc<Identity>, Timestamp)> {
        let holder = self.by_hash.get(&TokenHash::of(presented))?;
        let expires = holder.expires.filter(|expires| now >= *expires)?;
        Some((&holder.identity, expires))
    }

    /// Who presents this token, unless it has expired.
    #[must_use]
    pub fn find(&self, presented: &str, now: Timestamp) -> Option<&Arc<Identity>> {
        self.find_hashed(&TokenHash::of(presented), now)
    }

    /// The same for a token whose hash is known already.
    #[must_use]
    pub fn find_hashed(&self, presented: &TokenHash, now: Timestamp) -> Option<&Arc<Identity>> {
        let holder = self.by_hash.get(presented)?;
        if holder.expires.is_some_and(|expires| now >= expires) {
            return None;
        }
        holder.last_used.store(now.as_millisecond(), Ordering::Relaxed);
        Some(&holder.identity)
    }

    /// When each token was last used, by name, for those that were since this directory was made.
    pub fn last_uses(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let mut uses: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for holder in self.by_hash.values() {
            let at = holder.last_used.load(Ordering::Relaxed);
            if let Some(at) = (at > 0).then(|| Timestamp::from_millisecond(at).ok()).flatten() {
                let latest = uses.entry(holder.identity.token_name.as_str()).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        uses.into_iter()
    }

    /// The grant of that name while a secret with this hash opens it: for what was begun with the secret.
    #[must_use]
    pub fn opened_by(&self, name: &str, hash: &TokenHash, now: Timestamp) -> Option<&Grant> {
        let holder = self.by_hash.get(hash).filter(|holder| holder.identity.token_name == name)?;
        if holder.expires.is_some_and(|expires| now >= expires) {
            return None;
        }
        self.by_name.get(name)
    }

    /// The first of the candidates that is known.
    pub fn find_any<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<&Arc<Identity>> {
        candidates.into_iter().find_map(|candidate| self.find(candidate, now))
    }

    /// The grant of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Grant> {
        self.by_name.get(name)
    }

    /// All grants, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.by_name.values()
    }
}

impl Grant {
    /// Who the holder is when they came in by `via` (`token` or `session`).
    #[must_use]
    pub fn identity(&self, via: &str) -> Identity {
        Identity {
            caller: Caller { token: Some(self.name.clone()), ..Caller::new(self.name.clone(), via) },
            kind: Kind::Service,
            rights: Rights::everywhere(self.role),
            team: self.team.clone(),
            teams: self.team.iter().cloned().collect(),
            names: self.scopes.clone(),
            issuer: None,
            attributes: BTreeMap::new(),
            aliases: BTreeSet::new(),
            expires: self.expires,
            token_name: self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn grant(name: &str, secret: &str) -> Grant {
        Grant {
            name: name.to_owned(),
            role: Role::Ingest,
            team: Some("payments".to_owned()),
            scopes: BTreeSet::new(),
            origin: Origin::Configuration,
            expires: None,
            hash: TokenHash::of(secret),
        }
    }

    #[test]
    fn a_token_finds_its_identity_and_nothing_else_does() {
        let over = Grant { expires: Some(NOW), ..grant("old", "three") };
        let grants = [grant("airflow", "one"), grant("prefect", "user:two"), over];
        let directory = Directory::new(grants).expect("no conflict");
        let name = |found: Option<&Arc<Identity>>| found.map(|identity| identity.token_name.clone());
        assert_eq!(name(directory.find("one", NOW)), Some("airflow".to_owned()));
        assert_eq!(name(directory.find_any(["two", "user:two"], NOW)), Some("prefect".to_owned()));
        for unknown in ["airflow", "", "three"] {
            assert_eq!(name(directory.find(unknown, NOW)), None, "{unknown}");
        }
        assert_eq!(directory.named("airflow").map(|grant| grant.role), Some(Role::Ingest));
    }

    #[test]
    fn the_latest_use_of_each_token_is_known() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let directory = Directory::new([grant("airflow", "one"), grant("prefect", "two")]).expect("no conflict");
        for (token, second) in [("one", 5), ("one", 9), ("unknown", 10)] {
            assert_eq!(directory.find(token, at(second)).is_some(), token == "one");
        }
        assert_eq!(directory.last_uses().collect::<Vec<_>>(), [("airflow", at(9))]);
    }

    #[test]
    fn a_former_secret_counts_until_its_time() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let limited = Grant { expires: Some(at(50)), ..grant("spark", "three") };
        let directory = Directory::new([grant("airflow", "two"), limited]).expect("no conflict");
        let directory = directory
            .also("airflow", TokenHash::of("one"), at(100))
            .also("spark", TokenHash::of("old"), at(100))
            .also("gone", TokenHash::of("none"), at(100));
        let check = |token: &str, second: i64, expect: Option<&str>| {
            let found = directory.find(token, at(second)).map(|identity| identity.token_name.as_str());
            assert_eq!(found, expect, "{token} at {second}");
        };
        check("one", 99, Some("airflow"));
        check("one", 100, None);
        check("two", 100, Some("airflow"));
        check("old", 49, Some("spark"));
        check("old", 50, None);
        check("none", 1, None);
        let opens = |name, token, second| directory.opened_by(name, &TokenHash::of(token), at(second)).is_some();
        assert!(opens("airflow", "one", 99) && opens("airflow", "two", 200) && opens("spark", "old", 49));
        assert!(!opens("airflow", "one", 100) && !opens("airflow", "three", 1) && !opens("spark", "old", 50));
        assert_eq!(directory.expired("one", at(100)).map(|(_, at)| at), Some(at(100)));
        assert!(directory.expired("one", at(99)).is_none() && directory.expired("other", at(99)).is_none());
        assert_eq!(directory.last_uses().collect::<Vec<_>>(), [("airflow", at(100)), ("spark", at(49))]);
    }

    #[test]
    fn names_and_secrets_are_unique() {
        let same_name = Directory::new([grant("a", "one"), grant("a", "two")]).map(|_| ());
        assert_eq!(same_name, Err(Conflict::Name("a".to_owned())));
        let same_secret = Directory::new([grant("a", "one"), grant("b", "one")]).map(|_| ());
        assert_eq!(same_secret, Err(Conflict::Secret("a".to_owned(), "b".to_owned())));
    }
}
