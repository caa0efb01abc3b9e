//! Times as senders write them.
//!
//! RFC 3339 first. Tolerated because real clients send it: an offset without a colon, an offset followed by `Z`
//! (PagerDuty's Python client), a blank instead of the `T`, and no offset at all (Airflow 2.9), which means UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// The instant that a text names.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let shorter = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if let Ok(time) = shorter.parse() {
        return Some(time);
    }
    if text.contains('[') {
        return None;
    }
    let local: DateTime = shorter.parse().ok()?;
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

const EXPECTED: &str = "is not a time; write it as RFC 3339, for example 2026-11-20T16:31:56Z";

/// For `#[serde(deserialize_with)]` on a required time.
pub(crate) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    parse_time(&text).ok_or_else(|| wrong(&text))
}

/// For `#[serde(deserialize_with)]` on a time that may be absent or null.
pub(crate) fn timestamp_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    match Option::<Cow<str>>::deserialize(deserializer)? {
        Some(text) => parse_time(&text).map(Some).ok_or_else(|| wrong(&text)),
        None => Ok(None),
    }
}

fn wrong<E: serde::de::Error>(text: &str) -> E {
    E::custom(format_args!("`{}` {EXPECTED}", super::cut(text, 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(parse_time(text), expect.map(|time| time.parse().unwrap()), "{text}");
    }

    #[test]
    fn times_are_read_as_real_senders_write_them() {
        check("2026-11-20T16:00:00Z", Some("2026-11-20T16:00:00Z"));
        check("2026-11-20T16:00:00.123456+05:30", Some("2026-11-20T10:30:00.123456Z"));
        check("2015-07-17T08:42:58.315+0000", Some("2015-07-17T08:42:58.315Z"));
        check("2026-11-20T16:00:00.123456+00:00Z", Some("2026-11-20T16:00:00.123456Z"));
        check("2026-11-20T17:36:07.219607", Some("2026-11-20T17:36:07.219607Z"));
        check("2026-11-20 17:36:07+01:00", Some("2026-11-20T16:36:07Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z"));
        check("yesterday", None);
        check("", None);
        check("1795192237", None);
        check("2026-11-20T17:36:07[Mars/Olympus]", None);
    }
}
