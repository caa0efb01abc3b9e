//! Secret managers as the configuration declares them, under `vaults`.
//!
//! Invariant: what a source authenticates with is itself read here (from the environment or a file), never from another
//! secret manager, so that there is no circle.

use super::reference::{self, SecretRef};
use crate::broker::config::AzureProof;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use trackside_core::ruleset::Span;
use url::Url;

/// How often secrets are fetched again when nothing is said, in seconds.
const REFRESH_S: i64 = 300;
/// Shortest time between two fetches, in seconds.
const SHORTEST_S: i64 = 5;

/// A secret manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VaultConfig {
    /// HashiCorp Vault, or OpenBao.
    Hashicorp(HashicorpConfig),
    /// AWS Secrets Manager.
    Aws(AwsConfig),
    /// Azure Key Vault.
    Azure(AzureConfig),
}

/// HashiCorp Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashicorpConfig {
    /// Address, for example `https://vault.example.net:8200`. Plain HTTP only on this machine.
    pub address: Url,
    /// Namespace (Vault Enterprise, HCP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// PEM file of certificate authorities that are trusted beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How Trackside authenticates.
    pub auth: VaultAuth,
    /// Mount of the key-value engine.
    #[serde(default = "secret")]
    pub mount: String,
    /// Version of the key-value engine: 1 or 2.
    #[serde(default = "two")]
    pub kv: u8,
    /// How often secrets are fetched again; default 5m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
}

fn secret() -> String {
    "secret".to_owned()
}

fn two() -> u8 {
    2
}

/// How Trackside authenticates to Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VaultAuth {
    /// A token that is given. It is renewed while Vault allows it.
    Token(SecretRef),
    /// AppRole.
    Approle {
        /// Role id.
        role_id: String,
        /// Secret id.
        secret_id: SecretRef,
        /// Where the method is mounted; default `approle`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mount: Option<String>,
    },
    /// JWT: a token in a file that somebody keeps fresh.
    Jwt {
        /// Role.
        role: String,
        /// File with the token, read again for each login.
        token_file: PathBuf,
        /// Where the method is mounted; default `jwt`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mount: Option<String>,
    },
    /// Kubernetes: the token of the pod's service account.
    Kubernetes {
        /// Role.
        role: String,
        /// File with the token; default `/var/run/secrets/kubernetes.io/serviceaccount/token`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_path: Option<PathBuf>,
        /// Where the method is mounted; default `kubernetes`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mount: Option<String>,
    },
}

/// AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// Region, for example `eu-central-1`.
    pub region: String,
    /// Replaces `https://secretsmanager.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
    /// Replaces `https://sts.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_endpoint: Option<Url>,
    /// How Trackside authenticates.
    pub credentials: AwsCredentials,
    /// How often secrets are fetched again; default 5m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
}

/// How Trackside authenticates to AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "there is one for each source of a configuration")]
pub enum AwsCredentials {
    /// Keys of a user.
    Static {
        /// Access key id.
        access_key_id: SecretRef,
        /// Secret access key.
        secret_access_key: SecretRef,
        /// Session token, for temporary keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_token: Option<SecretRef>,
    },
    /// A role that is taken with a web identity token (EKS, GitHub, any OIDC issuer AWS trusts).
    WebIdentity {
        /// ARN of the role.
        role_arn: String,
        /// File with the token, read again each time.
        token_file: PathBuf,
        /// Name of the session in CloudTrail; default `trackside`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_name: Option<String>,
    },
    /// The role of the machine or container this runs on.
    Instance,
    /// What the variables of the AWS command line say: keys, a web identity, or a container's role.
    Environment,
}

/// Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureConfig {
    /// Address, for example `https://NAME.vault.azure.net`.
    pub vault_url: Url,
    /// PEM file of certificate authorities that are trusted beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How Trackside authenticates.
    pub credential: AzureCredential,
    /// How often secrets are fetched again; default 5m, at least 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
}

/// How Trackside authenticates to Azure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "there is one for each source of a configuration")]
pub enum AzureCredential {
    /// Managed identity of the machine or App Service this runs on.
    ManagedIdentity {
        /// Client id of a user-assigned identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        /// Replaces the address of the metadata service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<Url>,
    },
    /// Service principal of Entra.
    ServicePrincipal {
        /// Tenant id.
        tenant: String,
        /// Application id.
        client_id: String,
        /// What proves it.
        proof: AzureProof,
        /// Replaces `https://login.microsoftonline.com`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<Url>,
    },
}

impl VaultConfig {
    /// How long a fetched secret is used before it is fetched again, in seconds.
    pub(crate) fn refresh_s(&self) -> i64 {
        let span = match self {
            Self::Hashicorp(config) => config.refresh,
            Self::Aws(config) => config.refresh,
            Self::Azure(config) => config.refresh,
        };
        span.map_or(REFRESH_S, |span| span.seconds()).max(SHORTEST_S)
    }

    /// In words, for people.
    #[must_use]
    pub fn about(&self) -> &'static str {
        match self {
            Self::Hashicorp(_) => "Vault",
            Self::Aws(_) => "AWS Secrets Manager",
            Self::Azure(_) => "Azure Key Vault",
        }
    }

    /// Whether a reference can mean a source of this kind.
    #[must_use]
    pub fn fits(&self, reference: &SecretRef) -> bool {
        matches!(
            (self, reference),
            (Self::Hashicorp(_), SecretRef::Vault(_))
                | (Self::Aws(_), SecretRef::Aws(_))
                | (Self::Azure(_), SecretRef::Azure(_))
        )
    }

    /// What it authenticates with.
    #[must_use]
    pub fn own_secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::Hashicorp(HashicorpConfig { auth, .. }) => match auth {
                VaultAuth::Token(secret) | VaultAuth::Approle { secret_id: secret, .. } => vec![secret],
                VaultAuth::Jwt { .. } | VaultAuth::Kubernetes { .. } => Vec::new(),
            },
            Self::Aws(AwsConfig { credentials, .. }) => match credentials {
                AwsCredentials::Static { access_key_id, secret_access_key, session_token } => {
                    [access_key_id, secret_access_key].into_iter().chain(session_token).collect()
                }
                _ => Vec::new(),
            },
            Self::Azure(AzureConfig { credential, .. }) => match credential {
                AzureCredential::ServicePrincipal { proof: AzureProof::Secret(secret), .. } => vec![secret],
                AzureCredential::ServicePrincipal {
                    proof: AzureProof::Certificate { certificate, key, .. }, ..
                } => {
                    vec![certificate, key]
                }
                _ => Vec::new(),
            },
        }
    }

    /// What is wrong with it, each with its field.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut private = |field: &'static str, url: Option<&Url>| {
            if url.is_some_and(|url| !reference::is_private_way(url)) {
                found.push((
                    field,
                    "must begin with `https://`: secrets come back from it (plain HTTP only on this machine)"
                        .to_owned(),
                ));
            }
        };
        match self {
            Self::Hashicorp(config) => private("address", Some(&config.address)),
            Self::Aws(config) => {
                private("endpoint", config.endpoint.as_ref());
                private("sts_endpoint", config.sts_endpoint.as_ref());
            }
            Self::Azure(config) => {
                if let AzureCredential::ServicePrincipal { authority, .. } = &config.credential {
                    private("credential.service_principal.authority", authority.as_ref());
                }
                if let Err(problem) = reference::vault_url(config.vault_url.as_str()) {
                    found.push(("vault_url", problem));
                }
            }
        }
        if let Self::Hashicorp(config) = self {
            if !(1..=2).contains(&config.kv) {
                found.push(("kv", "must be 1 or 2".to_owned()));
            }
            let mount = config.mount.trim_matches('/');
            if mount.is_empty() || mount.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
                found.push(("mount", "must be a path like `secret` or `team/kv`".to_owned()));
            }
        }
        if let Self::Aws(config) = self
            && (config.region.is_empty() || !config.region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        {
            found.push(("region", "must be a region like `eu-central-1`".to_owned()));
        }
        if let Self::Azure(AzureConfig { credential: AzureCredential::ServicePrincipal { proof, .. }, .. }) = self
            && matches!(proof, AzureProof::Workload { .. })
        {
            let problem = "a token that Trackside signs cannot be used here: secrets are fetched before its key is in use; \
                           use `federated_file`, `certificate` or `secret`";
            found.push(("credential.service_principal.proof", problem.to_owned()));
        }
        if self.own_secrets().iter().any(|secret| !secret.is_local()) {
            let problem =
                "what a secret manager is opened with must be `{env: NAME}` or `{file: PATH}`, not in a secret manager";
            found.push(("", problem.to_owned()));
        }
        found
    }
}
