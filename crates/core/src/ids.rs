//! Identifiers, and how they are derived.
//!
//! Invariant: an id made in the core is a function of its cause, so a replay of the log makes the same ids.
//! Ids at the door come from the far end (or are derived from its own id); this module never invents one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// Identity of an event. With the source it is the key of idempotent intake.
    EventId
);
uuid_id!(
    /// Identity of an incident; travels to far ends as their deduplication key.
    IncidentId
);
uuid_id!(
    /// Identity of an outbox row; travels as the idempotency key where a far end honours one.
    DeliveryId
);

/// Position in the log of a workspace; the first entry has sequence 1.
pub type Seq = u64;

impl EventId {
    /// The id a far end gave when it is a UUID, else one derived from (source, id), so that the same event
    /// sent again has the same id.
    #[must_use]
    pub fn from_native(source: &str, native: &str) -> Self {
        match Uuid::parse_str(native) {
            Ok(uuid) => Self(uuid),
            Err(_) => Self(derive("event", &[source, native])),
        }
    }
}

/// A UUID (version 8) computed from a domain and parts by SHA-256.
///
/// Each part is preceded by its length, so `["ab", "c"]` and `["a", "bc"]` differ.
#[must_use]
pub fn derive(domain: &str, parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in std::iter::once(&domain).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_repeat_and_do_not_collide_on_boundaries() {
        assert_eq!(derive("event", &["a", "b"]), derive("event", &["a", "b"]));
        assert_ne!(derive("event", &["ab", "c"]), derive("event", &["a", "bc"]));
        assert_ne!(derive("event", &["a"]), derive("effect", &["a"]));
        assert_eq!(derive("event", &["a"]).get_version_num(), 8);
    }

    #[test]
    fn a_native_uuid_is_kept() {
        let id = "01a1f9cc-bd40-7ba1-9a3b-c3da00bebf1d";
        assert_eq!(EventId::from_native("airflow", id).to_string(), id);
    }
}
