//! What is said to a far end and what its answer means: the two pure functions of every outgoing connector.
//!
//! [`request`] turns an effect into a [`Request`]; [`classify`] turns the [`Answer`] into a [`Verdict`]. Where a far end
//! can be asked whether a message arrived, [`reconcile`] and [`classify_reconcile`] do so after [`Verdict::Unknown`].
//! Invariants: no I/O, no clock; whatever is printed of a request (`Debug`, [`Request::shown`]) holds no secret.
//! The kinds are told apart by one `match` each; their wire formats are in the modules named after them. Retry times,
//! ordering and rate limits are the delivery loop's; sending is [`crate::sender`]'s.
//!
//! What a repeated request does, by far end:
//!
//! | far end | key | after a lost answer |
//! |---|---|---|
//! | PagerDuty | `dedup_key` = incident | sent again; the same alert |
//! | webhook | `webhook-id` = delivery | sent again; the receiver drops the second |
//! | e-mail | `Message-ID` = delivery | sent again; mail programs show one |
//! | Slack Web API, edit | the message's `ts` | sent again; the same text |
//! | Slack Web API, post | metadata `delivery` | asked with `conversations.history` or `.replies`, sent again when absent |
//! | Slack incoming webhook | none | cannot be asked: sent again, so a message may show twice rather than never |

use crate::connection::{Connection, Target};
use crate::{email, pagerduty, slack, webhook};
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use trackside_core::effect::Effect;

mod retry_after;

pub use retry_after::retry_after;

/// Most bytes kept of an answer's body.
pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of an answer repeated in a reason.
const EXCERPT_BYTES: usize = 300;
/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Something to be sent, ready for the wire.
#[derive(Clone)]
pub struct Request {
    /// What goes over the wire.
    pub wire: Wire,
    /// Whether sending it twice can be seen at the far end.
    pub repeat: Repeat,
    /// What the reader of the delivery should know, for example that a template failed and the plain text was used.
    pub note: Option<String>,
    /// To be sent when this one was done; part of the same delivery.
    pub then: Option<Box<Request>>,
    /// To be sent instead when this one was refused (a message to edit that is gone); part of the same delivery.
    pub otherwise: Option<Box<Request>>,
    secrets: Vec<SecretString>,
}

/// The form of a request.
#[derive(Clone)]
pub enum Wire {
    /// HTTP.
    Http(HttpRequest),
    /// SMTP.
    Mail(email::MailRequest),
}

/// One HTTP request.
#[derive(Clone)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Absolute address.
    pub url: String,
    /// Headers, lower-case names.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body, UTF-8 in every protocol spoken here.
    pub body: String,
    /// What else the sender must know.
    pub guard: Guard,
    /// Certificates (PEM) that are trusted beside the system's.
    pub trust: Option<Arc<str>>,
}

/// How careful the sender is with the other side. The default is what connections of the configuration get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guard {
    /// Which hosts may be spoken to.
    pub hosts: Hosts,
    /// Whether the other side must prove who it is.
    pub certificate: Certificate,
}

/// Which hosts may be spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hosts {
    /// All: an administrator wrote the address.
    #[default]
    Any,
    /// Only those whose every address is public (a block with `allow_private_urls` off).
    Public,
}

/// Whether the certificate of an `https` address is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certificate {
    /// It is.
    #[default]
    Checked,
    /// It is not (a block with `verify` off).
    Unchecked,
}

/// Whether a repeated request can be seen at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The far end honours a key, or the request sets a value: repeating changes nothing.
    Harmless,
    /// A repeat is a second message: after a lost answer the outcome is [`Verdict::Unknown`].
    Duplicates,
}

/// A request as people may see it: no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownRequest {
    /// Method, or `SMTP`.
    pub method: String,
    /// Address or server.
    pub url: String,
    /// Headers, or the envelope.
    pub headers: Vec<(String, String)>,
    /// Body or message.
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The far end answered.
    Response {
        /// HTTP status; for e-mail the SMTP reply code.
        status: u16,
        /// Headers, lower-case names.
        headers: Vec<(String, String)>,
        /// Body as text, at most [`ANSWER_BYTES`].
        body: String,
    },
    /// The request surely did not go out: refused connection, unknown host, failed TLS handshake.
    NotSent {
        /// The reason, without address.
        error: String,
    },
    /// The request was held back, because the block does not allow the address. Trying again does not help.
    Withheld {
        /// The reason, without address.
        error: String,
    },
    /// The request may have been processed: time-out or reset after sending, or the process ended meanwhile.
    Lost {
        /// The reason, without address.
        error: String,
    },
}

/// What an answer means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The far end has it.
    Done {
        /// How the far end calls it: PagerDuty's `dedup_key`, Slack's `channel:ts`. The latest one of an incident is
        /// `previous` of its next message through the same connection.
        far_ref: Option<String>,
    },
    /// Not now; sending again is right.
    Retry {
        /// Not before this time, when the far end said so.
        not_before: Option<Timestamp>,
        /// The reason.
        why: String,
    },
    /// Not ever: sending the same again gives the same answer.
    Refused {
        /// The reason.
        why: String,
    },
    /// It may have arrived and a repeat would show: ask with [`reconcile`]; where that gives `None`, send again.
    Unknown {
        /// Not before this time, when the far end said so.
        not_before: Option<Timestamp>,
        /// The reason.
        why: String,
    },
}

/// Why an effect cannot be turned into a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSend {
    /// The connection takes no messages.
    #[error(
        "connection `{0}` is of kind prefect, which carries out Prefect's actions only; notify through another one"
    )]
    NoMessages(String),
    /// A credential is there but unusable.
    #[error("connection `{connection}`: {problem}")]
    Credential {
        /// Connection.
        connection: String,
        /// What is wrong with it, without its value.
        problem: String,
    },
    /// It leads to one place only.
    #[error("connection `{connection}` cannot send to `{to}`: {why}")]
    NoAddress {
        /// Connection.
        connection: String,
        /// The address.
        to: String,
        /// What it is, and what can be done.
        why: &'static str,
    },
    /// The message cannot be built.
    #[error("connection `{connection}`: the message cannot be built: {problem}")]
    Message {
        /// Connection.
        connection: String,
        /// What is wrong.
        problem: String,
    },
}

/// The request that carries out `effect` through `connection`.
///
/// `previous` is the latest [`Verdict::Done`] reference of the same incident and connection; far ends that edit in place
/// need it. `now` is the time of the attempt (signatures carry it). The same effect gives the same
/// identity keys every time.
///
/// # Errors
/// When the connection takes no messages or a credential is unusable; trying again does not help until the configuration changes.
pub fn request(
    connection: &Connection,
    effect: &Effect,
    previous: Option<&str>,
    now: Timestamp,
) -> Result<Request, CannotSend> {
    match &connection.target {
        Target::Pagerduty { url, routing_key } => {
            let why = "an integration key leads to one service; give the person a connection of their own";
            no_address(connection, effect, why)?;
            Ok(pagerduty::send::request(connection, url, routing_key, effect))
        }
        Target::SlackWebhook { url } => {
            let why = "an incoming webhook posts to one channel; use a connection with `token` and `channel`";
            no_address(connection, effect, why)?;
            Ok(slack::send::webhook_request(connection, url, effect))
        }
        Target::SlackApi { api_url, token, channel } => {
            let api = slack::send::Api::of(api_url, token, channel, effect);
            Ok(slack::send::api_request(connection, &api, effect, previous))
        }
        Target::Webhook { url, secrets } => webhook::request(connection, url, secrets, effect, now),
        Target::Email { server, login, from, to } => {
            let envelope = email::Account { server, login: login.as_ref(), from, to };
            email::request(connection, &envelope, effect)
        }
        Target::Prefect { .. } | Target::Service { .. } => Err(CannotSend::NoMessages(connection.name.clone())),
    }
}

/// Refuses an address of its own where the connection leads to one place only.
fn no_address(connection: &Connection, effect: &Effect, why: &'static str) -> Result<(), CannotSend> {
    match &effect.to {
        None => Ok(()),
        Some(to) => Err(CannotSend::NoAddress { connection: connection.name.clone(), to: to.clone(), why }),
    }
}

/// What the answer to `request` means.
#[must_use]
pub fn classify(connection: &Connection, request: &Request, answer: &Answer, now: Timestamp) -> Verdict {
    let (status, headers, body) = match answer {
        Answer::NotSent { error } => return Verdict::Retry { not_before: None, why: format!("not sent: {error}") },
        Answer::Withheld { error } => return Verdict::Refused { why: format!("not sent: {error}") },
        Answer::Lost { error } => return lost(request.repeat, error),
        Answer::Response { status, headers, body } => (*status, headers, body.as_str()),
    };
    let response = Response { status, not_before: retry_after(headers, now), body, now };
    match connection.target {
        Target::Pagerduty { .. } => pagerduty::send::classify(&response),
        Target::SlackWebhook { .. } | Target::SlackApi { .. } => slack::send::classify(&response, request.repeat),
        Target::Webhook { .. } => webhook::classify(&response),
        Target::Email { .. } => email::classify(&response),
        Target::Prefect { .. } | Target::Service { .. } => {
            Verdict::Refused { why: "no messages are sent to it".to_owned() }
        }
    }
}

/// A question whether `effect` arrived, for far ends that can be asked; `None` for the others.
#[must_use]
pub fn reconcile(connection: &Connection, effect: &Effect, previous: Option<&str>) -> Option<Request> {
    match &connection.target {
        Target::SlackApi { api_url, token, channel } => {
            slack::ask::request(&slack::send::Api::of(api_url, token, channel, effect), effect, previous)
        }
        Target::Pagerduty { .. }
        | Target::SlackWebhook { .. }
        | Target::Webhook { .. }
        | Target::Email { .. }
        | Target::Prefect { .. }
        | Target::Service { .. } => None,
    }
}

/// What the answer to the question means: `Done` it is there, `Retry` it is not (or cannot be asked: send it again),
/// `Unknown` ask again later.
#[must_use]
pub fn classify_reconcile(
    connection: &Connection,
    effect: &Effect,
    previous: Option<&str>,
    answer: &Answer,
    now: Timestamp,
) -> Verdict {
    match &connection.target {
        Target::SlackApi { channel, .. } => {
            let channel = effect.to.as_deref().unwrap_or(channel);
            slack::ask::classify(channel, effect, previous, answer, now)
        }
        Target::Pagerduty { .. }
        | Target::SlackWebhook { .. }
        | Target::Webhook { .. }
        | Target::Email { .. }
        | Target::Prefect { .. }
        | Target::Service { .. } => Verdict::Retry { not_before: None, why: "cannot be asked; sent again".to_owned() },
    }
}

/// An answer as the connectors' `classify` take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// From `Retry-After`.
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) body: &'a str,
    pub(crate) now: Timestamp,
}

impl Response<'_> {
    /// `503: try later`, for people.
    pub(crate) fn reason(&self) -> String {
        let body = self.body.trim();
        let excerpt = crate::template::truncate_bytes(body, EXCERPT_BYTES);
        if excerpt.is_empty() {
            format!("answered {}", self.status)
        } else {
            format!("answered {}: {excerpt}", self.status)
        }
    }

    /// The verdict of a plain HTTP status that is no success: 408, 425, 429 and 5xx may pass, all else will not.
    pub(crate) fn failure(&self) -> Verdict {
        match self.status {
            408 | 425 | 429 | 500..=599 => Verdict::Retry { not_before: self.not_before, why: self.reason() },
            300..=399 => Verdict::Refused {
                why: format!("{}; redirects are not followed: set the final address", self.reason()),
            },
            _ => Verdict::Refused { why: self.reason() },
        }
    }
}

pub(crate) fn lost(repeat: Repeat, error: &str) -> Verdict {
    match repeat {
        Repeat::Harmless => Verdict::Retry {
            not_before: None,
            why: format!("no answer: {error}; sending again is safe, it carries the same key"),
        },
        Repeat::Duplicates => {
            Verdict::Unknown { not_before: None, why: format!("no answer: {error}; it may have arrived") }
        }
    }
}

impl HttpRequest {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: String::new(), guard: Guard::default(), trust: None }
    }

    /// The same with one header more. `name` is lower-case.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<String>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }
}

impl Request {
    /// A request whose text may hold `secrets`; these are hidden wherever it is printed.
    #[must_use]
    pub(crate) fn new(wire: Wire, repeat: Repeat, mut secrets: Vec<SecretString>) -> Self {
        // A secret may stand within another one; the longer one is replaced first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self { wire, repeat, note: None, then: None, otherwise: None, secrets }
    }

    /// Shows these to nobody either.
    pub(crate) fn hide(&mut self, secrets: impl IntoIterator<Item = SecretString>) {
        self.secrets.extend(secrets);
    }

    /// The request as people may see it.
    #[must_use]
    pub fn shown(&self) -> ShownRequest {
        match &self.wire {
            Wire::Http(http) => ShownRequest {
                method: http.method.to_string(),
                url: self.redact(&http.url),
                headers: http
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone().into_owned(), self.redact(value)))
                    .collect(),
                body: self.redact(&http.body),
            },
            Wire::Mail(mail) => ShownRequest {
                method: "SMTP".to_owned(),
                url: mail.server.to_string(),
                headers: mail.shown_envelope(),
                body: self.redact(&String::from_utf8_lossy(&mail.shown)),
            },
        }
    }

    /// `text` with every secret of this request replaced, also in its JSON-escaped form. For answers that echo.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            if secret.is_empty() {
                continue;
            }
            text = text.replace(secret, REDACTED);
            let quoted = serde_json::Value::from(secret).to_string();
            let escaped = quoted.trim_matches('"');
            if escaped != secret {
                text = text.replace(escaped, REDACTED);
            }
        }
        text
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("wire", &self.shown())
            .field("repeat", &self.repeat)
            .field("note", &self.note)
            .field("then", &self.then)
            .field("otherwise", &self.otherwise)
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
