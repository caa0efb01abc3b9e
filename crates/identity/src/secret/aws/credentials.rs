//! The keys that requests to AWS are signed with, and where they come from.
//!
//! Sources: keys as configured; a role for a web identity; the variables of the command line; a container's endpoint
//! (ECS, EKS Pod Identity); the instance's metadata service, version 2 only. Invariants: keys that end are replaced from
//! fifteen minutes before their end, and not used in their last ten minutes unless nothing else can be had; metadata
//! services are never asked through a proxy.

use super::{service_url, sts};
use crate::broker::failure::{Failure, FailureClass};
use crate::exchange::{Ask, Reply, Way};
use crate::secret::Secrets;
use crate::secret::document::{Surroundings, not_understood};
use crate::secret::reference::SecretRef;
use crate::secret::sigv4::Keys;
use crate::secret::vaults::{AwsConfig, AwsCredentials};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// From here on before their end, keys are replaced when that works.
const ADVISED: SignedDuration = SignedDuration::from_mins(15);
/// From here on before their end, keys must be replaced.
const NEEDED: SignedDuration = SignedDuration::from_mins(10);
/// The metadata service of an instance.
const METADATA: &str = "http://169.254.169.254";
/// Where containers of ECS get their role.
const CONTAINER: &str = "http://169.254.170.2";
/// Life of a metadata session in seconds.
const METADATA_SESSION: &str = "21600";

/// Keys, and when they end.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The keys.
    pub keys: Keys,
    /// When they end; never when absent.
    pub expires: Option<Timestamp>,
}

impl Lent {
    fn left(&self, now: Timestamp) -> SignedDuration {
        self.expires.map_or(SignedDuration::MAX, |expires| expires.duration_since(now))
    }
}

/// Keys that hold: those at hand, or new ones when these come to their end.
pub(super) async fn keys(
    lent: &mut Option<Lent>,
    config: &AwsConfig,
    world: &Surroundings,
    now: Timestamp,
) -> Result<Keys, Failure> {
    if let Some(lent) = lent.as_ref().filter(|lent| lent.expires.is_some() && lent.left(now) > ADVISED) {
        return Ok(lent.keys.clone());
    }
    match obtain(config, world, now).await {
        Ok(fresh) => {
            let keys = fresh.keys.clone();
            *lent = Some(fresh);
            Ok(keys)
        }
        Err(failure) => match lent.as_ref().filter(|lent| lent.expires.is_some() && lent.left(now) > NEEDED) {
            Some(lent) => Ok(lent.keys.clone()),
            None => Err(failure),
        },
    }
}

async fn obtain(config: &AwsConfig, world: &Surroundings, now: Timestamp) -> Result<Lent, Failure> {
    match &config.credentials {
        AwsCredentials::Static { access_key_id, secret_access_key, session_token } => {
            let none = Secrets::default();
            let read = |reference: &SecretRef| reference.resolve(&none).map_err(Failure::here);
            let token = session_token.as_ref().map(read).transpose()?;
            Ok(Lent { keys: Keys { id: read(access_key_id)?, secret: read(secret_access_key)?, token }, expires: None })
        }
        AwsCredentials::WebIdentity { role_arn, token_file, session_name } => {
            let session = session_name.as_deref().unwrap_or("trackside");
            web_identity(config, role_arn, token_file.clone(), session, world, now).await
        }
        AwsCredentials::Instance => instance(world, now).await,
        AwsCredentials::Environment => environment(config, world, now).await,
    }
}

async fn web_identity(
    config: &AwsConfig,
    role: &str,
    token_file: PathBuf,
    session: &str,
    world: &Surroundings,
    now: Timestamp,
) -> Result<Lent, Failure> {
    let url = match &config.sts_endpoint {
        Some(url) => url.clone(),
        None => service_url("sts", &config.region)?,
    };
    let token = SecretRef::File(token_file).resolve(&Secrets::default()).map_err(Failure::here)?;
    let wanted = sts::Wanted { role, session, lifetime_seconds: None };
    let reply = (world.exchange)(sts::ask(url, wanted, &token)).await.map_err(Failure::from)?;
    sts::judge(&reply, now)
}

/// What the variables say, in the order of AWS's own clients.
async fn environment(config: &AwsConfig, world: &Surroundings, now: Timestamp) -> Result<Lent, Failure> {
    let variable = |name: &str| (world.variable)(name).filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let token = variable("AWS_SESSION_TOKEN").map(SecretString::from);
        return Ok(Lent { keys: Keys { id: id.into(), secret: secret.into(), token }, expires: None });
    }
    if let (Some(file), Some(role)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN")) {
        let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "trackside".to_owned());
        return web_identity(config, &role, PathBuf::from(file), &session, world, now).await;
    }
    match container(world)? {
        Some(ask) => lend(&(world.exchange)(ask).await.map_err(Failure::from)?, now),
        None => Err(Failure::here(
            "no AWS credentials in the environment: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or \
             `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`",
        )),
    }
}

/// The role of the container, or else of the instance.
async fn instance(world: &Surroundings, now: Timestamp) -> Result<Lent, Failure> {
    if let Some(ask) = container(world)? {
        return lend(&(world.exchange)(ask).await.map_err(Failure::from)?, now);
    }
    let mut ask = metadata("/latest/api/token")?;
    ask.method = Method::PUT;
    let ttl = HeaderValue::from_static(METADATA_SESSION);
    ask.headers.insert(HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"), ttl);
    let session = text(&(world.exchange)(ask).await.map_err(hint)?, now)?;
    let with_session = |path: &str| {
        let mut ask = metadata(path)?;
        let mut value = HeaderValue::from_str(&session).map_err(|_| not_understood("the metadata service"))?;
        value.set_sensitive(true);
        ask.headers.insert(HeaderName::from_static("x-aws-ec2-metadata-token"), value);
        Ok::<_, Failure>(ask)
    };
    let roles = "/latest/meta-data/iam/security-credentials/";
    let role = text(&(world.exchange)(with_session(roles)?).await.map_err(hint)?, now).map_err(|failure| Failure {
        text: format!("{}; has the instance a role (instance profile)?", failure.text),
        ..failure
    })?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() || !role.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return Err(not_understood("the metadata service"));
    }
    lend(&(world.exchange)(with_session(&format!("{roles}{role}"))?).await.map_err(hint)?, now)
}

fn hint(error: crate::exchange::AskError) -> Failure {
    let failure = Failure::from(error);
    Failure { text: format!("{}; does this run on an AWS instance?", failure.text), ..failure }
}

fn metadata(path: &str) -> Result<Ask, Failure> {
    let url = Url::parse(&format!("{METADATA}{path}")).map_err(Failure::here)?;
    Ok(Ask { way: Way::Direct, timeout: Duration::from_secs(3), limit: 64 * 1024, ..Ask::get(url) })
}

/// The request to a container's endpoint, when the platform names one.
fn container(world: &Surroundings) -> Result<Option<Ask>, Failure> {
    let variable = |name: &str| (world.variable)(name).filter(|value| !value.is_empty());
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let address = relative.map(|path| format!("{CONTAINER}{path}"));
    let Some(address) = address.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) else { return Ok(None) };
    let bad = |_| Failure::here("`AWS_CONTAINER_CREDENTIALS_…_URI` is not an address; the platform sets it");
    let url = Url::parse(&address).map_err(bad)?;
    if !is_container_host(&url) {
        return Err(Failure::here("`AWS_CONTAINER_CREDENTIALS_FULL_URI` must be HTTPS or an address of this machine"));
    }
    let mut ask = Ask { way: Way::Direct, timeout: Duration::from_secs(3), limit: 64 * 1024, ..Ask::get(url) };
    let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(SecretRef::File(file.into()).resolve(&Secrets::default()).map_err(Failure::here)?),
        None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(SecretString::from),
    };
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose_secret())
            .map_err(|_| Failure::here("the container's authorization token does not fit into a header"))?;
        value.set_sensitive(true);
        ask.headers.insert(header::AUTHORIZATION, value);
    }
    Ok(Some(ask))
}

/// HTTPS, this machine, or the addresses of ECS and EKS (as AWS's own clients allow).
fn is_container_host(url: &Url) -> bool {
    let known = matches!(url.host_str(), Some("169.254.170.2" | "169.254.170.23" | "[fd00:ec2::23]"));
    known || crate::secret::reference::is_private_way(url)
}

fn text(reply: &Reply, now: Timestamp) -> Result<String, Failure> {
    if reply.status != StatusCode::OK {
        let text = format!("the metadata service answered {}", reply.status.as_u16());
        return Err(Failure::of(reply.status, &reply.headers, now, text));
    }
    String::from_utf8(reply.body.to_vec()).map_err(|_| not_understood("the metadata service"))
}

/// Keys as metadata services give them.
fn lend(reply: &Reply, now: Timestamp) -> Result<Lent, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Given {
        access_key_id: SecretString,
        secret_access_key: SecretString,
        token: Option<SecretString>,
        expiration: Option<Timestamp>,
    }
    let text = SecretString::from(text(reply, now)?);
    let given: Given =
        serde_json::from_str(text.expose_secret()).map_err(|_| not_understood("the metadata service"))?;
    let keys = Keys { id: given.access_key_id, secret: given.secret_access_key, token: given.token };
    let lent = Lent { keys, expires: given.expiration };
    if lent.left(now).is_positive() {
        Ok(lent)
    } else {
        let text = "the metadata service gave keys that are over; is the clock right?".to_owned();
        Err(Failure { class: FailureClass::Busy, ..Failure::unusable(text) })
    }
}
