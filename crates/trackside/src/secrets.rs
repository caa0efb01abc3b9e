//! Secrets of secret managers for a running server: fetched before a configuration is put in force, and kept fresh.
//!
//! Invariants: a configuration whose secrets cannot all be had is not put in force; once it is, a secret manager that
//! fails changes nothing but the age of what is used. What is fetched and when is the keeper's business
//! ([`trackside_identity::secret::keeper`]); this waits.

use crate::clock::{Clock, sleep_until};
use crate::config::{ConfiguredSecrets, Problem};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use trackside_identity::broker::failure::FailureClass;
use trackside_identity::exchange::Exchange;
use trackside_identity::secret::keeper::{Keeper, Prepared, Unfetched};
use trackside_identity::secret::{SecretStatus, Standing, Surroundings};

/// Waits before a configuration's secrets are asked for again, when a secret manager is busy or does not answer.
const AGAIN: [SignedDuration; 2] = [SignedDuration::from_secs(1), SignedDuration::from_secs(3)];
/// Longest time between two looks at what is due.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Shortest time between two looks.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// A keeper that asks over this network.
#[must_use]
pub fn keeper(exchange: Exchange, clock: &Clock) -> Arc<Keeper> {
    let dice = clock.clone();
    Arc::new(Keeper::new(Surroundings {
        exchange,
        variable: Arc::new(|name| std::env::var(name).ok()),
        random: Arc::new(move || dice.random()),
    }))
}

/// Fetches the secrets of a configuration that is to be put in force.
///
/// # Errors
/// Every place that refers to a secret which cannot be had.
pub async fn prepare(keeper: &Keeper, secrets: &ConfiguredSecrets, clock: &Clock) -> Result<Prepared, Vec<Problem>> {
    let mut waits = AGAIN.into_iter();
    loop {
        let missing = match keeper.prepare(secrets.wanted.clone(), clock.now()).await {
            Ok(prepared) => return Ok(prepared),
            Err(missing) => missing,
        };
        let passing = missing
            .iter()
            .all(|unfetched| matches!(unfetched.failure.class, FailureClass::Busy | FailureClass::NoAnswer));
        match waits.next() {
            Some(wait) if passing => sleep_until(clock, clock.now() + wait).await,
            _ => return Err(problems(secrets, &missing)),
        }
    }
}

fn problems(secrets: &ConfiguredSecrets, missing: &[Unfetched]) -> Vec<Problem> {
    let mut found = Vec::new();
    for Unfetched { reference, used_by, failure } in missing {
        for spot in used_by.iter().filter_map(|place| secrets.spots.get(place)) {
            found.push(spot.problem(format!("the {reference} cannot be fetched: {failure}")));
        }
    }
    found
}

/// Keeps the secrets in force fresh until stopped.
pub async fn run(keeper: Arc<Keeper>, clock: Clock, mut stop: watch::Receiver<bool>) {
    let mut said = Said::default();
    while !*stop.borrow() {
        let now = clock.now();
        let next = keeper.once(now).await;
        said.say(&keeper.secrets().status(), now);
        let latest = clock.now() + LOOK_EVERY;
        let next = next.map_or(latest, |next| next.clamp(clock.now() + SHORTEST, latest));
        tokio::select! {
            _ = stop.changed() => {}
            () = sleep_until(&clock, next) => {}
        }
    }
}

/// Puts figures about secrets on the page of metrics.
pub fn measure(registry: &mut Registry, keeper: &Arc<Keeper>, clock: &Clock) {
    registry.register_collector(Box::new(Figures { keeper: Arc::clone(keeper), clock: clock.clone() }));
}

#[derive(Debug)]
struct Figures {
    keeper: Arc<Keeper>,
    clock: Clock,
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let figures = self.keeper.figures();
        for (name, help, count) in [
            ("trackside_secret_fetches", "Secrets fetched from secret managers", figures.fetched()),
            ("trackside_secret_fetches_failed", "Fetches of secrets that failed", figures.failed()),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }
        let (status, now) = (self.keeper.secrets().status(), self.clock.now());
        let help = "How long ago the value in use of a secret was fetched";
        let mut ages =
            encoder.encode_descriptor("trackside_secret_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (secret, fetched) in status.iter().filter_map(|secret| Some((secret, secret.fetched?))) {
            let labels = [("secret", &*secret.secret), ("source", &*secret.source)];
            ConstGauge::new(now.duration_since(fetched).as_secs()).encode(ages.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What the log was told of.
#[derive(Debug, Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    /// Tells the log what began to fail, and what works again.
    fn say(&mut self, status: &[SecretStatus], now: Timestamp) {
        for secret in status {
            let known = self.0.get(&secret.secret);
            match (&secret.error, known) {
                (Some(error), known) if known != Some(error) => {
                    let age = secret.fetched.map(|at| now.duration_since(at).as_secs());
                    if secret.state == Standing::Missing {
                        tracing::error!(secret = secret.secret, error, "a secret cannot be had");
                    } else {
                        tracing::warn!(secret = secret.secret, error, age, "the last good value of a secret is kept");
                    }
                    self.0.insert(secret.secret.clone(), error.clone());
                }
                (None, Some(_)) => {
                    tracing::info!(secret = secret.secret, "a secret can be fetched again");
                    self.0.remove(&secret.secret);
                }
                _ => {}
            }
        }
    }
}
