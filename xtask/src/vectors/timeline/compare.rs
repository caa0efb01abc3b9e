//! What a step led to, against what was recorded.
//!
//! Times may differ by less than a millisecond: the recorder's clock went on a microsecond per child firing.
//! Buckets and child firings of a trigger that was replaced or removed stay in Prefect's database until they are swept;
//! with us they go at once, so those in the recording are allowed and not asked for.

use super::stage::Stage;
use super::{ExpectedAction, ExpectedBucket, ExpectedChild, ExpectedFiring, Step, Vector};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Debug;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::firing::{Firing, FiringState};
use trackside_core::ids::EventId;

/// Times that differ by less are the same.
const TOLERANCE: SignedDuration = SignedDuration::from_millis(1);
/// How the recorder calls the automation of a trigger that it does not know any more.
const UNKNOWN: &str = "?";

/// Compares all that was recorded.
pub(super) fn step(vector: &Vector, step: &Step, stage: &Stage, firings: &[Firing]) -> Result<(), String> {
    let records = |what: fn(&Step) -> bool| vector.steps.iter().any(what);
    compare_firings(vector, step, stage, firings)?;
    if records(|step| step.expect.actions.is_some()) {
        compare_actions(vector, step, stage, firings)?;
    }
    if records(|step| step.expect.buckets.is_some()) {
        let wanted = step.expect.buckets.iter().flatten().filter(|bucket| bucket.automation != UNKNOWN);
        compare_state("buckets", &stage.buckets(), wanted, &stage.left.buckets, same_bucket)?;
    }
    if records(|step| step.expect.child_firings.is_some()) {
        let wanted = step.expect.child_firings.iter().flatten().filter(|child| child.automation != UNKNOWN);
        compare_state("child firings", &stage.children(), wanted, &stage.left.children, same_child)?;
    }
    if records(|step| step.expect.waiting.is_some()) {
        let got: Vec<EventId> = stage.set.waiting().collect();
        let mut wanted = step.expect.waiting.clone().unwrap_or_default();
        wanted.sort();
        if got != wanted {
            return Err(format!("waiting: got {got:?}, wanted {wanted:?}"));
        }
    }
    Ok(())
}

fn compare_firings(vector: &Vector, step: &Step, stage: &Stage, firings: &[Firing]) -> Result<(), String> {
    let wanted = &step.expect.firings;
    let agree = firings.len() == wanted.len()
        && if vector.unordered {
            firings.iter().all(|got| wanted.iter().any(|wanted| same_firing(got, wanted, stage)))
        } else {
            firings.iter().zip(wanted).all(|(got, wanted)| same_firing(got, wanted, stage))
        };
    if agree { Ok(()) } else { Err(format!("firings: got {firings:?}, wanted {wanted:?}")) }
}

fn same_firing(got: &Firing, wanted: &ExpectedFiring, stage: &Stage) -> bool {
    let state = match got.state {
        FiringState::Triggered => "Triggered",
        FiringState::Resolved => "Resolved",
    };
    stage.name(got.automation) == wanted.automation
        && got.trigger == wanted.trigger
        && wanted.states == [state]
        && same_time(got.at, wanted.triggered)
        && got.labels == wanted.labels
        && same_event(got.event.map(|event| event.id), wanted.event.as_deref())
        && got.children.len() == wanted.children.len()
        && got.children.iter().all(|got| wanted.children.iter().any(|wanted| same_firing(got, wanted, stage)))
}

/// An event that is made when it happens (`$…`) may have any id.
fn same_event(got: Option<EventId>, wanted: Option<&str>) -> bool {
    match wanted {
        Some(wanted) if wanted.starts_with('$') => got.is_some(),
        wanted => got.map(|id| id.to_string()).as_deref() == wanted,
    }
}

fn same_time(got: Timestamp, wanted: Timestamp) -> bool {
    got.duration_since(wanted).abs() < TOLERANCE
}

/// The actions of every firing: those of the list `actions`, then those of the state's own list, numbered through.
fn compare_actions(vector: &Vector, step: &Step, stage: &Stage, firings: &[Firing]) -> Result<(), String> {
    let wanted = step.expect.actions.as_deref().unwrap_or_default();
    let got: Vec<ExpectedAction> = firings
        .iter()
        .filter_map(|firing| Some((firing, stage.set.get(firing.automation)?)))
        .flat_map(|(firing, automation)| actions(firing, automation))
        .collect();
    let same = |got: &ExpectedAction, wanted: &ExpectedAction| {
        got.kind == wanted.kind && got.index == wanted.index && same_time(got.triggered, wanted.triggered)
    };
    let agree = got.len() == wanted.len()
        && if vector.unordered {
            got.iter().all(|got| wanted.iter().any(|wanted| same(got, wanted)))
        } else {
            got.iter().zip(wanted).all(|(got, wanted)| same(got, wanted))
        };
    if agree { Ok(()) } else { Err(format!("actions: got {got:?}, wanted {wanted:?}")) }
}

fn actions(firing: &Firing, automation: &Automation) -> Vec<ExpectedAction> {
    let spec = &automation.spec;
    let of_state = match firing.state {
        FiringState::Triggered => &spec.actions_on_trigger,
        FiringState::Resolved => &spec.actions_on_resolve,
    };
    let action = |(index, action)| {
        let written = serde_json::to_value(action).unwrap_or_default();
        let kind = written["type"].as_str().unwrap_or_default().to_owned();
        ExpectedAction { kind, index, triggered: firing.at }
    };
    spec.actions.iter().chain(of_state).enumerate().map(action).collect()
}

fn same_bucket(got: &ExpectedBucket, wanted: &ExpectedBucket) -> bool {
    let ExpectedBucket { automation, trigger, key, start, end, count, last_event } = wanted;
    (&got.automation, &got.trigger, &got.key, &got.count, &got.last_event)
        == (automation, trigger, key, count, last_event)
        && same_time(got.start, *start)
        && same_time(got.end, *end)
}

fn same_child(got: &ExpectedChild, wanted: &ExpectedChild) -> bool {
    let ExpectedChild { automation, parent, child, fired_at, event } = wanted;
    (&got.automation, &got.parent, &got.child, &got.event) == (automation, parent, child, event)
        && same_time(got.fired_at, *fired_at)
}

/// Whether the state is what was recorded, but for what was left behind there.
fn compare_state<'a, T: Debug + 'a>(
    what: &str,
    got: &[T],
    wanted: impl Iterator<Item = &'a T>,
    left: &[T],
    same: impl Fn(&T, &T) -> bool,
) -> Result<(), String> {
    let wanted: Vec<&T> = wanted.collect();
    let mut missing = wanted.clone();
    for piece in got {
        match missing.iter().position(|wanted| same(piece, wanted)) {
            Some(place) => drop(missing.swap_remove(place)),
            None => return Err(format!("{what}: got {got:?}, wanted {wanted:?}")),
        }
    }
    if missing.iter().all(|missing| left.iter().any(|left| same(left, missing))) {
        return Ok(());
    }
    Err(format!("{what}: got {got:?}, wanted {wanted:?}"))
}
