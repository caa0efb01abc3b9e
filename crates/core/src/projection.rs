//! From reports to runs and attempts: what each report changes, and what that means.
//!
//! Far ends report out of order, twice, change states after the end, and forget ends (killed tasks). The rules:
//! a start never reopens an attempt; a run is reopened only by a start after its end; reports are otherwise taken in
//! order of arrival; a failure that may be retried is held until the next try, the end of the run or a timer tells.
//! This module changes runs, attempts and pipeline figures; what to do about it is decided in [`crate::engine`].

mod attempt;
mod run;

pub(crate) use attempt::{subject as attempt_subject, title as attempt_title};

use crate::decision::Alias;
use crate::event::Event;
use crate::pipeline::{Pipeline, datasets};
use crate::run::{AttemptKey, Name, Run, RunKey, RunState, RunUpdate, System};
use crate::state::{State, first_key, run_id_alias};
use jiff::Timestamp;

/// What a report turned out to mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The run is running (first news, or again after its end).
    RunStarted(RunKey),
    /// The run ended, or its outcome changed.
    RunEnded(RunKey, RunState),
    /// An attempt failed and will not be tried again.
    AttemptFailed(AttemptKey),
    /// An attempt failed and it is not known whether it will be tried again.
    AttemptHeld(AttemptKey),
    /// An attempt that failed will be (or was) tried again.
    AttemptRetried(AttemptKey),
    /// An attempt ended well.
    AttemptSucceeded(AttemptKey),
    /// Nothing that a rule could concern changed; the text says what was recorded.
    Recorded(String),
}

/// Applies a run report: which run it was about, and what it turned out to mean.
pub fn apply(state: &mut State, event: &Event, update: &RunUpdate, at: Timestamp) -> (RunKey, Vec<Transition>) {
    let source: Name = event.source.as_str().into();
    let mut run = find_or_create(state, &source, update, at);
    learn(&mut run, update);
    learn_pipeline(state, &run, update, at);
    state.put_run(run.clone());
    register_names(state, &source, &run, update);
    let key = run.key.clone();
    let transitions = match &update.attempt {
        Some(reference) => attempt::apply(state, event, update, reference, &key),
        None => run::apply(state, event, update, run),
    };
    note_start(state, &key);
    (key, transitions)
}

/// The latest start of the pipeline. An end without a start shows that the run had started by then.
fn note_start(state: &mut State, key: &RunKey) {
    let began = state.run(key).and_then(|run| run.started.or(run.ended));
    if let Some(pipeline) = state.pipeline(&key.pipeline_key()).filter(|pipeline| pipeline.last_start < began) {
        let mut pipeline = pipeline.clone();
        pipeline.last_start = began;
        state.put_pipeline(pipeline);
    }
}

fn find_or_create(state: &State, source: &Name, update: &RunUpdate, at: Timestamp) -> Run {
    if let Some(run) = state.find_run(source, update).and_then(|key| state.run(key)) {
        return run.clone();
    }
    let mut key = first_key(source, update, at);
    let pipeline = crate::run::PipelineKey { source: key.source.clone(), name: key.pipeline.clone() };
    if let Some(known) = state.pipeline(&pipeline) {
        key.source = known.key.source.clone();
        key.pipeline = known.key.name.clone();
    }
    Run {
        key,
        run_id: update.run_id.clone(),
        system: update.system,
        state: RunState::Scheduled,
        first_seen: at,
        started: None,
        ended: None,
        nominal: None,
        error: None,
        owner: None,
        owners: Vec::new(),
        tags: Vec::new(),
        url: None,
        clear_number: 0,
        rows: None,
        counted: None,
    }
}

/// Takes from a report what does not depend on its order.
fn learn(run: &mut Run, update: &RunUpdate) {
    if run.run_id.is_none() {
        run.run_id.clone_from(&update.run_id);
    }
    run.nominal = run.nominal.or(update.nominal);
    run.clear_number = run.clear_number.max(update.clear_number);
    if update.system != System::Other {
        run.system = update.system;
    }
    if !update.tags.is_empty() {
        run.tags.clone_from(&update.tags);
    }
    let about_run = update.attempt.is_none();
    if !update.owners.is_empty() && (about_run || run.owners.is_empty()) {
        run.owners.clone_from(&update.owners);
    }
    if update.url.is_some() && (about_run || run.url.is_none()) {
        run.url.clone_from(&update.url);
    }
}

fn learn_pipeline(state: &mut State, run: &Run, update: &RunUpdate, at: Timestamp) {
    let key = run.key.pipeline_key();
    let mut pipeline = state.pipeline(&key).cloned().unwrap_or_else(|| Pipeline::new(key, run.system));
    pipeline.system = run.system;
    if !update.tags.is_empty() {
        pipeline.tags.clone_from(&update.tags);
    }
    let about_run = update.attempt.is_none();
    if !update.owners.is_empty() && (about_run || pipeline.owners.is_empty()) {
        pipeline.owners.clone_from(&update.owners);
    }
    if about_run && update.doc.is_some() {
        pipeline.doc.clone_from(&update.doc);
    }
    datasets::note(&mut pipeline.reads, &update.inputs, at);
    datasets::note(&mut pipeline.writes, &update.outputs, at);
    state.put_pipeline(pipeline);
}

/// Every name by which a later report may mean this run.
fn register_names(state: &mut State, source: &Name, run: &Run, update: &RunUpdate) {
    let mut names: Vec<Name> =
        update.run_aliases.iter().map(|alias| alias.as_str().into()).filter(|alias| *alias != run.key.run).collect();
    // A run first seen under an opaque id: its own key is an opaque name too.
    if update.run_aliases.iter().any(|alias| **alias == *run.key.run) {
        names.push(run.key.run.clone());
    }
    if let Some(run_id) = &update.run_id
        && **run_id != *run.key.run
    {
        names.push(run_id_alias(&update.pipeline, run_id));
    }
    for alias in names {
        state.put_alias(Alias { source: source.clone(), alias, run: run.key.clone(), attempt: None });
    }
}
