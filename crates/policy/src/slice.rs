//! Which policies can speak about a question: found by what their scope names, before anything is evaluated.
//!
//! Each policy stands under the most selective thing in its scope: a resource, a caller, a group of callers, the team
//! of a resource, or nothing. A question collects what stands under its own things. Invariant: a policy left out could
//! not have been satisfied; a property test compares with asking all of them. Slices (sets of policies) are cached, as
//! they depend on the configuration alone; answers are not.

use crate::entity::{groups, type_of};
use crate::reads::Reads;
use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use trackside_identity::question::Question;

/// Slices that are kept.
const SLICES: usize = 4_096;

/// Policies by what they can speak about.
#[derive(Debug)]
pub(crate) struct Index {
    policies: Vec<Known>,
    by_key: HashMap<Key, Vec<u32>>,
    slices: Cache<Box<[u32]>, Arc<Slice>>,
}

/// Policies that can speak about a question, and what they read of it.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) policies: PolicySet,
    pub(crate) reads: Reads,
}

#[derive(Debug)]
struct Known {
    policy: Policy,
    reads: Reads,
    /// Actions it is about; `None`: all.
    actions: Option<Vec<String>>,
    /// Type of resource it is about; `None`: all.
    kind: Option<String>,
}

/// The most selective thing in a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// `resource == Route::"a"`: type and id.
    Resource(String, String),
    /// `principal == Caller::"a"`
    Caller(String),
    /// `principal in Role::"a"`: type and id.
    Group(String, String),
    /// `resource in Team::"a"`
    Owned(String),
    /// Nothing.
    Anything,
}

impl Default for Index {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Index {
    pub(crate) fn new(policies: Vec<Policy>) -> Self {
        let mut by_key: HashMap<Key, Vec<u32>> = HashMap::new();
        for (place, policy) in (0u32..).zip(&policies) {
            by_key.entry(key(policy)).or_default().push(place);
        }
        let policies = policies.into_iter().map(Known::new).collect();
        Self { policies, by_key, slices: Cache::new(SLICES) }
    }

    /// The policies that can speak about a question; `None` when none can.
    pub(crate) fn slice(&self, question: &Question<'_>) -> Option<Arc<Slice>> {
        if self.policies.is_empty() {
            return None;
        }
        let places = self.places(question);
        if places.is_empty() {
            return None;
        }
        if let Some(slice) = self.slices.get(&places[..]) {
            return Some(slice);
        }
        let policies = places.iter().filter_map(|place| self.policies.get(*place as usize));
        let mut slice = Slice { policies: PolicySet::new(), reads: Reads::NOTHING };
        for known in policies {
            // Names are unique in the whole set, hence in each part of it.
            let added = slice.policies.add(known.policy.clone());
            debug_assert!(added.is_ok(), "{added:?}");
            slice.reads.join(known.reads.clone());
        }
        let slice = Arc::new(slice);
        self.slices.insert(places.into_boxed_slice(), Arc::clone(&slice));
        Some(slice)
    }

    fn places(&self, question: &Question<'_>) -> Vec<u32> {
        let kind = type_of(question.resource.kind);
        let mut places = Vec::new();
        let mut collect = |key: &Key| {
            let found = self.by_key.get(key).into_iter().flatten();
            places.extend(found.filter(|place| self.speaks(**place, question.action, kind)));
        };
        collect(&Key::Anything);
        collect(&Key::Resource(kind.to_owned(), question.resource.name.to_owned()));
        collect(&Key::Caller(question.who.caller.subject.clone()));
        if let Some(team) = question.resource.team {
            collect(&Key::Owned(team.to_owned()));
        }
        for (kind, id) in groups(question.who) {
            collect(&Key::Group(kind.to_owned(), id));
        }
        places.sort_unstable();
        places
    }

    fn speaks(&self, place: u32, action: &str, kind: &str) -> bool {
        self.policies.get(place as usize).is_some_and(|known| {
            known.actions.as_ref().is_none_or(|actions| actions.iter().any(|known| known == action))
                && known.kind.as_ref().is_none_or(|known| known == kind)
        })
    }
}

impl Known {
    fn new(policy: Policy) -> Self {
        let id = |uid: EntityUid| uid.id().unescaped().to_owned();
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(action) => Some(vec![id(action)]),
            ActionConstraint::In(actions) => Some(actions.into_iter().map(id).collect()),
        };
        let kind = match policy.resource_constraint() {
            ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => Some(kind.to_string()),
            ResourceConstraint::Eq(uid) => Some(uid.type_name().to_string()),
            ResourceConstraint::Any | ResourceConstraint::In(_) => None,
        };
        Self { reads: Reads::of(&policy), policy, actions, kind }
    }
}

fn key(policy: &Policy) -> Key {
    let parts = |uid: &EntityUid| (uid.type_name().to_string(), uid.id().unescaped().to_owned());
    let resource = policy.resource_constraint();
    if let ResourceConstraint::Eq(uid) = &resource {
        let (kind, id) = parts(uid);
        return Key::Resource(kind, id);
    }
    match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid) => return Key::Caller(parts(&uid).1),
        PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
            let (kind, id) = parts(&uid);
            // A caller is in itself.
            return if kind == "Caller" { Key::Caller(id) } else { Key::Group(kind, id) };
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => {}
    }
    match &resource {
        ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
            let (kind, id) = parts(uid);
            if kind == "Team" { Key::Owned(id) } else { Key::Resource(kind, id) }
        }
        _ => Key::Anything,
    }
}
