//! What a connection is: an outside system, how to authenticate to it, how fast to send, how to word messages.
//!
//! Parsed once from the configuration ([`ConnectionConfig`]) and turned into a [`Connection`] with its secrets when
//! something is sent. Invariants: a secret is a reference until [`ConnectionConfig::open`]; addresses are absolute
//! `http(s)`/`smtp` URLs without a user part. Building requests is in [`crate::far_end`].

use crate::connection::address::HttpUrl;
use crate::email::{MailServer, Mailbox};
use crate::template::MessageTemplates;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;
use trackside_core::ruleset::{ConnectionKind, Span};
use trackside_identity::secret::{SecretError, SecretRef};

pub mod address;

/// Where PagerDuty takes events, in the US region.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com";
/// Base of Slack's Web API.
const SLACK_API_URL: &str = "https://slack.com/api";
/// Most requests per second a connection may be set to.
const RATE_LIMIT: f64 = 1_000.0;
/// Largest burst a connection may be set to.
const BURST_LIMIT: u32 = 10_000;

/// An outside system as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConnectionConfig {
    /// PagerDuty Events v2.
    Pagerduty(PagerdutyConfig),
    /// Slack: incoming webhook or Web API.
    Slack(SlackConfig),
    /// A webhook signed by Standard Webhooks.
    Webhook(WebhookConfig),
    /// E-mail over SMTP.
    Email(EmailConfig),
    /// A Prefect server that events are read from, and that carries out Prefect's actions.
    Prefect(PrefectConfig),
}

/// PagerDuty Events v2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerdutyConfig {
    /// Integration key of the service.
    pub routing_key: SecretRef,
    /// Where PagerDuty is, by default `https://events.pagerduty.com`; the EU region is `https://events.eu.pagerduty.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// How fast and how long to try.
    #[serde(default)]
    pub delivery: DeliverySettings,
    /// How messages are worded.
    #[serde(default)]
    pub message: MessageTemplates,
}

/// Slack: either `webhook_url`, or `token` and `channel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SlackFields", into = "SlackFields")]
pub struct SlackConfig {
    /// How to reach it.
    pub access: SlackAccess,
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

/// How fast and how long to try. Absent fields take the defaults of the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// Requests per second in the long run; more than 0, at most 1000.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "rate")]
    pub rate_per_second: Option<f64>,
    /// Requests that may go out at once after a pause, 1 to 10000.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "burst")]
    pub burst: Option<u32>,
    /// Longest wait for an answer.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub timeout: Option<Span>,
    /// Attempts before a message is given up; default: no limit but `give_up_after`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "attempts")]
    pub max_attempts: Option<u32>,
    /// Age at which a message is given up.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub give_up_after: Option<Span>,
}

/// [`DeliverySettings`] with every value decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeliveryPolicy {
    /// Refill of the token bucket, requests per second.
    pub rate_per_second: f64,
    /// Size of the token bucket.
    pub burst: u32,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Attempts before it is given up.
    pub max_attempts: u32,
    /// Age at which it is given up.
    pub give_up_after: Duration,
}

/// A connection with its secrets, for as long as it takes to send something.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Name in the configuration.
    pub name: String,
    /// Base address of this server as people reach it, for links. No trailing slash.
    pub public_url: Option<String>,
    /// How messages are worded.
    pub message: MessageTemplates,
    /// Where to, and with which credentials.
    pub target: Target,
}

/// Address and credentials of a far end.
#[derive(Clone, Debug)]
pub enum Target {
    /// PagerDuty Events v2.
    Pagerduty {
        /// Base address, no trailing slash.
        url: String,
        /// Integration key.
        routing_key: SecretString,
    },
    /// Slack incoming webhook.
    SlackWebhook {
        /// The whole address.
        url: SecretString,
    },
    /// Slack Web API.
    SlackApi {
        /// Base of the Web API, no trailing slash.
        api_url: String,
        /// Bot token.
        token: SecretString,
        /// Channel id or name.
        channel: String,
    },
    /// Signed webhook.
    Webhook {
        /// Address.
        url: HttpUrl,
        /// Signing secrets, the current one first.
        secrets: Vec<SecretString>,
    },
    /// SMTP server.
    Email {
        /// Server and its TLS mode.
        server: MailServer,
        /// User name and password.
        login: Option<(SecretString, SecretString)>,
        /// Sender.
        from: Mailbox,
        /// Recipients.
        to: Vec<Mailbox>,
    },
    /// Prefect server.
    Prefect {
        /// Base of its API, no trailing slash.
        api: String,
        /// Credential, if it asks for one.
        auth: Option<PrefectAuth>,
    },
}

/// How to authenticate to a Prefect API.
#[derive(Clone, Debug)]
pub enum PrefectAuth {
    /// API key of Prefect Cloud, as a bearer token.
    Key(SecretString),
    /// `user:password` of a self-hosted server, as basic authentication.
    Basic(SecretString),
}

impl ConnectionConfig {
    /// What it leads to.
    #[must_use]
    pub fn kind(&self) -> ConnectionKind {
        match self {
            Self::Pagerduty(_) => ConnectionKind::Pagerduty,
            Self::Slack(_) => ConnectionKind::Slack,
            Self::Webhook(_) => ConnectionKind::Webhook,
            Self::Email(_) => ConnectionKind::Email,
            Self::Prefect(_) => ConnectionKind::Prefect,
        }
    }

    /// Checks what the shape alone cannot: that templates render, and that fields which need each other are there.
    ///
    /// # Errors
    /// All problems, each with the field it is about.
    pub fn validate(&self) -> Result<(), Vec<InvalidConnection>> {
        let mut problems = Vec::new();
        if let Some(message) = self.message() {
            problems.extend(
                message
                    .check(self.kind())
                    .into_iter()
                    .map(|(field, problem)| InvalidConnection { field: format!("message.{field}"), problem }),
            );
        }
        let mut need = |field: &str, problem: &str| {
            problems.push(InvalidConnection { field: field.to_owned(), problem: problem.to_owned() });
        };
        match self {
            Self::Email(email) => match (&email.username, &email.password) {
                (Some(_), None) => need("password", "is missing; `username` needs it"),
                (None, Some(_)) => need("username", "is missing; `password` needs it"),
                _ => {}
            },
            Self::Prefect(prefect) if prefect.api_key.is_some() && prefect.auth_string.is_some() => {
                need("auth_string", "excludes `api_key`; keep the one the server asks for");
            }
            _ => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// How fast and how long to try, the defaults of the kind filled in.
    ///
    /// PagerDuty accepts about 120 events a minute for one key and Slack one message a second for one channel;
    /// the defaults stay at these rates. A page that is a day late helps nobody, so everything is given up after 24 hours.
    #[must_use]
    pub fn delivery(&self) -> DeliveryPolicy {
        let (settings, rate, burst, timeout_s) = match self {
            Self::Pagerduty(c) => (&c.delivery, 2.0, 20, 10),
            Self::Slack(c) => (&c.delivery, 1.0, 3, 10),
            Self::Webhook(c) => (&c.delivery, 50.0, 100, 20),
            Self::Email(c) => (&c.delivery, 2.0, 10, 30),
            Self::Prefect(c) => (&c.delivery, 10.0, 20, 10),
        };
        let duration = |span: Option<Span>, default: u64| {
            span.and_then(|span| u64::try_from(span.seconds()).ok())
                .map_or(Duration::from_secs(default), Duration::from_secs)
        };
        DeliveryPolicy {
            rate_per_second: settings.rate_per_second.unwrap_or(rate),
            burst: settings.burst.unwrap_or(burst),
            timeout: duration(settings.timeout, timeout_s),
            max_attempts: settings.max_attempts.unwrap_or(u32::MAX),
            give_up_after: duration(settings.give_up_after, 24 * 60 * 60),
        }
    }

    /// Reads the secrets and gives the connection as it can be sent through now.
    ///
    /// # Errors
    /// The first secret that cannot be read.
    pub fn open(&self, name: &str, public_url: Option<&str>) -> Result<Connection, SecretError> {
        let target = match self {
            Self::Pagerduty(c) => {
                Target::Pagerduty { url: base(c.url.as_ref(), PAGERDUTY_URL), routing_key: c.routing_key.resolve()? }
            }
            Self::Slack(c) => match &c.access {
                SlackAccess::IncomingWebhook { webhook_url } => Target::SlackWebhook { url: webhook_url.resolve()? },
                SlackAccess::WebApi { token, channel, api_url } => Target::SlackApi {
                    api_url: base(api_url.as_ref(), SLACK_API_URL),
                    token: token.resolve()?,
                    channel: channel.clone(),
                },
            },
            Self::Webhook(c) => Target::Webhook {
                url: c.url.clone(),
                secrets: std::iter::once(&c.secret)
                    .chain(&c.also_sign_with)
                    .map(SecretRef::resolve)
                    .collect::<Result<_, _>>()?,
            },
            Self::Email(c) => Target::Email {
                server: c.smtp.clone(),
                login: match (&c.username, &c.password) {
                    (Some(username), Some(password)) => Some((username.resolve()?, password.resolve()?)),
                    _ => None,
                },
                from: c.from.clone(),
                to: c.to.clone(),
            },
            Self::Prefect(c) => Target::Prefect {
                api: base(Some(&c.url), ""),
                auth: match (&c.api_key, &c.auth_string) {
                    (Some(key), _) => Some(PrefectAuth::Key(key.resolve()?)),
                    (None, Some(basic)) => Some(PrefectAuth::Basic(basic.resolve()?)),
                    (None, None) => None,
                },
            },
        };
        Ok(Connection {
            name: name.to_owned(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            message: self.message().cloned().unwrap_or_default(),
            target,
        })
    }

    fn message(&self) -> Option<&MessageTemplates> {
        match self {
            Self::Pagerduty(c) => Some(&c.message),
            Self::Slack(c) => Some(&c.message),
            Self::Webhook(c) => Some(&c.message),
            Self::Email(c) => Some(&c.message),
            Self::Prefect(_) => None,
        }
    }
}

impl Connection {
    /// What it leads to.
    #[must_use]
    pub fn kind(&self) -> ConnectionKind {
        match self.target {
            Target::Pagerduty { .. } => ConnectionKind::Pagerduty,
            Target::SlackWebhook { .. } | Target::SlackApi { .. } => ConnectionKind::Slack,
            Target::Webhook { .. } => ConnectionKind::Webhook,
            Target::Email { .. } => ConnectionKind::Email,
            Target::Prefect { .. } => ConnectionKind::Prefect,
        }
    }
}

/// A problem in a connection's configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidConnection {
    /// Field, dotted.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
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
        Ok(Self { access, delivery: fields.delivery, message: fields.message })
    }
}

impl From<SlackConfig> for SlackFields {
    fn from(config: SlackConfig) -> Self {
        let SlackConfig { access, delivery, message } = config;
        let (webhook_url, token, channel, api_url) = match access {
            SlackAccess::IncomingWebhook { webhook_url } => (Some(webhook_url), None, None, None),
            SlackAccess::WebApi { token, channel, api_url } => (None, Some(token), Some(channel), api_url),
        };
        Self { webhook_url, token, channel, api_url, delivery, message }
    }
}

fn base(configured: Option<&HttpUrl>, default: &str) -> String {
    configured.map_or(default, HttpUrl::as_str).trim_end_matches('/').to_owned()
}

fn recipients<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mailbox>, D::Error> {
    let to = Vec::deserialize(deserializer)?;
    if to.is_empty() {
        return Err(serde::de::Error::custom("needs at least one recipient"));
    }
    Ok(to)
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(rate) if !(rate > 0.0 && rate <= RATE_LIMIT) => {
            Err(serde::de::Error::custom(format!("must be more than 0 and at most {RATE_LIMIT} requests per second")))
        }
        rate => Ok(rate),
    }
}

fn burst<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(deserializer)? {
        Some(burst) if burst == 0 || burst > BURST_LIMIT => {
            Err(serde::de::Error::custom(format!("must be 1 to {BURST_LIMIT}")))
        }
        burst => Ok(burst),
    }
}

fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(deserializer)? {
        Some(0) => Err(serde::de::Error::custom("must be at least 1")),
        attempts => Ok(attempts),
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    match Option::<Span>::deserialize(deserializer)? {
        Some(span) if span.seconds() < 1 => Err(serde::de::Error::custom("must be at least 1s")),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests;
