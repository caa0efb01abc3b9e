//! Why no token came, and for how long nobody needs to ask again.
//!
//! Invariant: a text holds no credential: what a far end says is shortened, and words that could be a token are left
//! out.

use crate::exchange::AskError;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// How long a refusal holds: within this time the far end is not asked again (as MSAL does with 4xx).
pub const REFUSED_FOR: Duration = Duration::from_secs(60);
/// How long a busy far end is left alone when it does not say.
pub const BUSY_FOR: Duration = Duration::from_secs(5);
/// Longest time that a far end can ask to be left alone.
pub const BUSY_AT_MOST: Duration = Duration::from_secs(3_600);

/// Longest text of a far end that is shown, in characters.
const SHOWN: usize = 200;
/// A word from this length on could be a token.
const TOKEN_LIKE: usize = 40;

/// Why no token came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// Status of the reply, if there was one.
    pub status: Option<StatusCode>,
    /// How long the far end asks to be left alone.
    pub after: Option<Duration>,
    /// For people.
    pub text: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureClass {
    /// Something here is missing: a secret, a file, a key. Nothing was sent.
    Here,
    /// The far end refuses, and will until the configuration here or there changes.
    Permanent,
    /// The far end refuses.
    Refused,
    /// The far end is busy or broken (429, 5xx).
    Busy,
    /// No answer came.
    NoAnswer,
    /// The answer cannot be understood, or grants less than was asked for.
    Unusable,
}

impl FailureClass {
    /// Its name in metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Permanent => "permanent",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Unusable => "unusable",
        }
    }
}

impl Failure {
    /// Something here is missing.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
    pub fn here(text: impl ToString) -> Self {
        Self { class: FailureClass::Here, status: None, after: None, text: text.to_string() }
    }

    /// The answer cannot be used.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
    pub fn unusable(text: impl ToString) -> Self {
        Self { class: FailureClass::Unusable, status: None, after: None, text: text.to_string() }
    }

    /// A reply that is not a success. `text` says what the far end says.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap, now: Timestamp, text: String) -> Self {
        let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let class = match () {
            () if busy => FailureClass::Busy,
            () if status.is_client_error() => FailureClass::Refused,
            () => FailureClass::Unusable,
        };
        let after = busy.then(|| retry_after(headers, now)).flatten();
        Self { class, status: Some(status), after, text }
    }

    /// How long the far end is not asked again.
    #[must_use]
    pub fn hold(&self) -> Duration {
        match self.class {
            FailureClass::Permanent | FailureClass::Refused | FailureClass::Unusable => REFUSED_FOR,
            FailureClass::Busy => self.after.unwrap_or(BUSY_FOR).min(BUSY_AT_MOST),
            FailureClass::NoAnswer | FailureClass::Here => BUSY_FOR,
        }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let class = match error {
            AskError::Unreachable { .. } | AskError::Lost { .. } => FailureClass::NoAnswer,
            AskError::TooLong { .. } => FailureClass::Unusable,
        };
        Self { class, status: None, after: None, text: error.to_string() }
    }
}

/// How long a far end asks to be left alone (RFC 9110 §10.2.3), in seconds or as a date.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(BUSY_AT_MOST, Duration::from_secs).min(BUSY_AT_MOST));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default().min(BUSY_AT_MOST))
}

/// A text of a far end as it can be shown: short, one line, without words that could be tokens.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if out.chars().count() >= SHOWN {
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if word.chars().count() < TOKEN_LIKE { word } else { "…" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureClass::{Busy, Refused, Unusable};

    #[test]
    fn a_status_says_how_long_to_wait() {
        let now = "2026-11-21T06:00:00Z".parse().expect("a time");
        for (status, after, class, hold) in [
            (400, None, Refused, 60),
            (401, Some("7"), Refused, 60),
            (404, None, Refused, 60),
            (429, None, Busy, 5),
            (429, Some("17"), Busy, 17),
            (429, Some("99999"), Busy, 3_600),
            (429, Some("99999999999999999999"), Busy, 3_600),
            (429, Some("-3"), Busy, 5),
            (429, Some("soon"), Busy, 5),
            (500, None, Busy, 5),
            (503, Some("Sat, 21 Nov 2026 06:01:30 GMT"), Busy, 90),
            (503, Some("Sat, 21 Nov 2026 05:00:00 GMT"), Busy, 0),
            (302, None, Unusable, 60),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(header::RETRY_AFTER, after.parse().expect("a header"));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            let failure = Failure::of(status, &headers, now, String::new());
            assert_eq!((failure.class, failure.hold().as_secs()), (class, hold), "{status} {after:?}");
        }
    }

    #[test]
    fn what_a_far_end_says_is_shortened_and_holds_no_token() {
        for (said, expect) in [
            ("unknown client", "unknown client"),
            ("line\r\n\tbreak\u{7}bell", "line break bell"),
            ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc is bad", "token … is bad"),
            ("", ""),
        ] {
            assert_eq!(shown(said), expect);
        }
        assert!(shown(&"word ".repeat(1_000)).chars().count() < SHOWN + 10);
    }
}
