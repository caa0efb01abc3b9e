//! What pages and the API show, and what retention leaves.

use crate::contract_state::{alert, attempt, incident};
use crate::support::{at, each, effect, event, incident_id, pipeline_key, run, run_key};
use jiff::SignedDuration;
use trackside_core::decision::{Alias, Change, Decision};
use trackside_core::event::Fact;
use trackside_core::incident::IncidentState;
use trackside_core::pipeline::Pipeline;
use trackside_core::run::{RunReport, RunState, RunUpdate, System};
use trackside_store::Store;
use trackside_store::incidents::{IncidentFilter, IncidentStates};
use trackside_store::log::NewEntry;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Next};
use trackside_store::retention::{Purged, Retention};
use trackside_store::runs::{PipelineFilter, RunFilter};

fn run_event(number: u64, pipeline: &str, run: &str) -> NewEntry {
    let mut event = event("airflow", "airflow.run", number, number as i64);
    event.fact = Some(Fact::Run(Box::new(RunUpdate {
        system: System::Airflow,
        pipeline: pipeline.to_owned(),
        run_id: Some(run.to_owned()),
        run_aliases: Vec::new(),
        attempt: None,
        report: RunReport::Started,
        started: None,
        ended: None,
        nominal: None,
        error: None,
        owners: Vec::new(),
        tags: Vec::new(),
        url: None,
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: [].into(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    })));
    NewEntry::event(&event).unwrap()
}

async fn fill(store: &Store) {
    let events = vec![run_event(1, "orders", "r\"1"), run_event(2, "billing", "r\"1"), run_event(3, "orders", "r2")];
    store.append(events).await.unwrap();
    let mut first = run("orders", "r\"1", RunState::Succeeded);
    first.owner = Some("payments".into());
    let mut changes = vec![
        Change::Run(first),
        Change::Run(run("orders", "r2", RunState::Failed)),
        Change::Run(run("billing_EU", "100%", RunState::Running)),
        Change::Attempt(attempt("orders", "r\"1", 1, RunState::Succeeded)),
        Change::Alias(Alias {
            source: "airflow".into(),
            alias: "opaque".into(),
            run: run_key("orders", "r\"1"),
            attempt: None,
        }),
        Change::Alert(alert("failed")),
        Change::Incident(incident(1, IncidentState::Triggered, "payments")),
        Change::Incident(incident(2, IncidentState::Acknowledged, "ml")),
        Change::Incident(incident(3, IncidentState::Resolved, "payments")),
    ];
    for (name, success) in [("orders", Some(at(10))), ("billing", Some(at(60))), ("never", None)] {
        let mut pipeline = Pipeline::new(pipeline_key(name), System::Airflow);
        pipeline.last_success = success;
        changes.push(Change::Pipeline(pipeline));
    }
    let decision =
        Decision { cursor: 3, changes, effects: vec![effect(1, 0, "slack", Some(1))], ..Decision::default() };
    store.commit(&decision, 0).await.unwrap();
}

async fn deliver(store: &Store) {
    let row = store.due(at(0), &[], 1).await.unwrap().remove(0);
    store.claim(&[row.effect.id], at(9)).await.unwrap();
    let row = store.delivery(row.effect.id).await.unwrap().unwrap().delivery;
    let attempt = AttemptRecord {
        call: None,
        at: at(1),
        took_ms: 5,
        verdict: AttemptVerdict::Done,
        in_doubt: false,
        status: Some(202),
        request: None,
        answer: None,
        error: None,
        far_ref: None,
    };
    let next = Next::End(trackside_core::input::DeliveryResult::Delivered);
    store.record_attempt(&row, &attempt, &next, at(2)).await.unwrap();
}

#[test]
fn runs_are_listed_by_filter_and_page() {
    each(|store| async move {
        fill(&store).await;
        let check = async |filter: RunFilter, expect: &[&str], next: Option<u64>| {
            let page = store.runs(&filter).await.unwrap();
            let runs: Vec<_> = page.items.iter().map(|row| &*row.run.key.run).collect();
            assert_eq!((runs.as_slice(), page.next), (expect, next), "{filter:?}");
        };
        let all = RunFilter { limit: 10, ..RunFilter::default() };
        check(all.clone(), &["100%", "r2", "r\"1"], None).await;
        check(RunFilter { limit: 2, ..all.clone() }, &["100%", "r2"], Some(2)).await;
        check(RunFilter { before: Some(2), ..all.clone() }, &["r\"1"], None).await;
        check(RunFilter { state: Some(RunState::Failed), ..all.clone() }, &["r2"], None).await;
        check(RunFilter { owner: Some("payments".into()), ..all.clone() }, &["r\"1"], None).await;
        check(RunFilter { pipeline: Some("orders".into()), ..all.clone() }, &["r2", "r\"1"], None).await;
        check(RunFilter { source: Some("prefect".into()), ..all.clone() }, &[], None).await;
        check(RunFilter { text: Some("0%".into()), ..all.clone() }, &["100%"], None).await;
        check(RunFilter { text: Some("billing_eu".into()), ..all.clone() }, &["100%"], None).await;
        check(RunFilter { text: Some("_".into()), ..all.clone() }, &["100%"], None).await;
        check(RunFilter { text: Some("r".into()), before: Some(3), ..all }, &["r2", "r\"1"], None).await;
    });
}

#[test]
fn a_run_comes_with_attempts_names_and_its_own_events() {
    each(|store| async move {
        fill(&store).await;
        let detail = store.run(&run_key("orders", "r\"1")).await.unwrap().unwrap();
        assert_eq!((detail.position, detail.attempts.len(), &*detail.aliases[0].alias), (1, 1, "opaque"));
        assert_eq!(detail.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1]);
        assert_eq!(store.run_at(1).await.unwrap().unwrap(), detail);
        assert_eq!(store.run(&run_key("orders", "r9")).await.unwrap(), None);
    });
}

#[test]
fn incidents_are_listed_and_told_whole() {
    each(|store| async move {
        fill(&store).await;
        let check = async |filter: IncidentFilter, expect: &[u64], next: Option<u64>| {
            let page = store.incidents(&filter).await.unwrap();
            let numbers: Vec<_> = page.items.iter().map(|incident| incident.number).collect();
            assert_eq!((numbers.as_slice(), page.next), (expect, next), "{filter:?}");
        };
        let all = IncidentFilter { limit: 10, ..IncidentFilter::default() };
        check(all.clone(), &[3, 2, 1], None).await;
        check(IncidentFilter { limit: 1, ..all.clone() }, &[3], Some(3)).await;
        check(IncidentFilter { states: Some(IncidentStates::Open), ..all.clone() }, &[2, 1], None).await;
        let acknowledged = Some(IncidentStates::Only(IncidentState::Acknowledged));
        check(IncidentFilter { states: acknowledged, ..all.clone() }, &[2], None).await;
        check(IncidentFilter { owner: Some("payments".into()), before: Some(3), ..all }, &[1], None).await;

        let detail = store.incident(incident_id(1)).await.unwrap().unwrap();
        assert_eq!((detail.incident.number, detail.alerts.len(), detail.deliveries.len()), (1, 1, 1));
        assert_eq!(store.incident_numbered(2).await.unwrap().unwrap().id, incident_id(2));
        assert_eq!(store.incident(incident_id(9)).await.unwrap(), None);
    });
}

#[test]
fn the_overview_counts_what_happened() {
    each(|store| async move {
        fill(&store).await;
        deliver(&store).await;
        let overview = store.overview(at(90), at(2)).await.unwrap();
        assert_eq!((overview.day.succeeded, overview.day.failed, overview.day.other), (1, 1, 0));
        assert_eq!(overview.day.success_rate(), Some(0.5));
        assert_eq!((overview.hours.len(), overview.hours[23].outcomes), (24, overview.day));
        assert_eq!(overview.hours[23].from, at(90) - SignedDuration::from_hours(1));
        assert_eq!(overview.week_before.success_rate(), None);
        assert_eq!((overview.mean_duration_s, overview.median_duration_s), (Some(60.0), Some(60.0)));
        assert_eq!((overview.open_runs, overview.open_incidents, overview.unacknowledged), (1, 2, 1));
        assert_eq!(store.open_incidents().await.unwrap(), 2);
        assert_eq!(overview.freshest.unwrap().key, pipeline_key("billing"));
        assert_eq!(overview.stalest.unwrap().key, pipeline_key("orders"));
        assert_eq!(overview.latency.unwrap().p50, SignedDuration::from_secs(2));
        assert_eq!(overview.events_today, 2, "accepted at second 2 or later, without Trackside's own entries");
        let later = store.overview(at(8 * 24 * 3600), at(0)).await.unwrap();
        assert_eq!((later.day.success_rate(), later.mean_duration_s), (None, None));
    });
}

#[test]
fn pipelines_are_listed_in_order() {
    each(|store| async move {
        fill(&store).await;
        let check = async |filter: PipelineFilter, expect: &[&str]| {
            let pipelines = store.pipelines(&filter).await.unwrap();
            assert_eq!(pipelines.iter().map(|pipeline| &*pipeline.key.name).collect::<Vec<_>>(), expect, "{filter:?}");
        };
        let all = PipelineFilter { limit: 10, ..PipelineFilter::default() };
        check(all.clone(), &["billing", "never", "orders"]).await;
        check(PipelineFilter { limit: 1, ..all.clone() }, &["billing"]).await;
        check(PipelineFilter { text: Some("Ver".into()), ..all.clone() }, &["never"]).await;
        check(PipelineFilter { after: Some(("airflow".into(), "billing".into())), ..all }, &["never", "orders"]).await;
        assert_eq!(store.pipeline("airflow", "never").await.unwrap().unwrap().last_success, None);
    });
}

#[test]
fn retention_deletes_what_is_over_and_nothing_else() {
    each(|store| async move {
        fill(&store).await;
        let everything = Some(at(1_000));
        let retention = Retention {
            log: everything,
            runs: everything,
            incidents: everything,
            deliveries: everything,
            audit: everything,
        };
        let expect = Purged { log: 2, runs: 2, incidents: 1, ..Purged::default() };
        assert_eq!(store.purge(&Retention::default()).await.unwrap(), Purged::default());
        assert_eq!(store.purge(&retention).await.unwrap(), expect);
        assert_eq!(store.purge(&retention).await.unwrap(), Purged::default());
        let appended = store.append(vec![run_event(9, "orders", "r9")]).await.unwrap();
        assert_eq!(appended[0].seq, 4, "a position is never given twice");
        deliver(&store).await;
        assert_eq!(store.purge(&retention).await.unwrap(), Purged { deliveries: 1, ..Purged::default() });
        assert_eq!(store.run(&run_key("orders", "r\"1")).await.unwrap(), None);
        assert_eq!(store.load().await.unwrap().runs.len(), 1, "what runs stays");
        assert_eq!(store.incident(incident_id(2)).await.unwrap().unwrap().incident.number, 2);
    });
}
