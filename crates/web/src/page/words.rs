//! Times, durations and numbers in the words people use.
//!
//! Pure. Times are written in UTC; the page's script turns them into the viewer's zone (`trackside.js`).

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use trackside_core::duty::zone::Zone;

/// How a time is shown once the script is there. Without it every form shows the absolute time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// The time, with the day when it is not today.
    Time,
    /// How long ago; the absolute time as a tooltip.
    Ago,
    /// Both.
    Both,
}

/// A time.
pub(crate) fn time(at: Timestamp, how: As) -> Markup {
    let how = match how {
        As::Time => "time",
        As::Ago => "ago",
        As::Both => "both",
    };
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")) data-as=(how) { (utc(at)) } }
}

/// A time on the clock of a zone, whoever looks: `Sat 21 Nov 09:00`.
pub(crate) fn local(at: Timestamp, zone: &Zone) -> Markup {
    let told = zone.local(at).strftime("%a %-d %b %H:%M");
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")) data-as="local" { (told) } }
}

/// A stretch of time on the clock of a zone: `Saturday 21 Nov 02:00–08:00`, `Monday 16 Nov 09:00 – Friday 20 Nov 09:00`.
pub(crate) fn stretch(start: Timestamp, end: Timestamp, zone: &Zone) -> String {
    let (start, end) = (zone.local(start), zone.local(end));
    if start.date() == end.date() {
        return format!("{}–{}", start.strftime("%A %-d %b %H:%M"), end.strftime("%H:%M"));
    }
    format!("{} – {}", start.strftime("%A %-d %b %H:%M"), end.strftime("%A %-d %b %H:%M"))
}

/// A time when there is one, else a dash.
pub(crate) fn time_or_dash(at: Option<Timestamp>, how: As) -> Markup {
    at.map_or_else(dash, |at| time(at, how))
}

/// What stands where nothing is known.
pub(crate) fn dash() -> Markup {
    html! { span.soft aria-label="unknown" { "–" } }
}

/// Absolute time in UTC, to the second.
pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A duration as a table shows it: `1m 30s`, `2h 5m`, `420 ms`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    let whole = whole(seconds);
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

/// A duration as a figure on a tile: one unit, `8 min`, `180 ms`.
pub(crate) fn figure(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    match whole(seconds) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

/// The time from `then` to `now` as a figure; a clock that is ahead counts as zero.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    figure(now.duration_since(then).max(SignedDuration::ZERO).as_secs_f64().floor())
}

/// A share as a percentage; 100 only when nothing failed.
pub(crate) fn percent(share: f64) -> String {
    let points = share * 100.0;
    if (99.0..100.0).contains(&points) {
        format!("{:.1}%", (points * 10.0).floor() / 10.0)
    } else {
        format!("{points:.0}%")
    }
}

/// A whole number with thin spaces between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 page`, `3 pages`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

fn whole(seconds: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to int saturates")]
    let whole = seconds.round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let table: Vec<(String, String)> =
            [0.0, 0.18, 1.0, 9.4, 59.6, 90.0, 423.0, 3_600.0, 7_500.0, 90_000.0, 200_000.0]
                .map(|s| (duration(s), figure(s)))
                .into();
        let expect = [
            ("0 ms", "0 ms"),
            ("180 ms", "180 ms"),
            ("1s", "1.0 s"),
            ("9s", "9.4 s"),
            ("1m 0s", "60 s"),
            ("1m 30s", "90 s"),
            ("7m 3s", "7 min"),
            ("1h 0m", "60 min"),
            ("2h 5m", "2 h"),
            ("1d 1h", "25 h"),
            ("2d 7h", "2 days"),
        ]
        .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(table, expect);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(7), "7");
        assert_eq!(count(18_425), "18\u{202f}425");
        assert_eq!(count(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(plural(1, "page", "pages"), "1 page");
        assert_eq!(percent(0.764), "76%");
        assert_eq!(percent(0.9999), "99.9%");
        assert_eq!(percent(1.0), "100%");
    }

    #[test]
    fn stretches_are_told_on_the_clock_of_a_zone() {
        let at = |text: &str| -> Timestamp { text.parse().expect("time") };
        let paris = Zone::new("Europe/Paris").expect("zone");
        let (one, two) = (at("2026-11-21T01:00:00Z"), at("2026-11-21T07:00:00Z"));
        assert_eq!(stretch(one, two, &paris), "Saturday 21 Nov 02:00–08:00");
        assert_eq!(
            stretch(one, two, &Zone::new("America/New_York").expect("zone")),
            "Friday 20 Nov 20:00 – Saturday 21 Nov 02:00"
        );
        assert!(local(one, &paris).into_string().ends_with(">Sat 21 Nov 02:00</time>"));
    }

    #[test]
    fn a_time_carries_utc_for_browsers_without_script() {
        let at: Timestamp = "2026-11-20T02:14:03.5Z".parse().expect("time");
        assert_eq!(
            time(at, As::Ago).into_string(),
            r#"<time datetime="2026-11-20T02:14:03.500Z" data-as="ago">2026-11-20 02:14:03 UTC</time>"#
        );
    }
}
