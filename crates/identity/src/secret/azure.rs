//! Azure Key Vault: the challenge, the token, the secret.
//!
//! Source: the Key Vault REST API (`api-version=7.6`) and what Microsoft's clients do. Invariants: no token is sent to a
//! host that is not a sub-domain of the resource its challenge names, so that a wrong address gets none; the token is
//! asked for where the configuration says, never where a challenge says.

use super::Secrets;
use super::document::{Body, Fetched, Surroundings, not_understood};
use super::vault::way;
use super::vaults::{AzureConfig, AzureCredential};
use crate::broker::azure::managed_identity::{self, Host, Wanted};
use crate::broker::azure::service_principal::{self, Certificate, Proof};
use crate::broker::config::AzureProof;
use crate::broker::failure::{Failure, FailureClass, shown};
use crate::broker::grant::Granted;
use crate::broker::reply::{self, Expected};
use crate::exchange::{Ask, Reply};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

/// Version of the API.
const API_VERSION: &str = "7.6";
/// Longest header with a challenge that is read, in bytes.
const CHALLENGE_BYTES: usize = 4096;

/// What is known of one key vault: the resources that hosts named, and a token for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    resources: BTreeMap<String, String>,
    tokens: BTreeMap<String, Granted>,
}

/// A secret as asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) vault: Option<&'a Url>,
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
}

impl Session {
    /// Reads a secret.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) async fn read(
        &mut self,
        config: &AzureConfig,
        wish: Wish<'_>,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<Fetched, Failure> {
        let url = address(config, wish)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        for _ in 0..3 {
            let token = match self.resources.get(&host).cloned() {
                Some(resource) => Some(self.token(config, &resource, world, now).await?),
                None => None,
            };
            let knew = token.is_some();
            let reply = (world.exchange)(asking(config, url.clone(), token.as_ref())?).await.map_err(Failure::from)?;
            if reply.status != StatusCode::UNAUTHORIZED {
                return judge(wish, &reply, now);
            }
            // The first answer, or the vault has moved to another tenant: what it says now counts.
            let resource = challenge(&reply, &url)?;
            self.tokens.remove(&resource);
            let same = self.resources.insert(host.clone(), resource.clone()).is_some_and(|old| old == resource);
            if knew && same {
                return Err(rejected(&reply));
            }
        }
        Err(Failure::unusable("the key vault asks for a token again and again"))
    }

    async fn token(
        &mut self,
        config: &AzureConfig,
        resource: &str,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<SecretString, Failure> {
        let kept = self.tokens.get(resource).cloned();
        if let Some(granted) = kept.as_ref().filter(|granted| now < granted.renew_at(0.0)) {
            return Ok(granted.proof.clone());
        }
        match obtain(config, resource, world, now).await {
            Ok(granted) => {
                let token = granted.proof.clone();
                self.tokens.insert(resource.to_owned(), granted);
                Ok(token)
            }
            // The one before still holds.
            Err(failure) => match kept.filter(|granted| now < granted.usable_until()) {
                Some(granted) => Ok(granted.proof),
                None => Err(Failure { text: format!("no token for the key vault: {}", failure.text), ..failure }),
            },
        }
    }
}

/// Asks for a token, once.
async fn obtain(
    config: &AzureConfig,
    resource: &str,
    world: &Surroundings,
    now: Timestamp,
) -> Result<Granted, Failure> {
    match &config.credential {
        AzureCredential::ManagedIdentity { client_id, endpoint } => {
            let host = Host::here(endpoint.as_ref(), |name| (world.variable)(name))?;
            let ask = host.ask(Wanted { resource, client_id: client_id.as_deref() })?;
            managed_identity::judge((world.exchange)(ask).await, now)
        }
        AzureCredential::ServicePrincipal { tenant, client_id, proof, authority } => {
            let endpoint = service_principal::endpoint(authority.as_ref(), tenant)?;
            let proof = prove(proof, &endpoint, client_id, world, now)?;
            let mut ask = service_principal::ask(&endpoint, client_id, &format!("{resource}/.default"), &proof);
            ask.way = way(config.ca.as_deref())?;
            let reply = (world.exchange)(ask).await.map_err(Failure::from)?;
            reply::token(&reply, Expected::default(), now)
        }
    }
}

fn prove(
    proof: &AzureProof,
    endpoint: &Url,
    client_id: &str,
    world: &Surroundings,
    now: Timestamp,
) -> Result<Proof, Failure> {
    let none = Secrets::default();
    match proof {
        AzureProof::Secret(secret) => secret.resolve(&none).map(Proof::Secret).map_err(Failure::here),
        AzureProof::Certificate { certificate, key, algorithm } => {
            let certificate = certificate.resolve(&none).map_err(Failure::here)?;
            let key = key.resolve(&none).map_err(Failure::here)?;
            let certificate = Certificate::new(certificate.expose_secret(), key.expose_secret(), algorithm.as_deref())?;
            certificate.assertion(endpoint, client_id, now, world.id())
        }
        AzureProof::FederatedFile(path) => {
            let file = super::SecretRef::File(path.clone());
            file.resolve(&none).map(Proof::Assertion).map_err(Failure::here)
        }
        AzureProof::Workload { .. } => {
            Err(Failure::here("a token that Trackside signs cannot open a key vault; use another proof"))
        }
    }
}

fn address(config: &AzureConfig, wish: Wish<'_>) -> Result<Url, Failure> {
    let mut url = wish.vault.unwrap_or(&config.vault_url).clone();
    url.path_segments_mut()
        .map_err(|()| Failure::here("`vault_url` is not the address of a server"))?
        .clear()
        .extend(["secrets", wish.name])
        .extend(wish.version);
    url.query_pairs_mut().append_pair("api-version", API_VERSION);
    Ok(url)
}

fn asking(config: &AzureConfig, url: Url, token: Option<&SecretString>) -> Result<Ask, Failure> {
    let mut ask = Ask { way: way(config.ca.as_deref())?, ..Ask::get(url) };
    ask.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Failure::unusable("the token does not fit into a header"))?;
        value.set_sensitive(true);
        ask.headers.insert(header::AUTHORIZATION, value);
    }
    Ok(ask)
}

/// The resource that a challenge names, if this host may have a token for it.
fn challenge(reply: &Reply, url: &Url) -> Result<String, Failure> {
    let resource = reply
        .headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(challenged)
        .ok_or_else(|| {
            Failure::unusable("the answer 401 names no `resource`; is `vault_url` the address of a key vault?")
        })?;
    let refuse = |why: &str| Failure {
        class: FailureClass::Permanent,
        status: Some(reply.status),
        after: None,
        text: format!("no token is sent to {}: {why}", url.host_str().unwrap_or_default()),
    };
    let named = Url::parse(&resource).map_err(|_| refuse("the resource that it names is not an address"))?;
    let ours = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let theirs =
        format!("{}:{}", named.host_str().unwrap_or_default(), named.port_or_known_default().unwrap_or_default());
    let under =
        ours.len() > theirs.len() + 1 && ours.ends_with(&theirs) && ours[..ours.len() - theirs.len()].ends_with('.');
    if named.host_str().is_none() || !under {
        return Err(refuse("it is not a sub-domain of the resource that it names"));
    }
    Ok(resource.trim_end_matches('/').to_owned())
}

/// The `resource` (or the scope, without `/.default`) of a bearer challenge.
fn challenged(value: &str) -> Option<String> {
    let value = value.get(..value.len().min(CHALLENGE_BYTES))?;
    let (scheme, parameters) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameter = |wanted: &str| {
        parameters.split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    parameter("resource").or_else(|| {
        let scope = parameter("scope")?;
        Some(scope.strip_suffix("/.default").unwrap_or(&scope).to_owned())
    })
}

#[derive(Deserialize)]
struct Secret {
    value: SecretString,
    id: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    exp: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    error: SaidError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SaidError {
    code: String,
    message: String,
}

/// What the answer to a request with a token means.
fn judge(wish: Wish<'_>, reply: &Reply, now: Timestamp) -> Result<Fetched, Failure> {
    if reply.status == StatusCode::OK {
        let secret: Secret = serde_json::from_slice(&reply.body).map_err(|_| not_understood("the key vault"))?;
        let version = secret.id.as_deref().and_then(|id| id.rsplit('/').next()).map(shown);
        let expires = secret.attributes.exp.and_then(|at| Timestamp::from_second(at).ok());
        return Ok(Fetched { body: Body::Text(secret.value), version, expires });
    }
    let said: Said = serde_json::from_slice(&reply.body).unwrap_or_default();
    let name = wish.name;
    let about = match reply.status {
        StatusCode::NOT_FOUND => format!("there is no secret `{name}` in the key vault, or not in this version"),
        StatusCode::FORBIDDEN => format!(
            "the key vault denies access to `{name}`: the identity needs the role `Key Vault Secrets User` (or the \
             permission `get`), the secret must be enabled, and the vault's firewall must let this server in"
        ),
        StatusCode::TOO_MANY_REQUESTS => "the key vault has too much to do".to_owned(),
        status => format!("the key vault answered {}", status.as_u16()),
    };
    let code = shown(&said.error.code);
    let text = match (code.is_empty(), shown(&said.error.message)) {
        (true, _) => about,
        (false, message) => format!("{about} ({code}: {message})"),
    };
    let failure = Failure::of(reply.status, &reply.headers, now, text);
    match reply.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Err(Failure { class: FailureClass::Permanent, ..failure }),
        _ => Err(failure),
    }
}

/// A fresh token was not taken.
fn rejected(reply: &Reply) -> Failure {
    Failure {
        class: FailureClass::Permanent,
        status: Some(reply.status),
        after: None,
        text: "the key vault does not take the token; is `tenant` the vault's tenant?".to_owned(),
    }
}

#[cfg(test)]
mod tests;
