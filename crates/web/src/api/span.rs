//! Stretches of time in requests, and times in the zone of whoever asks.
//!
//! Invariants: a zone is an IANA name of the bundled database; a stretch is half-open and has a bound. A time that was
//! asked for in a zone is written with that zone's offset (RFC 3339).

use crate::problem::Problem;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use trackside_core::duty::zone::Zone;

/// Longest stretch that something can be planned for or asked about: a leap year.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// From inclusive, until exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Inclusive.
    pub(crate) from: Timestamp,
    /// Exclusive.
    pub(crate) until: Timestamp,
}

impl Stretch {
    /// A stretch that is neither empty nor longer than [`LONGEST`]. `names` are those of its ends in the request.
    pub(crate) fn new(from: Timestamp, until: Timestamp, names: [&str; 2]) -> Result<Self, Problem> {
        let [begin, end] = names;
        if until <= from {
            return Err(Problem::bad(end, format!("`{end}` {until} is not after `{begin}` {from}")));
        }
        if until.duration_since(from) > LONGEST {
            let days = LONGEST.as_hours() / 24;
            return Err(Problem::bad(end, format!("from {from} until {until} is longer than {days} days")));
        }
        Ok(Self { from, until })
    }

    /// The stretch of the parameters `from` and `until`, for what has been: by default until now, and so long.
    pub(crate) fn past(
        from: Option<&str>,
        until: Option<&str>,
        zone: &Zone,
        now: Timestamp,
        length: SignedDuration,
    ) -> Result<Self, Problem> {
        let until = given("until", until, zone)?.unwrap_or(now);
        let from = given("from", from, zone)?;
        let from = from.unwrap_or_else(|| until.saturating_sub(length).unwrap_or(Timestamp::MIN));
        Self::new(from, until, ["from", "until"])
    }

    /// The stretch of the parameters `from` and `until`: times, or days in the zone. By default from now, and so long.
    pub(crate) fn asked(
        from: Option<&str>,
        until: Option<&str>,
        zone: &Zone,
        now: Timestamp,
        length: SignedDuration,
    ) -> Result<Self, Problem> {
        let from = given("from", from, zone)?.unwrap_or(now);
        let until =
            given("until", until, zone)?.unwrap_or_else(|| from.saturating_add(length).unwrap_or(Timestamp::MAX));
        Self::new(from, until, ["from", "until"])
    }
}

/// A time of the query: an instant, a local time, or a day (its midnight) in the zone. Empty means "not given".
pub(crate) fn given(at: &str, text: Option<&str>, zone: &Zone) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Some(instant));
    }
    let local = text.parse::<DateTime>();
    let local = local.or_else(|_| text.parse::<Date>().map(|day| DateTime::from_parts(day, Time::midnight())));
    match local {
        Ok(local) => Ok(Some(zone.instant(local))),
        Err(_) => Err(Problem::bad(
            at,
            format!("`{text}` is not a time; write 2026-11-19T09:00:00Z, or 2026-11-19 for a day"),
        )),
    }
}

/// Reads a time in a JSON body.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bad = |_| D::Error::custom(format!("`{text}` is not a time; write 2026-11-19T09:00:00Z"));
    text.parse().map_err(bad)
}

/// Reads a time in a JSON body that may be null.
pub(crate) fn moment_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Moment(#[serde(deserialize_with = "moment")] Timestamp);
    Ok(Option::<Moment>::deserialize(deserializer)?.map(|Moment(at)| at))
}

/// The zone of the parameter `zone`; UTC when it is not given.
pub(crate) fn zone(name: Option<&str>) -> Result<Zone, Problem> {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(Zone::default()),
        Some(name) => Zone::new(name).map_err(|problem| Problem::bad("zone", problem)),
    }
}

/// An instant as RFC 3339 with the offset that the zone has then.
pub(crate) fn local(zone: &Zone, at: Timestamp) -> String {
    at.display_with_offset(zone.time_zone().to_offset(at)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, zone: &str, expect: Result<&str, &str>) {
        let zone = Zone::new(zone).expect("a zone");
        let found = given("from", Some(text), &zone).map(|at| at.map(|at| local(&zone, at)).unwrap_or_default());
        let found = found.map_err(|problem| problem.detail);
        match expect {
            Ok(expect) => assert_eq!(found.as_deref(), Ok(expect), "{text}"),
            Err(part) => assert!(found.as_ref().is_err_and(|detail| detail.contains(part)), "{text}: {found:?}"),
        }
    }

    #[test]
    fn times_are_read_in_the_zone_and_written_with_its_offset() {
        check("2026-11-19T08:00:00Z", "Europe/Berlin", Ok("2026-11-19T09:00:00+01:00"));
        check("2026-07-01", "Europe/Berlin", Ok("2026-07-01T00:00:00+02:00"));
        check("2026-07-01T09:30", "Asia/Kolkata", Ok("2026-07-01T09:30:00+05:30"));
        check("2026-07-01T09:30:00", "UTC", Ok("2026-07-01T09:30:00+00:00"));
        check("", "UTC", Ok(""));
        check("tomorrow", "UTC", Err("is not a time"));
    }

    #[test]
    fn a_stretch_is_neither_empty_nor_endless() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let new = |from, until| Stretch::new(at(from), at(until), ["start", "end"]).map_err(|problem| problem.at);
        assert!(new("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z").is_ok());
        assert_eq!(new("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), Err(Some("end".to_owned())));
        assert_eq!(new("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z"), Err(Some("end".to_owned())));
    }
}
