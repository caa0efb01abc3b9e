//! What this crate measures, in Prometheus terms.
//!
//! Invariant: label values are a fixed set (doors, status codes), never something a sender chooses.

use crate::door::Door;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The metrics of this crate; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    doors: Vec<DoorMetrics>,
    refused: Family<Refused, Counter>,
    /// Browsers and tools that follow changes.
    pub(crate) streams: Gauge,
    /// Prefect clients connected to the event socket.
    pub(crate) sockets: Gauge,
}

/// The metrics of one door, found without a look-up by label.
#[derive(Clone, Debug)]
pub(crate) struct DoorMetrics {
    /// Events stored.
    pub(crate) accepted: Counter,
    /// Events that were stored before.
    pub(crate) duplicates: Counter,
    /// Time from the end of the request head to the answer.
    pub(crate) seconds: Histogram,
    /// Second in which a refusal was last logged.
    told: Arc<AtomicI64>,
}

impl DoorMetrics {
    /// Whether a refusal at `now` may be logged: the first in each second.
    pub(crate) fn may_tell(&self, now: Timestamp) -> bool {
        self.told.swap(now.as_second(), Ordering::Relaxed) != now.as_second()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtDoor {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    door: &'static str,
    status: u16,
}

/// Buckets from 0.25 ms to 8 s.
fn latency() -> Histogram {
    Histogram::new([0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0, 8.0])
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let accepted = Family::<AtDoor, Counter>::default();
        let duplicates = Family::<AtDoor, Counter>::default();
        let seconds = Family::<AtDoor, Histogram>::new_with_constructor(latency);
        let refused = Family::<Refused, Counter>::default();
        let (streams, sockets) = (Gauge::default(), Gauge::default());
        registry.register("trackside_events_accepted", "Events stored, by door", accepted.clone());
        registry.register("trackside_events_duplicate", "Events that were stored before, by door", duplicates.clone());
        registry.register("trackside_door_seconds", "Time to answer a request that was accepted", seconds.clone());
        registry.register("trackside_door_refused", "Requests or frames refused, by door and status", refused.clone());
        registry.register("trackside_streams", "Clients that follow changes", streams.clone());
        registry.register(
            "trackside_prefect_sockets",
            "Prefect clients connected to the event socket",
            sockets.clone(),
        );
        let doors = Door::ALL
            .iter()
            .map(|door| {
                let label = AtDoor { door: door.as_str() };
                DoorMetrics {
                    accepted: accepted.get_or_create(&label).clone(),
                    duplicates: duplicates.get_or_create(&label).clone(),
                    seconds: seconds.get_or_create(&label).clone(),
                    told: Arc::default(),
                }
            })
            .collect();
        Self { doors, refused, streams, sockets }
    }

    pub(crate) fn door(&self, door: Door) -> &DoorMetrics {
        &self.doors[door as usize]
    }

    pub(crate) fn refused(&self, door: Door, status: http::StatusCode) {
        self.refused.get_or_create(&Refused { door: door.as_str(), status: status.as_u16() }).inc();
    }
}
