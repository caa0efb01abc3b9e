//! In whose time the command line reads and writes: moments and lengths of time as people type them.
//!
//! Invariant: a time without an offset is by the clock of the viewer's zone, and is read by the rules of the bundled time
//! zone database, as the server reads it.

use super::show;
use anyhow::{Result, anyhow};
use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Span;

/// In whose time.
#[derive(Clone, Debug, Args)]
pub(super) struct ZoneArgs {
    /// Time zone to read and print times in, such as Europe/Paris; default: that of this machine
    #[arg(long)]
    zone: Option<String>,
}

impl ZoneArgs {
    /// The zone; that of the machine when none is named, UTC when the machine has none with a name.
    pub(super) fn zone(&self) -> Result<Zone> {
        match &self.zone {
            Some(name) => Zone::new(name).map_err(|problem| anyhow!(problem)),
            None => Ok(TimeZone::system().iana_name().and_then(|name| Zone::new(name).ok()).unwrap_or_default()),
        }
    }
}

/// The instant that somebody means: `now`, `+2h`, a time with an offset, or a local time or day.
///
/// # Errors
/// When it is none of these.
pub(super) fn moment(text: &str, zone: &Zone, now: Timestamp) -> Result<Timestamp> {
    let bad = || anyhow!("`{text}` is not a time; write 2026-11-28T18:00, 2026-11-28, +2h, now, or RFC 3339");
    if text == "now" {
        return Ok(now);
    }
    if let Some(length) = text.strip_prefix('+') {
        let length: Span = length.parse().map_err(|problem: String| anyhow!(problem))?;
        return now.checked_add(length.0).map_err(|_| bad());
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<DateTime>().map(|local| zone.instant(local)).map_err(|_| bad())
}

/// When something ends that begins at `from`: by its end or by its length, of which the command line has one.
///
/// # Errors
/// When neither was given, or it is no time.
pub(super) fn end(
    until: Option<&str>,
    length: Option<Span>,
    from: Timestamp,
    zone: &Zone,
    now: Timestamp,
) -> Result<Timestamp> {
    match (until, length) {
        (Some(until), _) => moment(until, zone, now),
        (None, Some(length)) => from.checked_add(length.0).map_err(|_| anyhow!("`{length}` is too long")),
        (None, None) => Err(anyhow!("give --for or --until")),
    }
}

/// A time of the API by the viewer's clock: `Sat 2026-11-28 02:00`.
pub(super) fn local(value: &Value, zone: &Zone) -> String {
    match value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(instant) => at(instant, zone),
        None => show::cell(value),
    }
}

/// An instant by the viewer's clock.
pub(super) fn at(instant: Timestamp, zone: &Zone) -> String {
    zone.local(instant).strftime("%a %Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let zone = Zone::new("Europe/Paris").unwrap();
        let found = moment(text, &zone, "2026-11-20T10:00:00Z".parse().unwrap());
        assert_eq!(found.map_or_else(|error| error.to_string(), |at| at.to_string()), expect);
    }

    #[test]
    fn moments_are_read_as_people_type_them() {
        check("now", "2026-11-20T10:00:00Z");
        check("+2h", "2026-11-20T12:00:00Z");
        check("+1d", "2026-11-21T10:00:00Z");
        check("2026-11-28T18:00", "2026-11-28T17:00:00Z");
        check("2026-11-28 18:00", "2026-11-28T17:00:00Z");
        check("2026-07-01", "2026-06-30T22:00:00Z");
        check("2026-11-28T18:00:00-05:00", "2026-11-28T23:00:00Z");
        check("2026-03-29T02:30", "2026-03-29T01:30:00Z");
        check("+soon", "`soon` is not a length of time; write for example 90s, 20m, 1h 30m or 2d");
        check("tomorrow", "`tomorrow` is not a time; write 2026-11-28T18:00, 2026-11-28, +2h, now, or RFC 3339");
    }

    #[test]
    fn times_are_shown_by_the_viewers_clock() {
        let zone = Zone::new("Asia/Kolkata").unwrap();
        assert_eq!(local(&json!("2026-11-28T01:00:00+01:00"), &zone), "Sat 2026-11-28 05:30");
        assert_eq!(local(&Value::Null, &zone), "");
    }
}
