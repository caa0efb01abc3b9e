//! Signing in with a browser by an identity provider: from its button to who somebody is.
//!
//! [`SignIn`] is what is in force. Invariants: who somebody is comes from a verified ID token, and from the provider's
//! userinfo only when that is about the same person (OpenID Connect Core §5.3.2); what they may do comes from the rules of
//! the issuer, asked anew on every request. Sessions are kept elsewhere; [`flow`] is the pure part of the way there and
//! back, [`client`] speaks to the provider.

pub mod client;
pub mod config;
pub mod flow;

pub use config::SignInConfig;

use crate::callers::NotKnown;
use crate::directory::{Identity, Kind};
use crate::exchange::Exchange;
use crate::issuer::{Issuer, Issuers, Logout, belongs_to};
use crate::jwt::{Claims, Compact};
use crate::secret::Secrets;
use crate::session::SessionKey;
use crate::signer::Signer;
use client::{Client, Moment, Proof, Refusal, Tokens};
use config::Userinfo;
use flow::{Accepted, Answer, Departure, Expected, Naming, Refused, Request};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

/// How a session's caller came in, for the audit.
pub const VIA: &str = "session";
/// Most bytes of claims that a session keeps, as JSON.
const CLAIMS_BYTES: usize = 64 * 1024;
/// Claims that are about the token, not about the person; a session does not keep them.
const OF_THE_TOKEN: &[&str] = &["nonce", "at_hash", "c_hash", "s_hash", "iat", "exp", "nbf", "jti", "uti", "aio", "rh"];

/// Sign-in as it is in force.
pub struct SignIn {
    config: SignInConfig,
    issuer: Arc<Issuer>,
    exchange: Exchange,
    secrets: Secrets,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who they are and what they may do.
    pub identity: Identity,
    /// What the provider says of them, for the session.
    pub claims: Map<String, Value>,
    /// The provider's identifier of them.
    pub sub: String,
    /// The provider's identifier of its own session.
    pub sid: Option<String>,
}

/// Why somebody is not signed in. The text is for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The answer does not count.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The code was used before.
    #[error("this sign-in was completed already; begin again")]
    Used,
    /// The provider gives no tokens.
    #[error(transparent)]
    Provider(#[from] Refusal),
    /// The provider cannot be asked, or what it says cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// They are known, and may do nothing here.
    #[error("{0} has no role here; ask an administrator, who gives roles by rules for `{1}` in the configuration")]
    NoRole(String, String),
}

impl SignIn {
    /// Sign-in by an issuer of the configuration.
    ///
    /// # Errors
    /// When there is no such issuer.
    pub fn open(config: SignInConfig, issuers: &Issuers, exchange: Exchange, secrets: Secrets) -> Result<Self, String> {
        let issuer = issuers.named(&config.issuer).ok_or_else(|| format!("there is no issuer `{}`", config.issuer))?;
        Ok(Self { issuer: Arc::clone(issuer), config, exchange, secrets })
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &SignInConfig {
        &self.config
    }

    /// The issuer as it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer.config().issuer
    }

    /// Sends a browser to the provider.
    ///
    /// # Errors
    /// When it cannot be asked where to.
    pub async fn depart(
        &self,
        key: &SessionKey,
        redirect: &Url,
        next: &str,
        moment: Moment,
    ) -> Result<Departure, Failed> {
        let metadata = self.issuer.metadata(moment.now).await.map_err(|why| self.unavailable(&why))?;
        let endpoint = metadata.authorization_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| self.unavailable("its discovery page names no page to sign in"))?.url();
        let (client_id, scopes) = (self.config.client_id.as_str(), self.config.scopes.as_slice());
        let request = Request { endpoint, client_id, redirect, scopes, next };
        Ok(flow::depart(key, &request, moment.random, moment.now))
    }

    /// Judges the answer that a browser brings back.
    ///
    /// # Errors
    /// When it does not count.
    pub async fn arrive(
        &self,
        key: &SessionKey,
        cookie: Option<&str>,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Accepted, Failed> {
        let metadata = self.issuer.metadata(now).await.map_err(|why| self.unavailable(&why))?;
        let always = metadata.authorization_response_iss_parameter_supported;
        let naming = if always { Naming::Always } else { Naming::Unsaid };
        Ok(flow::arrive(key, cookie, answer, Expected { issuer: self.issuer(), naming }, now)?)
    }

    /// Learns who has signed in. The answer must not have been used before.
    ///
    /// # Errors
    /// Why they are not signed in.
    pub async fn complete(&self, accepted: &Accepted, redirect: &Url, moment: Moment) -> Result<SignedIn, Failed> {
        let metadata = self.issuer.metadata(moment.now).await.map_err(|why| self.unavailable(&why))?;
        let endpoint = metadata.token_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| self.unavailable("its discovery page names no token address"))?.url();
        let client = self.client()?;
        let fields = [
            ("code", accepted.code.as_str()),
            ("code_verifier", accepted.verifier.as_str()),
            ("redirect_uri", redirect.as_str()),
        ];
        let tokens = client::redeem(&self.exchange, endpoint, &client, fields, moment).await?;
        let mut claims = self.id_claims(&tokens, &accepted.nonce, moment.now).await?;
        let userinfo = metadata.userinfo_endpoint.as_ref().filter(|_| self.config.userinfo == Userinfo::Ask);
        if let Some(userinfo) = userinfo {
            let more = client::userinfo(&self.exchange, userinfo.url(), &tokens.access_token).await?;
            if more.get("sub") != claims.get("sub") {
                return Err(self.unavailable("its userinfo is about somebody else"));
            }
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        self.signed_in(claims)
    }

    /// What the claims of a session mean now.
    ///
    /// # Errors
    /// When a claim that the rules need cannot be used.
    pub fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, NotKnown> {
        let identity = self.issuer.identity(&Claims::new(claims.clone()), VIA, None)?;
        // Whoever uses a browser is a person.
        Ok(Identity { kind: Kind::Person, ..identity })
    }

    /// Verifies a logout token: whose sessions the provider has ended.
    ///
    /// # Errors
    /// When it does not count.
    pub async fn logout(&self, token: &str, now: Timestamp) -> Result<Logout, NotKnown> {
        self.issuer.verify_logout_token(token, &self.config.client_id, now).await
    }

    /// Where a browser goes to end its session at the provider too (OpenID Connect RP-Initiated Logout 1.0 §2), if the
    /// provider says so; `back` is where it may return to.
    pub async fn sign_out_page(&self, back: &Url, now: Timestamp) -> Option<Url> {
        let metadata = self.issuer.metadata(now).await.ok()?;
        let mut url = metadata.end_session_endpoint.as_ref()?.url().clone();
        url.query_pairs_mut()
            .append_pair("client_id", &self.config.client_id)
            .append_pair("post_logout_redirect_uri", back.as_str());
        Some(url)
    }

    async fn id_claims(&self, tokens: &Tokens, nonce: &str, now: Timestamp) -> Result<Map<String, Value>, Failed> {
        let unusable =
            |not_known: NotKnown| Failed::Unusable(format!("the provider's ID token is refused: {not_known}"));
        let token = tokens.id_token.as_ref().ok_or_else(|| self.unavailable("it gave no ID token"))?.expose_secret();
        let claims = self.issuer.verify_id_token(token, Some(nonce), &self.config.client_id, now).await;
        let claims = claims.map_err(unusable)?;
        let algorithm = Compact::parse(token).map_err(|bad| unusable(bad.into()))?.header.algorithm;
        if !belongs_to(&claims, algorithm, tokens.access_token.expose_secret()) {
            return Err(self.unavailable("its ID token belongs to another access token"));
        }
        Ok(claims.members().cloned().unwrap_or_default())
    }

    fn signed_in(&self, mut claims: Map<String, Value>) -> Result<SignedIn, Failed> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let (sub, sid) = (text("sub").unwrap_or_default(), text("sid"));
        for name in OF_THE_TOKEN {
            claims.remove(*name);
        }
        if Value::Object(claims.clone()).to_string().len() > CLAIMS_BYTES {
            return Err(self.unavailable("it says more than 64 KiB about this person; have it send fewer groups"));
        }
        let identity = self.identity(&claims).map_err(|error| self.unavailable(&error.to_string()))?;
        if identity.rights.is_empty() {
            return Err(Failed::NoRole(identity.caller.subject, self.config.issuer.clone()));
        }
        Ok(SignedIn { identity, claims, sub, sid })
    }

    fn unavailable(&self, why: &str) -> Failed {
        Failed::Unusable(format!("`{}` cannot sign anybody in now: {why}", self.config.title()))
    }

    /// Us, with the secret as it is now.
    fn client(&self) -> Result<Client, Failed> {
        let config = &self.config;
        let read = |reference: &crate::secret::SecretRef| {
            reference.resolve(&self.secrets).map_err(|error| self.unavailable(&error.to_string()))
        };
        let proof = match (&config.private_key, &config.secret) {
            (Some(key), _) => {
                let signer = Signer::from_pem(read(key)?.expose_secret(), None);
                let signer = Arc::new(signer.map_err(|error| self.unavailable(&error.to_string()))?);
                Proof::Key { signer, key_id: config.key_id.clone(), audience: self.issuer().to_owned() }
            }
            (None, Some(secret)) => Proof::Secret { value: read(secret)?, placement: config.secret_in },
            (None, None) => Proof::Nothing,
        };
        Ok(Client { id: config.client_id.clone(), proof })
    }
}
