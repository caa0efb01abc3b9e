//! The buckets of one event trigger: counts per key, found by key and by the end of their window.
//!
//! Invariants: at most one bucket per key; the index by end always agrees; what changed since the last commit is known.
//! Compact, because there may be 100,000 at a time: microseconds (Prefect's precision) in whole numbers, one text per
//! key, no event bodies.

use crate::automation::firing::EventRef;
use crate::ids::EventId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The events of one key in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Bucket {
    /// First instant of the window, in microseconds since 1970.
    pub(super) start: i64,
    /// First instant after it.
    pub(super) end: i64,
    /// Events counted; −1 when the opening event will be counted as well.
    pub(super) count: i64,
    /// The last event that had to do with it.
    pub(super) last: Option<EventRef>,
}

/// A bucket as its cell holds it: a row without names.
#[derive(Serialize, Deserialize)]
struct Stored(i64, i64, i64, Option<(EventId, u64)>);

impl From<Bucket> for Stored {
    fn from(bucket: Bucket) -> Self {
        Self(bucket.start, bucket.end, bucket.count, bucket.last.map(|event| (event.id, event.seq)))
    }
}

impl From<Stored> for Bucket {
    fn from(Stored(start, end, count, last): Stored) -> Self {
        Self { start, end, count, last: last.map(|(id, seq)| EventRef { id, seq }) }
    }
}

/// All buckets of one event trigger. The key is the `for_each` values as a JSON list, empty without `for_each`.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    by_key: BTreeMap<Arc<str>, Bucket>,
    by_end: BTreeSet<(i64, Arc<str>)>,
    changed: BTreeSet<Arc<str>>,
}

impl Buckets {
    pub(super) fn get(&self, key: &str) -> Option<Bucket> {
        self.by_key.get(key).copied()
    }

    /// Makes or replaces the bucket of a key.
    pub(super) fn put(&mut self, key: &str, bucket: Bucket) {
        let shared = match self.by_key.get_mut(key) {
            Some(old) if old.end == bucket.end && self.changed.contains(key) => {
                *old = bucket;
                return;
            }
            Some(_) => self.by_key.get_key_value(key).map(|(key, old)| (Arc::clone(key), Some(old.end))),
            None => None,
        };
        let (key, old_end) = shared.unwrap_or_else(|| (Arc::from(key), None));
        if old_end != Some(bucket.end) {
            if let Some(end) = old_end {
                self.by_end.remove(&(end, Arc::clone(&key)));
            }
            self.by_end.insert((bucket.end, Arc::clone(&key)));
        }
        self.changed.insert(Arc::clone(&key));
        self.by_key.insert(key, bucket);
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some((key, bucket)) = self.by_key.remove_entry(key) {
            self.by_end.remove(&(bucket.end, Arc::clone(&key)));
            self.changed.insert(key);
        }
    }

    /// The keys of windows that end at `until` or before, earliest end first.
    pub(super) fn ended(&self, until: i64) -> Vec<Arc<str>> {
        self.by_end.iter().take_while(|(end, _)| *end <= until).map(|(_, key)| Arc::clone(key)).collect()
    }

    /// The earliest end of a window.
    pub(super) fn first_end(&self) -> Option<i64> {
        self.by_end.first().map(|(end, _)| *end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Bucket)> {
        self.by_key.iter()
    }

    /// The buckets that changed since the last call; `None`: gone.
    pub(super) fn take_changed(&mut self) -> Vec<(Arc<str>, Option<Bucket>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (Arc::clone(&key), self.get(&key))).collect()
    }

    /// Takes back what [`Self::take_changed`] gave; it counts as unchanged.
    pub(super) fn restore(&mut self, key: &str, bucket: Bucket) {
        self.put(key, bucket);
        self.changed.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(end: i64) -> Bucket {
        Bucket { start: 0, end, count: 0, last: None }
    }

    #[test]
    fn a_bucket_is_found_by_the_end_it_has_now() {
        let mut buckets = Buckets::default();
        buckets.put("a", ending(10));
        buckets.put("b", ending(20));
        buckets.put("a", ending(30));
        assert_eq!(buckets.first_end(), Some(20));
        assert_eq!(buckets.ended(30), [Arc::from("b"), Arc::from("a")]);
        buckets.remove("b");
        assert_eq!(buckets.first_end(), Some(30));
        let changed = buckets.take_changed();
        assert_eq!(changed, [(Arc::from("a"), Some(ending(30))), (Arc::from("b"), None)]);
        assert_eq!(buckets.take_changed(), []);
    }

    #[test]
    fn a_stored_bucket_is_a_row() {
        let last = EventRef { id: EventId(crate::ids::derive("event", &["a"])), seq: 7 };
        let bucket = Bucket { start: 1, end: 2, count: -1, last: Some(last) };
        let text = serde_json::to_string(&bucket).unwrap();
        assert_eq!(text, format!("[1,2,-1,[\"{}\",7]]", last.id));
        assert_eq!(serde_json::from_str::<Bucket>(&text).unwrap(), bucket);
    }
}
