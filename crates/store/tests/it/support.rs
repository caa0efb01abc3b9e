//! Stores and values for the tests.

use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Origin, Semantics, Trigger};
use trackside_core::caller::Caller;
use trackside_core::decision::{AutomationChange, Change, Decision};
use trackside_core::effect::{Action, Effect, delivery_id};
use trackside_core::event::{Event, RESOURCE_ID, Severity};
use trackside_core::ids::{EventId, IncidentId, derive};
use trackside_core::notice::{Notice, OwnerView};
use trackside_core::run::{PipelineKey, Run, RunKey, RunState, System};
use trackside_store::log::NewEntry;
use trackside_store::{Access, Options, Store, Threading};
use uuid::Uuid;

/// Runs a test on every way a store can be opened.
pub(crate) fn each<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test(Store::memory().unwrap()));
    for threading in [Threading::Inline, Threading::Threads] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { access: Access::Serve, threading };
        let store = Store::open(&folder.path().join("trackside.sqlite"), options).unwrap();
        runtime.block_on(test(store));
    }
}

/// Second `seconds` of the tests' time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn caller() -> Caller {
    Caller::new("ana", "session")
}

pub(crate) fn event(source: &str, name: &str, number: u64, seconds: i64) -> Event {
    Event {
        id: EventId(derive("test", &[&number.to_string()])),
        source: source.to_owned(),
        occurred: at(seconds),
        received: at(seconds),
        event: name.to_owned(),
        resource: [(RESOURCE_ID.to_owned(), format!("test.{number}"))].into(),
        related: Vec::new(),
        payload: serde_json::json!({"number": number, "text": "é\u{0}\"\\"}),
        follows: None,
        fact: None,
    }
}

pub(crate) fn entry(number: u64) -> NewEntry {
    NewEntry::event(&event("airflow", "airflow.task.failed", number, 0)).unwrap()
}

pub(crate) fn incident_id(number: u64) -> IncidentId {
    IncidentId(derive("test incident", &[&number.to_string()]))
}

pub(crate) fn effect(cause: u64, ordinal: u32, connection: &str, incident: Option<u64>) -> Effect {
    Effect {
        id: delivery_id("main", cause, connection, ordinal),
        cause,
        at: at(0),
        connection: connection.to_owned(),
        to: None,
        incident: incident.map(incident_id),
        key: format!("key-{cause}-{ordinal}"),
        action: Action::Update,
        notice: Box::new(Notice::plain(
            format!("title {cause}"),
            "summary".to_owned(),
            Severity::Error,
            at(0),
            OwnerView { team: "payments".to_owned(), because: "default".to_owned() },
        )),
        job: None,
        act: None,
    }
}

/// A decision that only asks for something to be sent.
pub(crate) fn effects(cursor: u64, effects: Vec<Effect>) -> Decision {
    Decision { cursor, effects, ..Decision::default() }
}

pub(crate) fn run_key(pipeline: &str, run: &str) -> RunKey {
    RunKey { source: "airflow".into(), pipeline: pipeline.into(), run: run.into() }
}

pub(crate) fn pipeline_key(name: &str) -> PipelineKey {
    PipelineKey { source: "airflow".into(), name: name.into() }
}

pub(crate) fn run(pipeline: &str, name: &str, state: RunState) -> Run {
    Run {
        key: run_key(pipeline, name),
        run_id: None,
        system: System::Airflow,
        state,
        first_seen: at(0),
        started: Some(at(0)),
        ended: state.is_terminal().then(|| at(60)),
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

pub(crate) fn automation_id(number: u128) -> AutomationId {
    AutomationId(Uuid::from_u128(number))
}

/// An automation on failed tasks, made at second `number`.
pub(crate) fn automation(number: u128, name: &str) -> Automation {
    let trigger = serde_json::json!({
        "type": "event", "match": {"prefect.resource.id": "test.*"}, "match_related": {}, "after": [],
        "expect": ["airflow.task.failed"], "for_each": [], "posture": "Reactive", "threshold": 3, "within": 60.0,
    });
    let made = at(i64::try_from(number).unwrap());
    Automation {
        id: automation_id(number),
        spec: AutomationSpec {
            name: name.to_owned(),
            description: String::new(),
            enabled: true,
            tags: Vec::new(),
            trigger: serde_json::from_value::<Trigger>(trigger).unwrap(),
            actions: Vec::new(),
            actions_on_trigger: Vec::new(),
            actions_on_resolve: Vec::new(),
            owner_resource: None,
        },
        semantics: Semantics::Trackside,
        origin: Origin::Api,
        created: made,
        updated: made,
        version: 1,
    }
}

/// A decision that only changes state.
pub(crate) fn changes(cursor: u64, changes: Vec<Change>) -> Decision {
    Decision { cursor, changes, ..Decision::default() }
}

pub(crate) fn put(automation: &Automation) -> Change {
    Change::Automation(Box::new(AutomationChange { automation: automation.clone(), by: caller() }))
}
