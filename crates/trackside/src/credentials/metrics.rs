//! What `/metrics` says of the credentials of connections. Labels are names from the configuration, so they are bounded.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use trackside_identity::broker::{Brokers, CredentialState, CredentialStatus};

/// Registers the figures.
pub(crate) fn register(registry: &mut Registry, brokers: Brokers) {
    registry.register_collector(Box::new(CredentialCollector(brokers)));
}

#[derive(Debug)]
struct CredentialCollector(Brokers);

impl Collector for CredentialCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let all = self.0.status();
        let good = |status: &CredentialStatus| {
            i64::from(!matches!(status.state, CredentialState::Failing | CredentialState::Missing))
        };
        let help = "Whether the credential of a connection is in order (1), or the last fetch failed (0)";
        let mut family = encoder.encode_descriptor("trackside_credential_good", help, None, MetricType::Gauge)?;
        for status in &all {
            let labels = [("connection", status.connection.as_str()), ("kind", status.kind)];
            ConstGauge::new(good(status)).encode(family.encode_family(&labels)?)?;
        }
        let help = "When the token in use ends, in seconds since 1970";
        let mut family = encoder.encode_descriptor("trackside_credential_expires", help, None, MetricType::Gauge)?;
        for (status, expires) in all.iter().filter_map(|status| Some((status, status.expires?))) {
            let labels = [("connection", status.connection.as_str())];
            ConstGauge::new(expires.as_second()).encode(family.encode_family(&labels)?)?;
        }
        let help = "Fetches of tokens by outcome";
        let mut family = encoder.encode_descriptor("trackside_credential_fetches", help, None, MetricType::Counter)?;
        for status in &all {
            for (outcome, count) in [("token", status.fetched), ("failure", status.failures)] {
                let labels = [("connection", status.connection.as_str()), ("outcome", outcome)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
