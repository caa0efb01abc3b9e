//! What `/metrics` says of the store and the outbox, beside the web's own figures.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use trackside_store::Store;
use trackside_store::metrics::{BUCKETS_US, Histogram};

/// Figures of the outbox, refreshed by the watchdog. Labels are names from the configuration, so they are bounded.
#[derive(Clone, Debug, Default)]
pub struct OutboxMetrics {
    /// Unfinished and dead rows by connection and state.
    pub rows: Family<Rows, Gauge>,
    /// How long the oldest unfinished row of a connection has waited, in seconds.
    pub waiting: Family<Waiting, Gauge>,
}

/// Labels of [`OutboxMetrics::rows`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Rows {
    /// Connection.
    pub connection: String,
    /// `pending`, `sending` or `dead`.
    pub state: &'static str,
}

/// Labels of [`OutboxMetrics::waiting`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Waiting {
    /// Connection.
    pub connection: String,
}

/// Registers everything; gives the figures that the watchdog refreshes.
pub(super) fn register(registry: &mut Registry, store: &Store) -> OutboxMetrics {
    registry.register_collector(Box::new(StoreCollector(store.clone())));
    let outbox = OutboxMetrics::default();
    registry.register("trackside_outbox_rows", "Deliveries that are not over, and dead ones", outbox.rows.clone());
    registry.register_with_unit(
        "trackside_outbox_waiting",
        "How long the oldest unfinished delivery has waited",
        Unit::Seconds,
        outbox.waiting.clone(),
    );
    outbox
}

#[derive(Debug)]
struct StoreCollector(Store);

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let metrics = self.0.metrics();
        let counters = [
            ("trackside_store_batches", "Batches committed", &metrics.batches),
            ("trackside_store_batches_failed", "Batches refused or failed, each on its own", &metrics.batches_failed),
            ("trackside_store_commits_failed", "Commits that failed as a whole", &metrics.commits_failed),
            ("trackside_store_checkpoints_failed", "Checkpoints that failed", &metrics.checkpoints_failed),
            ("trackside_log_appended", "Entries appended to the log", &metrics.appended),
            ("trackside_log_duplicates", "Entries that were in the log already", &metrics.duplicates),
        ];
        for (name, help, counter) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(counter.get()).encode(metric)?;
        }
        let gauges = [
            ("trackside_store_queued", "Batches waiting for the writer", metrics.queued.get()),
            ("trackside_store_wal_pages", "Pages in the write-ahead log", metrics.wal_pages.get()),
            ("trackside_log_head", "Position of the newest log entry", *self.0.head().borrow()),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
        }
        let histograms = [
            ("trackside_store_commit", "Time of a commit, waiting for the disk included", &metrics.commit),
            ("trackside_store_write", "Time from queueing a batch to its answer", &metrics.write),
            ("trackside_store_read", "Time of a read", &metrics.read),
        ];
        for (name, help, histogram) in histograms {
            let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            let (sum, count, buckets) = seconds(histogram);
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// Sum, count and buckets in seconds; Prometheus encodes the buckets accumulated.
#[allow(clippy::cast_precision_loss, reason = "microseconds of a process's life fit")]
fn seconds(histogram: &Histogram) -> (f64, u64, Vec<(f64, u64)>) {
    let counts = histogram.buckets();
    let bounds = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain(std::iter::once(f64::MAX));
    let buckets = bounds.zip(counts).collect();
    (histogram.sum_us() as f64 / 1e6, histogram.count(), buckets)
}
