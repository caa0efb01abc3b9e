//! What the store measures of itself: counters and histograms that are read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the histogram buckets, in microseconds; the last bucket has none.
pub const BUCKETS_US: [u64; 16] = [
    50, 100, 200, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    5_000_000,
];

/// Figures of one store.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Time of a commit: writing the log of the database and waiting for the disk.
    pub commit: Histogram,
    /// Time from queueing a batch to its answer.
    pub write: Histogram,
    /// Time of a read, without waiting for a reader.
    pub read: Histogram,
    /// Time of a checkpoint.
    pub checkpoint: Histogram,
    /// Batches committed.
    pub batches: Counter,
    /// Batches that were refused or failed, each on its own.
    pub batches_failed: Counter,
    /// Commits that failed as a whole.
    pub commits_failed: Counter,
    /// Checkpoints that failed; the database keeps working, its log grows.
    pub checkpoints_failed: Counter,
    /// Entries appended to the log.
    pub appended: Counter,
    /// Entries that were there already.
    pub duplicates: Counter,
    /// Batches waiting for the writer now.
    pub queued: Gauge,
    /// Pages in the database's own write-ahead log after the latest commit.
    pub wal_pages: Gauge,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Counts per bucket, not accumulated; the last is for everything above [`BUCKETS_US`].
    #[must_use]
    pub fn buckets(&self) -> [u64; BUCKETS_US.len() + 1] {
        std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed))
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    /// Sum of what was recorded, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_that_holds_them() {
        let histogram = Histogram::default();
        for us in [50, 51, 10_000_000] {
            histogram.record(Duration::from_micros(us));
        }
        let buckets = histogram.buckets();
        assert_eq!((buckets[0], buckets[1], buckets[BUCKETS_US.len()]), (1, 1, 1));
        assert_eq!((histogram.count(), histogram.sum_us()), (3, 10_000_101));
    }
}
