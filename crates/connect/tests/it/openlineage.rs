//! The OpenLineage door on recorded traffic of Airflow 3.3.2 and 2.9.2, and on other producers.

use crate::samples::{delivered, lines, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_connect::door::Delivered;
use trackside_connect::openlineage::parse;
use trackside_core::event::{Event, Fact};
use trackside_core::run::{RunReport, RunUpdate};

fn one(body: &[u8]) -> Event {
    let mut events = parse(&delivered(body)).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn sample(name: &str) -> Event {
    one(&read(&format!("airflow/openlineage/samples/{name}.json")))
}

fn run(event: &Event) -> &RunUpdate {
    match &event.fact {
        Some(Fact::Run(update)) => update,
        other => panic!("{other:?}"),
    }
}

/// `pipeline/run task[index]#try report`, with `-` for what the event does not say.
fn line(event: &Event) -> String {
    let update = run(event);
    let run_id = update.run_id.as_deref().unwrap_or("-");
    let attempt = update.attempt.as_ref().map_or_else(String::new, |attempt| {
        let index = attempt.map_index.map(|index| format!("[{index}]")).unwrap_or_default();
        let number = attempt.try_number.map_or("-".to_owned(), |number| number.to_string());
        format!(" {}{index}#{number}", attempt.task)
    });
    format!("{} {}/{run_id}{attempt} {:?}", event.event, update.pipeline, update.report)
}

#[track_caller]
fn check(name: &str, expect: &str) {
    assert_eq!(line(&sample(name)), expect, "{name}");
}

#[test]
fn every_recorded_event_is_accepted() {
    for recording in ["airflow-3.3.2", "airflow-2.9.2", "sigkill", "deferred"] {
        for line in lines(&format!("airflow/openlineage/{recording}.jsonl.gz")) {
            let event = one(line.as_bytes());
            let update = run(&event);
            assert!(update.run_id.is_some() || !update.run_aliases.is_empty(), "{line}");
            let kept = serde_json::to_string(&event).unwrap();
            assert!(!kept.contains("token=abc"), "{kept}");
            assert!(!kept.contains("sourceCode") && !kept.contains("_schemaURL"), "{kept}");
        }
    }
}

#[test]
fn a_batch_keeps_its_order_and_names_the_bad_event() {
    let lines = lines("airflow/openlineage/airflow-3.3.2.jsonl.gz");
    let body = format!("[{}]", lines.join(","));
    let events = parse(&delivered(body.as_bytes())).unwrap();
    assert_eq!(events.len(), lines.len());
    assert_eq!(events[7], one(lines[7].as_bytes()));
    let body = format!("[{},{{\"eventTime\":\"2026-11-20T16:31:56Z\",\"run\":{{}}}}]", lines[0]);
    let reject = parse(&delivered(body.as_bytes())).unwrap_err();
    assert_eq!((reject.status, reject.at.as_str()), (422, "/1/job/namespace"));
}

#[test]
fn a_fail_is_final_only_when_no_retry_can_follow() {
    check(
        "task_fail_will_retry",
        "airflow.task-run.failed lab_retry_fail/hub__lab_retry_fail__1 always#1 FailedMaybeRetry",
    );
    check(
        "task_fail_retries_exhausted",
        "airflow.task-run.failed lab_retry_fail/hub__lab_retry_fail__1 always#3 Failed",
    );
    // Cleared: tries 4 and 5 of 6 look like used-up retries and are not.
    check(
        "task_fail_after_clear_try4_not_final",
        "airflow.task-run.failed lab_retry_fail/hub__lab_retry_fail__1 always#4 FailedMaybeRetry",
    );
    check("task_fail_final_no_retries", "airflow.task-run.failed lab_fail/hub__lab_fail__1 charge#1 Failed");
    check("task_fail_execution_timeout", "airflow.task-run.failed lab_timeout/hub__lab_timeout__1 too_slow#1 Failed");
    // Final in Airflow (sensor time-out), but its event cannot tell: held until the DAG's end.
    check(
        "task_fail_sensor_timeout_final",
        "airflow.task-run.failed lab_sensor/hub__lab_sensor__1 timed_out#1 FailedMaybeRetry",
    );
}

#[test]
fn a_killed_task_is_known_from_the_dag_only() {
    let lines = lines("airflow/openlineage/sigkill.jsonl.gz");
    let events: Vec<Event> = lines.iter().map(|line| one(line.as_bytes())).collect();
    let killed: Vec<&RunUpdate> = events
        .iter()
        .map(run)
        .filter(|update| update.report == RunReport::Failed && update.attempt.is_none())
        .filter(|update| update.task_states.values().any(|state| state == "failed"))
        .collect();
    assert_eq!(killed.len(), 25);
    assert!(killed.iter().all(|update| update.error.as_deref().is_some_and(|e| e.starts_with("task_failure: "))));
}

#[test]
fn dag_ends_carry_the_truth_about_their_tasks() {
    let event = sample("dag_fail_task_failure");
    assert_eq!(line(&event), "airflow.dag-run.failed lab_fail/hub__lab_fail__1 Failed");
    let update = run(&event);
    let states = BTreeMap::from([("after", "upstream_failed"), ("charge", "failed")]);
    assert_eq!(update.task_states.iter().map(|(t, s)| (t.as_str(), s.as_str())).collect::<BTreeMap<_, _>>(), states);
    assert_eq!(update.error.as_deref(), Some("task_failure: charge"));
    assert_eq!(update.started.unwrap().to_string(), "2026-11-20T16:31:47.234593Z");
    assert_eq!(update.ended.unwrap().to_string(), "2026-11-20T16:31:55.81287Z");
    // Mapped tasks collapse to one state, which may be that of a task that went well.
    assert_eq!(run(&sample("dag_fail_mapped_state_collapsed")).task_states["work"], "success");
    assert_eq!(run(&sample("dag_fail_timed_out")).error.as_deref(), Some("timed_out"));
}

#[test]
fn a_skipped_task_says_complete_and_its_dag_says_skipped() {
    let lines = lines("airflow/openlineage/airflow-3.3.2.jsonl.gz");
    let events: Vec<Event> = lines.iter().map(|line| one(line.as_bytes())).collect();
    let of_dag = |update: &&RunUpdate| update.pipeline == "lab_skip";
    let updates: Vec<&RunUpdate> = events.iter().map(run).filter(of_dag).collect();
    let task = |update: &&&RunUpdate| update.attempt.as_ref().is_some_and(|attempt| attempt.task == "self_skip");
    let reports: Vec<RunReport> = updates.iter().filter(task).map(|update| update.report).collect();
    assert_eq!(reports, [RunReport::Started, RunReport::Succeeded]);
    let end = updates.iter().find(|update| !update.task_states.is_empty()).unwrap();
    assert_eq!(end.task_states["self_skip"], "skipped");
}

#[test]
fn a_deferrable_start_is_one_event_and_a_repeated_post_too() {
    let body = read("airflow/openlineage/samples/task_start_deferrable_first.json");
    let first = one(&body);
    assert_eq!(first.id, one(&body).id);
    let again = String::from_utf8(body).unwrap().replace("2026-11-20T16:30:36.139547", "2026-11-20T16:30:58.5");
    assert_eq!(first.id, one(again.as_bytes()).id, "the second START of a deferrable task");
    let mut ids = BTreeSet::new();
    let all = lines("airflow/openlineage/airflow-3.3.2.jsonl.gz");
    let doubled = all.iter().filter(|line| !ids.insert(one(line.as_bytes()).id)).count();
    assert_eq!(doubled, 2, "deferrable tasks in the recording");
}

#[test]
fn an_outcome_that_is_changed_by_hand_is_another_event() {
    let failed = sample("dag_fail_manual_after_complete");
    assert_eq!(line(&failed), "airflow.dag-run.failed lab_success/hub__idem__1 Failed");
    let completed: Value =
        serde_json::from_slice(&read("airflow/openlineage/samples/dag_fail_manual_after_complete.json")).unwrap();
    let completed = completed.to_string().replace("\"FAIL\"", "\"COMPLETE\"");
    assert_ne!(failed.id, one(completed.as_bytes()).id);
    // The task's variant has no airflow facet: its name is the rest of the job's.
    check("task_fail_manual_no_airflow_facet", "airflow.task-run.failed lab_owners/- two_owners#- Failed");
    let event = sample("task_fail_manual_no_airflow_facet");
    assert_eq!(run(&event).run_aliases, ["01a1f9cc-bd4b-7f8f-b3b3-be8c55965b92"]);
    assert_eq!(run(&event).attempt.as_ref().unwrap().aliases, ["01a1f9cc-bd4b-7428-ac21-2a06b81326f3"]);
}

#[test]
fn a_cleared_dag_run_may_start_again_under_the_same_id() {
    let body = String::from_utf8(read("airflow/openlineage/samples/af2_dag_start.json")).unwrap();
    let again = body.replace("2026-11-20T17:35:58.248829", "2026-11-20T18:35:58.248829");
    assert_ne!(body, again);
    assert_ne!(one(body.as_bytes()).id, one(again.as_bytes()).id);
}

#[test]
fn mapped_tasks_have_their_index() {
    check("task_fail_mapped_index2", "airflow.task-run.failed lab_mapped/hub__lab_mapped__1 work[2]#1 Failed");
    let event = sample("task_fail_mapped_index2");
    assert_eq!(
        event.resource["prefect.resource.id"],
        "airflow.task-run.airflow-prod.lab_mapped.hub__lab_mapped__1.work.2"
    );
}

#[test]
fn events_of_airflow_2_9_are_joined_through_aliases() {
    check("af2_dag_start", "airflow.dag-run.running lab_success/- Started");
    check("af2_task_start", "airflow.task-run.running lab_success/hub__lab_success__1 ok#1 Started");
    check("af2_task_complete", "airflow.task-run.succeeded lab_success/- ok#- Succeeded");
    check("af2_dag_complete", "airflow.dag-run.succeeded lab_success/- Succeeded");
    let (dag, task) = (sample("af2_dag_start"), sample("af2_task_start"));
    assert_eq!(run(&dag).run_aliases, run(&task).run_aliases);
    assert_eq!(run(&task).tags, ["team:data-eng", "tier:1"], "tags are a printed Python list there");
    assert_eq!(run(&task).owners, ["data-eng"]);
    // A task's FAIL has neither try nor error; its declared retries stand with the operator.
    let failed = sample("af2_task_fail");
    assert!(run(&failed).attempt.as_ref().unwrap().retries.is_some());
    assert_eq!(run(&failed).error, None);
}

#[test]
fn owners_tags_documentation_and_times_arrive() {
    let event = sample("dag_fail_manual_after_complete");
    let update = run(&event);
    assert_eq!(update.owners, ["data-eng"]);
    assert_eq!(update.tags, ["domain:sales", "team:data-eng", "tier:1"]);
    assert_eq!(update.doc.as_deref(), Some("# sales load\nrunbook: https://runbooks/sales"));
    let scheduled = sample("dag_start_scheduled");
    assert_eq!(run(&scheduled).nominal.unwrap().to_string(), "2026-11-20T16:30:00Z");
    assert_eq!(run(&sample("dag_start_multi_owner")).owners, ["airflow", "alice", "bob", "carol@example.com"]);
    let roles: Vec<&str> = scheduled.related.iter().map(|related| related["prefect.resource.role"].as_str()).collect();
    assert_eq!(roles, ["dag", "tag", "owner"]);
}

#[test]
fn the_team_of_the_token_is_the_first_owner() {
    let body = read("airflow/openlineage/samples/task_fail_will_retry.json");
    let events = parse(&Delivered { team: Some("platform"), ..delivered(&body) }).unwrap();
    assert_eq!(run(&events[0]).owners, ["platform", "ml-research"]);
}

#[test]
fn a_failed_task_and_a_missed_deadline_in_full() {
    let mut failed = sample("task_fail_will_retry");
    let stack = failed.payload["stack"].take();
    let stack = stack.as_str().unwrap();
    assert!(stack.starts_with("Traceback") && stack.contains("token=[redacted]"), "{stack}");
    insta::assert_json_snapshot!("task_fail_will_retry", failed);
    insta::assert_json_snapshot!("dag_complete_deadline_missed", sample("dag_complete_deadline_missed_true"));
}

fn spark(kind: &str, extra: Value) -> Value {
    let mut body = json!({
        "eventType": kind, "eventTime": "2026-11-20T16:00:00Z", "producer": "spark",
        "run": {"runId": "01a1f9cc-0000-7000-8000-000000000001", "facets": {
            "parent": {"job": {"namespace": "airflow-prod", "name": "etl.load"}, "run": {"runId": "01a1f9cc-0000-7000-8000-000000000002"}},
            "errorMessage": {"message": "no route to postgres://u:pw@db/x", "stackTrace": "at x"},
            "spark.logicalPlan": {"plan": "x".repeat(20_000)},
            "spark_version": {"_producer": "p", "_schemaURL": "s", "spark-version": "3.5"},
        }},
        "job": {"namespace": "spark-prod", "name": "load_orders", "facets": {
            "jobType": {"integration": "SPARK", "jobType": "JOB", "processingType": "BATCH"},
            "tags": {"tags": [{"key": "team", "value": "ml"}, {"key": "nightly", "value": "true"}]},
        }},
        "inputs": [{"namespace": "s3://b", "name": "orders"}],
        "outputs": [
            {"namespace": "pg", "name": "a", "outputFacets": {"outputStatistics": {"rowCount": 40}}},
            {"namespace": "pg", "name": "b", "outputFacets": {"outputStatistics": {"rowCount": 2}}},
            {"namespace": "pg", "name": "c"},
        ],
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[test]
fn other_producers_are_pipelines_of_their_own() {
    let event = one(spark("FAIL", json!({})).to_string().as_bytes());
    assert_eq!(line(&event), "openlineage.run.failed load_orders/01a1f9cc-0000-7000-8000-000000000001 Failed");
    insta::assert_json_snapshot!("spark_fail", event);
    assert_eq!(run(&event).rows, Some(42));
    let event = one(spark("COMPLETE", json!({"outputs": [{"namespace": "pg", "name": "c"}]})).to_string().as_bytes());
    assert_eq!(run(&event).rows, None, "not reported is not zero");
    assert_eq!(run(&one(spark("ABORT", json!({})).to_string().as_bytes())).report, RunReport::Cancelled);
    assert_eq!(run(&one(spark("RUNNING", json!({})).to_string().as_bytes())).report, RunReport::Alive);
    assert!(one(spark("OTHER", json!({})).to_string().as_bytes()).fact.is_none());
}

#[test]
fn assets_are_datasets_of_their_dag() {
    let lines = lines("airflow/openlineage/airflow-3.3.2.jsonl.gz");
    let events: Vec<Event> = lines.iter().map(|line| one(line.as_bytes())).collect();
    let mut datasets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for update in events.iter().map(run) {
        let reads = update.inputs.iter().map(|name| format!("reads {name}"));
        let all = reads.chain(update.outputs.iter().map(|name| format!("writes {name}")));
        datasets.entry(update.pipeline.clone()).or_default().extend(all);
    }
    datasets.retain(|_, all| !all.is_empty());
    let expect = [("lab_asset_consumer", "reads s3://lake/orders"), ("lab_asset_producer", "writes s3://lake/orders")];
    let expect = expect.map(|(dag, all)| (dag.to_owned(), BTreeSet::from([all.to_owned()])));
    assert_eq!(datasets, BTreeMap::from(expect));
}

#[test]
fn datasets_have_all_their_names_once_and_are_bounded() {
    let table = json!({"namespace": "s3://b", "name": "/t", "facets": {"symlinks": {"identifiers": [
        {"namespace": "hive://u:pw@m", "name": "db.t", "type": "TABLE"}]}}});
    let many: Vec<Value> = (0..100).map(|n| json!({"namespace": "pg", "name": format!("t{n}")})).collect();
    let body = spark("COMPLETE", json!({"inputs": [table, table, {"name": "half"}], "outputs": many}));
    let event = one(body.to_string().as_bytes());
    assert_eq!(run(&event).inputs, ["s3://b/t", "hive://u:[redacted]@m/db.t"]);
    assert_eq!((run(&event).outputs.len(), run(&event).outputs[63].as_str()), (64, "pg/t63"));
}

#[test]
fn declared_deadlines_come_with_the_start() {
    let lines = lines("airflow/openlineage/airflow-3.3.2.jsonl.gz");
    let start = one(lines[0].as_bytes());
    let update = run(&start);
    assert_eq!((update.pipeline.as_str(), update.report), ("lab_deadline", RunReport::Started));
    let told: Vec<String> = update.deadlines.iter().map(|one| format!("{} at {}", one.name, one.due)).collect();
    assert_eq!(told, ["async_http, sync_http, slack at 2026-11-20T16:30:33.648058Z"]);
}

#[test]
fn job_and_dataset_events_are_kept_without_a_fact() {
    let job = one(br#"{"eventTime":"2026-11-20T16:00:00Z","job":{"namespace":"n","name":"j"},"outputs":[{"namespace":"a","name":"b"}]}"#);
    assert_eq!((job.event.as_str(), job.source.as_str()), ("openlineage.job", "n"));
    assert!(job.fact.is_none());
    assert_eq!(job.payload["outputs"], json!([{"namespace": "a", "name": "b"}]));
    let dataset = one(br#"{"eventTime":"2026-11-20T16:00:00Z","dataset":{"namespace":"n","name":"d","facets":{"schema":{"fields":[1]}}}}"#);
    assert_eq!(dataset.resource["prefect.resource.id"], "openlineage.dataset.n.d");
    assert_eq!(dataset.payload["dataset_facets"], json!({"schema": {"fields": [1]}}));
}

#[test]
fn events_without_identity_are_refused() {
    let refuse = |body: &str, at: &str| {
        let reject = parse(&delivered(body.as_bytes())).unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (422, at), "{body}: {reject}");
    };
    refuse("7", "");
    refuse("{}", "/eventTime");
    refuse(r#"{"eventTime":"soon"}"#, "/eventTime");
    refuse(r#"{"eventTime":"2026-11-20T16:00:00Z"}"#, "");
    refuse(r#"{"eventTime":"2026-11-20T16:00:00Z","run":{"runId":"1"},"job":{"namespace":"n"}}"#, "/job/name");
    refuse(
        r#"{"eventTime":"2026-11-20T16:00:00Z","run":{"runId":1},"job":{"namespace":"n","name":"j"}}"#,
        "/run/runId",
    );
    refuse(
        r#"{"eventTime":"2026-11-20T16:00:00Z","eventType":"DONE","run":{"runId":"1"},"job":{"namespace":"n","name":"j"}}"#,
        "/eventType",
    );
}
