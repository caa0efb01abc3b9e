//! Getting a credential of each kind. Every path through here ends with a token, or with why there is none.
//!
//! Secrets are read when they are used, so that a rotated one needs no restart. Invariant: nothing here keeps a token;
//! that is the slot's.

use super::azure::managed_identity::{self, Host, Wanted as WantedIdentity};
use super::azure::service_principal::{self, Certificate, FEDERATED_AUDIENCE, Proof};
use super::behalf::OnBehalf;
use super::config::{
    ActorToken, AwsWebIdentity, AzureProof, Behalf, ClientCredentials, CredentialConfig, SubjectToken, TokenEndpoint,
    TokenExchange, WebIdentityToken,
};
use super::failure::{Failure, FailureClass};
use super::form::post_json;
use super::grant::{Granted, Proof as Proven, UNSAID};
use super::oauth::{self, Once, Place, Subject};
use super::reply::{self, Expected};
use super::signing::RequestSigner;
use crate::exchange::{Ask, Exchange, Reply};
use crate::issuer::discovery::{self, Address};
use crate::secret::aws::{service_url, skew, sts};
use crate::secret::{SECRET_BYTES, Secrets};
use crate::workload::Workload;
use crate::workload::claims::{OURSELVES, Usage, Wanted, Work};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trackside_core::caller::Caller;
use url::Url;
use uuid::Uuid;

/// How long the address of a token endpoint that discovery gave is used.
const DISCOVERED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// For whom a web identity token for AWS is.
const STS_AUDIENCE: &str = "sts.amazonaws.com";
/// Clocks that are no further apart are the same: AWS allows five minutes.
const SAME_CLOCK: SignedDuration = SignedDuration::from_mins(1);

/// Waits for so long.
pub type Wait = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Reads a variable of the environment.
pub type Variable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What brokers work with; the shell provides it.
#[derive(Clone)]
pub struct Tools {
    /// The network.
    pub exchange: Exchange,
    /// Reads the time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Makes 32 random bytes.
    pub random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
    /// Waits.
    pub wait: Wait,
    /// Reads a variable of the environment.
    pub variable: Variable,
    /// Secrets of secret managers.
    pub secrets: Secrets,
    /// Trackside as an issuer.
    pub workload: Workload,
}

/// Token endpoints that discovery gave, by issuer.
pub(super) type Discovered = Mutex<BTreeMap<String, (Timestamp, Url)>>;

/// One fetch for one connection.
pub(super) struct Fetch<'a> {
    pub(super) tools: &'a Tools,
    /// The network as this connection sees it.
    pub(super) exchange: Exchange,
    pub(super) discovered: &'a Discovered,
    /// Address of the connection.
    pub(super) url: &'a Url,
    pub(super) behalf: Option<OnBehalf<'a>>,
}

impl Tools {
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// An id that is used for nothing else.
    fn id(&self) -> Uuid {
        let random = (self.random)();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&random[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    fn once(&self) -> Once {
        Once { now: self.now(), id: self.id() }
    }

    /// A uniform number in `[0, 1)`.
    pub(super) fn jitter(&self) -> f64 {
        let random = (self.random)();
        f64::from(u16::from_le_bytes([random[0], random[1]])) / (f64::from(u16::MAX) + 1.0)
    }
}

impl Fetch<'_> {
    async fn ask(&self, ask: Ask) -> Result<Reply, Failure> {
        (self.exchange)(ask).await.map_err(Failure::from)
    }

    /// What is granted, for the kinds that are fetched. Static kinds are read where they are used.
    pub(super) async fn proof(&self, config: &CredentialConfig) -> Result<Granted<Proven>, Failure> {
        match config {
            CredentialConfig::AwsWebIdentity(role) => self.aws(role).await,
            config => self.token(config).await.map(Granted::into_proof),
        }
    }

    async fn token(&self, config: &CredentialConfig) -> Result<Granted, Failure> {
        match config {
            CredentialConfig::Bearer { .. }
            | CredentialConfig::Basic { .. }
            | CredentialConfig::Header { .. }
            | CredentialConfig::AwsWebIdentity(_) => Err(Failure::here("this credential is no token that is fetched")),
            CredentialConfig::ClientCredentials(client) => self.oauth(client, None).await,
            CredentialConfig::TokenExchange(exchange) => self.exchanged(exchange).await,
            CredentialConfig::AzureManagedIdentity { resource, client_id, endpoint } => {
                self.managed_identity(WantedIdentity { resource, client_id: client_id.as_deref() }, endpoint.as_ref())
                    .await
            }
            CredentialConfig::AzureServicePrincipal { tenant, client_id, proof, scope, authority } => {
                let endpoint = service_principal::endpoint(authority.as_ref(), tenant)?;
                let proof = self.azure_proof(proof, &endpoint, client_id)?;
                let reply = self.ask(service_principal::ask(&endpoint, client_id, scope, &proof)).await?;
                reply::token(&reply, Expected::default(), self.tools.now())
            }
            CredentialConfig::AirflowLogin { username, password } => {
                let (username, password) = (self.secret(username)?, self.secret(password)?);
                self.airflow(&username, &password).await
            }
            CredentialConfig::Workload { audience, subject, lifetime_seconds, behalf, claims } => {
                let caller = self.behalf.filter(|_| *behalf == Behalf::Caller);
                let lifetime = lifetime_seconds.map_or_else(
                    || self.tools.workload.lifetime(),
                    |seconds| SignedDuration::from_secs(seconds.into()),
                );
                self.signed(Wanted {
                    audience,
                    subject: subject.as_deref().unwrap_or(OURSELVES),
                    lifetime,
                    usage: Usage::Access,
                    caller: caller.map(|behalf| behalf.caller),
                    work: caller.map(|behalf| behalf.work).unwrap_or_default(),
                    claims,
                })
            }
        }
    }

    fn secret(&self, reference: &crate::secret::SecretRef) -> Result<SecretString, Failure> {
        reference.resolve(&self.tools.secrets).map_err(Failure::here)
    }

    /// A token that we sign.
    fn signed(&self, wanted: Wanted<'_>) -> Result<Granted, Failure> {
        let (token, life) = self.sign(&wanted)?;
        let mut granted = Granted::new(token, self.tools.now(), life);
        granted.actors = wanted.caller.map(chain).unwrap_or_default();
        Ok(granted)
    }

    fn sign(&self, wanted: &Wanted<'_>) -> Result<(SecretString, SignedDuration), Failure> {
        let Once { now, id } = self.tools.once();
        let (token, ends) = self.tools.workload.sign(wanted, now, id).map_err(Failure::here)?;
        Ok((token, ends.duration_since(now)))
    }

    /// A token that proves somebody to a token endpoint.
    fn assertion(&self, audience: &str, subject: &str, behalf: Option<OnBehalf<'_>>) -> Result<SecretString, Failure> {
        let none = BTreeMap::<String, Value>::new();
        let wanted = Wanted {
            audience,
            subject,
            lifetime: SignedDuration::from_mins(5),
            usage: Usage::Assertion,
            caller: behalf.map(|behalf| behalf.caller),
            work: behalf.map_or_else(Work::default, |behalf| behalf.work),
            claims: &none,
        };
        self.sign(&wanted).map(|(token, _)| token)
    }

    async fn oauth(&self, client: &ClientCredentials, subject: Option<&Subject>) -> Result<Granted, Failure> {
        let place = self.place(&client.endpoint).await?;
        let mut lost = None;
        // A connection that broke is tried once more; with a fresh assertion, as every try.
        for _ in 0..2 {
            let ask = oauth::ask(client, &place, subject, &self.tools.secrets, self.tools.once())?;
            match self.ask(ask).await {
                Ok(reply) => return reply::token(&reply, oauth::expected(client, subject), self.tools.now()),
                Err(failure) if failure.class == FailureClass::NoAnswer => lost = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(lost.unwrap_or_else(|| Failure::unusable("the token endpoint was not asked")))
    }

    async fn exchanged(&self, exchange: &TokenExchange) -> Result<Granted, Failure> {
        let client = exchange.client();
        let place = self.place(&client.endpoint).await?;
        let actor = match exchange.actor {
            ActorToken::Nobody => None,
            ActorToken::Minted => Some(self.assertion(&place.audience, OURSELVES, None)?),
        };
        let subject = match exchange.subject {
            SubjectToken::Minted => {
                Subject { token: self.assertion(&place.audience, OURSELVES, self.behalf)?, kind: oauth::JWT, actor }
            }
            SubjectToken::Callers => {
                let token = self.behalf.and_then(|behalf| behalf.token).ok_or_else(|| {
                    Failure::here(
                        "this credential needs the caller's own token, which only calls through the gateway have",
                    )
                })?;
                Subject { token: token.clone(), kind: oauth::ACCESS_TOKEN, actor }
            }
        };
        let mut granted = self.oauth(&client, Some(&subject)).await?;
        if granted.actors.is_empty() {
            granted.actors = self.behalf.map(|behalf| chain(behalf.caller)).unwrap_or_default();
        }
        Ok(granted)
    }

    /// Where a token is asked for; an issuer is asked for its document at most once an hour.
    async fn place(&self, endpoint: &TokenEndpoint) -> Result<Place, Failure> {
        let issuer = match endpoint {
            TokenEndpoint::Url(url) => return Ok(Place { endpoint: url.clone(), audience: url.to_string() }),
            TokenEndpoint::Issuer(issuer) => issuer,
        };
        let now = self.tools.now();
        let known = self.discovered.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned();
        let endpoint = match known {
            Some((at, url)) if now.duration_since(at) < DISCOVERED_FOR => url,
            _ => {
                let address = Address::parse(issuer).map_err(Failure::here)?;
                let unusable = |text: String| Failure { class: FailureClass::NoAnswer, ..Failure::unusable(text) };
                let metadata = discovery::fetch(&self.exchange, &address).await.map_err(unusable)?;
                let none = || Failure::unusable(format!("the discovery page of {issuer} names no token endpoint"));
                let url = metadata.token_endpoint.ok_or_else(none)?.url().clone();
                let mut all = self.discovered.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(issuer.clone(), (now, url.clone()));
                url
            }
        };
        Ok(Place { endpoint, audience: issuer.clone() })
    }

    async fn managed_identity(&self, wanted: WantedIdentity<'_>, replaced: Option<&Url>) -> Result<Granted, Failure> {
        let (mut attempt, mut last) = (0, None);
        loop {
            let Some(wait) = managed_identity::wait_before(attempt, last.as_ref()) else {
                return Err(last.unwrap_or_else(|| Failure::here("the metadata service was not asked")));
            };
            if !wait.is_zero() {
                (self.tools.wait)(wait).await;
            }
            // Read anew for each try: App Service changes its variables.
            let host = Host::here(replaced, |name| (self.tools.variable)(name))?;
            let answer = (self.exchange)(host.ask(wanted)?).await;
            match managed_identity::judge(answer, self.tools.now()) {
                Ok(granted) => return Ok(granted),
                Err(failure) => last = Some(failure),
            }
            attempt += 1;
        }
    }

    fn azure_proof(&self, proof: &AzureProof, endpoint: &Url, client_id: &str) -> Result<Proof, Failure> {
        match proof {
            AzureProof::Secret(secret) => self.secret(secret).map(Proof::Secret),
            AzureProof::Certificate { certificate, key, algorithm } => {
                let (certificate, key) = (self.secret(certificate)?, self.secret(key)?);
                let certificate =
                    Certificate::new(certificate.expose_secret(), key.expose_secret(), algorithm.as_deref())?;
                let Once { now, id } = self.tools.once();
                certificate.assertion(endpoint, client_id, now, id)
            }
            AzureProof::FederatedFile(path) => federated(path).map(Proof::Assertion),
            AzureProof::Workload { subject } => self.assertion(FEDERATED_AUDIENCE, subject, None).map(Proof::Assertion),
        }
    }

    /// Temporary keys of AWS for a web identity token.
    async fn aws(&self, role: &AwsWebIdentity) -> Result<Granted<Proven>, Failure> {
        let url = role.sts_endpoint.clone().map_or_else(|| service_url("sts", &role.region), Ok)?;
        let token = match &role.token {
            WebIdentityToken::File(path) => federated(path)?,
            WebIdentityToken::Workload { subject } => self.assertion(STS_AUDIENCE, subject, None)?,
        };
        let wanted = sts::Wanted {
            role: &role.role_arn,
            session: role.session_name.as_deref().unwrap_or(OURSELVES),
            lifetime_seconds: role.lifetime_seconds,
        };
        let reply = self.ask(sts::ask(url, wanted, &token)).await?;
        let now = self.tools.now();
        let lent = sts::judge(&reply, now)?;
        let ahead = skew(&reply, now).filter(|ahead| ahead.abs() > SAME_CLOCK).unwrap_or_default();
        let life = lent.expires.map_or(UNSAID, |expires| expires.duration_since(now) - ahead);
        let signer = RequestSigner::new(lent.keys, &role.region, &role.service, ahead)?;
        Ok(Granted::of(Proven::Signer(signer), now, life))
    }

    /// Airflow's sign-in for programs (`POST /auth/token`): 201 with a token that says itself when it ends.
    async fn airflow(&self, username: &SecretString, password: &SecretString) -> Result<Granted, Failure> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::here("the connection's address is not that of a server"))?
            .pop_if_empty()
            .extend(["auth", "token"]);
        let body = json!({"username": username.expose_secret(), "password": password.expose_secret()});
        let reply = self.ask(post_json(url, &body)).await?;
        reply::token(&reply, Expected::default(), self.tools.now())
    }
}

/// Through whom a caller came, Trackside first.
fn chain(caller: &Caller) -> Vec<String> {
    std::iter::once(OURSELVES.to_owned()).chain(caller.behalf.iter().cloned()).collect()
}

/// A federated token, read anew for each request: who projects it replaces it.
fn federated(path: &Path) -> Result<SecretString, Failure> {
    let failed = |reason: String| Failure::here(format!("federated token file `{}`: {reason}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = file.take(SECRET_BYTES as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        long if long.len() > SECRET_BYTES => Err(failed("it is too long to be a token".to_owned())),
        token => Ok(SecretString::from(token)),
    }
}
