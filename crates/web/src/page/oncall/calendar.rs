//! The calendar of who is on call: a row for each schedule or person, shifts as bars along the time.
//!
//! Pure. Widths are percentages, so the drawing fits every width; its colours come from the style sheet and are never
//! the only sign: a gap says "nobody", an override has a dashed edge, and the list of shifts has everything in words.

use crate::assets::CALENDAR;
use crate::page::oncall::range::{Length, Range};
use crate::page::words::stretch;
use jiff::Timestamp;
use jiff::civil::Weekday;
use maud::{Markup, html};

/// Height of a bar, in pixels.
const BAR: f64 = 30.0;
/// Room above and below a bar.
const ROOM: f64 = 5.0;
/// Pixels that one percent of the width has at least.
const PIXELS: f64 = 6.0;
/// Pixels that a letter takes, about.
const LETTER: f64 = 7.4;
/// Colours that the style sheet has for people.
const HUES: usize = 8;

/// One row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) title: String,
    /// More about it.
    pub(crate) more: String,
    /// The schedule of a row that is about one; dragging over it asks for an override.
    pub(crate) schedule: Option<String>,
    /// The person of a row that is about one.
    pub(crate) person: Option<String>,
    /// What is in it, in order of the starts.
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// From, inclusive.
    pub(crate) start: Timestamp,
    /// Until, exclusive.
    pub(crate) end: Timestamp,
    /// What stands on it.
    pub(crate) label: String,
    /// What kind.
    pub(crate) kind: Kind,
    /// Where it leads.
    pub(crate) href: Option<String>,
}

/// Kinds of bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A shift, in the colour of this number.
    Shift(usize),
    /// A shift by an override.
    Override(usize),
    /// Nobody is on call.
    Gap,
}

/// The calendar.
pub(crate) fn render(range: &Range, rows: &[Row], now: Timestamp) -> Markup {
    html! {
        div.scroll.cal tabindex="0" role="group" aria-label="Calendar" data-module=(CALENDAR.path)
            data-from=(range.from.as_millisecond()) data-until=(range.until.as_millisecond()) data-zone-name=(range.zone.name()) {
            div class={ "cal-in " (range.length.word()) } {
                div.cal-name {}
                (days(range, now))
                @for row in rows {
                    div.cal-name { b { (row.title) } @if !row.more.is_empty() { span.small.soft { (row.more) } } }
                    (track(range, row, now))
                }
            }
        }
    }
}

/// The names of the days.
fn days(range: &Range, now: Timestamp) -> Markup {
    let today = range.zone.local(now).date();
    let format = if range.length == Length::Week { "%a %-d %b" } else { "%-d" };
    html! {
        svg.cal-days height="26" aria-hidden="true" {
            @for (index, (day, from)) in range.days().into_iter().enumerate() {
                @let format = if index == 0 || day.day() == 1 { "%-d %b" } else { format };
                @let format = if range.length == Length::Week { "%a %-d %b" } else { format };
                text class=[(day == today).then_some("today")] x=(pct(range.place(from))) dx="4" y="17" { (day.strftime(format)) }
            }
        }
    }
}

fn track(range: &Range, row: &Row, now: Timestamp) -> Markup {
    let lanes = lanes(&row.bars);
    let count = lanes.iter().max().map_or(1, |most| most + 1);
    let height = ROOM * 2.0 + (BAR + 2.0) * float(count) - 2.0;
    html! {
        svg.cal-track height=(px(height)) role="group" aria-label=(told(row)) data-schedule=[row.schedule.as_deref()] data-person=[row.person.as_deref()] {
            @for (day, from) in range.days() {
                @if matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
                    @let end = range.zone.instant(day.saturating_add(jiff::Span::new().days(1)).at(0, 0, 0, 0));
                    rect.rest x=(pct(range.place(from))) width=(pct(range.place(end) - range.place(from))) y="0" height="100%" {}
                }
                line.day x1=(pct(range.place(from))) x2=(pct(range.place(from))) y1="0" y2="100%" {}
            }
            @for (bar, lane) in row.bars.iter().zip(&lanes) { (one(range, bar, ROOM + (BAR + 2.0) * float(*lane))) }
            @if range.contains(now) { line.now x1=(pct(range.place(now))) x2=(pct(range.place(now))) y1="0" y2="100%" {} }
        }
    }
}

fn told(row: &Row) -> String {
    let gaps = row.bars.iter().filter(|bar| bar.kind == Kind::Gap).count();
    let shifts = row.bars.len() - gaps;
    format!("{}: {shifts} shifts, {gaps} gaps", row.title)
}

fn one(range: &Range, bar: &Bar, y: f64) -> Markup {
    let (x, end) = (range.place(bar.start), range.place(bar.end));
    // A hair between neighbours.
    let width = (end - x - 0.12).max(0.15);
    let class = match bar.kind {
        Kind::Shift(hue) => format!("shift hue{}", hue % HUES),
        Kind::Override(hue) => format!("shift over hue{}", hue % HUES),
        Kind::Gap => "gap".to_owned(),
    };
    let by = if matches!(bar.kind, Kind::Override(_)) { " (override)" } else { "" };
    let told = format!("{}{by}: {}", bar.label, stretch(bar.start, bar.end, &range.zone));
    // The text lies above the link and not in it: cut to what fits, it would not be part of the link's name.
    html! {
        g.bar {
            title { (told) }
            @let drawn = html! { rect class=(class) x=(pct(x)) width=(pct(width)) y=(px(y)) height=(px(BAR)) rx="5" {} };
            @match &bar.href {
                Some(href) => { a href=(href) aria-label=(told) { (drawn) } },
                None => { (drawn) },
            }
            svg x=(pct(x)) width=(pct(width)) y=(px(y)) height=(px(BAR)) aria-hidden="true" {
                text x="7" y="20" class=[(bar.kind == Kind::Gap).then_some("none")] { (fitting(&bar.label, width)) }
            }
        }
    }
}

/// As much of a name as there is room for: the whole, the first word, the first letters of its words, or as many
/// letters as fit.
fn fitting(label: &str, width: f64) -> String {
    let room = width * PIXELS - 12.0;
    let words: Vec<&str> = label.split([' ', '-', '_', '.']).filter(|word| !word.is_empty()).collect();
    let initials: String = words.iter().filter(|_| words.len() > 1).filter_map(|word| word.chars().next()).collect();
    let first = words.first().copied().unwrap_or_default();
    let fits = |form: &str| float(form.chars().count()) * LETTER <= room;
    if let Some(form) = [label, first].into_iter().find(|form| fits(form)) {
        return form.to_owned();
    }
    let cut: String = first.chars().take(3).chain(['…']).collect();
    match initials.is_empty() {
        false if fits(&initials) => initials,
        true if fits(&cut) => cut,
        _ => String::new(),
    }
}

/// The lane of each bar, so that those that overlap do not cover each other.
fn lanes(bars: &[Bar]) -> Vec<usize> {
    let mut ends: Vec<Timestamp> = Vec::new();
    let mut of = Vec::with_capacity(bars.len());
    for bar in bars {
        let lane = ends.iter().position(|end| *end <= bar.start).unwrap_or(ends.len());
        if lane == ends.len() {
            ends.push(bar.end);
        } else {
            ends[lane] = bar.end;
        }
        of.push(lane);
    }
    of
}

fn float(number: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "positions on a screen")]
    let float = number as f64;
    float
}

fn pct(value: f64) -> String {
    format!("{value:.3}%")
}

fn px(value: f64) -> String {
    format!("{value:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackside_core::duty::zone::Zone;

    fn bar(start: &str, end: &str, label: &str, kind: Kind) -> Bar {
        let at = |text: &str| text.parse().expect("a time");
        Bar { start: at(start), end: at(end), label: label.to_owned(), kind, href: None }
    }

    #[test]
    fn a_week_is_drawn() {
        let now = "2026-11-18T10:00:00Z".parse().expect("a time");
        let range = Range::new(None, Length::Week, Zone::new("Europe/Paris").expect("a zone"), now);
        let bars = vec![
            bar("2026-11-15T08:00:00Z", "2026-11-20T08:00:00Z", "Ana Martin", Kind::Shift(0)),
            bar("2026-11-20T08:00:00Z", "2026-11-21T01:00:00Z", "Bruno", Kind::Override(9)),
            bar("2026-11-21T01:00:00Z", "2026-11-21T07:00:00Z", "nobody", Kind::Gap),
        ];
        let row = Row { title: "primary".to_owned(), schedule: Some("primary".to_owned()), bars, ..Row::default() };
        insta::assert_snapshot!(render(&range, &[row], now).into_string().replace('>', ">\n"));
    }

    #[test]
    fn bars_that_overlap_lie_below_each_other() {
        let one = |start: u8, end: u8| {
            bar(&format!("2026-11-18T{start:02}:00:00Z"), &format!("2026-11-18T{end:02}:00:00Z"), "x", Kind::Shift(0))
        };
        assert_eq!(lanes(&[one(0, 4), one(2, 6), one(4, 8), one(5, 7), one(6, 9)]), [0, 1, 0, 2, 1]);
    }

    #[test]
    fn a_name_is_cut_where_it_may_be() {
        let cut = |label: &str| [20.0, 10.0, 7.0, 5.0, 1.0].map(|width| fitting(label, width));
        assert_eq!(cut("Ana Martin"), ["Ana Martin", "Ana", "Ana", "AM", ""]);
        assert_eq!(cut("secondary"), ["secondary", "sec…", "sec…", "", ""]);
    }
}
