//! From an event to the triggers it may concern, without looking at the others.
//!
//! By the event's name (exact, or the plain beginning of a pattern) and, within a name, by the value of one label that
//! the trigger wants exactly: the one that tells it apart best from those that are there already. So a thousand
//! triggers on one name with different labels cost about as one, and those on other names nothing. Invariants: never
//! misses a trigger that is interested; may name one that is not, and one twice ([`super::matching`] has the last
//! word); the answer does not depend on the order of edits once it was checked and sorted.

use super::definition::{AutomationId, EventTrigger, RelatedSpec, ResourceSpec};
use super::pattern;
use crate::event::{Event, Labels};
use std::collections::BTreeMap;

/// A trigger: its automation, and its position among the event triggers there.
pub(super) type Posting = (AutomationId, usize);

/// All triggers of automations that are evaluated.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Box<str>, Bin>,
    beginnings: BTreeMap<Box<str>, Bin>,
    /// How many of `beginnings` have this length.
    lengths: BTreeMap<usize, usize>,
}

/// Triggers that one name leads to, by labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Bin {
    labels: Vec<(Field, Values)>,
    rest: Vec<Posting>,
}

/// Triggers by the value of one label.
type Values = BTreeMap<Box<str>, Vec<Posting>>;

/// Where a label is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    /// On the resource.
    Resource(Box<str>),
    /// On any related resource.
    Related(Box<str>),
}

/// Which names lead to a trigger.
enum NameKey<'a> {
    Exact(&'a str),
    Beginning(&'a str),
}

impl Index {
    pub(super) fn insert(&mut self, posting: Posting, trigger: &EventTrigger) {
        for key in name_keys(trigger) {
            let bin = match key {
                NameKey::Exact(name) => self.names.entry(name.into()).or_default(),
                NameKey::Beginning(beginning) => {
                    if !self.beginnings.contains_key(beginning) {
                        *self.lengths.entry(beginning.len()).or_default() += 1;
                    }
                    self.beginnings.entry(beginning.into()).or_default()
                }
            };
            bin.insert(posting, &trigger.matches, &trigger.match_related);
        }
    }

    /// Takes out what [`Self::insert`] put in for the same trigger.
    pub(super) fn remove(&mut self, posting: Posting, trigger: &EventTrigger) {
        for key in name_keys(trigger) {
            match key {
                NameKey::Exact(name) => {
                    remove_from(&mut self.names, name, posting, trigger);
                }
                NameKey::Beginning(beginning) => {
                    let emptied = remove_from(&mut self.beginnings, beginning, posting, trigger);
                    let left = self.lengths.get_mut(&beginning.len()).filter(|_| emptied);
                    if left.is_some_and(|left| {
                        *left -= 1;
                        *left == 0
                    }) {
                        self.lengths.remove(&beginning.len());
                    }
                }
            }
        }
    }

    /// The triggers that the event may concern, in no order, some perhaps twice.
    pub(super) fn candidates(&self, event: &Event) -> Vec<Posting> {
        let mut found = Vec::new();
        let name = event.event.as_str();
        if let Some(bin) = self.names.get(name) {
            bin.find(&event.resource, &event.related, &mut found);
        }
        for length in self.lengths.keys() {
            let Some(beginning) = name.get(..*length) else { continue };
            if let Some(bin) = self.beginnings.get(beginning) {
                bin.find(&event.resource, &event.related, &mut found);
            }
        }
        found
    }
}

/// Says whether the bin became empty and is gone.
fn remove_from(bins: &mut BTreeMap<Box<str>, Bin>, key: &str, posting: Posting, trigger: &EventTrigger) -> bool {
    let Some(bin) = bins.get_mut(key) else { return false };
    bin.remove(posting, &trigger.matches, &trigger.match_related);
    let empty = bin.labels.is_empty() && bin.rest.is_empty();
    if empty {
        bins.remove(key);
    }
    empty
}

/// The names of a trigger; without `expect` every name.
fn name_keys(trigger: &EventTrigger) -> Vec<NameKey<'_>> {
    if trigger.expect.is_empty() {
        return vec![NameKey::Beginning("")];
    }
    let key = |name| match str::find(name, pattern::WILD) {
        Some(end) => NameKey::Beginning(&name[..end]),
        None => NameKey::Exact(name),
    };
    trigger.expect.union(&trigger.after).map(|name| key(name.as_str())).collect()
}

impl Bin {
    pub(super) fn insert(&mut self, posting: Posting, matches: &ResourceSpec, related: &RelatedSpec) {
        let exact = exact_labels(matches, related);
        let best = exact.iter().min_by_key(|(field, values)| (self.load(field, values), values.len()));
        let Some((field, values)) = best else {
            self.rest.push(posting);
            return;
        };
        let place = match self.labels.iter().position(|(known, _)| known == field) {
            Some(place) => place,
            None => {
                self.labels.push((field.clone(), Values::new()));
                self.labels.len() - 1
            }
        };
        for value in *values {
            let postings = &mut self.labels[place].1;
            postings.entry(value.as_str().into()).or_insert_with(|| Vec::with_capacity(1)).push(posting);
        }
    }

    pub(super) fn remove(&mut self, posting: Posting, matches: &ResourceSpec, related: &RelatedSpec) {
        self.rest.retain(|other| *other != posting);
        for (field, values) in exact_labels(matches, related) {
            let Some(place) = self.labels.iter().position(|(known, _)| *known == field) else { continue };
            let postings = &mut self.labels[place].1;
            for value in values {
                let Some(list) = postings.get_mut(value.as_str()) else { continue };
                list.retain(|other| *other != posting);
                if list.is_empty() {
                    postings.remove(value.as_str());
                }
            }
            if postings.is_empty() {
                self.labels.remove(place);
            }
        }
    }

    pub(super) fn find(&self, resource: &Labels, related: &[Labels], found: &mut Vec<Posting>) {
        found.extend_from_slice(&self.rest);
        for (field, values) in &self.labels {
            let mut look_up = |labels: &Labels, name: &str| {
                if let Some(postings) = labels.get(name).and_then(|value| values.get(value.as_str())) {
                    found.extend_from_slice(postings);
                }
            };
            match field {
                Field::Resource(name) => look_up(resource, name),
                Field::Related(name) => related.iter().for_each(|labels| look_up(labels, name)),
            }
        }
    }

    /// How many triggers are found already where this one would be.
    fn load(&self, field: &Field, values: &[String]) -> usize {
        let Some((_, postings)) = self.labels.iter().find(|(known, _)| known == field) else { return 0 };
        values.iter().filter_map(|value| postings.get(value.as_str())).map(Vec::len).sum()
    }
}

/// The labels that a trigger wants exactly, each with the values that will do.
fn exact_labels<'a>(matches: &'a ResourceSpec, related: &'a RelatedSpec) -> Vec<(Field, &'a [String])> {
    fn exact(spec: &ResourceSpec) -> impl Iterator<Item = (Box<str>, &[String])> {
        let exact = |values: &&[String]| !values.is_empty() && values.iter().all(|value| pattern::is_literal(value));
        spec.iter()
            .map(|(name, patterns)| (name, patterns.alternatives()))
            .filter_map(move |(name, values)| Some(values).filter(exact).map(|values| (name.as_str().into(), values)))
    }
    let of_resource = exact(matches).map(|(name, values)| (Field::Resource(name), values));
    let of_related = related.specs().iter().flat_map(exact).map(|(name, values)| (Field::Related(name), values));
    of_resource.chain(of_related).collect()
}
