//! Attempts: one try of one task.

use super::Transition;
use crate::decision::Alias;
use crate::event::Event;
use crate::limits;
use crate::run::{Attempt, AttemptKey, AttemptRef, Name, RunKey, RunReport, RunState, RunUpdate};
use crate::state::State;
use crate::timer::TimerKey;

/// Map index of an unmapped task, as Airflow has it.
const UNMAPPED: i32 = -1;

/// Applies a report about an attempt.
pub(super) fn apply(
    state: &mut State,
    event: &Event,
    update: &RunUpdate,
    reference: &AttemptRef,
    run: &RunKey,
) -> Vec<Transition> {
    let key = find(state, reference, run);
    for alias in &reference.aliases {
        state.put_alias(Alias {
            source: run.source.clone(),
            alias: alias.as_str().into(),
            run: run.clone(),
            attempt: Some((key.task.clone(), key.map_index, key.try_number)),
        });
    }
    let mut transitions = run_is_alive(state, event, update, run);
    let mut attempt = state.attempt(&key).cloned().unwrap_or_else(|| unknown(key.clone()));
    learn(&mut attempt, update);
    transitions.extend(match update.report {
        RunReport::Scheduled => record(state, attempt, RunState::Scheduled),
        RunReport::Started | RunReport::Alive => started(state, event, update, attempt),
        RunReport::Succeeded => succeeded(state, event, update, attempt),
        RunReport::Failed => failed(state, event, update, attempt, Finality::Final),
        RunReport::FailedMaybeRetry => failed(state, event, update, attempt, Finality::Unknown),
        RunReport::Retrying => retrying(state, attempt),
        RunReport::Skipped => ended(state, event, update, attempt, RunState::Skipped),
        RunReport::Cancelled => ended(state, event, update, attempt, RunState::Cancelled),
    });
    transitions
}

/// Whether a failure can still be followed by another try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finality {
    Final,
    Unknown,
}

/// Ends every attempt that a run's end decides, and says which failures are final now.
pub(super) fn settle(
    state: &mut State,
    event: &Event,
    update: &RunUpdate,
    run: &RunKey,
    outcome: RunState,
) -> Vec<Transition> {
    let attempts: Vec<Attempt> = state.attempts(run).cloned().collect();
    let mut transitions = Vec::new();
    for (index, attempt) in attempts.iter().enumerate() {
        let latest = attempts
            .get(index + 1)
            .is_none_or(|next| next.key.task != attempt.key.task || next.key.map_index != attempt.key.map_index);
        if latest {
            transitions.extend(settle_one(state, event, update, attempt.clone(), outcome));
        }
    }
    transitions
}

fn settle_one(
    state: &mut State,
    event: &Event,
    update: &RunUpdate,
    mut attempt: Attempt,
    outcome: RunState,
) -> Option<Transition> {
    // Mapped tasks collapse to one reported state, which says nothing about one index.
    let mapped = attempt.key.map_index != UNMAPPED;
    let reported = update.task_states.get(&*attempt.key.task).map(String::as_str).filter(|_| !mapped);
    let end = update.ended.unwrap_or(event.occurred);
    match (attempt.state, reported, outcome) {
        (RunState::Held, Some("failed"), _) | (RunState::Held, _, RunState::Failed) => {
            attempt.state = RunState::Failed;
            attempt.note = Some("final: the run ended without another try".to_owned());
        }
        (RunState::Held, ..) => {
            attempt.state = RunState::Failed;
            attempt.note = Some("the run succeeded all the same".to_owned());
            state.clear_timer(&TimerKey::Hold { attempt: attempt.key.clone() });
            state.put_attempt(attempt);
            return None;
        }
        (RunState::Running | RunState::Scheduled | RunState::Retrying, Some("failed"), _) => {
            attempt.state = RunState::Failed;
            attempt.ended = Some(end);
            attempt.note = Some("no end was reported; the run says it failed (killed?)".to_owned());
            attempt.error.get_or_insert_with(|| "No end was reported: the process was probably killed.".to_owned());
        }
        (RunState::Succeeded | RunState::Running, Some("skipped"), _) => {
            attempt.state = RunState::Skipped;
            attempt.note = Some("reported as complete; the run says it was skipped".to_owned());
            state.put_attempt(attempt);
            return None;
        }
        (RunState::Running, Some("success"), _) => {
            attempt.state = RunState::Succeeded;
            attempt.ended = Some(end);
            state.put_attempt(attempt);
            return None;
        }
        (RunState::Running, _, RunState::Failed | RunState::Cancelled) => {
            attempt.state = RunState::Cancelled;
            attempt.ended = Some(end);
            attempt.note = Some("no end was reported before the run ended".to_owned());
            state.put_attempt(attempt);
            return None;
        }
        _ => return None,
    }
    state.clear_timer(&TimerKey::Hold { attempt: attempt.key.clone() });
    let key = attempt.key.clone();
    state.put_attempt(attempt);
    Some(Transition::AttemptFailed(key))
}

fn find(state: &State, reference: &AttemptRef, run: &RunKey) -> AttemptKey {
    let key = |task: Name, map_index, try_number| AttemptKey { run: run.clone(), task, map_index, try_number };
    if let Some(try_number) = reference.try_number {
        return key(reference.task.as_str().into(), reference.map_index.unwrap_or(UNMAPPED), try_number);
    }
    let by_alias = reference.aliases.iter().find_map(|alias| state.alias(&run.source, alias)?.attempt.clone());
    if let Some((task, map_index, try_number)) = by_alias {
        return key(task, map_index, try_number);
    }
    let map_index = reference.map_index.unwrap_or(UNMAPPED);
    let latest = state
        .attempts(run)
        .filter(|attempt| *attempt.key.task == *reference.task && attempt.key.map_index == map_index)
        .last();
    match latest {
        Some(attempt) => attempt.key.clone(),
        None => key(reference.task.as_str().into(), map_index, 1),
    }
}

fn unknown(key: AttemptKey) -> Attempt {
    Attempt {
        key,
        state: RunState::Scheduled,
        started: None,
        ended: None,
        error: None,
        log_url: None,
        owners: Vec::new(),
        rows: None,
        note: None,
    }
}

fn learn(attempt: &mut Attempt, update: &RunUpdate) {
    attempt.started = attempt.started.or(update.started);
    attempt.rows = update.rows.or(attempt.rows);
    if update.log_url.is_some() {
        attempt.log_url.clone_from(&update.log_url);
    }
    if !update.owners.is_empty() {
        attempt.owners.clone_from(&update.owners);
    }
}

/// News of an attempt is news of its run: it exists and runs.
fn run_is_alive(state: &mut State, event: &Event, update: &RunUpdate, key: &RunKey) -> Vec<Transition> {
    let Some(run) = state.run(key).filter(|run| run.state == RunState::Scheduled) else {
        return Vec::new();
    };
    let mut run = run.clone();
    run.state = RunState::Running;
    run.started = run.started.or(update.started).or(Some(event.occurred));
    let key = run.key.clone();
    state.put_run(run);
    vec![Transition::RunStarted(key)]
}

fn record(state: &mut State, mut attempt: Attempt, new: RunState) -> Vec<Transition> {
    if attempt.state == RunState::Scheduled {
        attempt.state = new;
    }
    let text = format!("{} is {}", title(&attempt.key), attempt.state.as_str());
    state.put_attempt(attempt);
    vec![Transition::Recorded(text)]
}

fn started(state: &mut State, event: &Event, update: &RunUpdate, mut attempt: Attempt) -> Vec<Transition> {
    let mut transitions = earlier_tries(state, &attempt.key);
    if attempt.state == RunState::Scheduled {
        attempt.state = RunState::Running;
    }
    if update.report == RunReport::Started && attempt.started.is_none() {
        attempt.started = Some(event.occurred);
    }
    transitions.push(Transition::Recorded(format!("{} is {}", title(&attempt.key), attempt.state.as_str())));
    state.put_attempt(attempt);
    transitions
}

/// A newer try settles the question of the older ones: what was held or never ended was tried again.
fn earlier_tries(state: &mut State, key: &AttemptKey) -> Vec<Transition> {
    let earlier: Vec<Attempt> = state
        .attempts(&key.run)
        .filter(|other| {
            other.key.task == key.task && other.key.map_index == key.map_index && other.key.try_number < key.try_number
        })
        .filter(|other| matches!(other.state, RunState::Held | RunState::Running | RunState::Scheduled))
        .cloned()
        .collect();
    let mut transitions = Vec::new();
    for mut other in earlier {
        if other.state != RunState::Held {
            other.note = Some(format!("no end was reported; try {} followed", key.try_number));
        }
        other.state = RunState::Retrying;
        state.clear_timer(&TimerKey::Hold { attempt: other.key.clone() });
        transitions.push(Transition::AttemptRetried(other.key.clone()));
        state.put_attempt(other);
    }
    transitions
}

fn succeeded(state: &mut State, event: &Event, update: &RunUpdate, mut attempt: Attempt) -> Vec<Transition> {
    let mut transitions = earlier_tries(state, &attempt.key);
    let again = attempt.state == RunState::Succeeded;
    attempt.state = RunState::Succeeded;
    attempt.ended = update.ended.or(Some(event.occurred));
    attempt.error = None;
    state.clear_timer(&TimerKey::Hold { attempt: attempt.key.clone() });
    transitions.push(if again {
        Transition::Recorded(format!("{} had succeeded already", title(&attempt.key)))
    } else {
        Transition::AttemptSucceeded(attempt.key.clone())
    });
    state.put_attempt(attempt);
    transitions
}

fn failed(
    state: &mut State,
    event: &Event,
    update: &RunUpdate,
    mut attempt: Attempt,
    finality: Finality,
) -> Vec<Transition> {
    let mut transitions = earlier_tries(state, &attempt.key);
    attempt.ended = update.ended.or(Some(event.occurred));
    if update.error.is_some() {
        attempt.error.clone_from(&update.error);
    }
    let key = attempt.key.clone();
    let newer_try = state.attempts(&key.run).any(|other| {
        other.key.task == key.task && other.key.map_index == key.map_index && other.key.try_number > key.try_number
    });
    let run_state = state.run(&key.run).map(|run| run.state);
    let run_is_over = run_state == Some(RunState::Failed);
    let hold = TimerKey::Hold { attempt: key.clone() };
    if newer_try {
        attempt.state = RunState::Retrying;
        state.clear_timer(&hold);
        transitions.push(Transition::AttemptRetried(key));
    } else if attempt.state == RunState::Failed {
        transitions.push(Transition::Recorded(format!("{} had failed already", title(&key))));
    } else if matches!(run_state, Some(RunState::Succeeded | RunState::Skipped | RunState::Cancelled)) {
        // Told late, or marked by a person: the run has its outcome, and that is what counts.
        attempt.state = RunState::Failed;
        attempt.note = Some("reported after the run had ended without failing".to_owned());
        transitions.push(Transition::Recorded(format!("{} failed in a run that did not", title(&key))));
    } else if finality == Finality::Final || run_is_over {
        attempt.state = RunState::Failed;
        attempt.note = None;
        state.clear_timer(&hold);
        transitions.push(Transition::AttemptFailed(key));
    } else {
        attempt.state = RunState::Held;
        attempt.note = Some("held: the far end does not say whether it will be tried again".to_owned());
        state.set_timer(hold, event.received + limits::HOLD_FAILURE);
        transitions.push(Transition::AttemptHeld(key));
    }
    state.put_attempt(attempt);
    transitions
}

fn retrying(state: &mut State, mut attempt: Attempt) -> Vec<Transition> {
    let key = attempt.key.clone();
    attempt.state = RunState::Retrying;
    state.clear_timer(&TimerKey::Hold { attempt: key.clone() });
    state.put_attempt(attempt);
    vec![Transition::AttemptRetried(key)]
}

fn ended(state: &mut State, event: &Event, update: &RunUpdate, mut attempt: Attempt, new: RunState) -> Vec<Transition> {
    attempt.state = new;
    attempt.ended = update.ended.or(Some(event.occurred));
    state.clear_timer(&TimerKey::Hold { attempt: attempt.key.clone() });
    let text = format!("{} is {}", title(&attempt.key), new.as_str());
    state.put_attempt(attempt);
    vec![Transition::Recorded(text)]
}

/// "task charge, try 2" or "task work[3], try 1".
pub(crate) fn title(key: &AttemptKey) -> String {
    format!("task {}, try {}", subject(key), key.try_number)
}

/// "charge" or "work[3]".
pub(crate) fn subject(key: &AttemptKey) -> String {
    if key.map_index == UNMAPPED { key.task.to_string() } else { format!("{}[{}]", key.task, key.map_index) }
}
