//! The credential of a connection as configured.

use crate::secret::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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
    /// Where and as whom.
    #[serde(flatten)]
    pub client: ClientCredentials,
    /// What is exchanged.
    #[serde(default)]
    pub subject: SubjectToken,
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
    /// An issuer; its discovery document names the endpoint.
    Issuer(Url),
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
