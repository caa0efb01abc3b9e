//! Rules about bodies: what may not pass, and what passes masked.
//!
//! A body is only kept in memory when a rule looks at it, and then at most [`LOOKED_AT`] bytes of it; everything else
//! streams. Every hit has a name for the audit trail; the hit text itself is never kept.

pub mod form;
pub mod json;
pub mod multipart;
pub mod pattern;

use crate::config::guard::{Direction, GuardConfig, Otherwise};
use bytes::Bytes;
use http::{HeaderMap, header};
use pattern::Patterns;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most bytes of a body that rules look at.
pub const LOOKED_AT: usize = 1024 * 1024;
/// What stands in place of a masked value.
pub const MASKED: &str = "[masked]";
/// Media types that rules look at when they do not say which.
const KINDS: [&str; 7] = [
    "application/json",
    "application/*+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/*",
    "application/xml",
    "application/x-ndjson",
];

/// The rules of a route.
#[derive(Debug, Default)]
pub struct Guards {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    on: Direction,
    kinds: Vec<String>,
    deny: Patterns,
    mask: BTreeSet<String>,
    max_bytes: Option<u64>,
    otherwise: Otherwise,
}

/// Something a rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: Arc<str>,
    /// What it did.
    pub did: Did,
}

/// What a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// Refused the body.
    Refused(Why),
    /// Masked so many values.
    Masked(usize),
    /// Let a body pass that it could not look at.
    Passed,
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has what must not be in it.
    Pattern,
    /// It is too large.
    Size,
    /// It cannot be looked at: another media type, compressed, malformed, or too large to keep.
    Unreadable,
}

/// What is to be done with a body before it is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// No rule looks at it.
    Stream,
    /// It streams, and may have at most so many bytes by this rule.
    Bounded(u64, Arc<str>),
    /// It must be read whole, up to so many bytes, and judged.
    Keep(u64),
    /// It is refused.
    Refuse(Hit),
}

impl Guards {
    /// Rules as configured.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(configured: &[GuardConfig]) -> Result<Self, String> {
        let mut rules = Vec::new();
        for config in configured {
            let kinds = if config.content_types.is_empty() {
                KINDS.map(str::to_owned).to_vec()
            } else {
                config.content_types.iter().map(|kind| kind.to_ascii_lowercase()).collect()
            };
            rules.push(Rule {
                name: config.name.as_str().into(),
                on: config.on,
                kinds,
                deny: Patterns::new(&config.deny)?,
                mask: config.mask.clone(),
                max_bytes: config.max_bytes,
                otherwise: config.otherwise,
            });
        }
        Ok(Self { rules })
    }

    /// Whether any rule is about this direction.
    #[must_use]
    pub fn any(&self, on: Direction) -> bool {
        self.rules.iter().any(|rule| rule.on == on)
    }

    /// What is to be done with a body of these fields. `length` is its length when that is known.
    #[must_use]
    pub fn plan(&self, on: Direction, headers: &HeaderMap, length: Option<u64>, hits: &mut Vec<Hit>) -> Plan {
        let kind = kind(headers);
        let plain = headers.get_all(header::CONTENT_ENCODING).iter().all(|coding| coding == "identity");
        let mut plan = Plan::Stream;
        for rule in self.rules.iter().filter(|rule| rule.on == on) {
            if let Some(most) = rule.max_bytes {
                if length.is_some_and(|length| length > most) {
                    return Plan::Refuse(rule.hit(Did::Refused(Why::Size)));
                }
                plan = match plan {
                    Plan::Bounded(least, name) if least <= most => Plan::Bounded(least, name),
                    Plan::Keep(least) => Plan::Keep(least.min(most)),
                    _ => Plan::Bounded(most, Arc::clone(&rule.name)),
                };
            }
            if rule.deny.is_empty() && rule.mask.is_empty() {
                continue;
            }
            let readable = plain
                && rule.kinds.iter().any(|known| fits(known, &kind))
                && length.is_none_or(|length| length <= LOOKED_AT as u64);
            match (readable, rule.otherwise) {
                (true, _) => {
                    let most =
                        if let Plan::Bounded(most, _) | Plan::Keep(most) = plan { most } else { LOOKED_AT as u64 };
                    plan = Plan::Keep(most.min(LOOKED_AT as u64));
                }
                (false, Otherwise::Refuse) => return Plan::Refuse(rule.hit(Did::Refused(Why::Unreadable))),
                (false, Otherwise::Pass) => hits.push(rule.hit(Did::Passed)),
            }
        }
        plan
    }

    /// Judges a whole body; gives what goes on in its place.
    ///
    /// # Errors
    /// The hit that refuses it.
    pub fn judge(&self, on: Direction, headers: &HeaderMap, body: Bytes, hits: &mut Vec<Hit>) -> Result<Bytes, Hit> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind(headers);
        let mut body = body;
        for rule in self.rules.iter().filter(|rule| rule.on == on) {
            if rule.max_bytes.is_some_and(|most| body.len() as u64 > most) {
                return Err(rule.hit(Did::Refused(Why::Size)));
            }
            if !rule.kinds.iter().any(|known| fits(known, &kind)) {
                continue;
            }
            if rule.deny.hits(&body) || decoded(&kind, content_type, &body).iter().any(|text| rule.deny.hits(text)) {
                return Err(rule.hit(Did::Refused(Why::Pattern)));
            }
            if rule.mask.is_empty() {
                continue;
            }
            match mask(&kind, content_type, &body, &rule.mask) {
                Ok((_, 0)) => {}
                Ok((masked, count)) => {
                    body = masked;
                    hits.push(rule.hit(Did::Masked(count)));
                }
                Err(_) if rule.otherwise == Otherwise::Pass => hits.push(rule.hit(Did::Passed)),
                Err(_) => return Err(rule.hit(Did::Refused(Why::Unreadable))),
            }
        }
        Ok(body)
    }
}

impl Rule {
    fn hit(&self, did: Did) -> Hit {
        Hit { rule: Arc::clone(&self.name), did }
    }
}

/// The body cannot be read as what it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not what its Content-Type says")]
pub struct Unreadable;

/// Masks fields in a body of this kind; how many values were masked.
///
/// # Errors
/// When it cannot be read.
pub fn mask(
    kind: &str,
    content_type: &str,
    body: &Bytes,
    fields: &BTreeSet<String>,
) -> Result<(Bytes, usize), Unreadable> {
    match kind {
        "application/x-www-form-urlencoded" => Ok(form::mask(body, fields)),
        "multipart/form-data" => multipart::mask(content_type, body, fields),
        "application/x-ndjson" => json::mask_lines(body, fields),
        _ if kind == "application/json" || kind.ends_with("+json") => json::mask(body, fields),
        // Text has no fields.
        _ => Ok((body.clone(), 0)),
    }
}

/// The values of a body as their reader will see them, when escapes could hide something from a pattern.
fn decoded(kind: &str, content_type: &str, body: &Bytes) -> Vec<Vec<u8>> {
    match kind {
        "application/x-www-form-urlencoded" => form::values(body),
        "multipart/form-data" => multipart::values(content_type, body),
        _ if kind == "application/json" || kind.ends_with("json") => json::values(body),
        _ => Vec::new(),
    }
}

/// The media type, lower case, without parameters.
#[must_use]
pub fn kind(headers: &HeaderMap) -> String {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return String::new() };
    let text = value.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is of a pattern such as `text/*` or `application/*+json`.
fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == kind,
        Some((before, after)) => {
            kind.len() > before.len() + after.len() && kind.starts_with(before) && kind.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests;
