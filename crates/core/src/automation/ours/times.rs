//! The times of some events of one key, oldest first.
//!
//! Compact: one time needs no memory of its own. Stored as distances, so that a full window is a short text.
//! Invariant: always sorted; how many there may be is decided by who keeps them.

use super::time::Instant;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Times, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Distances", into = "Distances")]
pub(super) enum Times {
    #[default]
    None,
    One(Instant),
    Many(Vec<Instant>),
}

/// The first time in microseconds, then each one's distance from the one before.
#[derive(Serialize, Deserialize)]
struct Distances(Vec<i64>);

impl Times {
    pub(super) fn as_slice(&self) -> &[Instant] {
        match self {
            Self::None => &[],
            Self::One(time) => std::slice::from_ref(time),
            Self::Many(times) => times,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(super) fn newest(&self) -> Option<Instant> {
        self.as_slice().last().copied()
    }

    /// The `n`-th counted from the newest, which is the first.
    pub(super) fn nth_newest(&self, n: usize) -> Option<Instant> {
        let times = self.as_slice();
        times.len().checked_sub(n).and_then(|index| times.get(index)).copied()
    }

    /// How many there are at `from` or later.
    pub(super) fn count_from(&self, from: Instant) -> usize {
        let times = self.as_slice();
        times.len() - times.partition_point(|time| *time < from)
    }

    /// Adds a time; gives its place, behind equal ones.
    pub(super) fn insert(&mut self, time: Instant) -> usize {
        self.edit(|times| {
            let place = times.partition_point(|other| *other <= time);
            times.insert(place, time);
            place
        })
    }

    pub(super) fn remove(&mut self, places: Range<usize>) {
        self.edit(|times| drop(times.drain(places)));
    }

    /// Drops all but the newest `n`.
    pub(super) fn keep_newest(&mut self, n: usize) {
        if let Some(surplus) = self.as_slice().len().checked_sub(n).filter(|surplus| *surplus > 0) {
            self.remove(0..surplus);
        }
    }

    /// Drops those at `last` or before.
    pub(super) fn drop_until(&mut self, last: Instant) {
        let gone = self.as_slice().partition_point(|time| *time <= last);
        if gone > 0 {
            self.remove(0..gone);
        }
    }

    fn edit<R>(&mut self, edit: impl FnOnce(&mut Vec<Instant>) -> R) -> R {
        let mut times = match std::mem::take(self) {
            Self::None => Vec::new(),
            Self::One(time) => vec![time],
            Self::Many(times) => times,
        };
        let result = edit(&mut times);
        *self = match times.as_slice() {
            [] => Self::None,
            [time] => Self::One(*time),
            _ => Self::Many(times),
        };
        result
    }
}

impl From<Times> for Distances {
    fn from(times: Times) -> Self {
        let times = times.as_slice();
        let first = times.first().map(|first| first.offset_from(Instant::EPOCH));
        Self(first.into_iter().chain(times.windows(2).map(|pair| pair[1].offset_from(pair[0]))).collect())
    }
}

impl From<Distances> for Times {
    fn from(Distances(distances): Distances) -> Self {
        let mut last = Instant::EPOCH;
        let mut times: Vec<Instant> = Vec::with_capacity(distances.len());
        for distance in distances {
            last = last.at_offset(distance);
            times.push(last);
        }
        let mut all = Self::None;
        all.edit(|empty| *empty = times);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: &[i64]) -> Times {
        let mut times = Times::default();
        for second in seconds {
            times.insert(Instant::EPOCH.at_offset(second * 1_000_000));
        }
        times
    }

    #[test]
    fn times_are_sorted_and_bounded() {
        let mut some = times(&[30, 10, 20, 20]);
        assert_eq!(some, times(&[10, 20, 20, 30]));
        assert_eq!(some.nth_newest(2), Some(Instant::EPOCH.at_offset(20_000_000)));
        assert_eq!(some.nth_newest(5), None);
        some.keep_newest(3);
        assert_eq!(some, times(&[20, 20, 30]));
        some.drop_until(Instant::EPOCH.at_offset(20_000_000));
        assert_eq!(some, times(&[30]));
        some.remove(0..1);
        assert!(some.is_empty());
    }

    #[test]
    fn times_are_stored_as_distances() {
        for (seconds, expected) in [(&[][..], "[]"), (&[7], "[7000000]"), (&[7, 9, 9], "[7000000,2000000,0]")] {
            let stored = serde_json::to_string(&times(seconds)).unwrap();
            assert_eq!(stored, expected);
            assert_eq!(serde_json::from_str::<Times>(&stored).unwrap(), times(seconds));
        }
    }
}
