//! Charts as inline SVG, made from numbers.
//!
//! Pure. Widths are percentages and heights pixels, so a chart fits a phone without shrinking its text; colours come
//! from the style sheet. Every chart has a text alternative with the figures that matter.

pub(crate) mod days;
pub(crate) mod weeks;

use crate::page::words;
use jiff::Timestamp;
use maud::{Markup, html};

/// Height of the plot, in pixels.
const HEIGHT: f64 = 154.0;
/// Room above the plot for the top label.
const TOP: f64 = 8.0;

/// One bar of [`by_hour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hour {
    /// Begin of the hour.
    pub(crate) at: Timestamp,
    /// Runs that succeeded.
    pub(crate) succeeded: u64,
    /// Runs that ended without success or failure (skipped, cancelled).
    pub(crate) other: u64,
    /// Runs that failed.
    pub(crate) failed: u64,
}

impl Hour {
    fn total(&self) -> u64 {
        self.succeeded + self.other + self.failed
    }
}

/// Runs by hour, stacked.
pub(crate) fn by_hour(hours: &[Hour]) -> Markup {
    let top = nice_above(hours.iter().map(Hour::total).max().unwrap_or(0));
    let total: u64 = hours.iter().map(Hour::total).sum();
    let failed: u64 = hours.iter().map(|hour| hour.failed).sum();
    let told = format!("{} in the last {} hours, {} failed", words::plural(total, "run", "runs"), hours.len(), failed);
    html! {
        div.chart role="img" aria-label=(told) {
            (scale(top))
            svg.plot height=(TOP + HEIGHT + 22.0) aria-hidden="true" {
                (grid())
                @for (index, hour) in hours.iter().enumerate() { (bar(index, hours.len(), hour, top)) }
            }
        }
    }
}

/// The labels of the vertical axis: nothing, half, top.
fn scale(top: u64) -> Markup {
    html! {
        svg width="24" height=(TOP + HEIGHT + 22.0) aria-hidden="true" {
            @for (value, y) in [(top, TOP), (top / 2, TOP + HEIGHT / 2.0), (0, TOP + HEIGHT)] {
                text x="22" y=(y + 4.0) text-anchor="end" { (value) }
            }
        }
    }
}

fn grid() -> Markup {
    html! {
        @for y in [TOP, TOP + HEIGHT / 2.0, TOP + HEIGHT] {
            line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
        }
    }
}

fn bar(index: usize, of: usize, hour: &Hour, top: u64) -> Markup {
    let (x, width) = (share(index, of), 100.0 / float(of as u64) - 0.28);
    let mut y = TOP + HEIGHT;
    let parts = [("good", hour.succeeded), ("warn", hour.other), ("bad", hour.failed)].map(|(class, runs)| {
        let height = HEIGHT * float(runs) / float(top);
        y -= height;
        (class, runs, y, height)
    });
    let told = format!("{} succeeded, {} skipped or cancelled, {} failed", hour.succeeded, hour.other, hour.failed);
    html! {
        g.bar {
            title { (told) }
            @for (class, runs, y, height) in parts {
                @if runs > 0 {
                    rect class=(class) x=(pct(x)) width=(pct(width)) y=(px(y)) height=(px((height - 1.0).max(1.0))) rx="1.5" {}
                }
            }
            @if index.is_multiple_of(4) {
                text x=(pct(x)) y=(TOP + HEIGHT + 16.0) data-hour=(hour.at) { (hour.at.strftime("%H:%M")) }
            }
        }
    }
}

/// One point of [`durations`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Duration in seconds.
    pub(crate) seconds: f64,
    /// True when the run failed; marked with a dot.
    pub(crate) failed: bool,
}

/// Durations of runs, oldest first, as a line; failed runs are dots.
pub(crate) fn durations(samples: &[Sample]) -> Markup {
    const TALL: f64 = 96.0;
    let longest = samples.iter().map(|sample| sample.seconds).fold(0.0, f64::max).max(0.001);
    let last = samples.len().saturating_sub(1).max(1);
    let at = |index: usize, seconds: f64| {
        (100.0 * float(index as u64) / float(last as u64), TALL - 88.0 * seconds / longest)
    };
    let points: Vec<String> = samples
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            let (x, y) = at(index, sample.seconds);
            format!("{x:.2},{y:.1}")
        })
        .collect();
    let told = format!("durations of the last {} runs, the longest {}", samples.len(), words::duration(longest));
    html! {
        div.chart role="img" aria-label=(told) {
            svg width="44" height="104" aria-hidden="true" {
                text x="0" y="12" { (words::duration(longest)) }
                text x="0" y="100" { "0" }
            }
            svg.plot height="104" aria-hidden="true" {
                line.grid x1="0" x2="100%" y1="96" y2="96" {}
                svg width="100%" height="96" viewBox="0 0 100 96" preserveAspectRatio="none" {
                    polyline.curve points=(points.join(" ")) {}
                }
                @for (index, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.failed) {
                    @let (x, y) = at(index, sample.seconds);
                    circle.bad cx=(pct(x)) cy=(px(y)) r="3.5" {}
                }
            }
        }
    }
}

/// The smallest of 2, 4, 6, 10, 20, 40, 60, 100 … that is not below `value`.
fn nice_above(value: u64) -> u64 {
    let mut unit = 1;
    loop {
        for step in [2, 4, 6, 10] {
            if step * unit >= value {
                return step * unit;
            }
        }
        unit *= 10;
    }
}

fn share(index: usize, of: usize) -> f64 {
    100.0 * float(index as u64) / float(of as u64)
}

fn float(number: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "positions on a screen")]
    let float = number as f64;
    float
}

fn pct(value: f64) -> String {
    format!("{value:.2}%")
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_round_numbers() {
        let got = [0, 1, 2, 3, 5, 9, 11, 55, 61, 401, 999, 1001].map(nice_above);
        assert_eq!(got, [2, 2, 2, 4, 6, 10, 20, 60, 100, 600, 1000, 2000]);
    }

    #[test]
    fn a_bar_is_stacked_from_the_bottom() {
        let hour = Hour { at: Timestamp::UNIX_EPOCH, succeeded: 6, other: 1, failed: 3 };
        insta::assert_snapshot!(by_hour(&[hour]).into_string());
    }

    #[test]
    fn no_data_draws_nothing_wrong() {
        assert!(!by_hour(&[]).into_string().contains("NaN"));
        assert!(!durations(&[]).into_string().contains("NaN"));
        assert!(!durations(&[Sample { seconds: 0.0, failed: true }]).into_string().contains("NaN"));
    }
}
