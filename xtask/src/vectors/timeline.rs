//! Vectors of kind `timeline`: automations, then events and moments, each with what must follow.
//!
//! Every vector is run twice: on one set of automations from beginning to end, and on one that is restored from what it
//! had stored after each step. Both must do what was recorded.
//!
//! - [`stage`]: the set of automations under test; [`compare`]: what was got against what was recorded

mod compare;
mod stage;

use super::Case;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use stage::{Memory, Stage};
use std::collections::BTreeMap;
use trackside_core::event::{Event, Labels};
use trackside_core::ids::EventId;

/// A file of this kind.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    t0: Timestamp,
    vectors: Vec<Vector>,
}

/// One recorded timeline.
#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    automations: BTreeMap<String, Value>,
    /// The order of what one step leads to was not determined.
    #[serde(default)]
    unordered: bool,
    steps: Vec<Step>,
}

/// An event or something else that happened, at a moment of the server's clock.
#[derive(Debug, Deserialize)]
struct Step {
    at: Timestamp,
    event: Option<Value>,
    /// When the event was received, if that was earlier.
    received: Option<Timestamp>,
    #[serde(rename = "do")]
    happening: Option<Happening>,
    automation: Option<String>,
    body: Option<Value>,
    expect: Expect,
}

/// What can happen beside events.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Happening {
    /// Prefect's loop over proactive triggers runs.
    Proactive,
    /// Its loop over lost followers and old buckets runs.
    Periodic,
    /// Both run, in this order.
    Tick,
    /// The server is started again: what was in its memory only is lost.
    Restart,
    Disable,
    Enable,
    Replace,
    Delete,
    Create,
}

/// What was recorded after a step. What a whole vector never mentions was not recorded; `error` tells how Prefect's code
/// put an event aside, which is seen in `waiting`.
#[derive(Debug, Deserialize)]
struct Expect {
    firings: Vec<ExpectedFiring>,
    actions: Option<Vec<ExpectedAction>>,
    buckets: Option<Vec<ExpectedBucket>>,
    child_firings: Option<Vec<ExpectedChild>>,
    waiting: Option<Vec<EventId>>,
    /// Prefect's own events about firings were fed back.
    state_change_events: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ExpectedFiring {
    automation: String,
    trigger: String,
    states: Vec<String>,
    triggered: Timestamp,
    labels: BTreeMap<String, String>,
    /// An id, or `$…` for one that is made when it happens.
    event: Option<String>,
    #[serde(default)]
    children: Vec<ExpectedFiring>,
}

#[derive(Debug, Deserialize)]
struct ExpectedAction {
    #[serde(rename = "type")]
    kind: String,
    index: usize,
    triggered: Timestamp,
}

#[derive(Debug, Deserialize)]
struct ExpectedBucket {
    automation: String,
    trigger: String,
    key: Vec<String>,
    start: Timestamp,
    end: Timestamp,
    count: i64,
    last_event: Option<EventId>,
}

#[derive(Debug, Deserialize)]
struct ExpectedChild {
    automation: String,
    parent: String,
    child: String,
    fired_at: Timestamp,
    event: Option<EventId>,
}

pub(crate) fn run(file: &File) -> Vec<Case> {
    let run = |vector: &Vector| {
        run_one(vector, file.t0, Memory::Kept)?;
        run_one(vector, file.t0, Memory::RestoredAfterEachStep)
            .map_err(|why| format!("restored after each step: {why}"))
    };
    file.vectors.iter().map(|vector| Case::new(&vector.name, run(vector))).collect()
}

fn run_one(vector: &Vector, t0: Timestamp, memory: Memory) -> Result<(), String> {
    let mut stage = Stage::new(&vector.automations, t0)?;
    for (number, step) in vector.steps.iter().enumerate() {
        let what = match (&step.event, step.happening) {
            (Some(event), _) => format!("event {}", event["event"]),
            (None, Some(happening)) => format!("{happening:?}"),
            (None, None) => return Err(format!("step {number} has neither `event` nor `do`")),
        };
        let firings = stage.play(step).map_err(|why| format!("step {number} ({what}): {why}"))?;
        if memory == Memory::RestoredAfterEachStep {
            stage.restore();
        }
        compare::step(vector, step, &stage, &firings)
            .map_err(|why| format!("step {number} ({what} at {}): {why}", step.at))?;
    }
    Ok(())
}

/// Reads an event as it was recorded; `received` is when it arrived, if not at once.
pub(crate) fn event(recorded: &Value, received: Option<Timestamp>) -> Result<Event, String> {
    #[derive(Deserialize)]
    struct Recorded {
        id: Option<EventId>,
        occurred: Option<Timestamp>,
        event: String,
        resource: Labels,
        #[serde(default)]
        related: Vec<Labels>,
        #[serde(default)]
        payload: Value,
        follows: Option<EventId>,
    }
    let recorded: Recorded =
        Deserialize::deserialize(recorded).map_err(|error| format!("the event cannot be read: {error}"))?;
    let occurred = recorded.occurred.or(received).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Event {
        id: recorded.id.unwrap_or_else(|| EventId::from_native("vectors", &recorded.event)),
        source: "vectors".to_owned(),
        occurred,
        received: received.unwrap_or(occurred),
        event: recorded.event,
        resource: recorded.resource,
        related: recorded.related,
        payload: recorded.payload,
        follows: recorded.follows,
        fact: None,
    })
}
