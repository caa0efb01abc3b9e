//! Row counts against a pipeline's own history: median and median absolute deviation, by weekday.
//!
//! Invariants: a function of the values and nothing else; one wild value moves neither the middle nor the spread; a
//! weekday stands for itself only when it has enough history, else all days are taken together; where runs without rows
//! are usual they are neither unusual nor do they pull the middle down.
//! Source: Leys et al. 2013, "Detecting outliers: do not use standard deviation around the mean".

use crate::duty::zone::Zone;
use crate::run::Name;
use jiff::Timestamp;
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};

/// Makes the median absolute deviation of normally spread values their standard deviation.
const NORMAL: f64 = 1.4826;
/// The spread is at least this share of the median: a history of equal values has no spread of its own.
const LEAST_SPREAD: f64 = 0.1;
/// Runs without rows are usual when they are at least one in this many.
const ZEROS_USUAL: usize = 4;

/// Rows that one success wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, u64)", into = "(i64, u64)")]
pub struct RowSample {
    /// When it ended, in seconds since 1970.
    pub second: i64,
    /// How many.
    pub rows: u64,
}

impl From<(i64, u64)> for RowSample {
    fn from((second, rows): (i64, u64)) -> Self {
        Self { second, rows }
    }
}

impl From<RowSample> for (i64, u64) {
    fn from(sample: RowSample) -> Self {
        (sample.second, sample.rows)
    }
}

/// What a rule about row counts would have told, had it been asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The rule.
    pub rule: Name,
    /// When.
    pub at: Timestamp,
    /// What was unusual, and how to be told of it.
    pub text: String,
}

/// How a count is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How many times the spread a count may be away from the middle.
    pub factor: f64,
    /// Counts that there must be before any is judged.
    pub min_history: usize,
}

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The middle.
    pub median: f64,
    /// The median absolute deviation, scaled to a standard deviation.
    pub spread: f64,
    /// Counts that it is taken from.
    pub samples: usize,
    /// The weekday it is taken from; none when from all days.
    pub weekday: Option<Weekday>,
}

/// What came of judging a count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judgement {
    /// There are too few counts to compare with.
    TooFew {
        /// How many there are.
        samples: usize,
    },
    /// It wrote nothing, as many runs before.
    ZeroIsUsual {
        /// Counts of zero.
        zeros: usize,
        /// Of so many.
        samples: usize,
    },
    /// Within the usual.
    Usual(Usual),
    /// Not within it.
    Unusual(Usual),
}

/// Judges a count against those before it.
#[must_use]
pub fn judge(history: &[RowSample], now: RowSample, zone: &Zone, limits: Limits) -> Judgement {
    let day = weekday(now, zone);
    let same_day: Vec<u64> =
        history.iter().filter(|sample| weekday(**sample, zone) == day).map(|sample| sample.rows).collect();
    if same_day.len() >= limits.min_history {
        return compare(&same_day, day, now.rows, limits);
    }
    let all: Vec<u64> = history.iter().map(|sample| sample.rows).collect();
    compare(&all, None, now.rows, limits)
}

fn compare(counts: &[u64], weekday: Option<Weekday>, rows: u64, limits: Limits) -> Judgement {
    let samples = counts.len();
    if samples < limits.min_history.max(1) {
        return Judgement::TooFew { samples };
    }
    let zeros = counts.iter().filter(|count| **count == 0).count();
    let zeros_usual = zeros * ZEROS_USUAL >= samples;
    if zeros_usual && rows == 0 {
        return Judgement::ZeroIsUsual { zeros, samples };
    }
    let values: Vec<f64> =
        counts.iter().filter(|count| !zeros_usual || **count > 0).map(|count| real(*count)).collect();
    if values.len() < limits.min_history.max(1) {
        return Judgement::TooFew { samples: values.len() };
    }
    let usual = usual(&values, weekday);
    let away = (real(rows) - usual.median).abs();
    if away > limits.factor * usual.spread { Judgement::Unusual(usual) } else { Judgement::Usual(usual) }
}

fn usual(values: &[f64], weekday: Option<Weekday>) -> Usual {
    let samples = values.len();
    let middle = median(values.to_vec());
    let away = median(values.iter().map(|value| (value - middle).abs()).collect());
    Usual { median: middle, spread: (NORMAL * away).max(LEAST_SPREAD * middle).max(1.0), samples, weekday }
}

/// The middle value; the mean of the two middle ones when their number is even.
fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median needs a value");
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

fn weekday(sample: RowSample, zone: &Zone) -> Option<Weekday> {
    Timestamp::from_second(sample.second).ok().map(|at| zone.local(at).weekday())
}

#[allow(clippy::cast_precision_loss, reason = "counts beyond 2^53 are compared by their magnitude")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
