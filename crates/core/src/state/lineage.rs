//! Which pipelines write a dataset: an index over what pipelines say, made anew at start.
//!
//! Invariant: derived from the pipelines alone and kept in step with every change of them.

use super::State;
use crate::pipeline::Pipeline;
use crate::pipeline::datasets::DatasetUse;
use crate::run::{Name, PipelineKey};
use std::collections::{BTreeMap, BTreeSet};

/// Pipelines by the datasets they write.
#[derive(Clone, Debug, Default)]
pub(super) struct Writers(BTreeMap<Name, BTreeSet<PipelineKey>>);

impl Writers {
    /// Takes over what a pipeline writes now instead of what it wrote `before`.
    pub(super) fn note(&mut self, key: &PipelineKey, before: &[DatasetUse], now: &[DatasetUse]) {
        let gone = before.iter().filter(|old| !now.iter().any(|new| new.name == old.name));
        for old in gone {
            if let Some(writers) = self.0.get_mut(&old.name) {
                writers.remove(key);
                if writers.is_empty() {
                    self.0.remove(&old.name);
                }
            }
        }
        for new in now {
            self.0.entry(new.name.clone()).or_default().insert(key.clone());
        }
    }
}

impl State {
    /// The pipelines that write a dataset.
    pub fn writers_of(&self, dataset: &str) -> impl Iterator<Item = &PipelineKey> {
        self.writers.0.get(dataset).into_iter().flatten()
    }

    pub(super) fn index_writes(&mut self, pipeline: &Pipeline) {
        let known = self.pipelines.get(&pipeline.key).map(|known| known.writes.as_slice()).unwrap_or_default();
        if known != pipeline.writes.as_slice() {
            self.writers.note(&pipeline.key, known, &pipeline.writes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::System;
    use crate::state::Loaded;

    fn pipeline(name: &str, writes: &[&str]) -> Pipeline {
        let mut pipeline = Pipeline::new(PipelineKey { source: "s".into(), name: name.into() }, System::Other);
        let seen = jiff::Timestamp::UNIX_EPOCH;
        pipeline.writes = writes.iter().map(|name| DatasetUse { name: (*name).into(), seen }).collect();
        pipeline
    }

    #[track_caller]
    fn check(state: &State, dataset: &str, expect: &[&str]) {
        let writers: Vec<&str> = state.writers_of(dataset).map(|key| &*key.name).collect();
        assert_eq!(writers, expect, "{dataset}");
    }

    #[test]
    fn the_index_follows_the_pipelines_and_is_made_anew_at_start() {
        let pipelines = vec![pipeline("a", &["w/x"]), pipeline("b", &["w/x", "w/y"])];
        let mut state = State::restore("default", Loaded { pipelines, ..Loaded::default() }).unwrap();
        check(&state, "w/x", &["a", "b"]);
        check(&state, "w/y", &["b"]);
        state.put_pipeline(pipeline("b", &["w/z"]));
        check(&state, "w/x", &["a"]);
        check(&state, "w/y", &[]);
        check(&state, "w/z", &["b"]);
        assert!(!state.writers.0.contains_key("w/y"), "nothing is kept of what nobody writes");
    }
}
