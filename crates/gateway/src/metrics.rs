//! What is counted of routes.
//!
//! Every counter of a route is found once, when the route is put in force; a request only adds to it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    route: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    route: String,
    reason: String,
}

/// The metrics of the gateway.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<ByStatus, Counter>,
    seconds: Family<ByRoute, Histogram, fn() -> Histogram>,
    running: Family<ByRoute, Gauge>,
    upstream_errors: Family<ByReason, Counter>,
    limited: Family<ByReason, Counter>,
    /// Requests that the front refused before a route was found.
    pub refused: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// Records of calls that found no room.
    pub records_lost: Counter,
}

/// The metrics of one route.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    by_class: [Counter; 5],
    seconds: Histogram,
    /// Requests running.
    pub running: Gauge,
    /// Requests that the upstream did not answer, or not well.
    pub upstream_errors: Counter,
    /// Requests over the caller's rate.
    pub rate_limited: Counter,
    /// Requests over the route's number at a time.
    pub crowded: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            running: Family::default(),
            upstream_errors: Family::default(),
            limited: Family::default(),
            refused: Counter::default(),
            connections: Gauge::default(),
            records_lost: Counter::default(),
        }
    }
}

impl Metrics {
    /// Metrics, registered.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "trackside_gateway_requests",
            "Requests by route and class of status",
            metrics.requests.clone(),
        );
        registry.register(
            "trackside_gateway_request_seconds",
            "Time to the end of the answer",
            metrics.seconds.clone(),
        );
        registry.register("trackside_gateway_running", "Requests running", metrics.running.clone());
        registry.register(
            "trackside_gateway_upstream_errors",
            "Requests that the upstream did not answer, or not well",
            metrics.upstream_errors.clone(),
        );
        registry.register("trackside_gateway_limited", "Requests over a limit", metrics.limited.clone());
        registry.register(
            "trackside_gateway_refused",
            "Requests that the strict front refused",
            metrics.refused.clone(),
        );
        registry.register("trackside_gateway_connections", "Open connections", metrics.connections.clone());
        registry.register(
            "trackside_gateway_records_lost",
            "Calls that are missing in the audit trail, because it could not keep up",
            metrics.records_lost.clone(),
        );
        metrics
    }

    /// The metrics of one route.
    #[must_use]
    pub fn of(&self, route: &str) -> RouteMetrics {
        let by_route = ByRoute { route: route.to_owned() };
        let by_reason = |reason: &str| ByReason { route: route.to_owned(), reason: reason.to_owned() };
        let class = |status: &str| {
            self.requests.get_or_create(&ByStatus { route: route.to_owned(), status: status.to_owned() }).clone()
        };
        // One statement each: what `get_or_create` gives holds a lock, and a second one within the same statement would
        // wait for the first for ever.
        let by_class = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class);
        let seconds = self.seconds.get_or_create(&by_route).clone();
        let running = self.running.get_or_create(&by_route).clone();
        let upstream_errors = self.upstream_errors.get_or_create(&by_reason("upstream")).clone();
        let rate_limited = self.limited.get_or_create(&by_reason("rate")).clone();
        let crowded = self.limited.get_or_create(&by_reason("concurrency")).clone();
        RouteMetrics { by_class, seconds, running, upstream_errors, rate_limited, crowded }
    }
}

impl RouteMetrics {
    /// Counts a request that is over.
    pub fn ended(&self, status: http::StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
