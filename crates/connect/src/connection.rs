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
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use trackside_core::ruleset::{ConnectionKind, Span};
use trackside_identity::act_link::ActKey;
use trackside_identity::secret::{SecretError, SecretRef, Secrets};

pub mod address;
mod delivery;
mod kinds;

pub use delivery::{DeliveryPolicy, DeliverySettings};
pub use kinds::{
    AirflowConfig, AppServiceConfig, EmailConfig, HttpConfig, PagerdutyConfig, PagerdutyImport, PrefectConfig,
    SlackAccess, SlackConfig, WebhookConfig,
};

/// Where PagerDuty takes events, in the US region.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com";
/// Base of Slack's Web API.
const SLACK_API_URL: &str = "https://slack.com/api";

/// An outside system as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there are as many as connections are configured")]
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
    /// An HTTP service that jobs and routes call.
    Http(HttpConfig),
    /// An Apache Airflow that is called.
    Airflow(AirflowConfig),
    /// An Azure App Service that is called and acted on.
    AppService(AppServiceConfig),
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
    /// How people act from within a message.
    pub acting: Acting,
    /// Where to, and with which credentials.
    pub target: Target,
}

/// How people act on an incident from within its message.
#[derive(Clone, Debug, Default)]
pub enum Acting {
    /// They open the incident's page, or act at the far end in its own way.
    #[default]
    Elsewhere,
    /// Buttons; what is pressed comes back signed.
    Buttons,
    /// Links that each do one thing once, signed with this key.
    Links(Arc<ActKey>),
}

/// What a far end tells back, and what proves that it is the far end's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Back {
    /// Nothing.
    #[default]
    Nothing,
    /// PagerDuty webhooks v3, signed with any of these secrets.
    PagerdutyWebhooks(Vec<SecretRef>),
    /// What is pressed in Slack, signed with the app's secret.
    SlackInteractivity(SecretRef),
}

impl Back {
    /// The path of the door at this server that the far end is to be given, behind the public address.
    #[must_use]
    pub fn path(&self, connection: &str) -> Option<String> {
        let door = match self {
            Self::Nothing => return None,
            Self::PagerdutyWebhooks(_) => "pagerduty/webhooks",
            Self::SlackInteractivity(_) => "slack/interactivity",
        };
        let mut url = url::Url::parse("http://localhost/").ok()?;
        url.path_segments_mut().ok()?.extend(["api", "v1"]).extend(door.split('/')).push(connection);
        Some(url.path().to_owned())
    }
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
    /// A service that is called; its credential comes from a broker.
    Service {
        /// Base address.
        url: HttpUrl,
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
            Self::Http(_) => ConnectionKind::Http,
            Self::Airflow(_) => ConnectionKind::Airflow,
            Self::AppService(_) => ConnectionKind::AppService,
        }
    }

    /// The address of a service that is called; `None` for those that are only told.
    #[must_use]
    pub fn service_url(&self) -> Option<&HttpUrl> {
        match self {
            Self::Http(HttpConfig { url, .. })
            | Self::Airflow(AirflowConfig { url, .. })
            | Self::AppService(AppServiceConfig { url, .. }) => Some(url),
            _ => None,
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
        let credentials = match self {
            Self::Http(c) => [c.credential.as_ref().map(|credential| ("credential", credential)), None],
            Self::Airflow(c) => [c.credential.as_ref().map(|credential| ("credential", credential)), None],
            Self::AppService(c) => [
                c.credential.as_ref().map(|credential| ("credential", credential)),
                Some(("management", &c.management)),
            ],
            _ => [None, None],
        };
        for (place, credential) in credentials.into_iter().flatten() {
            problems.extend(
                credential.check().err().unwrap_or_default().into_iter().map(|wrong| InvalidConnection {
                    field: format!("{place}.{}", wrong.field),
                    problem: wrong.problem,
                }),
            );
        }
        let check = match self {
            Self::Http(c) => c.check.as_ref(),
            Self::Airflow(c) => c.check.as_ref(),
            Self::AppService(c) => c.check.as_ref(),
            _ => None,
        };
        if check.is_some_and(|path| !path.starts_with('/')) {
            let problem = "must be a path that begins with `/`".to_owned();
            problems.push(InvalidConnection { field: "check".to_owned(), problem });
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
            Self::Pagerduty(PagerdutyConfig { import: Some(import), .. }) if import.every.seconds() < 60 => {
                need("import.every", "must be at least 1m");
            }
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
            Self::Http(c) => (&c.delivery, 50.0, 100, 60),
            Self::Airflow(c) => (&c.delivery, 10.0, 20, 30),
            Self::AppService(c) => (&c.delivery, 2.0, 5, 60),
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
    pub fn open(&self, name: &str, public_url: Option<&str>, secrets: &Secrets) -> Result<Connection, SecretError> {
        let target = match self {
            Self::Pagerduty(c) => Target::Pagerduty {
                url: base(c.url.as_ref(), PAGERDUTY_URL),
                routing_key: c.routing_key.resolve(secrets)?,
            },
            Self::Slack(c) => match &c.access {
                SlackAccess::IncomingWebhook { webhook_url } => {
                    Target::SlackWebhook { url: webhook_url.resolve(secrets)? }
                }
                SlackAccess::WebApi { token, channel, api_url } => Target::SlackApi {
                    api_url: base(api_url.as_ref(), SLACK_API_URL),
                    token: token.resolve(secrets)?,
                    channel: channel.clone(),
                },
            },
            Self::Webhook(c) => Target::Webhook {
                url: c.url.clone(),
                secrets: std::iter::once(&c.secret)
                    .chain(&c.also_sign_with)
                    .map(|secret| secret.resolve(secrets))
                    .collect::<Result<_, _>>()?,
            },
            Self::Email(c) => Target::Email {
                server: c.smtp.clone(),
                login: match (&c.username, &c.password) {
                    (Some(username), Some(password)) => Some((username.resolve(secrets)?, password.resolve(secrets)?)),
                    _ => None,
                },
                from: c.from.clone(),
                to: c.to.clone(),
            },
            Self::Prefect(c) => Target::Prefect {
                api: base(Some(&c.url), ""),
                auth: match (&c.api_key, &c.auth_string) {
                    (Some(key), _) => Some(PrefectAuth::Key(key.resolve(secrets)?)),
                    (None, Some(basic)) => Some(PrefectAuth::Basic(basic.resolve(secrets)?)),
                    (None, None) => None,
                },
            },
            Self::Http(HttpConfig { url, .. })
            | Self::Airflow(AirflowConfig { url, .. })
            | Self::AppService(AppServiceConfig { url, .. }) => Target::Service { url: url.clone() },
        };
        Ok(Connection {
            name: name.to_owned(),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            message: self.message().cloned().unwrap_or_default(),
            acting: match self.back() {
                Back::SlackInteractivity(_) => Acting::Buttons,
                Back::PagerdutyWebhooks(_) | Back::Nothing => Acting::Elsewhere,
            },
            target,
        })
    }

    /// What the far end tells back.
    #[must_use]
    pub fn back(&self) -> Back {
        match self {
            Self::Pagerduty(c) if !c.webhook_secrets.is_empty() => Back::PagerdutyWebhooks(c.webhook_secrets.clone()),
            Self::Slack(SlackConfig { signing_secret: Some(secret), .. }) => Back::SlackInteractivity(secret.clone()),
            _ => Back::Nothing,
        }
    }

    fn message(&self) -> Option<&MessageTemplates> {
        match self {
            Self::Pagerduty(c) => Some(&c.message),
            Self::Slack(c) => Some(&c.message),
            Self::Webhook(c) => Some(&c.message),
            Self::Email(c) => Some(&c.message),
            Self::Prefect(_) | Self::Http(_) | Self::Airflow(_) | Self::AppService(_) => None,
        }
    }
}

impl Connection {
    /// The same with signed links in its messages, where these are mails and there is an address to lead to.
    #[must_use]
    pub fn with_links(mut self, key: &Arc<ActKey>) -> Self {
        if matches!(self.target, Target::Email { .. }) && self.public_url.is_some() {
            self.acting = Acting::Links(Arc::clone(key));
        }
        self
    }

    /// What it leads to.
    #[must_use]
    pub fn kind(&self) -> ConnectionKind {
        match self.target {
            Target::Pagerduty { .. } => ConnectionKind::Pagerduty,
            Target::SlackWebhook { .. } | Target::SlackApi { .. } => ConnectionKind::Slack,
            Target::Webhook { .. } => ConnectionKind::Webhook,
            Target::Email { .. } => ConnectionKind::Email,
            Target::Prefect { .. } => ConnectionKind::Prefect,
            Target::Service { .. } => ConnectionKind::Http,
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

fn base(configured: Option<&HttpUrl>, default: &str) -> String {
    configured.map_or(default, HttpUrl::as_str).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
