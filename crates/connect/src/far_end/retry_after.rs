//! `Retry-After` (RFC 9110 §10.2.3): a number of seconds or an HTTP date.

use jiff::{SignedDuration, Timestamp};

/// The earliest time of the next request that the headers ask for, to the second; `None` when absent or unreadable.
///
/// A date in the past gives that date: it does not hold anything back.
#[must_use]
pub fn retry_after(headers: &[(String, String)], now: Timestamp) -> Option<Timestamp> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit means "never"; the largest time says that.
        let seconds = value.parse::<i64>().unwrap_or(i64::MAX);
        return Some(now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX));
    }
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expect: Option<&str>) {
        let now: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
        let headers = [("Retry-After".to_owned(), value.to_owned())];
        assert_eq!(retry_after(&headers, now).map(|at| at.to_string()).as_deref(), expect, "{value}");
    }

    #[test]
    fn seconds_and_dates_are_read_to_the_second() {
        check("0", Some("2026-11-20T16:00:00Z"));
        check("1", Some("2026-11-20T16:00:01Z"));
        check(" 120 ", Some("2026-11-20T16:02:00Z"));
        check("Fri, 20 Nov 2026 16:00:37 GMT", Some("2026-11-20T16:00:37Z"));
        check("Fri, 20 Nov 2026 15:00:37 GMT", Some("2026-11-20T15:00:37Z"));
    }

    #[test]
    fn what_is_neither_is_ignored_and_what_is_too_far_is_the_end_of_time() {
        for value in ["", "soon", "-1", "1.5", "20 Nov"] {
            check(value, None);
        }
        check("99999999999999999999999", Some(Timestamp::MAX.to_string().as_str()));
        check("999999999999999", Some(Timestamp::MAX.to_string().as_str()));
    }
}
