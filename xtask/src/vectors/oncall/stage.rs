//! The engine on a stage: inputs enter the log as the server writes them, the clock is the case's.
//!
//! Invariants: at one instant what was appended is decided before what is due; while the hub is down nothing is decided,
//! what was appended meanwhile comes first afterwards, and a timer says when it was due and when it was noticed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::caller::Caller;
use trackside_core::decision::Decision;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact};
use trackside_core::ids::EventId;
use trackside_core::input::{Entry, Input};
use trackside_core::run::{RunReport, RunUpdate, System};
use trackside_core::state::State;

/// Source of every event.
pub(super) const SOURCE: &str = "vectors";

/// What the engine decided, and when by the case's clock.
pub(super) struct Decided {
    pub(super) second: i64,
    pub(super) decision: Decision,
}

/// The engine with its log and clock.
pub(super) struct Stage {
    pub(super) state: State,
    down: Vec<(i64, i64)>,
    events: u32,
}

impl Stage {
    /// A stage under rules given as JSON.
    pub(super) fn new(ruleset: &Value, down: Vec<(i64, i64)>) -> Result<Self, String> {
        let ruleset = serde_json::from_value(ruleset.clone()).map_err(|error| format!("rules: {error}"))?;
        let mut stage = Self { state: State::new("vectors"), down, events: 0 };
        let caller = Caller::rules();
        let decided = stage.decide(second(-3600), Input::Ruleset { caller, ruleset: Box::new(ruleset) });
        match decided.audit.iter().find(|row| row.action == "command.refused") {
            Some(refused) => Err(refused.summary.clone()),
            None => Ok(stage),
        }
    }

    /// Decides what is due before `at`, then the input.
    pub(super) fn input(&mut self, at: i64, input: Input) -> Vec<Decided> {
        let now = self.awake(at);
        let mut decided = self.due(now, |due, now| due < now);
        decided.push(Decided { second: now, decision: self.decide(second(now), input) });
        decided
    }

    /// Decides what is due until `at`, inclusive.
    pub(super) fn until(&mut self, at: i64) -> Vec<Decided> {
        self.due(at, |due, now| due <= now)
    }

    /// An event with this fact.
    pub(super) fn event(&mut self, at: i64, fact: Fact) -> Input {
        self.events += 1;
        Input::Event(Box::new(Event {
            id: EventId::from_native("vectors", &self.events.to_string()),
            source: SOURCE.into(),
            occurred: second(at),
            received: second(self.awake(at)),
            event: "vectors.event".into(),
            resource: BTreeMap::from([("prefect.resource.id".to_owned(), "vectors".to_owned())]),
            related: Vec::new(),
            payload: Value::Null,
            follows: None,
            fact: Some(fact),
        }))
    }

    fn due(&mut self, now: i64, is_before: impl Fn(i64, i64) -> bool) -> Vec<Decided> {
        let mut decided = Vec::new();
        while let Some(due) = self.state.next_due() {
            let noticed = self.awake(due.duration_since(second(0)).as_secs());
            if !is_before(noticed, now) {
                break;
            }
            // The server leaves out what is noticed seconds late; a case counts every second.
            let late = (second(noticed) > due).then(|| second(noticed));
            let decision = self.decide(due, Input::Tick { due, noticed: late });
            decided.push(Decided { second: noticed, decision });
        }
        decided
    }

    fn decide(&mut self, at: Timestamp, input: Input) -> Decision {
        let entry = Entry { seq: self.state.cursor + 1, at, input };
        decide(&mut self.state, &[entry])
    }

    /// When the hub is up at or after `at`.
    fn awake(&self, at: i64) -> i64 {
        let mut up = at;
        while let Some((_, until)) = self.down.iter().find(|(from, until)| (*from..*until).contains(&up)) {
            up = *until;
        }
        up
    }
}

/// The instant of a second of the case.
pub(super) fn second(at: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(20_000 * 24) + SignedDuration::from_secs(at)
}

/// News of the end of a run, or that it will be tried again.
pub(super) fn run(pipeline: &str, id: &str, report: RunReport, error: Option<&str>) -> Fact {
    Fact::Run(Box::new(RunUpdate {
        system: System::Other,
        pipeline: pipeline.to_owned(),
        run_id: Some(id.to_owned()),
        run_aliases: Vec::new(),
        attempt: None,
        report,
        started: None,
        ended: None,
        nominal: None,
        error: error.map(str::to_owned),
        owners: Vec::new(),
        tags: Vec::new(),
        url: None,
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: BTreeMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    }))
}

/// A chat that shows every change.
pub(super) fn chat() -> Value {
    json!({"kind": "slack", "updates": "every"})
}
