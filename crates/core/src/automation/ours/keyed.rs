//! What one trigger has in memory, per key: found by key and by when something must be done about it.
//!
//! Invariants: at most `limit` keys, the one that has been still for longest goes first; the appointments always agree
//! with the states; what changed since the last commit is known. A key that may be forgotten is forgotten on a whole
//! hour, so that clearing up costs at most one tick of the clock an hour; until then it counts as forgotten already.

use super::signal::Place;
use super::time::{Instant, Span};
use crate::automation::edit::Cell;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most keys of one automation, over all its triggers.
pub const KEYS_PER_AUTOMATION: usize = 100_000;
/// Most times of events that one automation keeps, over all its keys. A trigger with a high threshold has fewer keys.
pub const TIMES_PER_AUTOMATION: usize = 4_000_000;
/// When the limit is met, this part of the keys is dropped at once.
const DROPPED_AT_ONCE: usize = 64;
/// Keys that may be forgotten are forgotten at a multiple of this.
const SWEEP: Span = Span::minutes(60);

/// The values of the labels that tell keys apart, as a JSON list.
pub(super) type Key = Arc<str>;

/// What a trigger remembers of one key. `Rule` is what the trigger says.
pub(super) trait KeyState: Serialize + DeserializeOwned {
    /// What the trigger says.
    type Rule;
    /// When something must be done about it.
    fn due(&self, rule: &Self::Rule) -> Option<Instant>;
    /// When it may be forgotten, if nothing is due before.
    fn expires(&self, rule: &Self::Rule) -> Option<Instant>;
    /// When it last had to do with anything.
    fn touched(&self, rule: &Self::Rule) -> Instant;
    /// Whether there is nothing to remember.
    fn is_blank(&self) -> bool;
}

/// The states of all keys of one trigger.
#[derive(Clone, Debug)]
pub(super) struct Keyed<S> {
    states: BTreeMap<Key, S>,
    appointments: BTreeSet<(Instant, Key)>,
    changed: BTreeSet<Key>,
    limit: usize,
}

impl<S: KeyState> Keyed<S> {
    pub(super) fn new(limit: usize) -> Self {
        Self { states: BTreeMap::new(), appointments: BTreeSet::new(), changed: BTreeSet::new(), limit: limit.max(1) }
    }

    /// Changes the state of a key; one that is not there, or may be forgotten, begins as `fresh`.
    pub(super) fn change<R>(
        &mut self,
        rule: &S::Rule,
        key: &str,
        now: Instant,
        fresh: impl FnOnce() -> S,
        change: impl FnOnce(&mut S) -> R,
    ) -> R {
        let known = self.states.remove_entry(key);
        let was_known = known.is_some();
        let (key, before, mut state) = match known {
            Some((key, state)) => {
                let before = appointment(&state, rule);
                (key, before, if is_over(&state, rule, now) { fresh() } else { state })
            }
            None => {
                self.make_room(rule);
                (Arc::from(key), None, fresh())
            }
        };
        let result = change(&mut state);
        let blank = state.is_blank();
        self.arrange(&key, before, if blank { None } else { appointment(&state, rule) });
        if was_known || !blank {
            self.changed.insert(Arc::clone(&key));
        }
        if !blank {
            self.states.insert(key, state);
        }
        result
    }

    pub(super) fn get(&self, key: &str) -> Option<&S> {
        self.states.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &S)> {
        self.states.iter()
    }

    /// When something must be done next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.appointments.first().map(|(at, _)| *at)
    }

    /// The keys about which something must be done at `now`, in order. Those that may be forgotten are.
    pub(super) fn due(&mut self, rule: &S::Rule, now: Instant) -> Vec<Key> {
        let up: Vec<Key> =
            self.appointments.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| Arc::clone(key)).collect();
        let (due, over): (Vec<Key>, Vec<Key>) =
            up.into_iter().partition(|key| self.states.get(key).is_some_and(|state| state.due(rule).is_some()));
        for key in over {
            self.remove(rule, &key);
        }
        due
    }

    /// Changes the states of all keys.
    pub(super) fn change_all(&mut self, rule: &S::Rule, mut change: impl FnMut(&mut S)) {
        self.appointments.clear();
        for (key, mut state) in std::mem::take(&mut self.states) {
            change(&mut state);
            self.changed.insert(Arc::clone(&key));
            if !state.is_blank() {
                self.arrange(&key, None, appointment(&state, rule));
                self.states.insert(key, state);
            }
        }
    }

    /// Removes all keys.
    pub(super) fn clear(&mut self) {
        self.appointments.clear();
        self.changed.extend(std::mem::take(&mut self.states).into_keys());
    }

    /// What changed since the last call, as cells whose key is the trigger's path and the key.
    pub(super) fn take_cells(&mut self, place: &Place, cells: &mut Vec<Cell>) {
        for key in std::mem::take(&mut self.changed) {
            // Numbers, texts and lists of them: there is nothing that JSON could refuse.
            let body = self.states.get(&key).and_then(|state| serde_json::to_string(state).ok());
            cells.push(Cell { automation: Some(place.automation), key: format!("{}{key}", place.path), body });
        }
    }

    /// Takes back what [`Self::take_cells`] gave; it counts as unchanged. A body that is not ours is left out: that key
    /// begins anew.
    pub(super) fn restore(&mut self, rule: &S::Rule, key: &str, body: &str) {
        let Ok(state) = serde_json::from_str::<S>(body) else { return };
        self.remove(rule, key);
        let key: Key = Arc::from(key);
        self.arrange(&key, None, appointment(&state, rule));
        self.changed.remove(&key);
        self.states.insert(key, state);
    }

    fn remove(&mut self, rule: &S::Rule, key: &str) {
        if let Some((key, state)) = self.states.remove_entry(key) {
            self.arrange(&key, appointment(&state, rule), None);
            self.changed.insert(key);
        }
    }

    fn arrange(&mut self, key: &Key, before: Option<Instant>, after: Option<Instant>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.appointments.remove(&(before, Arc::clone(key)));
        }
        if let Some(after) = after {
            self.appointments.insert((after, Arc::clone(key)));
        }
    }

    fn make_room(&mut self, rule: &S::Rule) {
        if self.states.len() < self.limit {
            return;
        }
        let mut stillest: Vec<(Instant, Key)> =
            self.states.iter().map(|(key, state)| (state.touched(rule), Arc::clone(key))).collect();
        stillest.sort();
        for (_, key) in stillest.into_iter().take((self.limit / DROPPED_AT_ONCE).max(1)) {
            self.remove(rule, &key);
        }
    }
}

fn appointment<S: KeyState>(state: &S, rule: &S::Rule) -> Option<Instant> {
    state.due(rule).or_else(|| state.expires(rule).map(|over| over.round_up(SWEEP)))
}

fn is_over<S: KeyState>(state: &S, rule: &S::Rule, now: Instant) -> bool {
    state.due(rule).is_none() && state.expires(rule).is_some_and(|over| over <= now)
}

/// How many keys one trigger of an automation with so many triggers may have, when each key keeps so many times.
pub(super) fn key_limit(triggers: usize, times: usize) -> usize {
    let keys = KEYS_PER_AUTOMATION.min(TIMES_PER_AUTOMATION / times.max(1));
    (keys / triggers.max(1)).max(1)
}

/// A key out of values.
pub(super) fn key_of<'a>(values: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from(values.collect::<Vec<_>>()).to_string()
}

/// The values in a key.
pub(super) fn values_of(key: &str) -> Vec<String> {
    // The key is our own text; of a stored one that is broken nothing can be said.
    serde_json::from_str(key).unwrap_or_default()
}

/// Names with the values of a key.
pub(super) fn labels_of(names: &[String], key: &str) -> BTreeMap<String, String> {
    names.iter().cloned().zip(values_of(key)).collect()
}
