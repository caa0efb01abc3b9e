//! Decisions: one atomic commit on the expected cursor, and everything reads back.

use crate::support::{at, changes, each, effect, entry, incident_id, pipeline_key, run, run_key};
use trackside_core::caller::Caller;
use trackside_core::decision::{Alias, AuditDetail, AuditEntry, Change, Counters, Decision, Explanation};
use trackside_core::incident::{Alert, Incident, IncidentState};
use trackside_core::pipeline::Pipeline;
use trackside_core::ruleset::Ruleset;
use trackside_core::run::{Attempt, AttemptKey, RunState, System};
use trackside_core::state::{Loaded, Needed, run_id_alias};
use trackside_core::timer::{Timer, TimerKey};
use trackside_store::Error;
use trackside_store::outbox::DeliveryFilter;

pub(crate) fn incident(number: u64, state: IncidentState, owner: &str) -> Incident {
    let incident = serde_json::json!({
        "id": incident_id(number), "number": number, "state": state, "owner": owner, "owner_because": "tag",
        "pipeline": pipeline_key("orders"), "title": "orders failed", "severity": "error", "opened": at(0),
        "opened_by": 1, "updated": at(0), "resolved": (state == IncidentState::Resolved).then(|| at(5)),
        "occurrences": 1, "told": ["slack"],
    });
    serde_json::from_value(incident).unwrap()
}

pub(crate) fn alert(rule: &str) -> Alert {
    let alert = serde_json::json!({
        "key": {"pipeline": pipeline_key("orders"), "rule": rule, "subject": "load"}, "incident": incident_id(1),
        "streak": 1, "severity": "error", "since": at(0), "last": at(0), "summary": "load failed",
    });
    serde_json::from_value(alert).unwrap()
}

pub(crate) fn attempt(pipeline: &str, name: &str, try_number: u32, state: RunState) -> Attempt {
    Attempt {
        key: AttemptKey { run: run_key(pipeline, name), task: "load".into(), map_index: -1, try_number },
        state,
        started: Some(at(0)),
        ended: None,
        error: None,
        log_url: None,
        owners: Vec::new(),
        rows: None,
        note: None,
    }
}

fn alias(pipeline: &str, name: &str, alias: &str) -> Alias {
    Alias { source: "airflow".into(), alias: alias.into(), run: run_key(pipeline, name), attempt: None }
}

fn timer(rule: &str, seconds: i64) -> Timer {
    let key = TimerKey::Missing { rule: rule.into(), pipeline: pipeline_key("orders") };
    Timer { key, due: at(seconds) }
}

#[test]
fn a_decision_reads_back_and_the_last_value_wins() {
    each(|store| async move {
        assert_eq!(format!("{:?}", store.load().await.unwrap()), format!("{:?}", Loaded::default()));
        let mut pipeline = Pipeline::new(pipeline_key("orders"), System::Airflow);
        let ruleset = Ruleset { public_url: Some("https://trackside.example".to_owned()), ..Ruleset::default() };
        let first = vec![
            Change::Run(run("orders", "r1", RunState::Running)),
            Change::Run(run("orders", "r2", RunState::Succeeded)),
            Change::Run(run("orders", "r3", RunState::Failed)),
            Change::Attempt(attempt("orders", "r1", 1, RunState::Failed)),
            Change::Attempt(attempt("orders", "r3", 1, RunState::Held)),
            Change::Alias(alias("orders", "r1", "uuid-1")),
            Change::Pipeline(pipeline.clone()),
            Change::Alert(alert("failed")),
            Change::Alert(alert("slow")),
            Change::Incident(incident(1, IncidentState::Triggered, "payments")),
            Change::Incident(incident(2, IncidentState::Resolved, "payments")),
            Change::Timer(timer("late", 50)),
            Change::Timer(timer("soon", 40)),
            Change::Ruleset(Box::new(ruleset.clone())),
            Change::Counters(Counters { incidents: 2, ..Counters::default() }),
        ];
        store.commit(&changes(1, first), 0).await.unwrap();
        pipeline.failed = 3;
        let second = vec![
            Change::Pipeline(pipeline.clone()),
            Change::AlertGone(alert("slow").key),
            Change::TimerGone(timer("soon", 0).key),
            Change::Timer(timer("late", 30)),
        ];
        store.commit(&changes(7, second), 1).await.unwrap();
        assert_eq!(store.cursor().await.unwrap(), 7);

        let loaded = store.load().await.unwrap();
        assert_eq!((loaded.cursor, loaded.counters.incidents, loaded.ruleset), (7, 2, Some(ruleset)));
        assert_eq!(loaded.pipelines, [pipeline]);
        assert_eq!(loaded.alerts, [alert("failed")]);
        let incidents =
            [incident(1, IncidentState::Triggered, "payments"), incident(2, IncidentState::Resolved, "payments")];
        assert_eq!(loaded.incidents, incidents, "open, or resolved a moment ago");
        assert_eq!(loaded.timers, [timer("late", 30)]);
        let keys = ["soon", "late", "never"].map(|rule| timer(rule, 0).key);
        assert_eq!(store.timers(&keys).await.unwrap(), [timer("late", 30)], "those that are set");
        let runs: Vec<_> = loaded.runs.iter().map(|run| &*run.key.run).collect();
        assert_eq!(runs, ["r3", "r1"], "not over, or with an attempt that is not");
        assert_eq!(loaded.attempts.len(), 2);
        assert_eq!(loaded.aliases, [alias("orders", "r1", "uuid-1")]);
    });
}

#[test]
fn what_inputs_need_is_found_by_any_name() {
    each(|store| async move {
        let mut named = run("orders", "uuid-2", RunState::Succeeded);
        named.run_id = Some("manual".into());
        let mut elsewhere = run("billing", "uuid-3", RunState::Succeeded);
        elsewhere.run_id = Some("manual".into());
        let changes = changes(
            1,
            vec![
                Change::Run(run("orders", "r1", RunState::Succeeded)),
                Change::Run(named),
                Change::Run(elsewhere),
                Change::Attempt(attempt("orders", "r1", 1, RunState::Succeeded)),
                Change::Alias(alias("orders", "r1", "opaque")),
                Change::Alias(alias("orders", "uuid-2", &run_id_alias("orders", "manual"))),
                Change::Incident(incident(1, IncidentState::Resolved, "payments")),
            ],
        );
        store.commit(&changes, 0).await.unwrap();
        let check = async |names: &[(&str, &str)], expect: &[&str]| {
            let runs = names.iter().map(|(pipeline, name)| ("airflow".into(), (*pipeline).into(), (*name).into()));
            let needed = Needed { runs: runs.collect(), ..Needed::default() };
            let loaded = store.load_needed(&needed).await.unwrap();
            let runs: Vec<_> = loaded.runs.iter().map(|run| &*run.key.run).collect();
            assert_eq!(runs, expect, "{names:?}");
        };
        check(&[], &[]).await;
        check(&[("orders", "r1")], &["r1"]).await;
        check(&[("orders", "opaque"), ("orders", "r1")], &["r1"]).await;
        check(&[("orders", "manual")], &["uuid-2"]).await;
        check(&[("billing", "manual"), ("orders", "nobody")], &["uuid-3"]).await;

        let needed = Needed { incidents: [incident_id(1), incident_id(9)].into(), ..Needed::default() };
        let loaded = store.load_needed(&needed).await.unwrap();
        assert_eq!(loaded.incidents, [incident(1, IncidentState::Resolved, "payments")]);
    });
}

#[test]
fn a_stale_decision_changes_nothing() {
    each(|store| async move {
        store.append(vec![entry(1), entry(2)]).await.unwrap();
        store.commit(&changes(2, Vec::new()), 0).await.unwrap();
        let stale = Decision {
            cursor: 2,
            changes: vec![Change::Run(run("orders", "r1", RunState::Running))],
            effects: vec![effect(1, 0, "slack", None)],
            ..Decision::default()
        };
        let error = store.commit(&stale, 0).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { statement: "cursor.move", .. }), "{error}");
        assert!(store.load().await.unwrap().runs.is_empty());
        let filter = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
        assert!(store.deliveries(&filter).await.unwrap().items.is_empty());
    });
}

#[test]
fn a_decision_that_fails_late_leaves_no_part() {
    each(|store| async move {
        let row = |ordinal| AuditEntry {
            seq: 1,
            ordinal,
            at: at(0),
            caller: Caller::rules(),
            action: "alert.fired".to_owned(),
            summary: "s".to_owned(),
            incident: None,
            event: None,
            delivery: None,
            job: None,
            detail: AuditDetail::default(),
        };
        let explanation = Explanation {
            seq: 1,
            event: None,
            meaning: "m".to_owned(),
            owner: None,
            rules: Vec::new(),
            incident: None,
            outcome: "o".to_owned(),
        };
        let bad = Decision {
            cursor: 1,
            changes: vec![Change::Run(run("orders", "r1", RunState::Running))],
            effects: vec![effect(1, 0, "slack", None)],
            audit: vec![row(0), row(0)],
            explanations: vec![explanation.clone(), explanation],
            ..Decision::default()
        };
        assert!(matches!(store.commit(&bad, 0).await, Err(Error::Conflict { statement: "audit.insert", .. })));
        assert_eq!(store.cursor().await.unwrap(), 0);
        assert!(store.load().await.unwrap().runs.is_empty());
        let good = Decision { audit: vec![row(0), row(1)], ..bad };
        store.commit(&good, 0).await.unwrap();
        assert_eq!(store.explanations_of_entry(1).await.unwrap().len(), 2);
    });
}
