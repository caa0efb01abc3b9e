//! On-call shifts as an iCalendar feed (RFC 5545).
//!
//! Invariants: the same shifts and stamp give the same bytes; a shift keeps its UID while its start stays, so that a
//! client sees an override as a change and not as another event; all times are UTC, so no time zone has to be defined.
//! Gaps are not in the feed: a calendar shows them by itself.

use super::absence::Changes;
use super::schedule::{OVERRIDE, Schedule, Shift};
use crate::ids::derive;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// Longest line in octets, without its end (RFC 5545 §3.1).
const LINE_OCTETS: usize = 75;
/// Months before and after the current one that a feed covers.
const MONTHS_BACK: i64 = 1;
const MONTHS_AHEAD: i64 = 6;

/// What a feed is about.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// The schedule's name.
    pub schedule: &'a str,
    /// Only this person's shifts; everybody's when absent.
    pub person: Option<&'a str>,
    /// Name of the server, the right side of every UID.
    pub host: &'a str,
    /// When the feed was made: DTSTAMP of every event.
    pub stamp: Timestamp,
}

/// The shifts of a feed made at `now`: from the beginning of last month until six months after this one. The edges move
/// only once a month, so that a shift that is cut by one keeps its UID meanwhile.
#[must_use]
pub fn shifts<'a>(schedule: &'a Schedule, changes: impl Into<Changes<'a>>, now: Timestamp) -> Vec<Shift> {
    let month = Offset::UTC.to_datetime(now).date().first_of_month();
    let midnight = |date: Date| {
        let midnight = DateTime::from_parts(date, Time::midnight());
        Offset::UTC.to_timestamp(midnight).unwrap_or(Timestamp::MAX)
    };
    let from = midnight(month.saturating_sub(MONTHS_BACK.months()));
    let until = midnight(month.saturating_add((MONTHS_AHEAD + 1).months()));
    schedule.shifts(changes, from, until)
}

/// The feed as `text/calendar`, in UTF-8 with CRLF line ends.
#[must_use]
pub fn render(feed: &Feed<'_>, shifts: &[Shift]) -> String {
    let name = match feed.person {
        Some(person) => format!("{person} on call: {}", feed.schedule),
        None => format!("On call: {}", feed.schedule),
    };
    calendar(&name, &[(*feed, shifts)])
}

/// Several feeds as one calendar, such as everything that a person is on call for.
#[must_use]
pub fn render_together(name: &str, feeds: &[(Feed<'_>, Vec<Shift>)]) -> String {
    let feeds: Vec<(Feed<'_>, &[Shift])> = feeds.iter().map(|(feed, shifts)| (*feed, shifts.as_slice())).collect();
    calendar(name, &feeds)
}

fn calendar(name: &str, feeds: &[(Feed<'_>, &[Shift])]) -> String {
    let mut out = Lines::default();
    out.line("BEGIN:VCALENDAR");
    out.line("VERSION:2.0");
    out.line("PRODID:-//Trackside//On-call//EN");
    out.line("CALSCALE:GREGORIAN");
    out.line("METHOD:PUBLISH");
    // RFC 7986, and the older names that most programs read.
    out.text("NAME", name);
    out.text("X-WR-CALNAME", name);
    out.line("REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    out.line("X-PUBLISHED-TTL:PT1H");
    for (feed, shifts) in feeds {
        for shift in *shifts {
            event(feed, shift, &mut out);
        }
    }
    out.line("END:VCALENDAR");
    out.0
}

fn event(feed: &Feed<'_>, shift: &Shift, out: &mut Lines) {
    let users = &shift.on_call.users;
    let wanted = feed.person.map_or(!users.is_empty(), |person| users.iter().any(|user| user == person));
    let (start, end) = (utc(shift.start), utc(shift.end));
    // The format has whole seconds, and an event must not be empty.
    if !wanted || start == end {
        return;
    }
    let id = derive("shift", &[feed.schedule, &shift.start.to_string()]);
    let why = match shift.on_call.source.as_deref() {
        Some(OVERRIDE) => "By an override".to_owned(),
        Some(layer) => format!("By the layer {layer}"),
        None => String::new(),
    };
    out.line("BEGIN:VEVENT");
    out.text("UID", &format!("{id}@{}", feed.host));
    out.line(&format!("DTSTAMP:{}", utc(feed.stamp)));
    out.line(&format!("DTSTART:{start}"));
    out.line(&format!("DTEND:{end}"));
    out.text("SUMMARY", &format!("{} on call: {}", users.join(", "), feed.schedule));
    out.text("DESCRIPTION", &why);
    // Being on call does not make somebody busy.
    out.line("TRANSP:TRANSPARENT");
    out.line("END:VEVENT");
}

/// Form 2 of DATE-TIME (RFC 5545 §3.3.5).
fn utc(at: Timestamp) -> String {
    let local = Offset::UTC.to_datetime(at);
    let (date, time) = (local.date(), local.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year().max(0),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Content lines, folded.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A property whose value is TEXT (RFC 5545 §3.3.11).
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for c in value.chars() {
            match c {
                '\\' | ';' | ',' => line.extend(['\\', c]),
                '\n' => line.push_str("\\n"),
                '\t' => line.push(c),
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.line(&line);
    }

    /// A line, folded before it gets too long and never inside a character.
    fn line(&mut self, line: &str) {
        let mut octets = 0;
        for c in line.chars() {
            if octets + c.len_utf8() > LINE_OCTETS {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests;
