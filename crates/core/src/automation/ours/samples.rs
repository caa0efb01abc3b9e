//! The runs that a metric is computed from: exact up to [`SAMPLES`], then in pieces of the range.
//!
//! Invariants: sums are whole numbers, so that they do not depend on the order in which runs came; a piece leaves the
//! range with its newest run, at most a 128th of the range late.

use super::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// Runs of one key that are kept one by one; with more, those close together are kept as their sum.
pub const SAMPLES: usize = 256;
/// How many pieces a range has then.
const PIECES: i64 = 128;

/// A run, or several that ended close together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When the newest of them ended.
    pub(super) ended: Instant,
    /// How many they are.
    pub(super) runs: u64,
    /// The sum of their values.
    pub(super) sum: i64,
}

/// Runs in a range, by when they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Row>", into = "Vec<Row>")]
pub(super) struct Samples(Vec<Sample>);

/// A sample as its cell holds it: a row without names.
#[derive(Serialize, Deserialize)]
struct Row(Instant, u64, i64);

impl From<Samples> for Vec<Row> {
    fn from(samples: Samples) -> Self {
        samples.0.into_iter().map(|sample| Row(sample.ended, sample.runs, sample.sum)).collect()
    }
}

impl From<Vec<Row>> for Samples {
    fn from(rows: Vec<Row>) -> Self {
        Self(rows.into_iter().map(|Row(ended, runs, sum)| Sample { ended, runs, sum }).collect())
    }
}

/// How many runs, and the sum of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) runs: u64,
    pub(super) sum: i64,
}

impl Samples {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the newest run ended.
    pub(super) fn newest(&self) -> Option<Instant> {
        self.0.last().map(|sample| sample.ended)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    pub(super) fn total(&self) -> Total {
        self.0.iter().fold(Total::default(), |total, sample| Total {
            runs: total.runs + sample.runs,
            sum: total.sum.saturating_add(sample.sum),
        })
    }

    /// Adds a run that ended within `range`.
    pub(super) fn add(&mut self, ended: Instant, value: i64, range: Span) {
        let place = self.0.partition_point(|sample| sample.ended <= ended);
        self.0.insert(place, Sample { ended, runs: 1, sum: value });
        if self.0.len() > SAMPLES {
            self.merge(range.part(PIECES));
        }
    }

    /// Drops what ended at `until` or before.
    pub(super) fn drop_until(&mut self, until: Instant) {
        let gone = self.0.partition_point(|sample| sample.ended <= until);
        self.0.drain(..gone);
    }

    fn merge(&mut self, piece: Span) {
        let mut merged: Vec<Sample> = Vec::new();
        for sample in self.0.drain(..) {
            match merged.last_mut() {
                Some(last) if last.ended.piece(piece) == sample.ended.piece(piece) => {
                    last.ended = sample.ended;
                    last.runs += sample.runs;
                    last.sum = last.sum.saturating_add(sample.sum);
                }
                _ => merged.push(sample),
            }
        }
        self.0 = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_runs_are_kept_in_pieces_and_none_is_lost() {
        let range = Span::minutes(60);
        let mut samples = Samples::default();
        for run in 0..10_000i64 {
            samples.add(Instant::EPOCH.at_offset(run * 360_000), run % 2, range);
            assert!(samples.0.len() <= SAMPLES);
        }
        assert_eq!(samples.total(), Total { runs: 10_000, sum: 5_000 });
        samples.drop_until(Instant::EPOCH.at_offset(5_000 * 360_000));
        let left = samples.total().runs;
        assert!((4_999..=5_078).contains(&left), "{left} of 5,000 are left");
        let stored = serde_json::to_string(&samples).unwrap();
        assert_eq!(serde_json::from_str::<Samples>(&stored).unwrap(), samples);
    }
}
