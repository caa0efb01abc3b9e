//! Which pipelines rules about whole scopes watch, and which of them keep a scope up: an index, made anew at start.
//!
//! Invariant: derived from rules and pipelines alone. What belongs where is decided in [`crate::engine`].

use super::State;
use crate::engine::Place;
use crate::run::PipelineKey;
use std::collections::{BTreeMap, BTreeSet};

/// The scopes by the name of their rule; absent until looked for.
pub(super) type Scopes = Option<BTreeMap<String, Scope>>;

/// The pipelines of one scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    members: BTreeSet<PipelineKey>,
    up: BTreeSet<PipelineKey>,
}

impl State {
    pub(crate) fn scopes_known(&self) -> bool {
        self.scopes.is_some()
    }

    pub(crate) fn begin_scopes(&mut self) {
        self.scopes = Some(BTreeMap::new());
    }

    pub(crate) fn place_in_scope(&mut self, rule: &str, pipeline: &PipelineKey, place: Place) {
        let scope = self.scopes.get_or_insert_default().entry(rule.to_owned()).or_default();
        let put = |set: &mut BTreeSet<PipelineKey>, inside: bool| {
            if inside {
                set.insert(pipeline.clone())
            } else {
                set.remove(pipeline)
            };
        };
        put(&mut scope.members, place != Place::Outside);
        put(&mut scope.up, place == Place::Up);
    }

    /// True when a rule watches a pipeline.
    pub(crate) fn in_scope(&self, rule: &str, pipeline: &PipelineKey) -> bool {
        self.scope(rule).is_some_and(|scope| scope.members.contains(pipeline))
    }

    /// True when at least so many pipelines are watched by a rule, and none of them is up.
    pub(crate) fn scope_is_down(&self, rule: &str, at_least: u32) -> bool {
        let enough = |scope: &Scope| scope.members.len() >= usize::try_from(at_least).unwrap_or(usize::MAX);
        self.scope(rule).is_some_and(|scope| enough(scope) && scope.up.is_empty())
    }

    /// The pipelines that a rule watches.
    pub(crate) fn scope_members(&self, rule: &str) -> impl Iterator<Item = &PipelineKey> {
        self.scope(rule).into_iter().flat_map(|scope| &scope.members)
    }

    fn scope(&self, rule: &str) -> Option<&Scope> {
        self.scopes.as_ref()?.get(rule)
    }
}
