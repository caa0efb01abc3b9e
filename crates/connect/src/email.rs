//! E-mail over SMTP: one thread per incident, as text and HTML.
//!
//! `Message-ID` comes from the delivery, so a repeat is the same mail; `References` and `In-Reply-To` name the incident's
//! thread root, so every mail of an incident stands together whichever arrived first. The subject stays the same through
//! the life of the incident. `Auto-Submitted: auto-generated` (RFC 3834) keeps holiday answers away. Links that act
//! ([`offer`]) stand in the mail alone: wherever the mail is shown or stored here, they are left out.

use crate::connection::Connection;
use crate::far_end::{CannotSend, Repeat, Request, Response, Verdict, Wire};
use crate::template::{self, Markup};
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Message, MultiPart, SinglePart};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use trackside_core::effect::{Action, Effect};
use url::Url;

mod offer;

use offer::Offer;

/// Longest subject, in bytes; more is cut by many mail programs.
const SUBJECT_BYTES: usize = 200;
/// Longest text, in bytes.
const BODY_BYTES: usize = 64 * 1024;

/// An SMTP server and how TLS is used with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS.
    pub tls: Tls,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// `smtp://`: STARTTLS when the server offers it.
    Opportunistic,
    /// `smtp+starttls://`: STARTTLS or nothing.
    Required,
    /// `smtps://`: from the first byte (RFC 8314).
    Implicit,
}

/// An address with an optional display name: `a@example.net` or `Data <a@example.net>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox(pub lettre::message::Mailbox);

/// A mail ready for the wire.
#[derive(Clone)]
pub struct MailRequest {
    /// Server.
    pub server: MailServer,
    /// User name and password.
    pub login: Option<(SecretString, SecretString)>,
    /// `MAIL FROM` and `RCPT TO`.
    pub envelope: Envelope,
    /// The message (RFC 5322).
    pub message: Vec<u8>,
    /// The same as people may see it who did not get it: without the links that act.
    pub shown: Vec<u8>,
}

/// An e-mail connection's parts.
pub(crate) struct Account<'a> {
    pub(crate) server: &'a MailServer,
    pub(crate) login: Option<&'a (SecretString, SecretString)>,
    pub(crate) from: &'a Mailbox,
    pub(crate) to: &'a [Mailbox],
}

/// The mail for `effect`.
pub(crate) fn request(connection: &Connection, account: &Account<'_>, effect: &Effect) -> Result<Request, CannotSend> {
    let rendered = template::render(connection, effect, Markup::Plain);
    let wrong = |problem| CannotSend::Message { connection: connection.name.clone(), problem };
    let to = recipients(account, effect).map_err(wrong)?;
    let offers = offer::of(connection, &to, effect);
    let hidden: Vec<Offer> = offers.iter().map(Offer::hidden).collect();
    let build = |offers: &[Offer]| build(account, &to, effect, &rendered, offers).map_err(wrong);
    let message = build(&offers)?;
    let mail = MailRequest {
        server: account.server.clone(),
        login: account.login.cloned(),
        envelope: message.envelope().clone(),
        message: message.formatted(),
        shown: build(&hidden)?.formatted(),
    };
    let mut request = Request::new(Wire::Mail(mail), Repeat::Harmless, Vec::new());
    request.note = rendered.note;
    Ok(request)
}

/// Whom the mail goes to: the effect's own address, else the connection's.
fn recipients(account: &Account<'_>, effect: &Effect) -> Result<Vec<Mailbox>, String> {
    match &effect.to {
        Some(to) => Ok(vec![Mailbox::try_from(to.clone())?]),
        None => Ok(account.to.to_vec()),
    }
}

/// SMTP replies (RFC 5321 §4.2.1): 2xx accepted, 4xx try later, 5xx never.
pub(crate) fn classify(response: &Response<'_>) -> Verdict {
    match response.status {
        200..=299 => Verdict::Done { far_ref: None },
        500..=599 => Verdict::Refused { why: response.reason() },
        _ => Verdict::Retry { not_before: None, why: response.reason() },
    }
}

fn build(
    account: &Account<'_>,
    to: &[Mailbox],
    effect: &Effect,
    rendered: &template::Rendered,
    offers: &[Offer],
) -> Result<Message, String> {
    let domain = account.from.0.email.domain();
    let text = template::truncate_bytes(&rendered.body, BODY_BYTES);
    let html = page(&rendered.title, &text, &offer::html(offers));
    let text = format!("{text}{}", offer::text(offers));
    let mut builder = Message::builder()
        .from(account.from.0.clone())
        .subject(template::truncate_bytes(&subject(effect, rendered), SUBJECT_BYTES))
        .date(std::time::SystemTime::from(effect.at))
        .message_id(Some(format!("<{}@{domain}>", effect.id)))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Trackside-Delivery", &effect.id.to_string()))
        .raw_header(header("X-Trackside-Action", effect.action.as_str()));
    for to in to {
        builder = builder.to(to.0.clone());
    }
    if let Some(incident) = effect.incident {
        let root = format!("<incident.{incident}@{domain}>");
        builder = builder
            .in_reply_to(root.clone())
            .references(root)
            .raw_header(header("X-Trackside-Incident", &incident.to_string()));
    }
    if let Some(approval) = &effect.notice.approval {
        let root = format!("<approval.{}@{domain}>", approval.id);
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    let body = MultiPart::alternative()
        .boundary(format!("=_{}", effect.id.0.simple()))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
    builder.multipart(body).map_err(|error| error.to_string())
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Stable for an incident, whatever becomes of its state: mail programs that thread by subject need that.
fn subject(effect: &Effect, rendered: &template::Rendered) -> String {
    let subject = match (&effect.notice.incident, &effect.notice.pipeline) {
        (Some(incident), Some(pipeline)) => format!("[#{}] {} on {}", incident.number, pipeline.name, pipeline.source),
        (Some(incident), None) => format!("[#{}] incident", incident.number),
        (None, _) => rendered.title.clone(),
    };
    let subject = if effect.action == Action::Test { format!("Test: {subject}") } else { subject };
    subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text with its addresses made into links. Everything is escaped.
pub(crate) fn html(title: &str, text: &str) -> String {
    page(title, text, "")
}

/// The text with its addresses made into links, and markup below it.
fn page(title: &str, text: &str, below: &str) -> String {
    let mut html = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>{}</title></head>\
         <body style=\"font-family:sans-serif;font-size:15px;line-height:1.45;color:#1d2329\">\n",
        escape_html(title)
    );
    for line in text.lines() {
        html.push_str(&linked(line));
        html.push_str("<br>\n");
    }
    html.push_str(below);
    html.push_str("</body></html>\n");
    html
}

fn linked(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let escaped = escape_html(word);
        if word.starts_with("https://") || word.starts_with("http://") {
            format!("<a href=\"{escaped}\">{escaped}</a>")
        } else {
            escaped
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl MailRequest {
    /// Envelope for people; the login is not part of it.
    pub(crate) fn shown_envelope(&self) -> Vec<(String, String)> {
        let from = self.envelope.from().map(ToString::to_string).unwrap_or_default();
        let recipients = self.envelope.to().iter().map(|to| ("RCPT TO".to_owned(), to.to_string()));
        std::iter::once(("MAIL FROM".to_owned(), from)).chain(recipients).collect()
    }
}

impl TryFrom<String> for MailServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const FORMS: &str = "write smtp://host:25, smtp+starttls://host:587 or smtps://host:465";
        let url = Url::parse(&text).map_err(|error| format!("is not an address: {error}; {FORMS}"))?;
        let (tls, port) = match url.scheme() {
            "smtp" => (Tls::Opportunistic, 25),
            "smtp+starttls" => (Tls::Required, 587),
            "smtps" => (Tls::Implicit, 465),
            scheme => return Err(format!("has scheme `{scheme}`; {FORMS}")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user name or password; use `username` and `password`".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("has no host; {FORMS}"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("has more than host and port; {FORMS}"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(port), tls })
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.tls {
            Tls::Opportunistic => "smtp",
            Tls::Required => "smtp+starttls",
            Tls::Implicit => "smtps",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl From<MailServer> for String {
    fn from(server: MailServer) -> Self {
        server.to_string()
    }
}

impl JsonSchema for MailServer {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MailServer".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^smtp(s|\\+starttls)?://",
            "description": "smtp://host:25, smtp+starttls://host:587 or smtps://host:465"
        })
    }
}

impl TryFrom<String> for Mailbox {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| {
            format!("`{text}` is not a mail address ({error}); write a@example.net or Data <a@example.net>")
        })
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.0.to_string()
    }
}

impl JsonSchema for Mailbox {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mailbox".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "@",
            "description": "a@example.net or Data <a@example.net>"
        })
    }
}

#[cfg(test)]
mod tests;
