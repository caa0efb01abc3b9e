//! The issuer in force: signs tokens, and shows what far ends need to verify them.

use super::claims::{Wanted, compose};
use super::key::OpenKey;
use super::ring::{KeyTimes, signing};
use super::settings::WorkloadSettings;
use crate::signer::SignError;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// Most keys of others that the key page shows, and most bytes of the file they come from.
const OTHERS: usize = 50;
/// Largest file with keys of others, in bytes.
pub const OTHERS_BYTES: usize = 256 * 1024;

/// The issuer. Clones share; the default has no keys and signs nothing.
#[derive(Clone, Debug, Default)]
pub struct Workload(Arc<RwLock<Arc<Issuing>>>);

#[derive(Debug, Default)]
struct Issuing {
    issuer: String,
    settings: WorkloadSettings,
    keys: Vec<OpenKey>,
    others: Vec<Value>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// There is no key.
    #[error("the server has no key to sign with")]
    NoKey,
    /// The key refused.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Workload {
    /// Puts keys in force: ours, all that are published, and those of others that our page shows too.
    pub fn put(&self, issuer: &str, settings: &WorkloadSettings, keys: Vec<OpenKey>, others: Vec<Value>) {
        let issuing = Issuing { issuer: issuer.to_owned(), settings: settings.clone(), keys, others };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(issuing);
    }

    /// Signs a token; `id` is used for nothing else.
    ///
    /// # Errors
    /// When there is no key.
    pub fn sign(
        &self,
        wanted: &Wanted<'_>,
        now: Timestamp,
        id: Uuid,
    ) -> Result<(SecretString, Timestamp), WorkloadError> {
        let issuing = self.issuing();
        let key = issuing.signing(now).ok_or(WorkloadError::NoKey)?;
        let (mut header, claims, ends) = compose(wanted, &issuing.issuer, now, id);
        header["kid"] = Value::from(key.kid.as_str());
        Ok((SecretString::from(key.signer.token(&header, &claims)?), ends))
    }

    /// Life of a token when nobody says.
    #[must_use]
    pub fn lifetime(&self) -> SignedDuration {
        self.issuing().settings.lifetime.0
    }

    /// The key page (RFC 7517 §5): the key that signs, those that will and did, and those of others.
    #[must_use]
    pub fn key_page(&self) -> Value {
        let issuing = self.issuing();
        let keys: Vec<&Value> = issuing.keys.iter().map(|key| &key.public).chain(&issuing.others).collect();
        json!({"keys": keys})
    }

    /// The discovery page (OpenID Connect Discovery §3), with what AWS, Azure and Kubernetes read of it.
    #[must_use]
    pub fn discovery_page(&self) -> Value {
        let issuing = self.issuing();
        let algorithm = issuing.settings.algorithm.algorithm().as_str();
        let mut algorithms: Vec<&str> = issuing.keys.iter().map(|key| key.signer.algorithm().as_str()).collect();
        algorithms.push(algorithm);
        algorithms.sort_unstable();
        algorithms.dedup();
        json!({
            "issuer": issuing.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", issuing.issuer.trim_end_matches('/')),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "client_id", "job", "run"],
        })
    }

    fn issuing(&self) -> Arc<Issuing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Issuing {
    fn signing(&self, now: Timestamp) -> Option<&OpenKey> {
        let times: Vec<KeyTimes> = self.keys.iter().map(|key| key.times).collect();
        let id = signing(&times, now)?.id;
        self.keys.iter().find(|key| key.times.id == id)
    }
}

/// Reads public keys of others from a JSON Web Key Set.
///
/// # Errors
/// What is wrong with it; a private key is refused.
pub fn public_keys(text: &str) -> Result<Vec<Value>, String> {
    if text.len() > OTHERS_BYTES {
        return Err(format!("has more than {OTHERS_BYTES} bytes"));
    }
    let set: Value = serde_json::from_str(text).map_err(|_| "is not JSON; a JSON Web Key Set is wanted".to_owned())?;
    let keys = set["keys"].as_array().ok_or("has no list `keys`; a JSON Web Key Set is wanted")?;
    if keys.len() > OTHERS {
        return Err(format!("has more than {OTHERS} keys"));
    }
    for key in keys {
        if ["d", "p", "q", "dp", "dq", "qi", "k", "oth"].iter().any(|member| key.get(member).is_some()) {
            return Err("holds a private key; put only public keys there".to_owned());
        }
        if !matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP")) || !key["kid"].is_string() {
            return Err("holds a key without `kid`, or of another kind than RSA, EC and OKP".to_owned());
        }
    }
    Ok(keys.clone())
}

#[cfg(test)]
mod tests;
