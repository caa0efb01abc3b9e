//! Who stands behind a credential that is not one of our API tokens: the issuers in force, asked by what the token says
//! of itself, and the client certificates that are taken.
//!
//! A value, made anew when the configuration changes, shared by the web, the doors and the gateway. Invariants: an
//! identity that is found may be kept for a while, an answer to "may they" is not; a kept identity belongs to one
//! configuration and to one set of keys of its issuer, so that a change of either takes effect at once; tokens are kept
//! as their hash only.

use crate::certificate::{Certificates, PeerCertificate};
use crate::directory::Identity;
use crate::issuer::{Issuer, Issuers};
use crate::jwt::Compact;
use crate::jwt::token::looks_signed;
use crate::token::{PREFIX, TokenHash};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest time an identity is kept.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Longest time the answer to an introspection is kept.
pub const ASKED_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Most identities that are kept. One takes about two kibibytes (`examples/kept_identities.rs`).
pub const KEPT: usize = 50_000;
/// Longest opaque token, in bytes.
const OPAQUE_BYTES: usize = 4 * 1024;

/// The issuers in force, and whom they vouched for lately.
pub struct Callers {
    issuers: Arc<Issuers>,
    certificates: Certificates,
    kept: Cache<[u8; 32], Kept>,
    counts: Arc<Counts>,
}

/// What is kept of a token.
#[derive(Clone)]
struct Kept {
    /// `None`: no issuer knows it.
    identity: Option<Arc<Identity>>,
    /// Keys it was verified with: the issuer, and the generation of its keys.
    keys: Option<(Arc<Issuer>, u64)>,
    until: Timestamp,
}

#[derive(Debug, Default)]
struct Counts {
    kept: AtomicU64,
    verified: AtomicU64,
    refused: AtomicU64,
}

/// How often tokens of issuers were presented, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerCounts {
    /// Found among those kept.
    pub kept: u64,
    /// Verified anew.
    pub verified: u64,
    /// Refused.
    pub refused: u64,
}

/// Why a credential is refused (RFC 6750 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// No issuer of the configuration made it.
    #[error("this token is not known here")]
    Foreign,
    /// It is made by an issuer we know, and is not valid.
    #[error("{0}")]
    Invalid(String),
    /// Its issuer cannot be asked now (no keys, no introspection). Answered with 503, not 401.
    #[error("{0}")]
    Unavailable(String),
}

impl Default for Callers {
    fn default() -> Self {
        Self::new(Arc::default(), Certificates::default())
    }
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers")
            .field("issuers", &self.issuers)
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}

impl Callers {
    /// Callers that these issuers and certificates vouch for.
    #[must_use]
    pub fn new(issuers: Arc<Issuers>, certificates: Certificates) -> Self {
        Self { issuers, certificates, kept: Cache::new(KEPT), counts: Arc::default() }
    }

    /// Callers that others vouch for from now on: nobody is kept, and counting goes on.
    #[must_use]
    pub fn succeeded_by(&self, issuers: Arc<Issuers>, certificates: Certificates) -> Self {
        Self { counts: Arc::clone(&self.counts), ..Self::new(issuers, certificates) }
    }

    /// The issuers in force.
    #[must_use]
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// How often what happened since the start.
    #[must_use]
    pub fn counts(&self) -> CallerCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CallerCounts {
            kept: read(&self.counts.kept),
            verified: read(&self.counts.verified),
            refused: read(&self.counts.refused),
        }
    }

    /// Who presents this token.
    ///
    /// # Errors
    /// Why it is refused; the text may be shown to the caller.
    pub async fn identify(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, NotKnown> {
        let hash = TokenHash::of(token);
        match self.kept(&hash, now) {
            Some(known) => known,
            None => self.ask(token, hash, now).await,
        }
    }

    /// Who presented the token with this hash lately; `None` when an issuer has to be asked.
    #[must_use]
    pub fn kept(&self, hash: &TokenHash, now: Timestamp) -> Option<Result<Arc<Identity>, NotKnown>> {
        let kept = self.kept.get(hash.bytes()).filter(|kept| kept.counts(now))?;
        self.counts.kept.fetch_add(1, Ordering::Relaxed);
        Some(kept.identity.ok_or(NotKnown::Foreign))
    }

    async fn ask(&self, token: &str, hash: TokenHash, now: Timestamp) -> Result<Arc<Identity>, NotKnown> {
        let found = if looks_signed(token) { self.signed(token, now).await } else { self.opaque(token, now).await };
        match found {
            Ok(kept) => {
                let identity = kept.identity.clone();
                if now < kept.until {
                    self.kept.insert(*hash.bytes(), kept);
                }
                let counted = if identity.is_some() { &self.counts.verified } else { &self.counts.refused };
                counted.fetch_add(1, Ordering::Relaxed);
                identity.ok_or(NotKnown::Foreign)
            }
            Err(refused) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                Err(refused)
            }
        }
    }

    /// Who presents this client certificate, which TLS has verified; `None` when no rule of the configuration knows it.
    #[must_use]
    pub fn identify_certificate(&self, certificate: &PeerCertificate, now: Timestamp) -> Option<Arc<Identity>> {
        self.certificates.find(certificate, now)
    }

    async fn signed(&self, token: &str, now: Timestamp) -> Result<Kept, NotKnown> {
        let token = Compact::parse(token)?;
        let iss = token.unverified().text("iss")?;
        let Some(issuer) = iss.and_then(|iss| self.issuers.of(iss)) else { return Err(NotKnown::Foreign) };
        // Taken before verifying: when keys change meanwhile, the entry is at once out of date.
        let generation = issuer.keys().generation();
        let identity = issuer.verify_access_token(token, now).await?;
        Ok(Kept::of(identity, now, KEPT_FOR, Some((Arc::clone(issuer), generation))))
    }

    async fn opaque(&self, token: &str, now: Timestamp) -> Result<Kept, NotKnown> {
        let fit = (1..=OPAQUE_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        // One of ours that is not valid any more is nobody else's business.
        if !fit || token.starts_with(PREFIX) {
            return Err(NotKnown::Foreign);
        }
        let (mut asked, mut failed) = (0, None);
        for issuer in self.issuers.iter().filter(|issuer| issuer.config().introspection.is_some()) {
            asked += 1;
            match issuer.introspect(token, now).await {
                Ok(Some(identity)) => return Ok(Kept::of(identity, now, ASKED_EVERY, None)),
                Ok(None) => {}
                // It is this issuer's token, and no other's.
                Err(refused @ NotKnown::Invalid(_)) => return Err(refused),
                // The next one may know it.
                Err(other) => failed = Some(other),
            }
        }
        match failed {
            Some(failed) => Err(failed),
            None if asked == 0 => Err(NotKnown::Foreign),
            None => Ok(Kept { identity: None, keys: None, until: now + ASKED_EVERY }),
        }
    }
}

impl Kept {
    fn of(identity: Identity, now: Timestamp, at_most: SignedDuration, keys: Option<(Arc<Issuer>, u64)>) -> Self {
        let latest = now + at_most;
        let until = identity.expires.map_or(latest, |expires| expires.min(latest));
        Self { identity: Some(Arc::new(identity)), keys, until }
    }

    fn counts(&self, now: Timestamp) -> bool {
        let same_keys = self.keys.as_ref().is_none_or(|(issuer, generation)| issuer.keys().generation() == *generation);
        same_keys && now < self.until
    }
}
