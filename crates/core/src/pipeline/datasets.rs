//! Which datasets a pipeline reads and writes, as its far end reports them.
//!
//! Invariants: bounded; a use that is not seen again is forgotten after `limits::DATASET_FORGOTTEN`, so that a
//! dependency that was removed does not explain failures for ever; a use that goes on is noted once a day.

use crate::limits;
use crate::run::Name;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A dataset in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetUse {
    /// `namespace/name`, as in OpenLineage.
    pub name: Name,
    /// When it was seen last; exact to a day.
    pub seen: Timestamp,
}

/// Notes that datasets are in use at `now`.
pub(crate) fn note(uses: &mut Vec<DatasetUse>, names: &[String], now: Timestamp) {
    for name in names {
        match uses.iter_mut().find(|known| *known.name == **name) {
            Some(known) if now.duration_since(known.seen) >= limits::DATASET_NOTED => known.seen = now,
            Some(_) => {}
            None => uses.push(DatasetUse { name: name.as_str().into(), seen: now }),
        }
    }
    uses.retain(|known| now.duration_since(known.seen) < limits::DATASET_FORGOTTEN);
    while uses.len() > limits::LIST_ITEMS {
        let oldest = uses.iter().enumerate().min_by_key(|(place, known)| (known.seen, *place));
        let place = oldest.map_or(0, |(place, _)| place);
        uses.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn uses_are_noted_daily_forgotten_after_a_month_and_bounded() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let day = |n: i64| start + SignedDuration::from_hours(24 * n);
        let mut uses = Vec::new();
        note(&mut uses, &["w/a".to_owned(), "w/b".to_owned()], day(0));
        note(&mut uses, &["w/a".to_owned()], day(0) + SignedDuration::from_hours(2));
        assert!(uses.iter().all(|known| known.seen == day(0)));
        note(&mut uses, &["w/a".to_owned()], day(20));
        note(&mut uses, &["w/a".to_owned()], day(31));
        let names: Vec<&str> = uses.iter().map(|known| &*known.name).collect();
        assert_eq!(names, ["w/a"]);
        let many: Vec<String> = (0..100).map(|n| format!("w/{n}")).collect();
        note(&mut uses, &many, day(32));
        assert_eq!(uses.len(), limits::LIST_ITEMS);
        assert_eq!(&*uses.last().unwrap().name, "w/99");
    }
}
