//! One route as configured.

use super::guard::GuardConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use trackside_core::approval::rule::ApprovalChoice;
use trackside_core::ruleset::Span;

/// One route: which requests it takes, who may send them, where they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Which requests it takes.
    pub r#match: Match,
    /// The connection it leads to: of kind `http`, `airflow` or `app_service`.
    pub upstream: String,
    /// The team that owns it; roles that hold for some teams only are asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Who is let in.
    #[serde(default)]
    pub access: Access,
    /// Any of these names lets a caller in: names of the issuer, scopes of an API token, `team:NAME`, `role:NAME`.
    /// Without any the role `service` is needed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// An approval by this rule is needed: the name of one of `approvals`, or a rule. It holds for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalChoice>,
    /// Taken from the beginning of the path before it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
    /// How the path is read and forwarded.
    #[serde(default)]
    pub path: PathForm,
    /// The `Host` that the upstream sees.
    #[serde(default)]
    pub host: HostForm,
    /// What authenticates the request at the upstream.
    #[serde(default)]
    pub credential: CredentialUse,
    /// Fields that tell the upstream who calls.
    #[serde(default)]
    pub identity_headers: IdentityHeaders,
    /// Fields that are let through although they look like those of an identity (`x-user-locale`, say).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keep_headers: BTreeSet<String>,
    /// How long what may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Most bytes of a request's body. Default 10 MiB; 0 for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<u64>,
    /// Most requests of one caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Most requests at a time, of all callers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Whether a request is sent again after a connection failed. Only ever when the upstream cannot have acted on it.
    #[serde(default)]
    pub retries: Retries,
    /// Whether WebSockets are opened.
    #[serde(default)]
    pub websocket: WebSocket,
    /// What is kept of calls in the audit trail.
    #[serde(default)]
    pub recording: Recording,
    /// Rules about bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<GuardConfig>,
}

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The host, without port; `*.example.net` for all below it. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path: `/api/run`, `/api/*/log` (one segment), `/api/**` (`/api` and everything below).
    pub path: String,
    /// The methods. Default: all that are passed on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<Method>,
}

/// A method that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    Get,
    /// Read the head only.
    Head,
    /// Process.
    Post,
    /// Replace.
    Put,
    /// Change in part.
    Patch,
    /// Delete.
    Delete,
    /// Ask what can be done.
    Options,
}

impl Method {
    /// As in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Callers who hold what the route needs, and those whom a policy permits.
    #[default]
    Holders,
    /// Every caller who is known, unless a policy forbids it. Any program of an Entra tenant can be one.
    Authenticated,
    /// Everybody; a credential is neither asked for nor looked at.
    Public,
}

/// How the path is read and forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathForm {
    /// In its one canonical spelling; what can be read in two ways is refused.
    #[default]
    Canonical,
    /// As it was sent, with `%2F`, `;` and `//`, provided that every way to read it leads to this route.
    Raw,
}

/// The `Host` that the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostForm {
    /// That of its connection.
    #[default]
    Upstream,
    /// The one the client asked for.
    Client,
}

/// What authenticates a request at the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialUse {
    /// The credential of the connection, if it has one.
    #[default]
    Connection,
    /// Nothing.
    None,
    /// What the caller sent: `Authorization` goes on as it came.
    Callers,
}

/// Names of the fields that tell the upstream who calls. A client's own fields of these names never get there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityHeaders {
    /// Who: the subject as its issuer names it, or the name of the API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The names they hold at their issuer, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// Their roles in Trackside, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// Their teams, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<String>,
    /// Who vouches for them: the issuer's name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Their address for mail, when the issuer says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl IdentityHeaders {
    /// Each field that is configured, with the key it stands under.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("subject", &self.subject),
            ("names", &self.names),
            ("roles", &self.roles),
            ("teams", &self.teams),
            ("issuer", &self.issuer),
            ("email", &self.email),
        ];
        all.into_iter().filter_map(|(key, name)| Some((key, name.as_deref()?)))
    }
}

/// How long what may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To connect. Default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Span>,
    /// From the end of the request to the head of the answer. Default 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Span>,
    /// Longest pause within the answer. Default 5 min, which is enough for event streams that send signs of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// The whole request. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
}

/// Most requests of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// In the long run, per second.
    pub per_second: std::num::NonZeroU32,
    /// At once, after a quiet time. Default: as many as per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<std::num::NonZeroU32>,
}

/// Whether a request is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retries {
    /// Once, when nothing was sent, or when the method is GET, HEAD or OPTIONS and no answer began.
    #[default]
    Safe,
    /// Never.
    None,
}

/// Whether WebSockets are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebSocket {
    /// No: a request for one is forwarded as a plain request.
    #[default]
    Refused,
    /// Yes.
    Allowed,
}

/// What is kept of calls in the audit trail. Refused calls are always kept, without fields and bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// Nothing but refusals.
    Off,
    /// Who, what, when, with which result.
    #[default]
    Metadata,
    /// Also the fields, without credentials.
    Headers,
    /// Also the bodies, masked, up to 16 KiB of each.
    Bodies,
}
