//! Test alerts in the state: the last one per connection.

use super::State;
use crate::ids::DeliveryId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The last test alert through a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryTest {
    /// Through which connection.
    pub connection: String,
    /// When it was decided.
    pub sent: Timestamp,
    /// The outbox row that carries it.
    pub delivery: DeliveryId,
    /// When the far end had it; absent while it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Timestamp>,
}

impl State {
    /// The last test of every connection that is tested.
    pub fn canaries(&self) -> impl Iterator<Item = &CanaryTest> {
        self.canaries.values()
    }

    /// The last test through a connection.
    #[must_use]
    pub fn canary(&self, connection: &str) -> Option<&CanaryTest> {
        self.canaries.get(connection)
    }

    pub(crate) fn put_canary(&mut self, test: CanaryTest) {
        self.dirty.insert(super::Dirty::Canary(test.connection.clone()));
        self.canaries.insert(test.connection.clone(), test);
    }

    pub(crate) fn remove_canary(&mut self, connection: &str) {
        if self.canaries.remove(connection).is_some() {
            self.dirty.insert(super::Dirty::Canary(connection.to_owned()));
        }
    }
}
