//! How long something took, week by week: the median as a bar, the ninetieth percentile as a line above it.
//!
//! Pure. Weeks are told by their Monday, oldest first; a week without any is a gap.

use super::{HEIGHT, TOP, float, grid, pct, px, share};
use crate::page::words::figure;
use jiff::civil::Date;
use maud::{Markup, html};

/// Labels on the time axis, about.
const LABELS: usize = 8;

/// One week.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Week {
    /// Its Monday.
    pub(crate) monday: Date,
    /// Median and ninetieth percentile in seconds, when there was any.
    pub(crate) took: Option<(f64, f64)>,
}

/// The chart; `what` begins its text alternative.
pub(crate) fn durations(what: &str, weeks: &[Week]) -> Markup {
    let top = nice_above(weeks.iter().filter_map(|week| week.took).map(|(_, most)| most).fold(0.0, f64::max));
    let every = weeks.len().div_ceil(LABELS).max(1);
    html! {
        div.chart role="img" aria-label=(told(what, weeks)) {
            svg width="48" height=(TOP + HEIGHT + 22.0) aria-hidden="true" {
                @for (value, y) in [(top, TOP), (top / 2.0, TOP + HEIGHT / 2.0), (0.0, TOP + HEIGHT)] {
                    text x="44" y=(y + 4.0) text-anchor="end" { @if value == 0.0 { "0" } @else { (figure(value)) } }
                }
            }
            svg.plot height=(TOP + HEIGHT + 22.0) aria-hidden="true" {
                (grid())
                @for (index, week) in weeks.iter().enumerate() { (bar(index, weeks.len(), week, top, index.is_multiple_of(every))) }
            }
        }
    }
}

fn told(what: &str, weeks: &[Week]) -> String {
    let last = weeks.iter().rev().find_map(|week| Some((week.monday, week.took?)));
    match last {
        None => format!("{what}: nothing in {} weeks", weeks.len()),
        Some((monday, (median, most))) => format!(
            "{what} over {} weeks; in the week of {} the median was {}, nine of ten took at most {}",
            weeks.len(),
            monday.strftime("%-d %B"),
            figure(median),
            figure(most)
        ),
    }
}

fn bar(index: usize, of: usize, week: &Week, top: f64, labelled: bool) -> Markup {
    let whole = 100.0 / float(of as u64);
    let x = share(index, of) + whole * 0.18;
    let width = whole * 0.64;
    let y = |seconds: f64| TOP + HEIGHT - HEIGHT * seconds / top;
    let label = week.monday.strftime("%-d %b");
    html! {
        g.bar {
            title {
                "week of " (label) ": "
                @match week.took { None => "nothing", Some((median, most)) => { "median " (figure(median)) ", nine of ten within " (figure(most)) } }
            }
            @if let Some((median, most)) = week.took {
                rect.accent x=(pct(x)) width=(pct(width)) y=(px(y(median).min(TOP + HEIGHT - 1.0))) height=(px((HEIGHT * median / top).max(1.0))) rx="1.5" {}
                line.most x1=(pct(x)) x2=(pct(x + width)) y1=(px(y(most))) y2=(px(y(most))) {}
            }
            @if labelled { text x=(pct(x)) y=(TOP + HEIGHT + 16.0) { (label) } }
        }
    }
}

/// The smallest round time that is not below `seconds`.
fn nice_above(seconds: f64) -> f64 {
    const ROUND: [f64; 16] = [
        10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 43_200.0,
        86_400.0, 172_800.0, 604_800.0,
    ];
    let days = (seconds / 604_800.0).ceil() * 604_800.0;
    ROUND.into_iter().find(|round| *round >= seconds).unwrap_or(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(monday: &str, took: Option<(f64, f64)>) -> Week {
        Week { monday: monday.parse().expect("a day"), took }
    }

    #[test]
    fn weeks_are_drawn_with_median_and_most() {
        let weeks = [week("2026-11-09", None), week("2026-11-16", Some((240.0, 900.0)))];
        insta::assert_snapshot!(durations("Time to acknowledge", &weeks).into_string().replace('>', ">\n"));
    }

    #[test]
    fn axes_end_on_round_times() {
        let got = [0.0, 61.0, 3_601.0, 700_000.0].map(nice_above);
        assert_eq!(got, [10.0, 120.0, 7_200.0, 1_209_600.0]);
        assert!(!durations("x", &[]).into_string().contains("NaN"));
    }
}
