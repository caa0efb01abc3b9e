//! AWS Secrets Manager: signing, asking, and telling a refusal from a busy service.
//!
//! Source: `GetSecretValue` of the Secrets Manager API (JSON 1.1). Invariants: what went wrong is told by the code in the
//! body, because throttling comes as HTTP 400; a clock that is wrong is corrected once per read from what AWS says.

use super::document::{Body, Fetched, Surroundings, not_understood};
use super::sigv4::{Scope, add_signature};
use super::vaults::AwsConfig;
use crate::broker::failure::{Failure, FailureClass, shown};
use crate::exchange::{Ask, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credentials::Lent;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use url::Url;

pub(crate) mod credentials;
pub mod sts;

/// What the signature is for.
const SERVICE: &str = "secretsmanager";
/// What is believed of a difference between the clocks.
const SKEW_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// What is known of one account: credentials, and how far the clocks are apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    lent: Option<Lent>,
    /// What AWS's clock shows beyond ours.
    skew: SignedDuration,
}

impl Session {
    /// Reads a secret.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) async fn read(
        &mut self,
        config: &AwsConfig,
        name: &str,
        stage: Option<&str>,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<Fetched, Failure> {
        let (mut corrected, mut renewed) = (false, false);
        loop {
            let keys = credentials::keys(&mut self.lent, config, world, now).await?;
            let mut ask = request(config, name, stage)?;
            let scope = Scope { region: &config.region, service: SERVICE };
            let theirs = now.saturating_add(self.skew).unwrap_or(now);
            add_signature(&mut ask, &keys, scope, theirs)
                .map_err(|part| Failure::here(format!("the {part} of the AWS keys does not fit into a header")))?;
            let reply = (world.exchange)(ask).await.map_err(Failure::from)?;
            if reply.status == StatusCode::OK {
                return read(&reply);
            }
            let code = code(&reply);
            if is_skew(&code, &reply)
                && !corrected
                && let Some(skew) = skew(&reply, now)
            {
                (corrected, self.skew) = (true, skew);
                continue;
            }
            if is_expired(&code) && !renewed {
                (renewed, self.lent) = (true, None);
                continue;
            }
            return Err(refused(name, &code, &reply, now));
        }
    }
}

fn request(config: &AwsConfig, name: &str, stage: Option<&str>) -> Result<Ask, Failure> {
    let url = match &config.endpoint {
        Some(url) => url.clone(),
        None => service_url("secretsmanager", &config.region)?,
    };
    let mut body = json!({ "SecretId": name });
    if let Some(stage) = stage {
        body["VersionStage"] = stage.into();
    }
    let mut ask = Ask { method: Method::POST, body: body.to_string().into(), ..Ask::get(url) };
    ask.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    let target = HeaderValue::from_static("secretsmanager.GetSecretValue");
    ask.headers.insert(HeaderName::from_static("x-amz-target"), target);
    Ok(ask)
}

/// The address of a service in a region; those of China have another domain.
pub(crate) fn service_url(service: &str, region: &str) -> Result<Url, Failure> {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://{service}.{region}.{domain}/")).map_err(Failure::here)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    secret_string: Option<SecretString>,
    secret_binary: Option<SecretString>,
    version_id: Option<String>,
}

fn read(reply: &Reply) -> Result<Fetched, Failure> {
    use secrecy::ExposeSecret as _;
    let secret: Secret = serde_json::from_slice(&reply.body).map_err(|_| not_understood("AWS Secrets Manager"))?;
    let text = match (secret.secret_string, secret.secret_binary) {
        (Some(text), _) => text,
        (None, Some(binary)) => {
            let bytes = STANDARD.decode(binary.expose_secret()).map_err(|_| not_understood("AWS Secrets Manager"))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::unusable("the secret in AWS is binary, and not text in UTF-8"))?;
            SecretString::from(text)
        }
        (None, None) => return Err(Failure::unusable("the secret in AWS has no value")),
    };
    Ok(Fetched { body: Body::Text(text), version: secret.version_id.as_deref().map(shown), expires: None })
}

/// What AWS says went wrong.
struct Code {
    /// `ResourceNotFoundException`, without a namespace.
    name: String,
    message: String,
}

fn code(reply: &Reply) -> Code {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(alias = "Message")]
        message: String,
    }
    let said: Said = serde_json::from_slice(&reply.body).unwrap_or_default();
    let from_header =
        || reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = if said.kind.is_empty() { from_header() } else { &said.kind };
    let name = kind.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    Code { name: shown(name), message: said.message }
}

/// A signature that is outside its time.
fn is_skew(code: &Code, reply: &Reply) -> bool {
    let named = matches!(&*code.name, "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture");
    let signature = matches!(&*code.name, "InvalidSignatureException" | "SignatureDoesNotMatch" | "AuthFailure");
    let late = code.message.contains("Signature expired") || code.message.contains("Signature not yet current");
    reply.headers.contains_key(header::DATE) && (named || signature && late)
}

/// How far AWS's clock is ahead of ours, by the date of a reply.
pub(crate) fn skew(reply: &Reply, now: Timestamp) -> Option<SignedDuration> {
    let date = reply.headers.get(header::DATE)?.to_str().ok()?;
    let skew = DateTimeParser::new().parse_timestamp(date).ok()?.duration_since(now);
    (skew.abs() <= SKEW_AT_MOST).then_some(skew)
}

fn is_expired(code: &Code) -> bool {
    matches!(&*code.name, "ExpiredTokenException" | "ExpiredToken" | "UnrecognizedClientException")
}

/// Codes that ask for patience, whatever the status (botocore's standard retries).
fn is_throttled(name: &str) -> bool {
    const CODES: [&str; 14] = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    ];
    CODES.contains(&name)
}

fn refused(secret: &str, code: &Code, reply: &Reply, now: Timestamp) -> Failure {
    let status = reply.status.as_u16();
    let (class, about) = match &*code.name {
        name if is_throttled(name) => (Some(FailureClass::Busy), "AWS Secrets Manager has too much to do".to_owned()),
        "InternalServiceError" | "InternalFailure" | "RequestTimeout" | "RequestTimeoutException" => {
            (Some(FailureClass::Busy), "AWS Secrets Manager failed".to_owned())
        }
        "ResourceNotFoundException" => (
            Some(FailureClass::Permanent),
            format!("there is no secret `{secret}` in AWS Secrets Manager in this region, or it has no such stage"),
        ),
        "AccessDeniedException" => (
            Some(FailureClass::Permanent),
            format!(
                "AWS denies access to `{secret}`: the policy must allow `secretsmanager:GetSecretValue` on it (and \
                 `kms:Decrypt` on its key)"
            ),
        ),
        "DecryptionFailure" => {
            (Some(FailureClass::Permanent), format!("AWS cannot decrypt `{secret}`; is its key enabled and allowed?"))
        }
        "InvalidRequestException" => {
            (Some(FailureClass::Permanent), format!("AWS does not give out `{secret}`; is it marked for deletion?"))
        }
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredTokenException" => {
            (Some(FailureClass::Permanent), "AWS does not take the keys; check them, and the clock".to_owned())
        }
        _ => (None, format!("AWS Secrets Manager answered {status}")),
    };
    let message = shown(&code.message);
    let text = match (code.name.is_empty(), message.is_empty()) {
        (true, _) => about,
        (false, true) => format!("{about} ({})", code.name),
        (false, false) => format!("{about} ({}: {message})", code.name),
    };
    let failure = Failure::of(reply.status, &reply.headers, now, text);
    Failure { class: class.unwrap_or(failure.class), ..failure }
}

#[cfg(test)]
mod tests;
