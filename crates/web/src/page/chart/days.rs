//! Charts of days: a sparkline for lists, and bars of one or two series.
//!
//! Pure. Days are UTC days, oldest first.

use super::{HEIGHT, TOP, float, grid, nice_above, pct, px, scale, share};
use crate::page::words;
use jiff::Timestamp;
use maud::{Markup, html};

/// Width of one bar of a sparkline with its gap, in pixels.
const STEP: f64 = 7.0;
/// Height of a sparkline, in pixels.
const SPARK: f64 = 22.0;
/// Labels on the time axis, about.
const LABELS: usize = 7;

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    /// When it began.
    pub(crate) from: Timestamp,
    /// Firings of the first series.
    pub(crate) first: u64,
    /// Firings of the second series.
    pub(crate) second: u64,
}

/// What the two series of a chart are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// There is only the first.
    One,
    /// The second is the version in force.
    Two,
}

/// Counts per day as small bars, with the total in words.
pub(crate) fn spark(counts: &[u64]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let total: u64 = counts.iter().sum();
    let told = format!("fired {} in {} days", words::plural(total, "time", "times"), counts.len());
    html! {
        svg.spark width=(px(STEP * float(counts.len() as u64))) height=(px(SPARK)) role="img" aria-label=(told) {
            @for (index, count) in counts.iter().enumerate() {
                @let height = if *count == 0 { 1.0 } else { (SPARK * float(*count) / float(most)).max(3.0) };
                rect.none[*count == 0] x=(px(STEP * float(index as u64))) width=(px(STEP - 2.0)) y=(px(SPARK - height)) height=(px(height)) rx="1" {}
            }
        }
    }
}

/// Firings by day, the two series side by side.
pub(crate) fn by_day(days: &[Day], series: Series) -> Markup {
    let top = nice_above(days.iter().map(|day| day.first.max(day.second)).max().unwrap_or(0));
    html! {
        div.chart role="img" aria-label=(told(days, series)) {
            (scale(top))
            svg.plot height=(TOP + HEIGHT + 22.0) aria-hidden="true" {
                (grid())
                @for (index, day) in days.iter().enumerate() { (group(index, days.len(), day, top, series)) }
            }
        }
    }
}

fn told(days: &[Day], series: Series) -> String {
    let (first, second) = days.iter().fold((0, 0), |(a, b), day| (a + day.first, b + day.second));
    let first =
        format!("{} in {}", words::plural(first, "firing", "firings"), words::plural(days.len() as u64, "day", "days"));
    match series {
        Series::One => first,
        Series::Two => format!("{first}, {} of the version in force", words::plural(second, "firing", "firings")),
    }
}

fn group(index: usize, of: usize, day: &Day, top: u64, series: Series) -> Markup {
    let (x, whole) = (share(index, of), 100.0 / float(of as u64));
    let (bars, width): (&[(&str, u64, f64)], f64) = match series {
        Series::One => (&[("accent", day.first, 0.14)], 0.72),
        Series::Two => (&[("accent", day.first, 0.12), ("idle", day.second, 0.5)], 0.36),
    };
    let date = day.from.strftime("%b %-d").to_string();
    let told = match series {
        Series::One => format!("{date}: {}", day.first),
        Series::Two => format!("{date}: {}, in force {}", day.first, day.second),
    };
    html! {
        g.bar {
            title { (told) }
            @for (class, count, at) in bars {
                @let height = HEIGHT * float(*count) / float(top);
                @if *count > 0 {
                    rect class=(class) x=(pct(x + whole * at)) width=(pct(whole * width)) y=(px(TOP + HEIGHT - height)) height=(px(height)) rx="1.5" {}
                }
            }
            @if index.is_multiple_of(of.div_ceil(LABELS)) { text x=(pct(x)) y=(TOP + HEIGHT + 16.0) { (date) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_side_by_side() {
        let day = Day { from: Timestamp::UNIX_EPOCH, first: 6, second: 3 };
        insta::assert_snapshot!(by_day(&[day], Series::Two).into_string());
        insta::assert_snapshot!(spark(&[0, 1, 4]).into_string());
    }

    #[test]
    fn no_data_draws_nothing_wrong() {
        for series in [Series::One, Series::Two] {
            assert!(!by_day(&[], series).into_string().contains("NaN"));
        }
        assert!(!spark(&[]).into_string().contains("NaN"));
    }
}
