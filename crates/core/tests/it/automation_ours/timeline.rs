//! A timeline as text: lines that go in, and behind each what it led to.
//!
//! ```text
//!   0 job.failed             an event named `job.failed` of resource `job.1`, received and occurred at second 0
//!  65 job.failed job.2 @50   of resource `job.2`, occurred at second 50
//!  70 ok etl took=30         a run of pipeline `etl` that succeeded (or `bad`) at second 70 (or `@…`) in 30 s
//!  90 .                      time passes
//!  95 down  /  200 up        nothing runs in between; what is due then is noticed at `up`
//! 100 pause  /  110 resume
//!     ! 60 fires [job.1] (0, 1)   what followed: when, the values of labels, the children that took part
//! ```

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics, Trigger};
use trackside_core::automation::edit::Cell;
use trackside_core::automation::firing::{EventRef, Firing, FiringState};
use trackside_core::automation::matching;
use trackside_core::automation::ours::Watch;
use trackside_core::automation::set::{RunOutcome, RunResult};
use trackside_core::event::{Event, Labels, RESOURCE_ID, RESOURCE_ROLE};
use trackside_core::ids::{EventId, derive};

/// Checks that a timeline leads to what it says.
#[track_caller]
pub(crate) fn check(trigger: Value, timeline: &str) {
    check_automation(&automation(trigger), timeline);
}

/// The same for an automation of which more than the trigger matters.
#[track_caller]
pub(crate) fn check_automation(automation: &Automation, timeline: &str) {
    let expected: Vec<&str> = timeline.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let inputs: Vec<&str> = expected.iter().copied().filter(|line| !line.starts_with('!')).collect();
    for restored in [false, true] {
        let mut desk = Desk::new(automation.clone());
        let mut lines = Vec::new();
        for input in &inputs {
            let said = desk.line(input);
            lines.push((*input).to_owned());
            lines.extend(said);
            if restored {
                desk.restore();
            }
        }
        assert_eq!(lines.join("\n"), expected.join("\n"), "restored after every line: {restored}");
    }
}

/// The reasons that a timeline's firings give.
pub(crate) fn reasons(trigger: Value, timeline: &str) -> Vec<String> {
    let mut desk = Desk::new(automation(trigger));
    timeline.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| drop(desk.line(line)));
    desk.fired.iter().map(|firing| firing.because.clone()).collect()
}

/// An automation with this trigger; what is left out of it is as Prefect writes it out. Somebody acts when it resolves.
pub(crate) fn automation(mut trigger: Value) -> Automation {
    write_out(&mut trigger);
    let body = json!({
        "name": "watched", "description": "", "enabled": true, "tags": [], "trigger": trigger, "actions": [],
        "actions_on_trigger": [], "actions_on_resolve": [{"type": "do-nothing"}],
    });
    Automation {
        id: AutomationId(derive("automation", &["watched"])),
        spec: serde_json::from_value(body).unwrap(),
        semantics: Semantics::Trackside,
        origin: Origin::Files,
        created: second(0.0),
        updated: second(0.0),
        version: 1,
    }
}

fn write_out(trigger: &mut Value) {
    let kind = trigger["type"].as_str().unwrap_or("event").to_owned();
    let defaults = match kind.as_str() {
        "event" => json!({
            "type": "event", "match": {}, "match_related": {}, "after": [], "expect": [], "for_each": [],
            "posture": "Reactive", "threshold": 1, "within": 0.0,
        }),
        "compound" => json!({"type": "compound", "require": "all", "within": null}),
        "sequence" => json!({"type": "sequence", "within": null}),
        "metric" => json!({"match": {}, "match_related": {}, "for_each": []}),
        _ => json!({"match": {}, "match_related": {}}),
    };
    for (key, value) in defaults.as_object().unwrap() {
        trigger.as_object_mut().unwrap().entry(key).or_insert(value.clone());
    }
    if let Some(children) = trigger.get_mut("triggers").and_then(Value::as_array_mut) {
        children.iter_mut().for_each(write_out);
    }
}

/// The moment of a second.
pub(crate) fn second(second: f64) -> Timestamp {
    "2026-01-05T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs_f64(second)
}

/// Who asks for what is due.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    /// Before every line, at every due instant.
    Always,
    /// Nobody before the next line: it must do without.
    NotOnce,
    /// Nobody until `up`.
    Down,
}

/// An automation at work.
pub(crate) struct Desk {
    automation: Automation,
    watch: Watch,
    cells: BTreeMap<String, String>,
    events: u64,
    asks: Asks,
    pub(crate) fired: Vec<Firing>,
}

impl Desk {
    pub(crate) fn new(automation: Automation) -> Self {
        let watch = Watch::new(&automation, second(0.0));
        Self { automation, watch, cells: BTreeMap::new(), events: 0, asks: Asks::Always, fired: Vec::new() }
    }

    /// Puts the automation away and takes it out again.
    pub(crate) fn restore(&mut self) {
        self.put_away();
        let cell = |(key, body): (&String, &String)| Cell {
            automation: Some(self.automation.id),
            key: key.clone(),
            body: Some(body.clone()),
        };
        let cells: Vec<Cell> = self.cells.iter().map(cell).collect();
        self.watch = Watch::restore(&self.automation, &cells);
        let mut changed = Vec::new();
        self.watch.take_cells(&mut changed);
        assert_eq!(changed, [], "what was restored has not changed");
    }

    /// Takes what changed; how many pieces there are now.
    pub(crate) fn put_away(&mut self) -> usize {
        let mut cells = Vec::new();
        self.watch.take_cells(&mut cells);
        for cell in cells {
            match cell.body {
                Some(body) => drop(self.cells.insert(cell.key, body)),
                None => drop(self.cells.remove(&cell.key)),
            }
        }
        self.cells.len()
    }

    pub(crate) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Nobody asks for what is due before the next line.
    pub(crate) fn forget_to_ask(&mut self) {
        self.asks = Asks::NotOnce;
    }

    /// Decides everything due before `now` (or then, if nothing else happens), at its own instant.
    pub(crate) fn pass(&mut self, now: Timestamp, inclusive: bool, noticed: Option<Timestamp>) -> Vec<Firing> {
        let mut firings = Vec::new();
        while let Some(due) = self.watch.next_due().filter(|due| *due < now || (inclusive && *due == now)) {
            let fired = self.watch.on_due(due, noticed);
            assert!(fired.iter().all(|firing| firing.at == due), "fires at the due instant");
            firings.extend(fired);
        }
        firings
    }

    /// Decides an event.
    pub(crate) fn event(&mut self, name: &str, resource: &Labels, occurred: Timestamp, now: Timestamp) -> Vec<Firing> {
        self.events += 1;
        let event = event(self.events, name, resource, occurred, now);
        self.decide(&event, now)
    }

    /// Decides an event as it is.
    pub(crate) fn decide(&mut self, event: &Event, now: Timestamp) -> Vec<Firing> {
        let triggers = matching::event_triggers(&self.automation.spec.trigger);
        let concerned = triggers.iter().enumerate().filter(|(_, (_, trigger))| matching::interested(trigger, event));
        let leaves: Vec<usize> = concerned.map(|(index, _)| index).collect();
        let at = EventRef { id: event.id, seq: self.events };
        if leaves.is_empty() { Vec::new() } else { self.watch.on_event(&leaves, event, at, now) }
    }

    /// Plays one line; what followed, as lines.
    pub(crate) fn line(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace();
        let now = second(words.next().unwrap().parse().unwrap());
        let what = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let mut firings = Vec::new();
        if self.asks == Asks::Always {
            firings.extend(self.pass(now, what == ".", None));
        }
        match what {
            "." | "down" => {}
            "up" => {
                firings.extend(self.pass(now, true, Some(now)));
            }
            "pause" => {
                self.automation.spec.enabled = false;
                self.watch.pause(now);
            }
            "resume" => {
                self.automation.spec.enabled = true;
                self.watch.resume(now);
            }
            "ok" | "bad" => firings.extend(self.run(what, &rest, now)),
            name => {
                let resource = rest.iter().find(|word| !word.starts_with('@')).unwrap_or(&"job.1");
                let labels = Labels::from([(RESOURCE_ID.to_owned(), (*resource).to_owned())]);
                firings.extend(self.event(name, &labels, occurred(&rest).unwrap_or(now), now));
            }
        }
        self.asks = if what == "down" { Asks::Down } else { Asks::Always };
        let lines = firings.iter().map(|firing| format!("! {}", told(firing))).collect();
        self.fired.extend(firings);
        lines
    }

    fn run(&mut self, what: &str, rest: &[&str], now: Timestamp) -> Vec<Firing> {
        self.events += 1;
        let value = |name: &str| {
            let word = rest.iter().find_map(|word| word.strip_prefix(name)).map(|text| text.parse().unwrap());
            word.map(SignedDuration::from_secs_f64)
        };
        let pipeline = rest.first().copied().filter(|word| !word.contains(['=', '@'])).unwrap_or("etl");
        let labels = [("pipeline", pipeline), ("source", "airflow"), (RESOURCE_ID, "run.1")];
        let outcome = RunOutcome {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            related: vec![Labels::from([
                (RESOURCE_ROLE.to_owned(), "flow".to_owned()),
                (RESOURCE_ID.to_owned(), format!("flow.{pipeline}")),
            ])],
            pipeline: format!("airflow/{pipeline}"),
            result: if what == "ok" { RunResult::Succeeded } else { RunResult::Failed },
            ended: occurred(rest).unwrap_or(now),
            duration: value("took="),
            lateness: value("late="),
            event: EventRef { id: EventId(derive("event", &[&self.events.to_string()])), seq: self.events },
        };
        self.watch.on_run(&outcome, now)
    }
}

/// The second behind `@`.
fn occurred(words: &[&str]) -> Option<Timestamp> {
    words.iter().find_map(|word| word.strip_prefix('@')).map(|text| second(text.parse().unwrap()))
}

pub(crate) fn event(number: u64, name: &str, resource: &Labels, occurred: Timestamp, received: Timestamp) -> Event {
    Event {
        id: EventId(derive("event", &[&number.to_string()])),
        source: "test".into(),
        occurred,
        received,
        event: name.into(),
        resource: resource.clone(),
        related: Vec::new(),
        payload: Value::Null,
        follows: None,
        fact: None,
    }
}

/// A firing as a timeline tells it.
pub(crate) fn told(firing: &Firing) -> String {
    let seconds = |at: Timestamp| at.duration_since(second(0.0)).as_secs_f64();
    let mut text = seconds(firing.at).to_string();
    text.push_str(match firing.state {
        FiringState::Triggered => " fires",
        FiringState::Resolved => " resolves",
    });
    if !firing.labels.is_empty() {
        let values: Vec<&str> = firing.labels.values().map(String::as_str).collect();
        write!(text, " [{}]", values.join(", ")).unwrap();
    }
    if let Some(due) = firing.due {
        assert_eq!(due, firing.at, "a late firing is of its due instant");
        text.push_str(" late");
    }
    if !firing.children.is_empty() {
        let children: Vec<&str> = firing.children.iter().map(|child| child.trigger.as_str()).collect();
        write!(text, " ({})", children.join(", ")).unwrap();
    }
    text
}

/// The triggers of a tree that are written out have what the definition needs.
#[test]
fn triggers_are_written_out() {
    let written = automation(json!({"type": "compound", "triggers": [{"expect": ["a"]}]}));
    let Trigger::Compound(compound) = written.spec.trigger else { panic!("a compound trigger") };
    assert_eq!(compound.triggers.len(), 1);
}
