//! Keeps the keys of issuers fresh, and says what `/metrics` and the log say about them.
//!
//! A loop around [`KeyKeeper::once`]. When keys are due, and what happens when they cannot be read, is decided in
//! `trackside_identity::jwks::cache`.

use crate::clock::{Clock, sleep_until};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use tokio::sync::watch;
use trackside_identity::callers::CallerCounts;
use trackside_identity::issuer::IssuerStatus;
use trackside_web::AppState;

/// How often is looked whether keys are due; also how soon a changed file with keys is noticed.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Figures of issuers and their tokens. Labels are names from the configuration, so they are bounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerMetrics {
    presented: Family<Came, Counter>,
    keys: Family<Named, Gauge>,
    age: Family<Named, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Came {
    /// `kept`, `verified` or `refused`.
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    issuer: String,
}

impl CallerMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let presented = "Tokens of issuers by what came of them; `kept` were verified before";
        registry.register("trackside_issuer_tokens", presented, metrics.presented.clone());
        registry.register("trackside_issuer_keys", "Keys of an issuer that can be used", metrics.keys.clone());
        let age = "How long ago the keys of an issuer were read with success; -1 when they never were";
        registry.register_with_unit("trackside_issuer_keys_age", age, Unit::Seconds, metrics.age.clone());
        metrics
    }

    fn count(&self, now: CallerCounts, before: CallerCounts) {
        let counts = [
            ("kept", now.kept, before.kept),
            ("verified", now.verified, before.verified),
            ("refused", now.refused, before.refused),
        ];
        for (result, now, before) in counts {
            self.presented.get_or_create(&Came { result }).inc_by(now.saturating_sub(before));
        }
    }
}

/// Keeps the keys of the issuers in force fresh.
pub(crate) struct KeyKeeper {
    state: AppState,
    metrics: CallerMetrics,
    counted: CallerCounts,
    /// What was said last about each issuer.
    said: BTreeMap<String, Option<String>>,
}

impl KeyKeeper {
    pub(crate) fn new(state: AppState, metrics: CallerMetrics) -> Self {
        Self { state, metrics, counted: CallerCounts::default(), said: BTreeMap::new() }
    }

    /// Reads the keys that are due.
    pub(crate) async fn once(&mut self, now: Timestamp) {
        let callers = self.state.callers();
        callers.issuers().refresh(now).await;
        let counts = callers.counts();
        self.metrics.count(counts, self.counted);
        self.counted = counts;
        self.metrics.keys.clear();
        self.metrics.age.clear();
        let status = callers.issuers().status();
        self.said.retain(|name, _| status.iter().any(|issuer| issuer.name == *name));
        for issuer in status {
            self.tell(issuer, now);
        }
    }

    fn tell(&mut self, issuer: IssuerStatus, now: Timestamp) {
        let label = Named { issuer: issuer.name.clone() };
        let keys = issuer.keys;
        self.metrics.keys.get_or_create(&label).set(i64::try_from(keys.keys).unwrap_or(i64::MAX));
        let age = keys.fetched.map_or(-1, |at| now.duration_since(at).as_secs());
        self.metrics.age.get_or_create(&label).set(age);
        let said = self.said.insert(issuer.name.clone(), keys.problem.clone());
        if said.as_ref() == Some(&keys.problem) {
            return;
        }
        match &keys.problem {
            Some(problem) if keys.keys > 0 => {
                tracing::warn!(issuer = issuer.name, problem, "keys cannot be read; the last good ones stay in use");
            }
            Some(problem) => {
                tracing::error!(issuer = issuer.name, problem, "keys cannot be read; its tokens are refused");
            }
            None => {
                tracing::info!(issuer = issuer.name, keys = keys.keys, "keys are read");
                for why in keys.left_out {
                    tracing::debug!(issuer = issuer.name, why, "a key cannot be used");
                }
            }
        }
    }

    /// Looks until the server stops.
    pub(crate) async fn run(mut self, clock: Clock, mut stop: watch::Receiver<bool>) {
        loop {
            self.once(clock.now()).await;
            tokio::select! {
                () = sleep_until(&clock, clock.now() + LOOK_EVERY) => {}
                _ = stop.changed() => break,
            }
        }
    }
}
