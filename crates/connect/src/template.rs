//! Message texts: minijinja templates over a [`Notice`], with defaults that say what failed, when, where to look and
//! how to start.
//!
//! Invariants: rendering is pure and bounded (fuel, output bytes, no loader); a template that fails never loses a
//! message, the default text goes out with a note; in Slack's markup every value is escaped. A missing value renders
//! as nothing, but [`MessageTemplates::check`] is strict, so a misspelt name is found before it matters.
//! Length limits of a far end are the far end's module's.

use crate::connection::Connection;
use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trackside_core::duty::zone::Zone;
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Link;
use trackside_core::notice::{Notice, PageView};
use trackside_core::ruleset::ConnectionKind;

mod filters;
mod sample;
mod text;

pub use sample::{sample_effect, sample_question};
pub use text::{slack_escape, truncate_bytes, truncate_mrkdwn, truncate_utf16};

/// Work a template may do, in minijinja's units of fuel: a few per instruction.
const FUEL: u64 = 50_000;
/// Longest rendered text, in bytes; more is cut.
const OUTPUT_BYTES: usize = 64 * 1024;
/// Longest template accepted, in bytes.
const TEMPLATE_BYTES: usize = 16 * 1024;
/// Most places to look that a message lists.
const LINKS: usize = 16;

const TITLE: &str = include_str!("template/title.j2");
const BODY: &str = include_str!("template/body.j2");

/// How the messages of a connection are worded. Absent fields take the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageTemplates {
    /// minijinja template of the one-line title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// minijinja template of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// IANA time zone that times are written in; default `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// The language a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// Plain text.
    Plain,
    /// Slack's `mrkdwn`.
    Slack,
}

/// A rendered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// One line, never empty, always plain text.
    pub(crate) title: String,
    /// Text in the asked markup.
    pub(crate) body: String,
    /// What went wrong with a template.
    pub(crate) note: Option<String>,
}

/// Everything a template can name: the notice's fields at the top, and these beside them.
#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    /// What the message does: `trigger`, `update`, `remind`, `acknowledge`, `resolve`, `message`, `test`.
    action: &'a str,
    /// Name of the connection.
    connection: &'a str,
    /// Zone that times are written in.
    zone: &'a str,
    /// Where to look, the best first: log, run, incident, others.
    places: &'a [Link],
}

/// The title and text of `effect`.
pub(crate) fn render(connection: &Connection, effect: &Effect, markup: Markup) -> Rendered {
    let message = &connection.message;
    let places = places(connection, effect);
    let context = Context {
        notice: &effect.notice,
        action: effect.action.as_str(),
        connection: &connection.name,
        zone: message.zone.as_deref().unwrap_or("UTC"),
        places: &places,
    };
    let mut notes = Vec::new();
    let title = one_line(&part("title", message.title.as_deref(), TITLE, &context, Markup::Plain, &mut notes));
    let body = part("body", message.body.as_deref(), BODY, &context, markup, &mut notes);
    Rendered {
        title: if title.is_empty() { "Trackside".to_owned() } else { title },
        body,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// Where to look, the best first, without repeats.
pub(crate) fn places(connection: &Connection, effect: &Effect) -> Vec<Link> {
    let notice = &effect.notice;
    let mut places: Vec<Link> = Vec::new();
    let mut add = |text: &str, href: &str| {
        let known = places.iter().any(|place| place.href == href);
        if !known && (href.starts_with("http://") || href.starts_with("https://")) {
            places.push(Link { text: text.to_owned(), href: href.to_owned() });
        }
    };
    if let Some(run) = &notice.run {
        run.log_url.iter().for_each(|href| add("Log", href));
        run.url.iter().for_each(|href| add("Run", href));
    }
    incident_url(connection, effect).iter().for_each(|href| add("Incident", href));
    if let Some(runbook) = notice.pipeline.as_ref().and_then(|pipeline| pipeline.runbook.as_deref()) {
        add("Runbook", runbook);
    }
    notice.links.iter().for_each(|link| add(&link.text, &link.href));
    places.truncate(LINKS);
    places
}

/// Whom a reminder pages and what follows, in one line of plain text.
pub(crate) fn paged(notice: &Notice) -> String {
    let Some(PageView { whom, step, steps, next, .. }) = &notice.page else {
        return format!("Nobody has it yet: {}", notice.title);
    };
    let next = next.as_ref().map_or_else(String::new, |next| format!("; next {next}"));
    format!("Nobody has it yet: {whom} is paged, step {step} of {steps}{next}")
}

/// The incident's page on this server.
pub(crate) fn incident_url(connection: &Connection, effect: &Effect) -> Option<String> {
    Some(format!("{}/incidents/{}", connection.public_url.as_deref()?, effect.incident?))
}

/// The connection's own text when it renders, else the default text, else the notice's own words.
fn part(
    name: &str,
    custom: Option<&str>,
    default: &str,
    context: &Context<'_>,
    markup: Markup,
    notes: &mut Vec<String>,
) -> String {
    if let Some(custom) = custom {
        match expand(custom, context, markup, UndefinedBehavior::Chainable) {
            Ok(text) if !text.is_empty() => return text,
            Ok(_) => notes.push(format!("the template `{name}` gave no text, so the default was used")),
            Err(error) => {
                notes.push(format!("the template `{name}` failed, so the default was used: {}", describe(&error)));
            }
        }
    }
    expand(default, context, markup, UndefinedBehavior::Chainable).unwrap_or_else(|error| {
        notes.push(format!("the default `{name}` failed: {}", describe(&error)));
        let plain = if name == "title" { &context.notice.title } else { &context.notice.summary };
        match markup {
            Markup::Plain => plain.clone(),
            Markup::Slack => slack_escape(plain),
        }
    })
}

fn expand(
    template: &str,
    context: &Context<'_>,
    markup: Markup,
    undefined: UndefinedBehavior,
) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(undefined);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    filters::install(&mut environment, markup);
    let text = environment.render_str(template, Serde(context))?;
    let text: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    Ok(truncate_bytes(&text.join("\n"), OUTPUT_BYTES))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One line of what is wrong, with the line number in the template.
fn describe(error: &minijinja::Error) -> String {
    let detail =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    error.line().map_or(detail.clone(), |line| format!("line {line}: {detail}"))
}

impl MessageTemplates {
    /// Checks the templates by rendering a sample in which every field is present: `(field, problem)` for each
    /// that does not render.
    #[must_use]
    pub fn check(&self, kind: ConnectionKind) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let zone = self.zone.as_deref().unwrap_or("UTC");
        if let Err(problem) = Zone::new(zone) {
            problems.push(("zone", problem));
            return problems;
        }
        let markup = match kind {
            ConnectionKind::Slack => Markup::Slack,
            _ => Markup::Plain,
        };
        let sample = sample::complete_effect(Action::Trigger, Timestamp::UNIX_EPOCH);
        let places = [Link { text: "Log".to_owned(), href: "https://example.net/log".to_owned() }];
        let context = Context {
            notice: &sample.notice,
            action: sample.action.as_str(),
            connection: "sample",
            zone,
            places: &places,
        };
        for (field, template, markup) in [("title", &self.title, Markup::Plain), ("body", &self.body, markup)] {
            let Some(template) = template else { continue };
            if template.len() > TEMPLATE_BYTES {
                problems.push((field, format!("has more than {TEMPLATE_BYTES} bytes")));
            } else if let Err(error) = expand(template, &context, markup, UndefinedBehavior::Strict) {
                problems.push((field, format!("does not render: {}", describe(&error))));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests;
