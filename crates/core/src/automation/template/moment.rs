//! Times and durations as Python's `datetime` and `timedelta` look to a template.
//!
//! Invariant: microseconds at most, as in Python; what Python leaves to the system's locale is English.

use super::error::raise;
use crate::duty::zone::Zone;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A point in time with its zone.
#[derive(Clone, Debug)]
pub(super) struct Moment(Zoned);

impl Moment {
    pub(super) fn utc(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC))
    }

    /// An RFC 3339 time.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::utc)
    }

    pub(super) fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }

    pub(super) fn zoned(&self) -> &Zoned {
        &self.0
    }

    /// With `T` as ISO 8601, with a space as `str()`.
    pub(super) fn text(&self, separator: char) -> String {
        format!("{}{separator}{}{}", self.0.date(), self.clock(), self.offset(":"))
    }

    pub(super) fn repr(&self) -> String {
        let time = &self.0;
        let micros = match self.micros() {
            0 => String::new(),
            micros => format!("{micros}, "),
        };
        let zone = time.time_zone().iana_name().unwrap_or("UTC").to_owned();
        let (date, clock) = (time.date(), time.time());
        format!(
            "DateTime({}, {}, {}, {}, {}, {}, {micros}tzinfo=Timezone('{zone}'))",
            date.year(),
            date.month(),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        )
    }

    fn micros(&self) -> i32 {
        self.0.subsec_nanosecond() / 1000
    }

    fn clock(&self) -> String {
        let time = &self.0;
        let clock = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
        match self.micros() {
            0 => clock,
            micros => format!("{clock}.{micros:06}"),
        }
    }

    fn offset(&self, colon: &str) -> String {
        let seconds = self.0.offset().seconds();
        let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
        format!("{sign}{:02}{colon}{:02}", seconds / 3600, seconds / 60 % 60)
    }

    fn seconds(&self) -> f64 {
        self.0.timestamp().as_microsecond() as f64 / 1e6
    }

    fn shifted(&self, zone: &str) -> Result<Value, Error> {
        let zone = Zone::new(zone).map_err(|_| raise("InvalidTimezone", format!("Invalid timezone: {zone}")))?;
        Ok(Value::from_object(Self(self.0.with_time_zone(zone.time_zone().clone()))))
    }

    /// Python's `strftime`; what it does not know stays as written.
    pub(super) fn format(&self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('-') => match chars.next() {
                    Some(c) => out.push_str(unpadded(&self.directive(c))),
                    None => out.push_str("%-"),
                },
                Some(c) => out.push_str(&self.directive(c)),
                None => out.push('%'),
            }
        }
        out
    }

    fn directive(&self, directive: char) -> String {
        let time = &self.0;
        match directive {
            'f' => format!("{:06}", self.micros()),
            'z' => self.offset(""),
            'Z' if *time.time_zone() == TimeZone::UTC => "UTC".to_owned(),
            'c' => self.format("%a %b %e %H:%M:%S %Y"),
            'x' | 'D' => self.format("%m/%d/%y"),
            'X' | 'T' => self.format("%H:%M:%S"),
            '%' => "%".to_owned(),
            _ => {
                let format = format!("%{directive}");
                jiff::fmt::strtime::format(&format, time).unwrap_or(format)
            }
        }
    }
}

fn unpadded(text: &str) -> &str {
    match text.trim_start_matches(['0', ' ']) {
        "" => "0",
        rest => rest,
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let time = &self.0;
        Some(match key.as_str()? {
            "year" => time.year().into(),
            "month" => time.month().into(),
            "day" => time.day().into(),
            "hour" => time.hour().into(),
            "minute" => time.minute().into(),
            "second" => time.second().into(),
            "microsecond" => self.micros().into(),
            "int_timestamp" => time.timestamp().as_second().into(),
            "day_of_year" => time.day_of_year().into(),
            "week_of_year" => time.date().iso_week_date().week().into(),
            "quarter" => ((time.month() - 1) / 3 + 1).into(),
            "timezone_name" => time.time_zone().iana_name()?.into(),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let argument = || args.first().and_then(Value::as_str).ok_or_else(|| missing(method));
        Ok(match method {
            "strftime" => self.format(argument()?).into(),
            "isoformat" => {
                self.text(args.first().and_then(Value::as_str).and_then(|s| s.chars().next()).unwrap_or('T')).into()
            }
            "timestamp" => self.seconds().into(),
            "date" => self.0.date().to_string().into(),
            "time" => self.clock().into(),
            "weekday" => self.0.weekday().since(Weekday::Monday).into(),
            "isoweekday" => (self.0.weekday().since(Weekday::Monday) + 1).into(),
            "in_timezone" | "in_tz" => self.shifted(argument()?)?,
            "to_iso8601_string" => self.text('T').replace("+00:00", "Z").into(),
            "to_date_string" => self.format("%Y-%m-%d").into(),
            "to_time_string" => self.format("%H:%M:%S").into(),
            "to_datetime_string" => self.format("%Y-%m-%d %H:%M:%S").into(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.timestamp().cmp(&other.0.timestamp()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(' '))
    }
}

fn missing(method: &str) -> Error {
    raise("TypeError", format!("{method}() takes exactly 1 argument (0 given)"))
}

/// A duration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) SignedDuration);

impl Span {
    /// Days, seconds of the day and microseconds, of which only the days are negative.
    fn parts(self) -> (i64, i64, i64) {
        let micros = i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX);
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        (seconds.div_euclid(86_400), seconds.rem_euclid(86_400), micros)
    }

    pub(super) fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    pub(super) fn text(self) -> String {
        let (days, seconds, micros) = self.parts();
        let clock = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let clock = if micros == 0 { clock } else { format!("{clock}.{micros:06}") };
        match days {
            0 => clock,
            1 | -1 => format!("{days} day, {clock}"),
            _ => format!("{days} days, {clock}"),
        }
    }

    pub(super) fn repr(self) -> String {
        let (days, seconds, micros) = self.parts();
        let named = [("days", days), ("seconds", seconds), ("microseconds", micros)];
        let named: Vec<String> =
            named.iter().filter(|(_, value)| *value != 0).map(|(name, value)| format!("{name}={value}")).collect();
        format!("datetime.timedelta({})", if named.is_empty() { "0".to_owned() } else { named.join(", ") })
    }
}

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (days, seconds, micros) = self.parts();
        match key.as_str()? {
            "days" => Some(days.into()),
            "seconds" => Some(seconds.into()),
            "microseconds" => Some(micros.into()),
            _ => None,
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        match method {
            "total_seconds" => Ok(self.seconds().into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
