//! Runs as a whole, and the figures of their pipeline.

use super::{Transition, attempt};
use crate::event::Event;
use crate::pipeline::rows::RowSample;
use crate::run::{Run, RunKey, RunReport, RunState, RunUpdate};
use crate::state::State;

/// Applies a report about the run itself.
pub(super) fn apply(state: &mut State, event: &Event, update: &RunUpdate, run: Run) -> Vec<Transition> {
    match update.report {
        RunReport::Scheduled | RunReport::Retrying => waiting(state, event, update, run),
        RunReport::Started | RunReport::Alive => started(state, event, update, run),
        RunReport::Succeeded => ended(state, event, update, run, RunState::Succeeded),
        RunReport::Failed | RunReport::FailedMaybeRetry => ended(state, event, update, run, RunState::Failed),
        RunReport::Skipped => ended(state, event, update, run, RunState::Skipped),
        RunReport::Cancelled => ended(state, event, update, run, RunState::Cancelled),
    }
}

fn waiting(state: &mut State, event: &Event, update: &RunUpdate, mut run: Run) -> Vec<Transition> {
    let stale = run.ended.is_some_and(|ended| event.occurred <= ended);
    let retrying = update.report == RunReport::Retrying;
    if !stale && (run.state.is_terminal() || run.state == RunState::Scheduled || retrying) {
        run.state = if retrying { RunState::Retrying } else { RunState::Scheduled };
        run.ended = None;
    }
    let text = format!("the run is {}", run.state.as_str());
    state.put_run(run);
    vec![Transition::Recorded(text)]
}

fn started(state: &mut State, event: &Event, update: &RunUpdate, mut run: Run) -> Vec<Transition> {
    let began = update.started.unwrap_or(event.occurred);
    let reopened = update.report == RunReport::Started && run.ended.is_some_and(|ended| event.occurred > ended);
    if run.state.is_terminal() && !reopened {
        run.started = run.started.or(Some(began));
        state.put_run(run);
        return vec![Transition::Recorded("the run had ended already; its start was filled in".to_owned())];
    }
    let was_running = run.state == RunState::Running;
    if reopened {
        run.started = Some(began);
        run.ended = None;
        run.error = None;
    }
    run.state = RunState::Running;
    run.started = run.started.or(Some(began));
    let key = run.key.clone();
    state.put_run(run);
    if was_running {
        vec![Transition::Recorded("the run is running".to_owned())]
    } else {
        vec![Transition::RunStarted(key)]
    }
}

fn ended(state: &mut State, event: &Event, update: &RunUpdate, mut run: Run, outcome: RunState) -> Vec<Transition> {
    let again = run.state == outcome;
    run.state = outcome;
    run.started = run.started.or(update.started);
    run.ended = update.ended.or(Some(event.occurred));
    run.error = match outcome {
        RunState::Failed => update.error.clone().or(run.error),
        _ => None,
    };
    let key = run.key.clone();
    state.put_run(run);
    let mut transitions = attempt::settle(state, event, update, &key, outcome);
    sum_rows(state, update, &key);
    if again {
        transitions.push(Transition::Recorded(format!("the run had {} already", outcome.as_str())));
    } else {
        count(state, &key, outcome);
        transitions.push(Transition::RunEnded(key, outcome));
    }
    transitions
}

/// Rows of the run: as reported for it, else the sum over its successful attempts that reported any.
fn sum_rows(state: &mut State, update: &RunUpdate, key: &RunKey) {
    let of_attempts: Vec<u64> = state
        .attempts(key)
        .filter(|attempt| attempt.state == RunState::Succeeded)
        .filter_map(|attempt| attempt.rows)
        .collect();
    let sum = (!of_attempts.is_empty()).then(|| of_attempts.iter().fold(0, |sum: u64, rows| sum.saturating_add(*rows)));
    if let Some(run) = state.run(key) {
        let mut run = run.clone();
        run.rows = update.rows.or(sum).or(run.rows);
        state.put_run(run);
    }
}

/// Counts an outcome once per run; when the outcome of a run changes, the count is corrected.
fn count(state: &mut State, key: &RunKey, outcome: RunState) {
    let (Some(run), Some(pipeline)) = (state.run(key), state.pipeline(&key.pipeline_key())) else {
        return;
    };
    let (mut run, mut pipeline) = (run.clone(), pipeline.clone());
    match run.counted {
        Some(RunState::Succeeded) => pipeline.succeeded = pipeline.succeeded.saturating_sub(1),
        Some(RunState::Failed) => pipeline.failed = pipeline.failed.saturating_sub(1),
        _ => {}
    }
    match outcome {
        RunState::Succeeded => {
            pipeline.succeeded += 1;
            pipeline.streak = 0;
            pipeline.last_success = pipeline.last_success.max(run.ended);
            if let Some(seconds) = run.duration_s() {
                pipeline.record_duration(seconds);
            }
            if let (Some(rows), Some(ended)) = (run.rows, run.ended) {
                pipeline.record_rows(RowSample { second: ended.as_second(), rows });
            }
        }
        RunState::Failed => {
            pipeline.failed += 1;
            pipeline.streak += 1;
            pipeline.last_failure = pipeline.last_failure.max(run.ended);
        }
        _ => {}
    }
    run.counted = Some(outcome);
    state.put_run(run);
    state.put_pipeline(pipeline);
}
