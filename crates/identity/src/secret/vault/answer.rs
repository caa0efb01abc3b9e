//! What the answers of Vault mean.
//!
//! Total: any bytes give a value or a failure. Invariant: no text holds anything of a body but Vault's own `errors`,
//! shortened.

use super::{HashicorpConfig, VaultAuth, found, unlike};
use crate::broker::failure::{Failure, FailureClass, shown};
use crate::exchange::Reply;
use crate::secret::document::Fetched;
use http::StatusCode;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long a sealed Vault is left alone: somebody has to unseal it.
const SEALED_FOR: Duration = Duration::from_secs(60);

/// The times of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// Seconds from now; 0 when it does not end.
    pub(super) seconds: i64,
    pub(super) renewable: bool,
}

/// What came of a read.
pub(super) enum Read {
    Found(Fetched),
    /// 403: the token is bad or over, or no policy allows it.
    Denied,
    /// 412: this node has not heard of a write yet.
    Behind,
    Failed(Failure),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: SecretString,
    #[serde(default)]
    lease_duration: i64,
    #[serde(default)]
    renewable: bool,
}

/// The answer to a read of the key-value engine.
pub(super) fn judge_read(config: &HashicorpConfig, path: &str, reply: &Reply, now: Timestamp) -> Read {
    match reply.status {
        StatusCode::OK => {
            let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
            match body.as_ref().and_then(|body| found(config, body)) {
                Some(fetched) => Read::Found(fetched),
                None if config.kv == 1 => Read::Failed(wrong_engine(path, 2)),
                None => Read::Failed(wrong_engine(path, 1)),
            }
        }
        StatusCode::FORBIDDEN => Read::Denied,
        StatusCode::PRECONDITION_FAILED => Read::Behind,
        StatusCode::NOT_FOUND => Read::Failed(not_found(path, reply)),
        _ => Read::Failed(failed(reply, now)),
    }
}

fn wrong_engine(path: &str, version: u8) -> Failure {
    Failure::unusable(format!(
        "Vault's answer for `{path}` has no secret of this engine in it; if the mount is of version {version}, write \
         `kv: {version}`"
    ))
}

/// A 404 has a body when the version was deleted, and hides a missing permission otherwise.
fn not_found(path: &str, reply: &Reply) -> Failure {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = match body.pointer("/data/metadata") {
        Some(metadata) => {
            let version = metadata.get("version").and_then(Value::as_u64).unwrap_or_default();
            let how =
                if metadata.get("destroyed").and_then(Value::as_bool) == Some(true) { "destroyed" } else { "deleted" };
            format!("version {version} of `{path}` in Vault was {how}; write the secret again, or undelete it")
        }
        None => format!(
            "there is nothing at `{path}` in Vault, or the policy does not allow to see it; check the path, `mount`, `kv` \
             and `namespace`"
        ),
    };
    Failure { class: FailureClass::Permanent, status: Some(reply.status), after: None, text }
}

/// A node that is still behind after repeats.
pub(super) fn behind(reply: &Reply) -> Failure {
    let text = "the node of Vault that was asked has not caught up with a write".to_owned();
    Failure { class: FailureClass::Busy, status: Some(reply.status), after: None, text }
}

/// The answer to a login.
pub(super) fn judge_login(auth: &VaultAuth, reply: &Reply, now: Timestamp) -> Result<(SecretString, Lease), Failure> {
    if reply.status == StatusCode::OK {
        #[derive(Deserialize)]
        struct Login {
            auth: Auth,
        }
        let Login { auth } = serde_json::from_slice(&reply.body).map_err(|_| unlike())?;
        return Ok((auth.client_token, Lease { seconds: auth.lease_duration, renewable: auth.renewable }));
    }
    let failure = failed(reply, now);
    if failure.class != FailureClass::Refused {
        return Err(failure);
    }
    let advice = match auth {
        VaultAuth::Approle { .. } => {
            "the role id or secret id is wrong, or the secret id is over or has no uses left (`secret_id_num_uses`); give \
             Trackside a fresh secret id"
        }
        VaultAuth::Jwt { .. } => "the token in `token_file` is over, or does not fit the role's bounds",
        VaultAuth::Kubernetes { .. } => "the service account is not bound to the role, or its token is over",
        VaultAuth::Token(_) => "the token is wrong or over",
    };
    Err(Failure {
        class: FailureClass::Permanent,
        text: format!("the login failed, {}: {advice}", failure.text),
        ..failure
    })
}

/// The answer to a token's look at itself, or to its renewal.
pub(super) fn judge_lease(reply: &Reply, now: Timestamp) -> Result<Lease, Failure> {
    if reply.status != StatusCode::OK {
        return Err(failed(reply, now));
    }
    let body: Value = serde_json::from_slice(&reply.body).map_err(|_| unlike())?;
    let (seconds, renewable) = match body.get("auth").filter(|auth| auth.is_object()) {
        Some(auth) => (auth.get("lease_duration"), auth.get("renewable")),
        None => (body.pointer("/data/ttl"), body.pointer("/data/renewable")),
    };
    let seconds = seconds.and_then(Value::as_i64).ok_or_else(unlike)?;
    Ok(Lease { seconds, renewable: renewable.and_then(Value::as_bool).unwrap_or(false) })
}

/// Any other answer. 429, 472 and 473 are how standby nodes answer, 503 a sealed one.
fn failed(reply: &Reply, now: Timestamp) -> Failure {
    let said: Said = serde_json::from_slice(&reply.body).unwrap_or_default();
    let said = shown(&said.errors.join("; "));
    let status = reply.status.as_u16();
    let about = match status {
        429 => "it is a standby node or has too much to do",
        472 => "it is a secondary for disaster recovery, which serves no secrets",
        473 => "it is a performance standby that does not serve this",
        503 => "it is sealed or in maintenance",
        300..=399 => {
            "a redirect, which is not followed; `address` must be that of the active node or of a load balancer"
        }
        _ => "",
    };
    let mut text = format!("Vault answered {status}");
    for part in [about, &said] {
        if !part.is_empty() {
            text = format!("{text}: {part}");
        }
    }
    let failure = Failure::of(reply.status, &reply.headers, now, text);
    match status {
        472 | 473 => Failure { class: FailureClass::Busy, ..failure },
        503 => Failure { after: failure.after.or(Some(SEALED_FOR)), ..failure },
        _ => failure,
    }
}
