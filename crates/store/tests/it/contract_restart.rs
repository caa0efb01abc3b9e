//! A server that starts again decides like one that never stopped: everything a decision needs is in the store.
//!
//! The story is decided twice, input by input: by a state that lives on, and by one that is restored from the store
//! before each input.

use crate::contract_planned::{over, silence, window};
use crate::support::{at, caller, each, event};
use jiff::Timestamp;
use trackside_core::caller::Caller;
use trackside_core::decision::Decision;
use trackside_core::engine::decide;
use trackside_core::event::{Fact, Report, ReportAction, Severity};
use trackside_core::ids::derive;
use trackside_core::input::{Command, DutyEdit, Entry, Input};
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::noise::Silence;
use trackside_core::state::State;
use trackside_store::Store;
use trackside_store::log::NewEntry;
use uuid::Uuid;

fn rules() -> Input {
    let ruleset = serde_json::json!({
        "teams": {"payments": {"notify": [{"via": "slack"}], "escalation": "urgent"}},
        "owners": {"default": "payments"},
        "connections": {"slack": {"kind": "slack", "updates": "every"}, "pd": {"kind": "pagerduty", "updates": "raised"}},
        "rules": [{"name": "reports", "when": "reported"}],
        "people": {
            "ana": {"zone": "UTC", "contacts": [{"via": "slack", "to": "U1"}, {"via": "pd", "after": "5m"}]},
            "bob": {"zone": "UTC", "contacts": [{"via": "slack", "to": "U2"}]},
        },
        "schedules": {"primary": {"layers": [{"name": "days", "rotation": {
            "tz": "UTC", "start": "2026-11-01T00:00:00", "unit": "day", "participants": ["bob"]}}]}},
        "escalations": {"urgent": {
            "steps": [{"targets": ["oncall:primary"]}, {"after": "10m", "targets": ["person:ana"]}],
            "repeat": {"times": 2, "every": "10m"}, "ack_timeout": "30m"}},
        "incidents": {"flap_window": "10m"},
    });
    let ruleset: Ruleset = serde_json::from_value(ruleset).unwrap();
    Input::Ruleset { caller: Caller::rules(), ruleset: Box::new(ruleset) }
}

fn report(key: &str, number: u64, action: ReportAction, seconds: i64) -> Input {
    let mut event = event("pd-agent", "report", number, seconds);
    event.fact = Some(Fact::Report(Box::new(Report {
        key: key.to_owned(),
        action,
        severity: Severity::Critical,
        summary: format!("{key} is on fire"),
        owners: Vec::new(),
        component: Some(key.to_owned()),
        links: Vec::new(),
        details: [].into(),
        ends: None,
    })));
    Input::Event(Box::new(event))
}

/// The store, the state that lives on, and what was decided so far.
struct World {
    store: Store,
    living: State,
    decisions: Vec<Decision>,
}

impl World {
    async fn put(&mut self, now: Timestamp, input: Input) {
        let id = derive("story", &[&self.living.cursor.to_string()]);
        self.store.append(vec![NewEntry::input(now, &input, id).unwrap()]).await.unwrap();
        let entries = self.store.entries_after(self.living.cursor, 10).await.unwrap();
        let cursor = self.living.cursor;
        let mut restored = State::restore("main", self.store.load().await.unwrap()).unwrap();
        assert_eq!(restored.next_due(), self.living.next_due(), "before {input:?}");
        let restored = self.decide(&mut restored, &entries).await;
        let mut living = std::mem::replace(&mut self.living, State::new("gone"));
        let decision = self.decide(&mut living, &entries).await;
        self.living = living;
        assert_eq!(restored, decision, "{input:?}");
        self.store.commit(&decision, cursor).await.unwrap();
        self.living.forget_settled();
        self.decisions.push(decision);
    }

    async fn decide(&self, state: &mut State, entries: &[Entry]) -> Decision {
        let needed = state.needed(entries);
        state.absorb(self.store.load_needed(&needed).await.unwrap());
        decide(state, entries)
    }

    /// Decides all timers up to this second.
    async fn pass(&mut self, seconds: i64) {
        while let Some(due) = self.living.next_due().filter(|due| *due <= at(seconds)) {
            self.put(due, Input::Tick { due, noticed: None }).await;
        }
    }

    async fn duty(&mut self, seconds: i64, edit: DutyEdit) {
        self.pass(seconds).await;
        self.put(at(seconds), Input::Duty { caller: caller(), edits: vec![edit] }).await;
    }

    async fn report(&mut self, seconds: i64, key: &str, action: ReportAction) {
        self.pass(seconds).await;
        let number = self.living.cursor;
        self.put(at(seconds), report(key, number, action, seconds)).await;
    }

    async fn command(&mut self, seconds: i64, command: Command) {
        self.pass(seconds).await;
        self.put(at(seconds), Input::Command { caller: caller(), command, origin: None }).await;
    }
}

#[test]
fn a_server_that_starts_again_decides_the_same() {
    each(|store| async move {
        let mut world = World { store, living: State::new("main"), decisions: Vec::new() };
        let everything = Silence { matchers: vec!["source=\"pd-agent\"".to_owned()], ..silence(9, 9_000, 9_600) };
        world.put(at(0), rules()).await;
        world.duty(1, DutyEdit::PutOverride(over(1, "primary", 0, 2_000))).await;
        world.duty(2, DutyEdit::PutOverride(over(2, "primary", 2_100, 2_200))).await;
        world.duty(3, DutyEdit::RemoveOverride { id: Uuid::from_u128(2) }).await;
        world.report(10, "disk", ReportAction::Trigger).await;
        let incident = world.living.open_incidents().next().unwrap().id;
        world.command(400, Command::Acknowledge { incident }).await;
        world.report(500, "disk", ReportAction::Resolve).await;
        world.report(700, "disk", ReportAction::Trigger).await;
        assert_eq!(world.living.incident(incident).unwrap().reopened, 1, "opened again, also after a restart");
        world
            .duty(4_000, DutyEdit::PutMaintenance(Box::new(window(1, Some(serde_json::json!({"freq": "daily"}))))))
            .await;
        world.command(5_000, Command::Resolve { incident }).await;
        world.duty(5_100, DutyEdit::EndMaintenance { id: Uuid::from_u128(1) }).await;
        world.duty(5_200, DutyEdit::PutSilence(everything)).await;
        world.report(9_100, "disk", ReportAction::Trigger).await;
        world.report(9_150, "net", ReportAction::Trigger).await;
        world.duty(9_200, DutyEdit::ExpireSilence { id: Uuid::from_u128(9) }).await;
        world.pass(20_000).await;

        let pages: Vec<_> = world.decisions.iter().flat_map(|decision| decision.pages.clone()).collect();
        let people: Vec<_> = pages.iter().filter_map(|page| page.person.as_deref()).collect();
        assert!(people.contains(&"ana") && people.contains(&"bob"), "the override and the schedule: {people:?}");
        assert_eq!(world.store.pages_between(at(0), at(100_000), 500).await.unwrap(), pages);
        let fired: usize = world.decisions.iter().map(|decision| decision.fired.len()).sum();
        assert_eq!(fired, 4, "disk three times, net once");
        let open = world.store.load().await.unwrap().incidents;
        assert!(open.iter().all(|incident| incident.course.is_some()), "the escalation is kept: {open:#?}");
    });
}
