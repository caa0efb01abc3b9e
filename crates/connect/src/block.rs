//! Blocks: Prefect's documents that say where a notification or a webhook call goes, and how.
//!
//! [`BlockType`] knows what Prefect knows of each type: its schema, what is secret in it. [`Block`] is one document with
//! its secrets in clear, for as long as it takes to send something: [`Block::requests`] and [`Block::classify`] are the
//! two pure functions of every far end, one module per type. Invariants: a document that was read can be sent through;
//! what is printed of a block or its requests holds no secret. Storing, sealing and sending are done elsewhere.
//!
//! What differs from Prefect, whose blocks go through Apprise: an alert has a key, so that PagerDuty and Opsgenie know
//! a repeat and an end; long texts are cut to what the far end takes; a failure is tried again.

use crate::connection::DeliveryPolicy;
use crate::far_end::{Answer, Repeat, Request, Response, Verdict, lost, retry_after};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use trackside_core::automation::firing::FiringState;
use trackside_core::ids::DeliveryId;
use uuid::Uuid;

mod catalogue;
mod custom_webhook;
mod discord;
mod http;
mod mattermost;
mod opsgenie;
mod pagerduty;
mod placeholder;
mod schema;
mod sealed;
mod secrets;
mod sendgrid;
mod slack;
mod teams;
mod twilio;
mod webhook;

pub use catalogue::BlockType;
pub use secrets::MASK;

/// Age at which a message through a block is given up.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);
/// Longest wait for an answer, where the block does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A block document with its secrets in clear.
#[derive(Clone, Debug)]
pub struct Block {
    /// Identity of the document.
    pub id: Uuid,
    /// Its name; documents that belong to others have none.
    pub name: Option<String>,
    /// Slug of its type.
    pub slug: &'static str,
    kind: Kind,
}

/// The types.
#[derive(Clone, Debug)]
enum Kind {
    Slack(slack::Slack),
    Teams(teams::Teams),
    Pagerduty(pagerduty::Pagerduty),
    Opsgenie(opsgenie::Opsgenie),
    Mattermost(mattermost::Mattermost),
    Discord(discord::Discord),
    Twilio(twilio::Twilio),
    Sendgrid(sendgrid::Sendgrid),
    CustomWebhook(Box<custom_webhook::CustomWebhook>),
    Webhook(webhook::Webhook),
}

/// What is to go through a block.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A message for people.
    Notification {
        /// One line; may be empty.
        subject: &'a str,
        /// The text.
        body: &'a str,
    },
    /// The body of a webhook call.
    Payload(&'a str),
}

/// What a request must know beside its content.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The delivery; the same over all its attempts.
    pub delivery: DeliveryId,
    /// Key of the alert: the same for every firing of one automation for one subject.
    pub alert: &'a str,
    /// Whether the alert begins or ends.
    pub state: FiringState,
}

/// How urgent Prefect's user says that the messages of a block are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NotifyType {
    #[default]
    Info,
    Success,
    Warning,
    Failure,
}

impl NotifyType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// A problem in a document. Values are not repeated: they may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidBlock {
    /// Where, dotted.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl InvalidBlock {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl Block {
    /// Reads a document whose secrets are in clear.
    ///
    /// # Errors
    /// Every problem: a type that is not known here, content that does not fit its schema, or that cannot be sent
    /// with (an address that is none, a placeholder without value).
    pub fn open(id: Uuid, name: Option<&str>, slug: &str, data: &Value) -> Result<Self, Vec<InvalidBlock>> {
        let Some(known) = BlockType::by_slug(slug) else {
            let problem = format!(
                "`{slug}` cannot be sent through; Trackside knows {}",
                BlockType::all().iter().map(|known| known.slug.as_str()).collect::<Vec<_>>().join(", ")
            );
            return Err(vec![InvalidBlock::new("block_type", problem)]);
        };
        known.check(data)?;
        let kind = Kind::read(&known.slug, data)?;
        Ok(Self { id, name: name.map(str::to_owned), slug: &known.slug, kind })
    }

    /// The requests that bring `content` to the far end, one per recipient where it takes one at a time. Each is
    /// sent until it is taken; the order says nothing.
    ///
    /// # Errors
    /// Why it cannot be done through this block, for people. Trying again does not help.
    pub fn requests(&self, content: Content<'_>, occasion: &Occasion<'_>) -> Result<Vec<Request>, String> {
        let (subject, body) = match (content, &self.kind) {
            (Content::Payload(payload), Kind::Webhook(webhook)) => {
                return Ok(vec![webhook.request(payload, occasion)?]);
            }
            (Content::Payload(_), _) => {
                return Err(format!(
                    "The referenced block was not a webhook block: it is of type {}; use a block of type webhook",
                    self.slug
                ));
            }
            (Content::Notification { subject, body }, _) => (subject, body),
        };
        match &self.kind {
            Kind::Slack(slack) => Ok(vec![slack.request(subject, body)?]),
            Kind::Teams(teams) => Ok(vec![teams.request(subject, body)?]),
            Kind::Pagerduty(pagerduty) => Ok(vec![pagerduty.request(subject, body, occasion)]),
            Kind::Opsgenie(opsgenie) => Ok(vec![opsgenie.request(subject, body, occasion)]),
            Kind::Mattermost(mattermost) => mattermost.requests(subject, body),
            Kind::Discord(discord) => Ok(vec![discord.request(subject, body)]),
            Kind::Twilio(twilio) => Ok(twilio.requests(subject, body)),
            Kind::Sendgrid(sendgrid) => Ok(vec![sendgrid.request(subject, body)]),
            Kind::CustomWebhook(custom) => Ok(vec![custom.request(subject, body, occasion)?]),
            Kind::Webhook(_) => {
                let why = "The referenced block was not a notification block: it is of type webhook; \
                           use the action call-webhook, or a block of type custom-webhook";
                Err(why.to_owned())
            }
        }
    }

    /// What the answer to one of its requests means.
    #[must_use]
    pub fn classify(&self, request: &Request, answer: &Answer, now: Timestamp) -> Verdict {
        let (status, headers, body) = match answer {
            Answer::NotSent { error } => return Verdict::Retry { not_before: None, why: format!("not sent: {error}") },
            Answer::Withheld { error } => return Verdict::Refused { why: format!("not sent: {error}") },
            Answer::Lost { error } => return lost(request.repeat, error),
            Answer::Response { status, headers, body } => (*status, headers, body.as_str()),
        };
        let response = Response { status, not_before: retry_after(headers, now), body, now };
        match &self.kind {
            Kind::Slack(_) => crate::slack::send::classify(&response, request.repeat),
            Kind::Pagerduty(_) => crate::pagerduty::send::classify(&response),
            Kind::Discord(_) => discord::classify(&response, request.repeat),
            Kind::Opsgenie(_) => taken(&response, request.repeat, "requestId"),
            Kind::Twilio(_) => taken(&response, request.repeat, "sid"),
            Kind::Teams(_) | Kind::Mattermost(_) | Kind::Sendgrid(_) | Kind::CustomWebhook(_) | Kind::Webhook(_) => {
                taken(&response, request.repeat, "id")
            }
        }
    }

    /// How fast and how long to try: what the far ends of the type accept.
    #[must_use]
    pub fn delivery(&self) -> DeliveryPolicy {
        let (rate_per_second, burst) = match &self.kind {
            Kind::Slack(_) => (1.0, 3),
            Kind::Teams(_) => (1.0, 4),
            Kind::Pagerduty(_) | Kind::Opsgenie(_) => (2.0, 20),
            Kind::Discord(_) => (2.0, 5),
            Kind::Twilio(_) => (1.0, 5),
            Kind::Mattermost(_) | Kind::Sendgrid(_) => (10.0, 20),
            // Whose they are is not known, and Prefect calls them as fast as it can; this only stops a runaway.
            Kind::CustomWebhook(_) | Kind::Webhook(_) => (1_000.0, 1_000),
        };
        let timeout = match &self.kind {
            Kind::CustomWebhook(custom) => custom.timeout(),
            _ => TIMEOUT,
        };
        DeliveryPolicy { rate_per_second, burst, timeout, max_attempts: u32::MAX, give_up_after: GIVE_UP_AFTER }
    }

    /// Requests of one message at most, so that it is known how long an attempt may take.
    #[must_use]
    pub fn recipients(&self) -> usize {
        match &self.kind {
            Kind::Mattermost(mattermost) => mattermost.recipients(),
            Kind::Twilio(twilio) => twilio.recipients(),
            _ => 1,
        }
    }
}

impl Kind {
    fn read(slug: &str, data: &Value) -> Result<Self, Vec<InvalidBlock>> {
        let kind = match slug {
            "slack-webhook" => Self::Slack(read(data)?),
            "ms-teams-webhook" => Self::Teams(read(data)?),
            "pager-duty-webhook" => Self::Pagerduty(read(data)?),
            "opsgenie-webhook" => Self::Opsgenie(read(data)?),
            "mattermost-webhook" => Self::Mattermost(read(data)?),
            "discord-webhook" => Self::Discord(read(data)?),
            "twilio-sms" => Self::Twilio(read(data)?),
            "sendgrid-email" => Self::Sendgrid(read(data)?),
            "custom-webhook" => Self::CustomWebhook(Box::new(read(data)?)),
            "webhook" => Self::Webhook(read(data)?),
            other => unreachable!("the catalogue has type `{other}`, which nothing sends"),
        };
        let problems = match &kind {
            Self::Slack(slack) => slack.problems(),
            Self::Teams(teams) => teams.problems(),
            Self::Mattermost(mattermost) => mattermost.problems(),
            Self::Twilio(twilio) => twilio.problems(),
            Self::Sendgrid(sendgrid) => sendgrid.problems(),
            Self::CustomWebhook(custom) => custom.problems(),
            Self::Webhook(webhook) => webhook.problems(),
            Self::Pagerduty(_) | Self::Opsgenie(_) | Self::Discord(_) => Vec::new(),
        };
        if problems.is_empty() { Ok(kind) } else { Err(problems) }
    }
}

/// The content as its type. The schema was checked, so what fails here is a difference between schema and type.
fn read<T: DeserializeOwned>(data: &Value) -> Result<T, Vec<InvalidBlock>> {
    serde_json::from_value(data.clone()).map_err(|error| vec![InvalidBlock::new("data", error.to_string())])
}

/// The verdict where 2xx means taken; the far end's name for it is the JSON field `reference`.
fn taken(response: &Response<'_>, repeat: Repeat, reference: &str) -> Verdict {
    match response.status {
        200..=299 => {
            let reply: Value = serde_json::from_str(response.body).unwrap_or_default();
            Verdict::Done { far_ref: reply[reference].as_str().map(str::to_owned) }
        }
        // A gateway gave up waiting; what stands behind it may have taken the request.
        502 | 504 if repeat == Repeat::Duplicates => {
            Verdict::Unknown { not_before: response.not_before, why: response.reason() }
        }
        _ => response.failure(),
    }
}

fn yes() -> bool {
    true
}

/// Subject and body as one text, for far ends that know no subject.
fn joined(subject: &str, body: &str) -> String {
    match (subject.trim(), body.trim()) {
        ("", "") => "(empty message)".to_owned(),
        ("", body) => body.to_owned(),
        (subject, "") => subject.to_owned(),
        (subject, body) => format!("{subject}\n{body}"),
    }
}

#[cfg(test)]
mod tests;
