//! The fields of each kind of connection, as they are written in the configuration.
//!
//! Invariants: a secret is a reference, never a value; unknown fields are errors. What the fields add up to is in
//! [`super::ConnectionConfig`].

use super::delivery::DeliverySettings;
use crate::connection::address::HttpUrl;
use crate::email::{MailServer, Mailbox};
use crate::template::MessageTemplates;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use trackside_core::ruleset::Span;
use trackside_identity::broker::config::CredentialConfig;
use trackside_identity::secret::SecretRef;

/// PagerDuty Events v2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerdutyConfig {
    /// Integration key of the service.
    pub routing_key: SecretRef,
    /// Where PagerDuty is, by default `https://events.pagerduty.com`; the EU region is `https://events.eu.pagerduty.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// Secrets of the webhook subscription through which PagerDuty tells what people do there; several while one takes
    /// the place of another. Without one nothing is taken from PagerDuty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_secrets: Vec<SecretRef>,
    /// Id of the service that the integration key belongs to (`P…`), when PagerDuty does not show the key to the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// Read PagerDuty's teams, services and escalation policies, and compare them with ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<PagerdutyImport>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
    /// How messages are worded.
    #[serde(default)]
    pub message: MessageTemplates,
}

/// How PagerDuty's teams are read and compared. Nothing is written there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerdutyImport {
    /// API token of PagerDuty; read-only is enough.
    pub api_token: SecretRef,
    /// How often (default 1h, at least 1m).
    #[serde(default = "every_hour")]
    pub every: Span,
    /// Where the API is, by default `https://api.pagerduty.com`; the EU region is `https://api.eu.pagerduty.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<HttpUrl>,
    /// Whether teams are told of new differences that concern them (default: no).
    #[serde(default)]
    pub tell: bool,
}

fn every_hour() -> Span {
    Span(jiff::SignedDuration::from_hours(1))
}

/// Slack: either `webhook_url`, or `token` and `channel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SlackFields", into = "SlackFields")]
pub struct SlackConfig {
    /// How to reach it.
    pub access: SlackAccess,
    /// Signing secret of the app: messages of incidents get buttons, and what is pressed is taken from Slack.
    pub signing_secret: Option<SecretRef>,
    /// How fast and how long to try.
    pub delivery: DeliverySettings,
    /// How messages are worded.
    pub message: MessageTemplates,
}

/// The two ways to post to Slack.
#[derive(Clone, Debug, PartialEq)]
pub enum SlackAccess {
    /// Incoming webhook: posts only. The address is the secret.
    IncomingWebhook {
        /// `https://hooks.slack.com/services/…`.
        webhook_url: SecretRef,
    },
    /// Web API: posts, edits in place, answers in threads. Needs scope `chat:write`, and `channels:history`
    /// (`groups:history` for private channels) to find out whether a message whose answer was lost arrived.
    WebApi {
        /// Bot token (`xoxb-…`).
        token: SecretRef,
        /// Channel id (`C…`, best: outcomes can be checked from the first message on) or `#name`.
        channel: String,
        /// Base of the Web API, if not Slack's own.
        api_url: Option<HttpUrl>,
    },
}

/// The fields of a Slack connection as written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SlackFields {
    /// Address of an incoming webhook. Excludes `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook_url: Option<SecretRef>,
    /// Bot token for the Web API. Needs `channel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<SecretRef>,
    /// Channel id (`C…`, best) or `#name`, with `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// Base of the Web API, with `token`; default `https://slack.com/api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_url: Option<HttpUrl>,
    /// Signing secret of the app: messages of incidents get buttons, and what is pressed is taken from Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_secret: Option<SecretRef>,
    /// How fast and how long to try.
    #[serde(default)]
    delivery: DeliverySettings,
    /// How messages are worded.
    #[serde(default)]
    message: MessageTemplates,
}

/// A webhook signed by Standard Webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Address that is posted to.
    pub url: HttpUrl,
    /// Signing secret, `whsec_` and base64.
    pub secret: SecretRef,
    /// Secrets that sign beside it while the receiver changes over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_sign_with: Vec<SecretRef>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
    /// How messages are worded.
    #[serde(default)]
    pub message: MessageTemplates,
}

/// E-mail over SMTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// `smtp://host:25` (STARTTLS when offered), `smtp+starttls://host:587` (STARTTLS or nothing),
    /// `smtps://host:465` (TLS from the start).
    pub smtp: MailServer,
    /// Sender.
    pub from: Mailbox,
    /// Recipients, at least one.
    #[serde(deserialize_with = "recipients")]
    pub to: Vec<Mailbox>,
    /// User name; needs `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<SecretRef>,
    /// Password; needs `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
    /// How messages are worded.
    #[serde(default)]
    pub message: MessageTemplates,
}

/// A Prefect server that events are read from, and that carries out Prefect's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefectConfig {
    /// Base of its API, for example `http://127.0.0.1:4200/api`.
    pub url: HttpUrl,
    /// API key (Prefect Cloud), sent as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretRef>,
    /// `user:password` of a self-hosted server with basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_string: Option<SecretRef>,
    /// How fast and how long to try actions.
    #[serde(default)]
    pub delivery: DeliverySettings,
}

/// An HTTP service that jobs and routes call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Its address; paths of jobs and routes are put behind it.
    pub url: HttpUrl,
    /// How to authenticate to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialConfig>,
    /// File with further certificates (PEM) to trust: the far end's, and those of where its tokens are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Path that is asked to try the connection; default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
}

/// An Apache Airflow that is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AirflowConfig {
    /// Its address, without `/api/v2`.
    pub url: HttpUrl,
    /// How to authenticate to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialConfig>,
    /// Path that is asked to try the connection; default `/api/v2/dags?limit=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
}

/// An Azure App Service that is called and acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppServiceConfig {
    /// Address of the app.
    pub url: HttpUrl,
    /// Subscription id.
    pub subscription: String,
    /// Resource group.
    pub resource_group: String,
    /// Name of the app.
    pub site: String,
    /// How to authenticate to Azure Resource Manager and to the app's deployment site.
    pub management: CredentialConfig,
    /// How to authenticate to the app itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialConfig>,
    /// Replaces `https://management.azure.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_url: Option<HttpUrl>,
    /// Replaces `https://SITE.scm.azurewebsites.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_url: Option<HttpUrl>,
    /// Path that is asked to try the connection; default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
}

impl TryFrom<SlackFields> for SlackConfig {
    type Error = &'static str;

    fn try_from(fields: SlackFields) -> Result<Self, &'static str> {
        let access = match (fields.webhook_url, fields.token, fields.channel) {
            (Some(webhook_url), None, None) if fields.api_url.is_none() => SlackAccess::IncomingWebhook { webhook_url },
            (None, Some(token), Some(channel)) if !channel.is_empty() => {
                SlackAccess::WebApi { token, channel, api_url: fields.api_url }
            }
            (None, Some(_), _) => return Err("`token` needs `channel`: the channel's id (C…) or #name"),
            (Some(_), _, _) => return Err("`webhook_url` excludes `token`, `channel` and `api_url`; keep one way"),
            (None, None, _) => return Err("needs `webhook_url`, or `token` and `channel`"),
        };
        Ok(Self { access, signing_secret: fields.signing_secret, delivery: fields.delivery, message: fields.message })
    }
}

impl From<SlackConfig> for SlackFields {
    fn from(config: SlackConfig) -> Self {
        let SlackConfig { access, signing_secret, delivery, message } = config;
        let (webhook_url, token, channel, api_url) = match access {
            SlackAccess::IncomingWebhook { webhook_url } => (Some(webhook_url), None, None, None),
            SlackAccess::WebApi { token, channel, api_url } => (None, Some(token), Some(channel), api_url),
        };
        Self { webhook_url, token, channel, api_url, signing_secret, delivery, message }
    }
}

fn recipients<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mailbox>, D::Error> {
    let to = Vec::deserialize(deserializer)?;
    if to.is_empty() {
        return Err(serde::de::Error::custom("needs at least one recipient"));
    }
    Ok(to)
}
