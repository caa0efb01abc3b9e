//! When signing keys change: pure decisions over the times of the keys that are there.
//!
//! The life of a key: published; signs from `signs` on, when its warm-up is over; retired, when the next one signs; gone,
//! when the overlap is over. Invariant: at every time at most one key is signing, and whoever fetched our key page within
//! the warm-up knows it.

use super::settings::WorkloadSettings;
use crate::signer::Algorithm;
use jiff::Timestamp;
use uuid::Uuid;

/// The times of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// Identity.
    pub id: Uuid,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// When it was published.
    pub published: Timestamp,
    /// From when on it signs.
    pub signs: Timestamp,
    /// When the next one took over.
    pub retired: Option<Timestamp>,
}

/// A change of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make and publish a key that signs from then on.
    Make {
        /// From when on it signs.
        signs: Timestamp,
    },
    /// The next key has taken over.
    Retire(Uuid),
    /// Nobody needs it any longer.
    Remove(Uuid),
}

/// The key that signs now: the youngest of those whose time has come. A clock that was set back leaves the oldest.
#[must_use]
pub fn signing(keys: &[KeyTimes], now: Timestamp) -> Option<&KeyTimes> {
    let live = || keys.iter().filter(|key| key.retired.is_none());
    live()
        .filter(|key| key.signs <= now)
        .max_by_key(|key| (key.signs, key.id))
        .or_else(|| live().min_by_key(|key| key.signs))
}

/// What is to be done now.
#[must_use]
pub fn steps(keys: &[KeyTimes], settings: &WorkloadSettings, now: Timestamp) -> Vec<Step> {
    let Some(signing) = signing(keys, now) else {
        // Nobody can have fetched a page of keys that never was, so the first one needs no warm-up.
        return vec![Step::Make { signs: now }];
    };
    let mut steps = Vec::new();
    let next = keys.iter().any(|key| key.retired.is_none() && key.signs > signing.signs);
    let old = now.duration_since(signing.signs) >= settings.rotate.0 - settings.warm_up.0;
    if !next && (old || signing.algorithm != settings.algorithm.algorithm()) {
        steps.push(Step::Make { signs: now.saturating_add(settings.warm_up.0).unwrap_or(now) });
    }
    for key in keys {
        match key.retired {
            None if key.signs < signing.signs => steps.push(Step::Retire(key.id)),
            Some(retired) if now.duration_since(retired) >= settings.overlap.0 => steps.push(Step::Remove(key.id)),
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::settings::WorkloadAlgorithm;
    use jiff::SignedDuration;

    /// Carries out the steps of every hour for so many days; says what happened when.
    fn live(keys: &mut Vec<KeyTimes>, settings: &WorkloadSettings, hours: std::ops::Range<i64>) -> Vec<(i64, String)> {
        let mut told = Vec::new();
        for hour in hours {
            let now = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_hours(hour)).expect("in range");
            for step in steps(keys, settings, now) {
                match step {
                    Step::Make { signs } => {
                        let id = Uuid::from_u128(u128::try_from(hour).expect("positive") + 1);
                        keys.push(KeyTimes {
                            id,
                            algorithm: settings.algorithm.algorithm(),
                            published: now,
                            signs,
                            retired: None,
                        });
                        told.push((hour, format!("make {}", signs.duration_since(now).as_hours())));
                    }
                    Step::Retire(id) => {
                        keys.iter_mut().filter(|key| key.id == id).for_each(|key| key.retired = Some(now));
                        told.push((hour, format!("retire {}", id.as_u128() - 1)));
                    }
                    Step::Remove(id) => {
                        keys.retain(|key| key.id != id);
                        told.push((hour, format!("remove {}", id.as_u128() - 1)));
                    }
                }
            }
            assert!(signing(keys, now).is_some_and(|key| key.signs <= now), "somebody signs at hour {hour}");
        }
        told
    }

    fn told(expect: &[(i64, &str)]) -> Vec<(i64, String)> {
        expect.iter().map(|(hour, what)| (*hour, (*what).to_owned())).collect()
    }

    #[test]
    fn keys_change_with_overlap() {
        let (mut keys, settings) = (Vec::new(), WorkloadSettings::default());
        let day = 24;
        assert_eq!(
            live(&mut keys, &settings, 0..62 * day),
            told(&[
                (0, "make 0"),
                (29 * day, "make 24"),
                (30 * day, "retire 0"),
                (32 * day, "remove 0"),
                (59 * day, "make 24"),
                (60 * day, "retire 696"),
            ])
        );
    }

    #[test]
    fn a_server_that_was_away_goes_on() {
        let (mut keys, settings) = (Vec::new(), WorkloadSettings::default());
        live(&mut keys, &settings, 0..1);
        assert_eq!(
            live(&mut keys, &settings, 5_000..5_100),
            told(&[(5_000, "make 24"), (5_024, "retire 0"), (5_072, "remove 0")])
        );
    }

    #[test]
    fn another_algorithm_comes_with_a_warm_up() {
        let mut keys = Vec::new();
        live(&mut keys, &WorkloadSettings::default(), 0..1);
        let other = WorkloadSettings { algorithm: WorkloadAlgorithm::EdDSA, ..WorkloadSettings::default() };
        assert_eq!(live(&mut keys, &other, 1..80), told(&[(1, "make 24"), (25, "retire 0"), (73, "remove 0")]));
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_a_key_that_signs() {
        let key = KeyTimes {
            id: Uuid::nil(),
            algorithm: Algorithm::ES256,
            published: Timestamp::UNIX_EPOCH,
            signs: Timestamp::from_second(100).expect("in range"),
            retired: None,
        };
        assert_eq!(signing(&[key], Timestamp::UNIX_EPOCH), Some(&key));
        assert_eq!(signing(&[], Timestamp::UNIX_EPOCH), None);
    }
}
