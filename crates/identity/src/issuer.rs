//! Issuers of tokens: whom we trust to say who somebody is, and how their tokens are judged.
//!
//! An [`Issuer`] has one validation profile, one set of keys and one meaning of claims; [`Issuers`] are those of one
//! configuration. Invariants: a token is judged by the issuer its `iss` names and by no other; the signature is verified
//! before anything a claim says is acted on. What is kept of verified tokens is in [`crate::callers`].

pub mod config;
pub mod discovery;
mod id_token;
mod identity;
mod introspect;
mod profile;
mod registry;

pub use config::{Invalid, IssuerConfig, Profile};
pub use id_token::{Logout, belongs_to};
pub use registry::{IssuerStatus, Issuers};

use crate::callers::NotKnown;
use crate::directory::Identity;
use crate::exchange::Exchange;
use crate::jwks::{KeyCache, KeyError, KeySource};
use crate::jwt::{BadToken, Claims, Compact};
use crate::secret::Secrets;
use config::Keys;
use discovery::{Address, Metadata};
use introspect::Said;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a discovery document is used.
const METADATA_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How soon it is asked for again after a failure, when an older one serves meanwhile.
const METADATA_RETRY: SignedDuration = SignedDuration::from_mins(1);

/// How soon it is asked for again after a failure, when there is none: anybody can cause it to be asked for.
const METADATA_WITHOUT: SignedDuration = SignedDuration::from_secs(5);

/// What an issuer publishes about itself, or why that cannot be had.
#[derive(Clone)]
struct Told {
    until: Timestamp,
    told: Result<Arc<Metadata>, String>,
}

/// An issuer in force.
pub struct Issuer {
    name: String,
    config: IssuerConfig,
    address: Address,
    keys: Arc<KeyCache>,
    exchange: Exchange,
    secrets: Secrets,
    metadata: Mutex<Option<Told>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).field("issuer", &self.config.issuer).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer as configured; nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub fn open(name: &str, config: IssuerConfig, exchange: Exchange, secrets: Secrets) -> Result<Self, Vec<Invalid>> {
        let found = config.check();
        if !found.is_empty() {
            return Err(found);
        }
        let one = |field: &str, problem| vec![Invalid::new(field, problem)];
        let address = Address::parse(&config.issuer).map_err(|problem| one("issuer", problem))?;
        let source = match &config.keys {
            Keys::Discovery => KeySource::Discovery(address.clone()),
            Keys::Url(url) => KeySource::Url(Address::parse(url).map_err(|problem| one("keys", problem))?),
            Keys::File(path) => KeySource::File(path.clone()),
        };
        let keys = Arc::new(KeyCache::new(source, config.algorithms(), Arc::clone(&exchange)));
        Ok(Self { name: name.to_owned(), config, address, keys, exchange, secrets, metadata: Mutex::default() })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &IssuerConfig {
        &self.config
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<KeyCache> {
        &self.keys
    }

    /// What it publishes about itself, at most an hour old.
    ///
    /// # Errors
    /// When it cannot be had; the text is for people.
    pub async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, String> {
        let held = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.as_ref().filter(|held| now < held.until) {
            return held.told.clone();
        }
        let (told, lasts) = match (discovery::fetch(&self.exchange, &self.address).await, held.map(|held| held.told)) {
            (Ok(metadata), _) => (Ok(Arc::new(metadata)), METADATA_FOR),
            // The old one serves; whoever comes next need not wait for the same failure.
            (Err(_), Some(Ok(old))) => (Ok(old), METADATA_RETRY),
            (Err(problem), _) => (Err(problem), METADATA_WITHOUT),
        };
        let until = now.saturating_add(lasts).unwrap_or(now);
        let mut kept = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Told { until, told: told.clone() });
        told
    }

    /// Who presents this signed access token.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn verify_access_token(&self, token: Compact<'_>, now: Timestamp) -> Result<Identity, NotKnown> {
        let header = token.header.clone();
        let (claims, expires) = self.signed(token, &self.config.audience, now).await?;
        claims.required("sub")?;
        profile::admit(&self.config, &header, &claims)?;
        Ok(self.identity(&claims, "jwt", Some(expires))?)
    }

    /// Who presents this opaque token, as the issuer says now; `None` when it does not know it.
    ///
    /// # Errors
    /// When it cannot be asked, or what it says is refused.
    pub(crate) async fn introspect(&self, token: &str, now: Timestamp) -> Result<Option<Identity>, NotKnown> {
        let Some(config) = &self.config.introspection else { return Ok(None) };
        let unavailable = |why: String| NotKnown::Unavailable(format!("`{}` cannot be asked: {why}", self.name));
        let endpoint = match &config.url {
            Some(url) => Address::parse(url).map_err(unavailable)?,
            None => {
                let metadata = self.metadata(now).await.map_err(unavailable)?;
                let named = metadata.introspection_endpoint.clone();
                named.ok_or_else(|| unavailable("its discovery page names no introspection page".to_owned()))?
            }
        };
        let secret = config.secret.resolve(&self.secrets).map_err(|error| unavailable(error.to_string()))?;
        let ask = introspect::request(&config.client_id, &secret, &endpoint, token).map_err(unavailable)?;
        let said = introspect::said((self.exchange)(ask).await).map_err(unavailable)?;
        let Said::Active(claims) = said else { return Ok(None) };
        let expires = self.admit_introspected(&claims, now)?;
        Ok(Some(self.identity(&claims, "introspection", expires)?))
    }

    fn admit_introspected(&self, claims: &Claims, now: Timestamp) -> Result<Option<Timestamp>, BadToken> {
        if claims.get("iss").is_some() && claims.required("iss")? != self.config.issuer {
            return Err(BadToken::claim("iss", "is another issuer"));
        }
        profile::admit_introspected(claims)?;
        let client = profile::client(claims);
        match claims.get("aud") {
            Some(_) => for_us(claims, &self.config.audience)?,
            None if client.is_some_and(|client| self.config.clients.contains(client)) => {}
            None => {
                let problem = "is not known to the issuer; list the application under `clients` to take its tokens";
                return Err(BadToken::claim("aud", problem));
            }
        }
        if !self.config.clients.is_empty() && !client.is_some_and(|client| self.config.clients.contains(client)) {
            return Err(BadToken::Purpose("the token was made for an application that is not taken here"));
        }
        match claims.get("exp") {
            Some(_) => Ok(Some(claims.times(now, self.config.leeway())?.expires)),
            None if claims.time("nbf")?.is_some_and(|begins| begins > now + self.config.leeway()) => {
                Err(BadToken::TooEarly)
            }
            None => Ok(None),
        }
    }

    /// The identity that verified claims mean, however they came: `via` is `jwt`, `introspection` or `session`.
    ///
    /// # Errors
    /// When a claim that it is made of is missing or cannot be used.
    pub fn identity(&self, claims: &Claims, via: &str, expires: Option<Timestamp>) -> Result<Identity, BadToken> {
        identity::identity(&self.name, &self.config, claims, via, expires)
    }

    /// What every signed token must hold: signature, issuer, audience, times. Returns the claims and `exp`.
    async fn signed(
        &self,
        token: Compact<'_>,
        audience: &[String],
        now: Timestamp,
    ) -> Result<(Claims, Timestamp), NotKnown> {
        let allowed = self.config.algorithms();
        if !allowed.contains(&token.header.algorithm) {
            return Err(BadToken::Algorithm.into());
        }
        self.keys.verify(&token, now).await.map_err(|error| match error {
            KeyError::Token(bad) => bad.into(),
            KeyError::Unknown => {
                NotKnown::Invalid("the token is signed with a key its issuer does not have".to_owned())
            }
            KeyError::Unavailable(why) => {
                NotKnown::Unavailable(format!("the keys of `{}` cannot be had: {why}", self.name))
            }
        })?;
        let claims = token.into_claims();
        if claims.required("iss")? != self.config.issuer {
            return Err(BadToken::claim("iss", "is another issuer").into());
        }
        for_us(&claims, audience)?;
        let times = claims.times(now, self.config.leeway())?;
        Ok((claims, times.expires))
    }
}

/// Whether a token is made for one of these.
fn for_us(claims: &Claims, audience: &[String]) -> Result<(), BadToken> {
    let named = claims.audience()?;
    if named.iter().any(|named| audience.iter().any(|own| own == named)) {
        return Ok(());
    }
    Err(BadToken::claim("aud", "is not one that is taken here"))
}

impl From<BadToken> for NotKnown {
    fn from(bad: BadToken) -> Self {
        Self::Invalid(bad.to_string())
    }
}
