//! Recorded traffic of Airflow through the door and the engine: declared deadlines, and assets as lineage.

use crate::samples::{delivered, fresh, lines};
use jiff::Timestamp;
use serde_json::json;
use trackside_connect::door::Delivered;
use trackside_connect::{native, openlineage};
use trackside_core::caller::Caller;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact};
use trackside_core::input::{Entry, Input};
use trackside_core::state::State;

/// The engine with one team, and what it told.
struct Story {
    state: State,
    told: Vec<String>,
}

impl Story {
    fn new() -> Self {
        let ruleset = json!({
            "teams": {"data": {"notify": [{"via": "chat"}]}}, "owners": {"default": "data"},
            "connections": {"chat": {"kind": "slack", "updates": "raised"}},
            "rules": [{"name": "failed", "when": {"failed": {"on": "run"}}}]});
        let mut story = Self { state: State::new("default"), told: Vec::new() };
        let ruleset = Box::new(serde_json::from_value(ruleset).unwrap());
        story.input("2026-11-20T16:00:00Z".parse().unwrap(), Input::Ruleset { caller: Caller::rules(), ruleset });
        story
    }

    fn input(&mut self, at: Timestamp, input: Input) {
        let entry = Entry { seq: self.state.cursor + 1, at, input };
        let decision = decide(&mut self.state, &[entry]);
        self.told.extend(decision.effects.iter().map(|effect| {
            format!("{at:.0} {}: {}; {}", effect.action.as_str(), effect.notice.title, effect.notice.summary)
        }));
    }

    /// An event at the time at which it happened, after everything that was due before.
    fn event(&mut self, event: Event) {
        while let Some(due) = self.state.next_due().filter(|due| *due <= event.occurred) {
            self.input(due, Input::Tick { due, noticed: None });
        }
        self.input(event.occurred, Input::Event(Box::new(event)));
    }

    /// What was recorded of some DAGs.
    fn recorded(&mut self, dags: &[&str]) {
        for line in lines("airflow/openlineage/airflow-3.3.2.jsonl.gz") {
            let event = openlineage::parse(&delivered(line.as_bytes())).unwrap().remove(0);
            if matches!(&event.fact, Some(Fact::Run(update)) if dags.contains(&update.pipeline.as_str())) {
                self.event(Event { received: event.occurred, ..event });
            }
        }
    }

    /// A run as another door tells of it.
    fn run(&mut self, at: &str, pipeline: &str, run_id: &str, state: &str) {
        let body = json!({"id": format!("{run_id}.{state}"), "source": "airflow-prod", "event": "run", "occurred": at,
            "run": {"pipeline": pipeline, "run_id": run_id, "state": state}});
        let body = body.to_string();
        let delivered = Delivered { received: at.parse().unwrap(), ..delivered(body.as_bytes()) };
        self.event(native::parse(&delivered, fresh()).unwrap().remove(0));
    }
}

#[test]
fn a_deadline_that_a_dag_declares_is_kept() {
    let mut story = Story::new();
    story.recorded(&["lab_deadline"]);
    insta::assert_snapshot!(story.told.join("\n"), @r"
    2026-11-20T16:30:33Z trigger: lab_deadline missed its deadline; Run hub__lab_deadline__1 should have ended by 2026-11-20T16:30:33.648058Z (`async_http, sync_http, slack`, declared in Airflow); it still runs
    2026-11-20T16:31:02Z resolve: lab_deadline missed its deadline; run hub__lab_deadline__1 of lab_deadline succeeded
    ");
}

#[test]
fn a_dag_that_reads_an_asset_depends_on_the_one_that_writes_it() {
    let mut story = Story::new();
    story.recorded(&["lab_asset_producer", "lab_asset_consumer"]);
    assert_eq!(story.told, Vec::<String>::new());
    story.run("2026-11-20T17:00:00Z", "lab_asset_producer", "r9", "failed");
    story.run("2026-11-20T17:05:00Z", "lab_asset_consumer", "r9", "failed");
    let incidents: Vec<_> = story.state.open_incidents().collect();
    assert_eq!(incidents.len(), 1, "{:?}", story.told);
    assert_eq!(
        incidents[0].affected[0].because,
        "lab_asset_consumer reads s3://lake/orders, which lab_asset_producer writes"
    );
}
