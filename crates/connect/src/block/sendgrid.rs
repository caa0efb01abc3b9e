//! Twilio SendGrid, `POST /v3/mail/send`: one request, one mail per recipient, as text and as HTML.
//!
//! Prefect sends the body as HTML. A body that is HTML goes out as it is, other text with its line breaks.

use super::InvalidBlock;
use crate::email::{Mailbox, html};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::template::truncate_bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest subject, in bytes.
const SUBJECT_BYTES: usize = 200;
/// Longest text, in bytes.
const BODY_BYTES: usize = 256 * 1024;
/// Most recipients of one request.
const RECIPIENTS: usize = 1_000;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sendgrid {
    api_key: SecretString,
    sender_email: String,
    to_emails: Vec<String>,
}

impl Sendgrid {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        let mut problems = Vec::new();
        let mut mailbox = |field: String, text: &str| {
            if let Err(problem) = Mailbox::try_from(text.to_owned()) {
                problems.push(InvalidBlock::new(field, problem));
            }
        };
        mailbox("sender_email".to_owned(), &self.sender_email);
        self.to_emails.iter().enumerate().for_each(|(index, to)| mailbox(format!("to_emails[{index}]"), to));
        if self.to_emails.is_empty() || self.to_emails.len() > RECIPIENTS {
            problems.push(InvalidBlock::new("to_emails", format!("must have 1 to {RECIPIENTS} recipients")));
        }
        problems
    }

    pub(super) fn request(&self, subject: &str, body: &str) -> Request {
        let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let subject = truncate_bytes(subject.trim(), SUBJECT_BYTES);
        let subject = if subject.is_empty() { "(no subject)" } else { &subject };
        let body = truncate_bytes(body, BODY_BYTES);
        let body = if body.trim().is_empty() { "(empty message)".to_owned() } else { body };
        let page = if is_html(&body) { body.clone() } else { html(subject, &body) };
        let mail = json!({
            "personalizations": self.to_emails.iter().map(|to| json!({ "to": [address(to)] })).collect::<Vec<_>>(),
            "from": address(&self.sender_email),
            "subject": subject,
            "content": [{ "type": "text/plain", "value": body }, { "type": "text/html", "value": page }],
        });
        let http = HttpRequest::new(::http::Method::POST, "https://api.sendgrid.com/v3/mail/send")
            .json(&mail)
            .header("authorization", format!("Bearer {}", self.api_key.expose_secret()));
        Request::new(Wire::Http(http), Repeat::Duplicates, vec![self.api_key.clone()])
    }
}

/// `{"email": …, "name": …}`.
fn address(text: &str) -> Value {
    match Mailbox::try_from(text.to_owned()) {
        Ok(Mailbox(mailbox)) => {
            let mut address = json!({ "email": mailbox.email.to_string() });
            if let Some(name) = mailbox.name {
                address["name"] = json!(name);
            }
            address
        }
        Err(_) => json!({ "email": text }),
    }
}

fn is_html(body: &str) -> bool {
    let body = body.trim_start();
    body.starts_with('<') || ["</", "<br", "<p>"].iter().any(|tag| body.contains(tag))
}
