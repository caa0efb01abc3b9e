//! What one trigger has in memory, per key: found by key and by when something must be done about it.
//!
//! Invariants: at most `limit` keys, the one that has been still for longest goes first; the agenda always agrees with
//! the states; what changed since the last commit is known. A key that may be forgotten is forgotten on a whole hour, so
//! that clearing up costs at most one tick of the clock an hour; until then it counts as forgotten already.
//! There may be 100,000 keys, so each has its text once, and what is on the agenda only has a hash of it.

use super::signal::{Held, Place};
use super::time::{Instant, Span};
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// Most keys of one automation, over all its triggers.
pub const KEYS_PER_AUTOMATION: usize = 100_000;
/// Most times of events that one automation keeps, over all its keys. A trigger with a high threshold has fewer keys.
pub const TIMES_PER_AUTOMATION: usize = 4_000_000;
/// When the limit is met, this part of the keys is dropped at once.
const DROPPED_AT_ONCE: usize = 64;
/// Keys that may be forgotten are forgotten at a multiple of this.
const SWEEP: Span = Span::minutes(60);

/// The values of the labels that tell keys apart, as a JSON list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// First, because it orders the states: the agenda finds them by it. It is never stored.
    hash: u64,
    text: Box<str>,
}

impl Key {
    /// The key of these values.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        // Texts: there is nothing that JSON could refuse.
        Self::from_text(&serde_json::to_string(&values.collect::<Vec<_>>()).unwrap_or_default())
    }

    pub(super) fn from_text(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        Self { hash: hasher.finish(), text: text.into() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The values.
    pub(super) fn values(&self) -> Vec<String> {
        // The key is our own text; of a stored one that is broken nothing can be said.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Names with the values.
    pub(super) fn labels(&self, names: &[String]) -> BTreeMap<String, String> {
        if names.is_empty() {
            return BTreeMap::new();
        }
        names.iter().cloned().zip(self.values()).collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

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
    /// The event that a firing names when what is due is decided.
    fn due_event(&self) -> Option<Held> {
        None
    }
}

/// The states of all keys of one trigger.
#[derive(Clone, Debug)]
pub(super) struct Keyed<S> {
    states: BTreeMap<Key, S>,
    agenda: Agenda,
    changed: BTreeSet<Box<str>>,
    limit: usize,
}

/// When something must be done about which keys.
#[derive(Clone, Debug, Default)]
struct Agenda {
    /// Hashes of the keys that are due then.
    dues: BTreeSet<(Instant, u64)>,
    /// How many keys may be forgotten by then; whole hours.
    sweeps: BTreeMap<Instant, usize>,
}

/// What the agenda has of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appointment {
    Due(Instant),
    Sweep(Instant),
    None,
}

impl Appointment {
    fn of<S: KeyState>(state: &S, rule: &S::Rule) -> Self {
        match (state.due(rule), state.expires(rule)) {
            (Some(due), _) => Self::Due(due),
            (None, Some(over)) => Self::Sweep(over.round_up(SWEEP)),
            (None, None) => Self::None,
        }
    }
}

impl<S: KeyState> Keyed<S> {
    pub(super) fn new(limit: usize) -> Self {
        Self { states: BTreeMap::new(), agenda: Agenda::default(), changed: BTreeSet::new(), limit: limit.max(1) }
    }

    /// Changes the state of a key; one that is not there, or may be forgotten, begins as `fresh`.
    pub(super) fn change<R>(
        &mut self,
        rule: &S::Rule,
        key: &Key,
        now: Instant,
        fresh: impl FnOnce() -> S,
        change: impl FnOnce(&mut S) -> R,
    ) -> R {
        if let Some(state) = self.states.get_mut(key) {
            let before = Appointment::of(state, rule);
            if is_over(state, rule, now) {
                *state = fresh();
            }
            let result = change(state);
            let blank = state.is_blank();
            let after = if blank { Appointment::None } else { Appointment::of(state, rule) };
            if blank {
                self.states.remove(key);
            }
            self.arrange(rule, key, before, after);
            self.note_change(key);
            return result;
        }
        let mut state = fresh();
        let result = change(&mut state);
        if !state.is_blank() {
            self.make_room(rule);
            self.arrange(rule, key, Appointment::None, Appointment::of(&state, rule));
            self.states.insert(key.clone(), state);
            self.note_change(key);
        }
        result
    }

    fn note_change(&mut self, key: &Key) {
        if !self.changed.contains(&*key.text) {
            self.changed.insert(key.text.clone());
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&S> {
        self.states.get(key)
    }

    /// All keys, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &S)> {
        self.states.iter()
    }

    /// When something must be done next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.agenda.dues.first().map(|(due, _)| *due);
        let sweep = self.agenda.sweeps.first_key_value().map(|(sweep, _)| *sweep);
        due.into_iter().chain(sweep).min()
    }

    /// The events that what is due at `until` or before will name.
    pub(super) fn due_events(&self, until: Instant) -> impl Iterator<Item = EventRef> {
        let up = self.agenda.dues.iter().take_while(move |(due, _)| *due <= until);
        let states = up.flat_map(|(_, hash)| self.of_hash(*hash));
        states.filter_map(|(_, state)| state.due_event()).map(EventRef::from)
    }

    /// The keys about which something must be done at `now`, by when, then by their text. Those that may be forgotten
    /// are.
    pub(super) fn due(&mut self, rule: &S::Rule, now: Instant) -> Vec<Key> {
        if self.agenda.sweeps.first_key_value().is_some_and(|(sweep, _)| *sweep <= now) {
            let over = self.states.iter().filter(|(_, state)| is_over(*state, rule, now));
            for key in over.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                self.remove(rule, &key);
            }
        }
        let up = self.agenda.dues.iter().take_while(|(due, _)| *due <= now);
        let keys = up.flat_map(|(due, hash)| self.of_hash(*hash).map(move |entry| (*due, entry)));
        let mut due: Vec<(Instant, &Key)> =
            keys.filter(|(due, (_, state))| state.due(rule) == Some(*due)).map(|(due, (key, _))| (due, key)).collect();
        due.sort_unstable_by(|one, other| (one.0, &one.1.text).cmp(&(other.0, &other.1.text)));
        due.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Goes through all keys; `change` says of which it changed the state.
    pub(super) fn change_all(&mut self, rule: &S::Rule, mut change: impl FnMut(&mut S) -> bool) {
        self.agenda = Agenda::default();
        for (key, mut state) in std::mem::take(&mut self.states) {
            if change(&mut state) {
                self.changed.insert(key.text.clone());
            }
            if !state.is_blank() {
                self.arrange(rule, &key, Appointment::None, Appointment::of(&state, rule));
                self.states.insert(key, state);
            }
        }
    }

    /// Removes all keys.
    pub(super) fn clear(&mut self) {
        self.agenda = Agenda::default();
        self.changed.extend(std::mem::take(&mut self.states).into_keys().map(|key| key.text));
    }

    /// What changed since the last call, as cells whose key is the trigger's path and the key.
    pub(super) fn take_cells(&mut self, place: &Place, cells: &mut Vec<Cell>) {
        for text in std::mem::take(&mut self.changed) {
            // Numbers, texts and lists of them: there is nothing that JSON could refuse.
            let state = self.states.get(&Key::from_text(&text));
            let body = state.and_then(|state| serde_json::to_string(state).ok());
            cells.push(Cell { automation: Some(place.automation), key: format!("{}{text}", place.path), body });
        }
    }

    /// Takes back what [`Self::take_cells`] gave; it counts as unchanged. A body that is not ours is left out: that key
    /// begins anew.
    pub(super) fn restore(&mut self, rule: &S::Rule, key: &str, body: &str) {
        let Ok(state) = serde_json::from_str::<S>(body) else { return };
        let key = Key::from_text(key);
        self.remove(rule, &key);
        self.arrange(rule, &key, Appointment::None, Appointment::of(&state, rule));
        self.changed.remove(&key.text);
        self.states.insert(key, state);
    }

    fn remove(&mut self, rule: &S::Rule, key: &Key) {
        if let Some((key, state)) = self.states.remove_entry(key) {
            self.arrange(rule, &key, Appointment::of(&state, rule), Appointment::None);
            self.changed.insert(key.text);
        }
    }

    /// The keys with this hash: one, unless two happen to have the same.
    fn of_hash(&self, hash: u64) -> impl Iterator<Item = (&Key, &S)> {
        let first = Key { hash, text: Box::default() };
        self.states.range(first..).take_while(move |(key, _)| key.hash == hash)
    }

    /// Changes the appointment of a key. Its state, if it is in the map, is the new one.
    fn arrange(&mut self, rule: &S::Rule, key: &Key, before: Appointment, after: Appointment) {
        if before == after {
            return;
        }
        match before {
            Appointment::Due(due) => {
                if !self.of_hash(key.hash).any(|(_, other)| other.due(rule) == Some(due)) {
                    self.agenda.dues.remove(&(due, key.hash));
                }
            }
            Appointment::Sweep(sweep) => {
                if let Some(keys) = self.agenda.sweeps.get_mut(&sweep) {
                    *keys -= 1;
                    if *keys == 0 {
                        self.agenda.sweeps.remove(&sweep);
                    }
                }
            }
            Appointment::None => {}
        }
        match after {
            Appointment::Due(due) => drop(self.agenda.dues.insert((due, key.hash))),
            Appointment::Sweep(sweep) => *self.agenda.sweeps.entry(sweep).or_default() += 1,
            Appointment::None => {}
        }
    }

    fn make_room(&mut self, rule: &S::Rule) {
        if self.states.len() < self.limit {
            return;
        }
        let mut stillest: Vec<(Instant, &Key)> =
            self.states.iter().map(|(key, state)| (state.touched(rule), key)).collect();
        let dropped = (self.limit / DROPPED_AT_ONCE).max(1);
        stillest.select_nth_unstable_by(dropped - 1, |one, other| (one.0, &one.1.text).cmp(&(other.0, &other.1.text)));
        let stillest: Vec<Key> = stillest[..dropped].iter().map(|(_, key)| (*key).clone()).collect();
        for key in stillest {
            self.remove(rule, &key);
        }
    }
}

/// Whether it may be forgotten, and so counts as forgotten.
fn is_over<S: KeyState>(state: &S, rule: &S::Rule, now: Instant) -> bool {
    state.due(rule).is_none() && state.expires(rule).is_some_and(|over| over <= now)
}

/// How many keys one of so many triggers of an automation may have, when each key keeps so many times.
pub(super) fn key_limit(triggers: usize, times: usize) -> usize {
    let keys = KEYS_PER_AUTOMATION.min(TIMES_PER_AUTOMATION / times.max(1));
    (keys / triggers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// A state that is due, or may be forgotten, at a second.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Toy {
        Due(i64),
        Idle(i64),
        Blank,
    }

    fn at(second: i64) -> Instant {
        Instant::EPOCH.at_offset(second * 1_000_000)
    }

    impl KeyState for Toy {
        type Rule = ();

        fn due(&self, (): &()) -> Option<Instant> {
            if let Self::Due(second) = self { Some(at(*second)) } else { None }
        }

        fn expires(&self, (): &()) -> Option<Instant> {
            if let Self::Idle(second) = self { Some(at(*second)) } else { None }
        }

        fn touched(&self, (): &()) -> Instant {
            match self {
                Self::Due(second) | Self::Idle(second) => at(*second),
                Self::Blank => Instant::FIRST,
            }
        }

        fn is_blank(&self) -> bool {
            *self == Self::Blank
        }
    }

    fn set(keyed: &mut Keyed<Toy>, key: &Key, toy: Toy) {
        keyed.change(&(), key, at(0), || Toy::Blank, |state| *state = toy);
    }

    #[test]
    fn keys_with_the_same_hash_do_not_disturb_each_other() {
        let mut keyed = Keyed::new(10);
        let [one, other] = ["[\"a\"]", "[\"b\"]"].map(|text| Key { hash: 7, text: text.into() });
        set(&mut keyed, &one, Toy::Due(5));
        set(&mut keyed, &other, Toy::Due(5));
        assert_eq!(keyed.due(&(), at(5)), [one.clone(), other.clone()]);
        set(&mut keyed, &one, Toy::Due(9));
        assert_eq!(keyed.due(&(), at(5)), std::slice::from_ref(&other));
        assert_eq!(keyed.next_due(), Some(at(5)));
        set(&mut keyed, &other, Toy::Blank);
        assert_eq!(keyed.next_due(), Some(at(9)));
        assert_eq!(keyed.due(&(), at(9)), [one]);
    }

    #[test]
    fn what_may_be_forgotten_is_on_the_hour_and_counts_as_forgotten_before() {
        let mut keyed = Keyed::new(10);
        let [one, other] = ["a", "b"].map(|value| Key::of(std::iter::once(value)));
        set(&mut keyed, &one, Toy::Idle(10));
        set(&mut keyed, &other, Toy::Idle(3_601));
        assert_eq!(keyed.next_due(), Some(at(3_600)));
        let before = keyed.change(&(), &one, at(11), || Toy::Blank, |state| std::mem::replace(state, Toy::Idle(20)));
        assert_eq!(before, Toy::Blank);
        assert_eq!(keyed.due(&(), at(3_600)), []);
        assert_eq!(keyed.get(&one), None);
        assert_eq!(keyed.next_due(), Some(at(7_200)));
    }

    #[test]
    fn the_stillest_keys_make_room() {
        let mut keyed = Keyed::new(3);
        for (second, value) in [(30, "a"), (10, "b"), (20, "c"), (40, "d")] {
            set(&mut keyed, &Key::of(std::iter::once(value)), Toy::Due(second));
        }
        let mut left: Vec<String> = keyed.iter().flat_map(|(key, _)| key.values()).collect();
        left.sort();
        assert_eq!(left, ["a", "c", "d"]);
        assert_eq!(keyed.next_due(), Some(at(20)));
    }
}
