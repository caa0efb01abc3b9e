//! Redaction at the door: secrets leave texts, labels and payloads before an event is kept (DESIGN invariant 7).
//!
//! Two ways to see a secret: by the name beside it (`password`, `api_key`, `Authorization` …, as a JSON key, an
//! assignment in a text, a query parameter or a command-line option), and by its own shape (tokens of well-known
//! makers, JSON Web Tokens, private keys, the password in an address).
//! Invariants: idempotent; linear in the length of the text; a text without a hint of a secret is not copied.
//! In doubt it redacts: a word too many costs a look into the far end's log, a secret too many costs the secret.
//! It does not find secrets that neither carry a name nor have a known shape.

mod names;
mod rules;

pub use names::is_secret_name;

use serde_json::{Map, Value};
use std::borrow::Cow;
use trackside_core::event::{Event, Fact, Labels};

/// What stands in place of a secret.
pub const PLACEHOLDER: &str = "[redacted]";

/// A text without its secrets.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    rules::apply(text)
}

/// Redacts a JSON value in place: texts by shape, members by name, names of members by shape.
pub fn value(value: &mut Value) {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::Object(members) => object(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Redacts everything in an event that a far end can put a secret into.
pub fn event(event: &mut Event) {
    labels(&mut event.resource);
    event.related.iter_mut().for_each(labels);
    value(&mut event.payload);
    match &mut event.fact {
        Some(Fact::Run(update)) => {
            let texts = [&mut update.error, &mut update.doc, &mut update.url, &mut update.log_url];
            texts.into_iter().flatten().for_each(string);
            let lists = [&mut update.tags, &mut update.owners, &mut update.inputs, &mut update.outputs];
            lists.into_iter().flatten().for_each(string);
        }
        Some(Fact::Report(report)) => {
            string(&mut report.key);
            string(&mut report.summary);
            report.component.iter_mut().chain(&mut report.owners).for_each(string);
            for link in &mut report.links {
                string(&mut link.text);
                string(&mut link.href);
            }
            labels(&mut report.details);
        }
        Some(Fact::Message(message)) => {
            string(&mut message.text);
            value(&mut message.blocks);
        }
        None => {}
    }
}

fn string(text: &mut String) {
    if let Cow::Owned(redacted) = rules::apply(text) {
        *text = redacted;
    }
}

fn labels(labels: &mut Labels) {
    for (name, text) in labels {
        if is_secret_name(name) && !text.is_empty() {
            PLACEHOLDER.clone_into(text);
        } else {
            string(text);
        }
    }
}

fn object(members: &mut Map<String, Value>) {
    for (name, member) in members.iter_mut() {
        if is_secret_name(name) && holds_something(member) {
            *member = Value::from(PLACEHOLDER);
        } else {
            value(member);
        }
    }
    if members.keys().any(|name| matches!(rules::apply(name), Cow::Owned(_))) {
        *members = std::mem::take(members)
            .into_iter()
            .map(|(name, member)| (rules::apply(&name).into_owned(), member))
            .collect();
    }
}

/// Null, booleans and empty values tell nothing but are often what one looks for ("the token was null").
fn holds_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests;
