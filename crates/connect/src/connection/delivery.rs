//! How fast and how long a connection tries: as written, and as decided.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;
use trackside_core::ruleset::Span;

/// Most requests per second a connection may be set to.
const RATE_LIMIT: f64 = 1_000.0;
/// Largest burst a connection may be set to.
const BURST_LIMIT: u32 = 10_000;

/// How fast and how long to try. Absent fields take the defaults of the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// Requests per second in the long run; more than 0, at most 1000.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "rate")]
    pub rate_per_second: Option<f64>,
    /// Requests that may go out at once after a pause, 1 to 10000.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "burst")]
    pub burst: Option<u32>,
    /// Longest wait for an answer.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub timeout: Option<Span>,
    /// Attempts before a message is given up; default: no limit but `give_up_after`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "attempts")]
    pub max_attempts: Option<u32>,
    /// Age at which a message is given up.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "positive")]
    pub give_up_after: Option<Span>,
}

/// [`DeliverySettings`] with every value decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeliveryPolicy {
    /// Refill of the token bucket, requests per second.
    pub rate_per_second: f64,
    /// Size of the token bucket.
    pub burst: u32,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Attempts before it is given up.
    pub max_attempts: u32,
    /// Age at which it is given up.
    pub give_up_after: Duration,
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(deserializer)? {
        Some(rate) if !(rate > 0.0 && rate <= RATE_LIMIT) => {
            Err(serde::de::Error::custom(format!("must be more than 0 and at most {RATE_LIMIT} requests per second")))
        }
        rate => Ok(rate),
    }
}

fn burst<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(deserializer)? {
        Some(burst) if burst == 0 || burst > BURST_LIMIT => {
            Err(serde::de::Error::custom(format!("must be 1 to {BURST_LIMIT}")))
        }
        burst => Ok(burst),
    }
}

fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(deserializer)? {
        Some(0) => Err(serde::de::Error::custom("must be at least 1")),
        attempts => Ok(attempts),
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    match Option::<Span>::deserialize(deserializer)? {
        Some(span) if span.seconds() < 1 => Err(serde::de::Error::custom("must be at least 1s")),
        span => Ok(span),
    }
}
