//! What every door shares: the input of `parse`, the refusal, limits, and the last step of every event ([`seal`]).
//!
//! Invariants: `parse` is pure and total: any bytes give events or a [`Reject`], never a panic; no event leaves a door
//! without being redacted and checked. Reading requests off the network and answering them is not done here.

mod json;
mod time;

pub(crate) use json::{array, array_or_one, decode, pointer, text_at, value_at};
pub(crate) use time::{parse_time, timestamp, timestamp_or_none};

use crate::redact;
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use std::borrow::Cow;
use std::io::Read;
use trackside_core::event::{Event, Fact, Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use trackside_core::ids::derive;
use trackside_core::limits;

/// What arrived at a door, already authenticated, size-limited and inflated.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Body after content decoding.
    pub body: &'a [u8],
    /// Name of the token that authenticated the call; the source when the body names none.
    pub token: &'a str,
    /// Team the token is bound to, if any; the first owner candidate of what it sends.
    pub team: Option<&'a str>,
    /// Now: becomes `received`, and `occurred` when the sender gives no time.
    pub received: Timestamp,
}

/// Why a body is refused: says what was wrong, where, and what to do. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Reject {
    /// HTTP status, 400 to 422.
    pub status: u16,
    /// What is wrong and what is allowed.
    pub problem: String,
    /// Where: JSON pointer or header name; empty for the whole body.
    pub at: String,
}

impl Reject {
    /// A refusal; `problem` is redacted.
    ///
    /// # Panics
    /// When `status` is not one that says "the request is wrong".
    #[must_use]
    pub fn new(status: u16, at: impl Into<String>, problem: &str) -> Self {
        assert!((400..=422).contains(&status), "a refusal blames the request");
        Self { status, problem: redact::text(problem).into_owned(), at: at.into() }
    }

    /// The body does not have the shape that the door documents (422).
    #[must_use]
    pub fn shape(at: impl Into<String>, problem: &str) -> Self {
        Self::new(422, at, problem)
    }

    /// The same refusal, with the place it happened at put in front of its own.
    #[must_use]
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.at.insert_str(0, place);
        self
    }
}

/// An answer that a far end expects in its own words; the shell turns it into an HTTP response.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: AnswerBody,
}

/// The body of an [`Answer`].
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerBody {
    /// `application/json`.
    Json(Value),
    /// `text/plain`.
    Text(Cow<'static, str>),
}

/// Largest body of a door, before and after inflation, in bytes.
pub const BODY_BYTES: usize = 2 * 1024 * 1024;
/// Deepest nesting of JSON accepted (serde_json's own recursion limit is 128).
pub const JSON_DEPTH: usize = 128;
/// Most events in one request.
pub const EVENTS_PER_REQUEST: usize = 1_000;
/// Longest documentation text kept of a pipeline, in bytes.
pub const DOC_BYTES: usize = 1_000;

/// Undoes the content coding of a body (RFC 9110 section 8.4): `gzip`, its old name `x-gzip`, and `identity`.
///
/// At most `limit` bytes are ever produced, so a gzip bomb costs no more than an honest body of that size.
///
/// # Errors
/// 415 for any other coding or a chain of codings, 413 when the body is larger than `limit`, 400 when it is damaged.
pub fn inflate<'a>(coding: Option<&str>, body: &'a [u8], limit: usize) -> Result<Cow<'a, [u8]>, Reject> {
    let too_large =
        || Reject::new(413, "", &format!("the body has more than {limit} bytes; send fewer events at once"));
    match coding.map(str::trim).map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") if body.len() > limit => Err(too_large()),
        None | Some("" | "identity") => Ok(Cow::Borrowed(body)),
        Some("gzip" | "x-gzip") => {
            let mut inflated = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            MultiGzDecoder::new(body).take(most).read_to_end(&mut inflated).map_err(|_| {
                Reject::new(400, "Content-Encoding", "the body is not a complete gzip stream; send it again")
            })?;
            if inflated.len() > limit { Err(too_large()) } else { Ok(Cow::Owned(inflated)) }
        }
        Some(other) => Err(Reject::new(
            415,
            "Content-Encoding",
            &format!("`{}` is not supported; send gzip or no content coding", cut(other, 40)),
        )),
    }
}

/// The last step of every event: redacts it, cuts what has a limit, checks it. `place` is the JSON pointer of the
/// event in the body, for the refusal.
pub(crate) fn seal(mut event: Event, place: &str) -> Result<Event, Reject> {
    redact::event(&mut event);
    match &mut event.fact {
        Some(Fact::Run(update)) => {
            if let Some(error) = &mut update.error {
                cut_in_place(error, limits::ERROR_BYTES);
            }
            if let Some(doc) = &mut update.doc {
                cut_in_place(doc, DOC_BYTES);
            }
            update.owners.truncate(limits::LIST_ITEMS);
            update.tags.truncate(limits::LIST_ITEMS);
        }
        Some(Fact::Report(report)) => {
            report.owners.truncate(limits::LIST_ITEMS);
            report.links.truncate(limits::LIST_ITEMS);
        }
        Some(Fact::Message(_)) | None => {}
    }
    event.validate().map_err(|invalid| {
        let field = invalid.field.replace('[', "/").replace(']', "");
        Reject::shape(format!("{place}/{field}"), &format!("`{field}` {}", invalid.problem))
    })?;
    Ok(event)
}

/// A name as the core keeps it. One that is longer than [`limits::NAME_BYTES`] is cut and ends in a digest of the
/// whole, so that two long names stay two names.
pub(crate) fn name(text: &str) -> String {
    if text.len() <= limits::NAME_BYTES {
        return text.to_owned();
    }
    let digest = derive("name", &[text]).simple().to_string();
    format!("{}~{digest}", cut(text, limits::NAME_BYTES - 1 - digest.len()))
}

/// A short text on one line; `None` when it is no text, or empty.
pub(crate) fn one_line(value: &Value) -> Option<String> {
    let line = value.as_str()?.split(char::is_control).collect::<Vec<_>>().join(" ");
    let line = cut(line.trim(), limits::NAME_BYTES).trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The first `bytes` bytes of a text, or fewer where that would split a character.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The last `bytes` bytes of a text, or fewer where that would split a character.
pub(crate) fn cut_front(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

fn cut_in_place(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

/// Labels of a resource: its id, and a name for people.
pub(crate) fn labels(id: String, name: &str) -> Labels {
    let mut labels = Labels::from([(RESOURCE_ID.to_owned(), id)]);
    if !name.is_empty() {
        labels.insert(RESOURCE_NAME.to_owned(), name.to_owned());
    }
    labels
}

/// Labels of a related resource: its id, role, and a name for people.
pub(crate) fn related(role: &str, id: String, name: &str) -> Labels {
    let mut labels = labels(id, name);
    labels.insert(RESOURCE_ROLE.to_owned(), role.to_owned());
    labels
}

/// The text when it is an absolute `http` or `https` address.
pub(crate) fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(coding: Option<&str>, body: &[u8], expect: Result<&[u8], u16>) {
        let got = inflate(coding, body, 100);
        assert_eq!(got.as_deref().map_err(|reject| reject.status), expect);
    }

    #[test]
    fn bodies_are_inflated_up_to_the_limit() {
        let zipped = gzip(b"hello");
        check(None, b"hello", Ok(b"hello"));
        check(Some("identity"), b"hello", Ok(b"hello"));
        check(Some(" GZIP "), &zipped, Ok(b"hello"));
        check(Some("x-gzip"), &[zipped.clone(), zipped.clone()].concat(), Ok(b"hellohello"));
        check(None, &[0; 101], Err(413));
        check(Some("gzip"), &gzip(&[0; 100]), Ok(&[0; 100]));
        check(Some("gzip"), &gzip(&[0; 101]), Err(413));
        check(Some("gzip"), &gzip(&vec![0; 50_000_000]), Err(413));
        check(Some("gzip"), &zipped[..zipped.len() - 3], Err(400));
        check(Some("gzip"), b"hello", Err(400));
        check(Some("gzip"), b"", Err(400));
        check(Some("br"), b"hello", Err(415));
        check(Some("gzip, gzip"), &zipped, Err(415));
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let long = "ü".repeat(400);
        assert_eq!(name("charge"), "charge");
        assert!(name(&long).len() <= limits::NAME_BYTES);
        assert_eq!(name(&long), name(&long));
        assert_ne!(name(&long), name(&format!("{long}x")));
    }

    #[test]
    fn cuts_keep_characters_whole() {
        assert_eq!(cut("aüb", 2), "a");
        assert_eq!(cut("aüb", 3), "aü");
        assert_eq!(cut("aüb", 9), "aüb");
        assert_eq!(cut_front("aüb", 2), "b");
        assert_eq!(cut_front("aüb", 3), "üb");
        assert_eq!(cut_front("aüb", 9), "aüb");
    }
}
