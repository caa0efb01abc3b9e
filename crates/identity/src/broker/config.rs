//! The credential of a connection as configured.

use crate::issuer::discovery::Address;
use crate::secret::SecretRef;
use crate::signer::Algorithm;
use crate::workload::claims::RESERVED;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// How a connection authenticates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialConfig {
    /// A fixed bearer token.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// User name and password (RFC 7617).
    Basic {
        /// User name.
        username: SecretRef,
        /// Password.
        password: SecretRef,
    },
    /// A fixed value in a header of another name.
    Header {
        /// Name of the header.
        name: String,
        /// Its value.
        value: SecretRef,
    },
    /// OAuth 2.0 client credentials (RFC 6749 §4.4).
    ClientCredentials(ClientCredentials),
    /// OAuth 2.0 token exchange (RFC 8693): the caller's own token, or one that Trackside signs for the caller, becomes
    /// one for the far end, with the chain of actors in it.
    TokenExchange(TokenExchange),
    /// Managed identity of the Azure machine or App Service this runs on.
    AzureManagedIdentity {
        /// Application id URI of the far end, for example `https://management.azure.com`.
        resource: String,
        /// Client id of a user-assigned identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        /// Replaces the address of the metadata service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<Url>,
    },
    /// Service principal of Entra.
    AzureServicePrincipal {
        /// Tenant id.
        tenant: String,
        /// Application id.
        client_id: String,
        /// What proves it.
        proof: AzureProof,
        /// Scope, for example `https://management.azure.com/.default`.
        scope: String,
        /// Replaces `https://login.microsoftonline.com`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<Url>,
    },
    /// A role of AWS, taken with a web identity token; each request is signed with the temporary keys of that role
    /// (Signature Version 4).
    AwsWebIdentity(AwsWebIdentity),
    /// Airflow: user name and password are given for a token at `/auth/token`.
    AirflowLogin {
        /// User name.
        username: SecretRef,
        /// Password.
        password: SecretRef,
    },
    /// A token that Trackside signs itself; the far end trusts our key page (`/.well-known/jwks.json`).
    Workload {
        /// Audience of the token.
        audience: String,
        /// Subject of the token; default `trackside`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Life of the token in seconds; default 300, at most 3,600.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lifetime_seconds: Option<u32>,
        /// Whether the token says on whose behalf it is used.
        #[serde(default)]
        behalf: Behalf,
        /// Further claims, for far ends that ask for some (Airflow's simple auth manager: `role`).
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<String, serde_json::Value>,
    },
}

/// A role of AWS, taken with a web identity token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsWebIdentity {
    /// ARN of the role.
    pub role_arn: String,
    /// The token that proves who wants it.
    pub token: WebIdentityToken,
    /// Region, for example `eu-central-1`.
    pub region: String,
    /// Service that requests are signed for, as AWS names it in signatures: `execute-api`, `lambda`, `s3`.
    pub service: String,
    /// Name of the session in CloudTrail; default `trackside`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// Life of the keys in seconds, 900 to 43,200; default 3,600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u32>,
    /// Replaces `https://sts.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_endpoint: Option<Url>,
}

/// A web identity token for AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebIdentityToken {
    /// One in a file (`AWS_WEB_IDENTITY_TOKEN_FILE`), read again for each request.
    File(PathBuf),
    /// One that Trackside signs itself, for the audience `sts.amazonaws.com`.
    Workload {
        /// Subject that the role's trust policy asks for.
        subject: String,
    },
}

/// OAuth 2.0 client credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Token endpoint, or the issuer whose discovery document names it.
    pub endpoint: TokenEndpoint,
    /// Client id.
    pub client_id: String,
    /// How the client proves itself.
    pub proof: ClientProof,
    /// Scopes; all of them must be granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Resource indicator (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Audience parameter, for servers that want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// OAuth 2.0 token exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    /// Token endpoint, or the issuer whose discovery document names it.
    pub endpoint: TokenEndpoint,
    /// Client id.
    pub client_id: String,
    /// How the client proves itself.
    pub proof: ClientProof,
    /// Scopes; all of them must be granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Resource indicator (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Audience parameter, for servers that want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What is exchanged.
    #[serde(default)]
    pub subject: SubjectToken,
    /// Whether Trackside names itself beside it.
    #[serde(default)]
    pub actor: ActorToken,
}

/// Whether Trackside names itself in a token exchange (RFC 8693 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorToken {
    /// It does not; a minted subject token names it anyway.
    #[default]
    Nobody,
    /// With a token that it signs for itself.
    Minted,
}

/// What is exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectToken {
    /// A token that Trackside signs for the caller.
    #[default]
    Minted,
    /// The token that the caller sent. Gateway only: it is not kept for queued work.
    Callers,
}

/// Where tokens are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpoint {
    /// The token endpoint.
    Url(Url),
    /// An issuer, written as its discovery document writes it; that document names the endpoint.
    Issuer(String),
}

/// How a client proves itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientProof {
    /// `client_secret_basic`: both parts form-encoded, then base64 (RFC 6749 §2.3.1).
    SecretBasic(SecretRef),
    /// `client_secret_post`.
    SecretPost(SecretRef),
    /// `private_key_jwt` (RFC 7523) with this PEM key; a fresh assertion for every request.
    PrivateKey(PrivateKeyProof),
}

/// A private key that signs assertions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateKeyProof {
    /// PEM (PKCS#8).
    pub key: SecretRef,
    /// Key id, when the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Algorithm; default by kind of key: RS256, ES256, EdDSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
}

/// What proves a service principal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AzureProof {
    /// Client secret.
    Secret(SecretRef),
    /// Certificate and private key, both PEM.
    Certificate {
        /// Certificate.
        certificate: SecretRef,
        /// Key.
        key: SecretRef,
        /// `PS256` with `x5t#S256` (default) or `RS256` with `x5t`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        algorithm: Option<String>,
    },
    /// A federated token in a file (`AZURE_FEDERATED_TOKEN_FILE`), read again for each request.
    FederatedFile(PathBuf),
    /// A token that Trackside signs itself, for the audience `api://AzureADTokenExchange`.
    Workload {
        /// Subject of the federated credential.
        subject: String,
    },
}

/// Whether a token says on whose behalf it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Behalf {
    /// It does: subject is the caller, `act` is Trackside (RFC 8693 §4.1).
    Caller,
    /// It does not.
    #[default]
    Nobody,
}

/// A mistake in the configuration of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCredential {
    /// Field, dotted.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

impl CredentialConfig {
    /// Its kind, as in the configuration.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::ClientCredentials(_) => "client_credentials",
            Self::TokenExchange(_) => "token_exchange",
            Self::AzureManagedIdentity { .. } => "azure_managed_identity",
            Self::AzureServicePrincipal { .. } => "azure_service_principal",
            Self::AwsWebIdentity(_) => "aws_web_identity",
            Self::AirflowLogin { .. } => "airflow_login",
            Self::Workload { .. } => "workload",
        }
    }

    /// Checks what the form alone cannot.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check(&self) -> Result<(), Vec<BadCredential>> {
        let mut wrong = Vec::new();
        let mut need = |field, problem: Result<(), String>| {
            wrong.extend(problem.err().map(|problem| BadCredential { field, problem }));
        };
        match self {
            Self::Bearer { .. } | Self::Basic { .. } | Self::AirflowLogin { .. } => {}
            Self::Header { name, .. } => need("name", header_name(name)),
            Self::ClientCredentials(client) => client.check(&mut need),
            Self::TokenExchange(exchange) => exchange.client().check(&mut need),
            // The metadata service is on this machine or link-local, and speaks plain http.
            Self::AzureManagedIdentity { resource, .. } => need("resource", filled(resource)),
            Self::AzureServicePrincipal { tenant, client_id, scope, authority, proof } => {
                need("tenant", filled(tenant));
                need("client_id", filled(client_id));
                need("authority", authority.as_ref().map_or(Ok(()), |url| secure(url.as_str())));
                let whole = scope.ends_with("/.default") && !scope.contains(' ');
                let problem =
                    "must be the application id URI with `/.default` behind it: https://management.azure.com/.default";
                need("scope", whole.then_some(()).ok_or_else(|| problem.to_owned()));
                if let AzureProof::Certificate { algorithm: Some(name), .. } = proof {
                    let known = matches!(name.as_str(), "PS256" | "RS256");
                    need("proof.certificate.algorithm", known.then_some(()).ok_or("must be PS256 or RS256".to_owned()));
                }
            }
            Self::AwsWebIdentity(role) => role.check(&mut need),
            Self::Workload { audience, lifetime_seconds, claims, .. } => {
                need("audience", filled(audience));
                let fits = lifetime_seconds.is_none_or(|seconds| (1..=3_600).contains(&seconds));
                need("lifetime_seconds", fits.then_some(()).ok_or("must be between 1 and 3600".to_owned()));
                let reserved = claims.keys().find(|name| RESERVED.contains(&name.as_str()));
                need(
                    "claims",
                    reserved.map_or(Ok(()), |name| Err(format!("`{name}` is set by Trackside; leave it out"))),
                );
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl TokenExchange {
    /// Where and as whom it is asked for.
    #[must_use]
    pub fn client(&self) -> ClientCredentials {
        ClientCredentials {
            endpoint: self.endpoint.clone(),
            client_id: self.client_id.clone(),
            proof: self.proof.clone(),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            audience: self.audience.clone(),
        }
    }
}

impl AwsWebIdentity {
    fn check(&self, need: &mut impl FnMut(&'static str, Result<(), String>)) {
        let named = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let or = |fits: bool, problem: &str| if fits { Ok(()) } else { Err(problem.to_owned()) };
        let arn = self.role_arn.starts_with("arn:") && self.role_arn.contains(":role/");
        need("role_arn", or(arn, "must be the ARN of a role: arn:aws:iam::111122223333:role/NAME"));
        need("region", or(named(&self.region), "must be a region, for example eu-central-1"));
        need(
            "service",
            or(named(&self.service), "must be a service as AWS names it in signatures, for example execute-api"),
        );
        let session = |name: &str| {
            (2..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
        };
        let fits = self.session_name.as_deref().is_none_or(session);
        need("session_name", or(fits, "must have 2 to 64 letters, digits or _+=,.@-"));
        let fits = self.lifetime_seconds.is_none_or(|seconds| (900..=43_200).contains(&seconds));
        need("lifetime_seconds", or(fits, "must be between 900 and 43200"));
        need("sts_endpoint", self.sts_endpoint.as_ref().map_or(Ok(()), |url| secure(url.as_str())));
    }
}

impl ClientCredentials {
    fn check(&self, need: &mut impl FnMut(&'static str, Result<(), String>)) {
        need("client_id", filled(&self.client_id));
        match &self.endpoint {
            TokenEndpoint::Url(url) => need("endpoint.url", secure(url.as_str())),
            TokenEndpoint::Issuer(issuer) => need("endpoint.issuer", secure(issuer)),
        }
        if let ClientProof::PrivateKey(PrivateKeyProof { algorithm: Some(name), .. }) = &self.proof {
            let known = name.parse::<Algorithm>().map(|_| ()).map_err(|error| error.to_string());
            need("proof.private_key.algorithm", known);
        }
        let spaced = self.scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace));
        need("scopes", (!spaced).then_some(()).ok_or("is a list: one scope in each entry, without spaces".to_owned()));
    }
}

fn filled(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
}

/// A credential goes there: only over TLS, or on this machine.
fn secure(address: &str) -> Result<(), String> {
    Address::parse(address).map(|_| ())
}

/// Headers that belong to the connection or the message cannot carry a credential.
fn header_name(name: &str) -> Result<(), String> {
    let taken = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
    ];
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => Err("is not the name of a header".to_owned()),
        Ok(name) if taken.contains(&name.as_str()) => {
            Err("belongs to the connection; a credential cannot be put there".to_owned())
        }
        Ok(_) => Ok(()),
    }
}
