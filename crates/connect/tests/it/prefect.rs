//! The Prefect doors on a recorded page of a real 3.8.8 server's events.

use crate::samples::{delivered, now, read};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use trackside_connect::prefect::door::{EVENT_BYTES, Origin, parse};
use trackside_connect::prefect::{feed, socket};
use trackside_core::event::{Event, Fact};
use trackside_core::run::{RunReport, RunUpdate};

const ORIGIN_SOURCE: &str = "prefect-prod";

fn origin() -> Origin<'static> {
    Origin { source: ORIGIN_SOURCE, team: None, pages: Some("http://prefect:4200"), received: now() }
}

fn recorded() -> Vec<Event> {
    let page = feed::read_page(&read("prefect/events_page.json"), &origin()).unwrap();
    page.events.into_iter().map(Result::unwrap).collect()
}

fn run(event: &Event) -> &RunUpdate {
    match &event.fact {
        Some(Fact::Run(update)) => update,
        other => panic!("{other:?}"),
    }
}

fn event(name: &str, resource: &Value, related: &Value) -> Value {
    json!({"id": "01a1fa20-5c49-77b8-ac19-d6daf814acfb", "occurred": "2026-11-20T18:03:07Z", "event": name,
        "resource": resource, "related": related})
}

fn flow_run(name: &str, state_type: &str) -> Value {
    let mut resource = json!({"prefect.resource.id": "prefect.flow-run.906b86b3"});
    if !state_type.is_empty() {
        resource["prefect.state-type"] = json!(state_type);
        resource["prefect.state-message"] = json!("why: password=hunter2");
    }
    event(
        name,
        &resource,
        &json!([
            {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "prefect.resource.name": "rates"},
            {"prefect.resource.id": "prefect.tag.team:ml", "prefect.resource.role": "tag"},
            {"prefect.resource.id": "prefect.tag.nightly", "prefect.resource.role": "tag"},
        ]),
    )
}

#[track_caller]
fn parsed(body: &Value) -> Event {
    parse(&delivered(body.to_string().as_bytes())).unwrap().remove(0)
}

#[test]
fn the_recorded_page_in_short() {
    let lines: Vec<String> = recorded()
        .iter()
        .map(|event| match &event.fact {
            Some(Fact::Run(update)) => {
                let attempt = update.attempt.as_ref().map(|a| format!(" {}#{:?}", a.task, a.try_number));
                let run = update.run_id.as_deref().unwrap_or("-").split('-').next().unwrap_or_default();
                format!("{} {}/{run}{} {:?}", event.event, update.pipeline, attempt.unwrap_or_default(), update.report)
            }
            _ => event.event.clone(),
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_failed_flow_run_in_full() {
    let failed = recorded().into_iter().find(|event| event.event == "prefect.flow-run.Failed").unwrap();
    insta::assert_json_snapshot!(failed);
}

#[test]
fn the_envelope_is_kept_for_rules_written_for_prefect() {
    let page: Value = serde_json::from_slice(&read("prefect/events_page.json")).unwrap();
    for (raw, event) in page["events"].as_array().unwrap().iter().zip(recorded()) {
        assert_eq!(raw["id"], json!(event.id));
        assert_eq!(raw["resource"], json!(event.resource));
        assert_eq!(raw["related"], json!(event.related));
        assert_eq!(raw["follows"], json!(event.follows));
        let payload = if event.payload.is_null() { json!({}) } else { event.payload };
        assert_eq!(raw["payload"], payload);
    }
}

#[test]
fn states_are_mapped_by_type_then_by_name() {
    let check = |name: &str, state_type: &str, expect: Option<RunReport>| {
        let event = parsed(&flow_run(&format!("prefect.flow-run.{name}"), state_type));
        let report = event.fact.as_ref().map(|_| run(&event).report);
        assert_eq!(report, expect, "{name} {state_type}");
    };
    check("Scheduled", "SCHEDULED", Some(RunReport::Scheduled));
    check("Late", "SCHEDULED", Some(RunReport::Scheduled));
    check("AwaitingRetry", "SCHEDULED", Some(RunReport::Retrying));
    check("Pending", "PENDING", Some(RunReport::Scheduled));
    check("Running", "RUNNING", Some(RunReport::Started));
    check("My own name", "COMPLETED", Some(RunReport::Succeeded));
    check("TimedOut", "FAILED", Some(RunReport::Failed));
    check("Crashed", "CRASHED", Some(RunReport::Failed));
    check("Cancelling", "CANCELLING", Some(RunReport::Alive));
    check("Cancelled", "CANCELLED", Some(RunReport::Cancelled));
    check("Suspended", "PAUSED", Some(RunReport::Retrying));
    check("Crashed", "", Some(RunReport::Failed));
    check("Late", "", Some(RunReport::Scheduled));
    check("deleted", "", None);
    check("heartbeat", "", Some(RunReport::Alive));
}

#[test]
fn tags_owners_and_the_redacted_error_arrive() {
    let event = parsed(&flow_run("prefect.flow-run.Failed", "FAILED"));
    assert_eq!(event.source, "tok");
    let update = run(&event);
    assert_eq!(
        (update.tags.as_slice(), update.owners.as_slice()),
        (&["team:ml".into(), "nightly".into()][..], &["ml".into()][..])
    );
    assert_eq!(update.error.as_deref(), Some("why: password=[redacted]"));
    assert_eq!(event.resource["prefect.state-message"], "why: password=[redacted]");
    assert_eq!(run(&parsed(&flow_run("prefect.flow-run.Completed", "COMPLETED"))).error, None);
}

#[test]
fn task_names_lose_what_tells_their_runs_apart() {
    let check = |run_name: &str, task_run: Value, expect: &str| {
        let mut body = event(
            "prefect.task-run.Completed",
            &json!({"prefect.resource.id": "prefect.task-run.77", "prefect.resource.name": run_name,
                "prefect.run-count": "2", "prefect.state-type": "COMPLETED"}),
            &json!([
                {"prefect.resource.id": "prefect.flow-run.906b", "prefect.resource.role": "flow-run"},
                {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "prefect.resource.name": "rates"},
            ]),
        );
        body["payload"] = json!({"task_run": task_run});
        let event = parsed(&body);
        let attempt = run(&event).attempt.clone().unwrap();
        assert_eq!((attempt.task.as_str(), attempt.try_number), (expect, Some(2)), "{run_name}");
        assert_eq!(run(&event).run_id.as_deref(), Some("906b"));
        assert_eq!(attempt.aliases, ["77"]);
    };
    check("add-179", json!({"dynamic_key": "1796e860-7254", "task_key": "add-22862b3b"}), "add");
    check("load orders-3", json!({"dynamic_key": "3", "task_key": "load-22862b3b"}), "load orders");
    check("orders of 2026-11-20", json!({"dynamic_key": "1796e860", "task_key": "load-22862b3b"}), "load");
    check("add-179", json!({}), "add");
    check("load-to-warehouse", json!({}), "load-to-warehouse");
}

#[test]
fn a_failed_task_run_is_not_final_while_its_flow_may_be_retried() {
    let check = |state: &str, state_type: &str, expect: RunReport| {
        let body = event(
            &format!("prefect.task-run.{state}"),
            &json!({"prefect.resource.id": "prefect.task-run.77", "prefect.resource.name": "add-1",
                "prefect.run-count": "3", "prefect.state-type": state_type}),
            &json!([
                {"prefect.resource.id": "prefect.flow-run.906b", "prefect.resource.role": "flow-run"},
                {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "prefect.resource.name": "rates"},
            ]),
        );
        assert_eq!(run(&parsed(&body)).report, expect, "{state}");
    };
    check("Failed", "FAILED", RunReport::FailedMaybeRetry);
    check("TimedOut", "FAILED", RunReport::FailedMaybeRetry);
    check("Crashed", "CRASHED", RunReport::FailedMaybeRetry);
    check("AwaitingRetry", "SCHEDULED", RunReport::Retrying);
    check("Completed", "COMPLETED", RunReport::Succeeded);
}

#[test]
fn without_a_flow_there_is_no_fact() {
    let resource = json!({"prefect.resource.id": "prefect.task-run.77", "prefect.resource.name": "add-1", "prefect.state-type": "FAILED"});
    let related = json!([{"prefect.resource.id": "prefect.flow-run.906b", "prefect.resource.role": "flow-run"}]);
    assert!(parsed(&event("prefect.task-run.Failed", &resource, &related)).fact.is_none());
    assert!(parsed(&event("my.event", &json!({"prefect.resource.id": "x"}), &json!([]))).fact.is_none());
}

#[test]
fn what_prefect_refuses_is_refused() {
    let check = |change: Value, at: &str| {
        let mut body = flow_run("x", "");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body.as_object_mut().unwrap().retain(|_, value| *value != json!("absent"));
        let reject = parse(&delivered(json!([flow_run("ok", ""), body]).to_string().as_bytes())).unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (422, at), "{reject}");
    };
    check(json!({"id": "absent"}), "/1");
    check(json!({"id": "7"}), "/1/id");
    check(json!({"occurred": "now"}), "/1/occurred");
    check(json!({"event": "e".repeat(1025)}), "/1/event");
    check(json!({"event": ""}), "/1/event");
    check(json!({"resource": {"a": "b"}}), "/1/resource");
    check(json!({"resource": {"prefect.resource.id": ""}}), "/1/resource");
    check(json!({"resource": {"prefect.resource.id": "x", "a": null}}), "/1/resource/a");
    check(json!({"related": [{"prefect.resource.id": "x"}]}), "/1/related/0");
    check(
        json!({"related": vec![json!({"prefect.resource.id": "x", "prefect.resource.role": "r"}); 101]}),
        "/1/related",
    );
    check(json!({"payload": []}), "/1/payload");
    check(json!({"follows": "x"}), "/1/follows");
    let mut large = flow_run("x", "");
    large["payload"] = json!({"x": "y".repeat(EVENT_BYTES)});
    assert_eq!(parse(&delivered(large.to_string().as_bytes())).unwrap_err().status, 413);
}

#[test]
fn frames_of_the_socket() {
    assert_eq!(socket::read_auth(r#"{"type":"auth","token":"a:b"}"#).unwrap().unwrap().expose_secret(), "a:b");
    assert!(socket::read_auth(r#"{"type":"auth","token":null}"#).unwrap().is_none());
    assert_eq!(socket::read_auth(r#"{"type":"filter"}"#).unwrap_err().at, "/type");
    assert!(socket::read_auth("hello").is_err());
    assert_eq!(socket::auth(Some(&"k".into())), r#"{"type":"auth","token":"k"}"#);
    let filter: Value = serde_json::from_str(&socket::filter(now(), now())).unwrap();
    assert_eq!(
        filter,
        json!({"type": "filter", "backfill": true, "filter": {"order": "ASC",
            "occurred": {"since": "2026-11-20T18:00:00Z", "until": "2027-11-20T18:00:00Z"}}})
    );
    let frame = json!({"type": "event", "event": flow_run("prefect.flow-run.Failed", "FAILED")}).to_string();
    let socket::Said::Event(event) = socket::read_said(&frame, &origin()).unwrap() else { panic!() };
    assert_eq!(event.source, ORIGIN_SOURCE);
    assert_eq!(run(&event).url.as_deref(), Some("http://prefect:4200/runs/flow-run/906b86b3"));
    assert_eq!(socket::read_said(socket::AUTH_SUCCESS, &origin()).unwrap(), socket::Said::AuthSuccess);
    assert_eq!(socket::read_said(r#"{"type":"hm"}"#, &origin()).unwrap(), socket::Said::Unknown("hm".into()));
    assert_eq!(socket::read_said(r#"{"type":"event","event":{}}"#, &origin()).unwrap_err().at, "/event");
}

#[test]
fn rounds_of_the_feed() {
    assert_eq!(
        feed::first_page(now(), "2026-11-20T18:05:00Z".parse().unwrap()),
        json!({"filter": {"occurred": {"since": "2026-11-20T17:58:00Z", "until": "2026-11-20T18:05:00Z"}, "order": "ASC"}, "limit": 50})
    );
    let body = json!({"events": [{"id": 1}, flow_run("x", "")], "total": 70,
        "next_page": "http://inside:4200/api/events/filter/next?page-token=a%2Fb%3D"});
    let page = feed::read_page(body.to_string().as_bytes(), &origin()).unwrap();
    assert_eq!(page.next.as_deref(), Some("events/filter/next?page-token=a%2Fb%3D"));
    assert_eq!(page.events[0].as_ref().unwrap_err().at, "/events/0/id");
    assert!(page.events[1].is_ok());
    let events = recorded();
    let before = "2026-11-20T17:00:00Z".parse().unwrap();
    assert_eq!(feed::advance(before, &[], now()), before);
    assert_eq!(feed::advance(before, &events, now()), now(), "an event from the future does not move it beyond now");
    let later = "2026-11-20T19:00:00Z".parse().unwrap();
    assert_eq!(feed::advance(before, &events, later).to_string(), "2026-11-20T18:03:07.2092Z");
    let pages = |api: &str| feed::pages_of(&api.parse().unwrap());
    assert_eq!(pages("http://127.0.0.1:4200/api").as_deref(), Some("http://127.0.0.1:4200"));
    assert_eq!(pages("https://x.example/prefect/api/").as_deref(), Some("https://x.example/prefect"));
    assert_eq!(
        pages("https://api.prefect.cloud/api/accounts/a/workspaces/w").as_deref(),
        Some("https://app.prefect.cloud/account/a/workspace/w")
    );
    assert_eq!(pages("https://x.example/"), None);
}
