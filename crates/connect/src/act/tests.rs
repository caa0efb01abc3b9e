use super::*;
use crate::block::Block;
use crate::far_end::Answer;
use crate::far_end::tests::{connection, email, now, pagerduty, prefect, shown, slack_api, slack_webhook, webhook};
use crate::template::sample_effect;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use std::sync::Mutex;
use trackside_core::automation::firing::{EventRef, Firing};
use trackside_core::ids::{DeliveryId, EventId};
use uuid::Uuid;

const FLOW_RUN: &str = "1fb166a7-3e7e-41ae-8fef-b94d29ae045d";
const DEPLOYMENT: &str = "00000000-0000-4000-8000-00000000000d";

/// Beginning of a request, status and body.
type Answers = Vec<(&'static str, u16, Value)>;

/// A far end that answers by a script: the first entry whose beginning of `METHOD path` fits and is not used up.
#[derive(Debug)]
struct Script(Mutex<Vec<(&'static str, Answer)>>);

impl Script {
    fn new(answers: &[(&'static str, u16, Value)]) -> Self {
        let answers = answers.iter().map(|(request, status, body)| (*request, answer(*status, body)));
        Self(Mutex::new(answers.collect()))
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    Answer::Response { status, headers: Vec::new(), body }
}

impl Sender for Script {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let shown = request.shown();
        let line = format!("{} {}", shown.method, shown.url);
        let mut answers = self.0.lock().unwrap();
        match answers.iter().position(|(begin, _)| line.contains(begin)) {
            Some(index) => answers.remove(index).1,
            None => Answer::Lost { error: format!("nobody answers {line}") },
        }
    }
}

fn event() -> Event {
    serde_json::from_value(json!({
        "id": "01a1fa1f-b1d3-7aad-84f8-ed77f0d7799a", "source": "prefect-prod",
        "occurred": "2026-11-20T18:02:23Z", "received": "2026-11-20T18:02:24Z", "event": "prefect.flow-run.Failed",
        "resource": {
            "prefect.resource.id": format!("prefect.flow-run.{FLOW_RUN}"), "prefect.resource.name": "wild-cat",
            "prefect.state-name": "Failed", "prefect.state-type": "FAILED", "prefect.state-message": "boom",
            "prefect.state-timestamp": "2026-11-20T18:02:23+00:00"
        },
        "related": [
            {"prefect.resource.id": "prefect.flow.53090dc3-3840-42af-8ddb-da5ec666123a",
             "prefect.resource.role": "flow", "prefect.resource.name": "orders"},
            {"prefect.resource.id": format!("prefect.deployment.{DEPLOYMENT}"),
             "prefect.resource.role": "deployment", "prefect.resource.name": "nightly"},
            {"prefect.resource.id": "prefect.work-pool.00000000-0000-4000-8000-00000000000a",
             "prefect.resource.role": "work-pool", "prefect.resource.name": "k8s"},
            {"prefect.resource.id": "prefect.work-queue.00000000-0000-4000-8000-00000000000b",
             "prefect.resource.role": "work-queue", "prefect.resource.name": "default"},
        ],
    }))
    .unwrap()
}

/// A delivery of this action, fired by [`event`].
fn effect(action: &Value, state: FiringState) -> Effect {
    let automation = json!({
        "id": "11111111-1111-4111-8111-111111111111", "name": "watch orders", "description": "", "enabled": true,
        "tags": [], "trigger": {"type": "event", "match": {}, "match_related": {}, "after": [], "expect": [],
        "for_each": ["prefect.resource.id"], "posture": "Reactive", "threshold": 1, "within": 0.0},
        "actions": [], "actions_on_trigger": [], "actions_on_resolve": [], "semantics": "prefect", "origin": "api",
        "created": "2026-11-01T00:00:00Z", "updated": "2026-11-01T00:00:00Z", "version": 1
    });
    let firing = Firing {
        automation: "11111111-1111-4111-8111-111111111111".parse().unwrap(),
        trigger: String::new(),
        state,
        at: now(),
        due: None,
        labels: [("prefect.resource.name".to_owned(), "wild-cat".to_owned())].into(),
        event: Some(EventRef { id: event().id, seq: 7 }),
        children: Vec::new(),
        because: "1 of 1".to_owned(),
    };
    let act = json!({
        "automation": automation, "list": "actions", "index": 0, "action": action, "firing": firing
    });
    let mut effect = sample_effect(Action::Message, now());
    effect.id = DeliveryId(Uuid::from_u128(0xd));
    effect.key = effect.id.to_string();
    effect.incident = None;
    effect.action = Action::Act;
    effect.notice.incident = None;
    effect.notice.pipeline = None;
    effect.notice.run = None;
    effect.notice.alerts.clear();
    effect.notice.links.clear();
    effect.notice.details.clear();
    effect.notice.more_alerts = 0;
    effect.act = Some(serde_json::from_value(act).unwrap());
    effect
}

struct Case<'a> {
    way: Way<'a>,
    action: Value,
    state: FiringState,
    earlier: Earlier,
    progress: Option<&'a str>,
    origin: Option<&'a Connection>,
}

impl<'a> Case<'a> {
    fn new(way: Way<'a>, action: Value) -> Self {
        let state = FiringState::Triggered;
        Self { way, action, state, earlier: Earlier::NotThere, progress: None, origin: None }
    }

    async fn run(&self, script: &Script) -> Attempt {
        let (effect, events) = (effect(&self.action, self.state), [event()]);
        let job = Job {
            effect: &effect,
            way: self.way,
            events: &events,
            origin: self.origin,
            pages: Some("https://prefect.example.net"),
            earlier: self.earlier,
            progress: self.progress,
            now: now(),
            timeout: Duration::from_secs(10),
        };
        attempt(script, &job).await
    }
}

/// Everything that an attempt says, for a snapshot.
fn told(attempt: &Attempt) -> Value {
    let mut told = json!({
        "requests": attempt.exchanges.iter().map(|exchange| shown(&exchange.request)).collect::<Vec<_>>(),
        "verdict": attempt.verdict,
    });
    if !attempt.notes.is_empty() {
        told["notes"] = json!(attempt.notes);
    }
    if let Some(progress) = &attempt.progress {
        told["progress"] = json!(progress);
    }
    told
}

fn why(attempt: &Attempt) -> &str {
    match &attempt.verdict {
        Verdict::Refused { why } => why,
        other => panic!("refused was expected, not {other:?}"),
    }
}

fn accept() -> Value {
    json!({"state": {"type": "CANCELLING"}, "status": "ACCEPT", "details": {"type": "accept_details"}})
}

#[tokio::test]
async fn each_action_of_prefect_is_one_call_of_its_api() {
    let queue = "00000000-0000-4000-8000-00000000000b";
    let pool = json!([{"id": "00000000-0000-4000-8000-00000000000a", "name": "k8s / eu"}]);
    let accepted = |path: &'static str| vec![(path, 201, accept())];
    let cases: Vec<(&str, Value, Answers)> = vec![
        (
            "run_selected",
            json!({"type": "run-deployment", "source": "selected", "deployment_id": DEPLOYMENT, "schedule_after": 90.0,
                   "parameters": {"n": 1, "run": "{{ flow_run.name }}", "t": "a {{ event.event }}", "count": "{{ firing.triggering_labels | length }}"},
                   "job_variables": {"image": "x"}}),
            vec![("POST", 201, json!({"id": "22222222-2222-4222-8222-222222222222", "name": "new"}))],
        ),
        (
            "run_inferred",
            json!({"type": "run-deployment", "source": "inferred", "deployment_id": null, "parameters": null,
                   "job_variables": null, "schedule_after": 0.0}),
            vec![("POST", 200, json!({"id": "22222222-2222-4222-8222-222222222222"}))],
        ),
        (
            "pause_deployment",
            json!({"type": "pause-deployment", "source": "inferred", "deployment_id": null}),
            vec![("POST", 200, json!(null))],
        ),
        (
            "resume_deployment",
            json!({"type": "resume-deployment", "source": "selected", "deployment_id": DEPLOYMENT}),
            vec![("POST", 200, json!(null))],
        ),
        (
            "pause_work_pool",
            json!({"type": "pause-work-pool", "source": "inferred", "work_pool_id": null}),
            vec![("filter", 200, pool.clone()), ("PATCH", 204, json!(""))],
        ),
        (
            "resume_work_pool",
            json!({"type": "resume-work-pool", "source": "inferred", "work_pool_id": null}),
            vec![("filter", 200, pool), ("PATCH", 204, json!(""))],
        ),
        (
            "pause_work_queue",
            json!({"type": "pause-work-queue", "source": "inferred", "work_queue_id": null}),
            vec![("PATCH", 204, json!(""))],
        ),
        (
            "resume_work_queue",
            json!({"type": "resume-work-queue", "source": "selected", "work_queue_id": queue}),
            vec![("PATCH", 204, json!(""))],
        ),
        ("cancel", json!({"type": "cancel-flow-run"}), accepted("set_state")),
        ("suspend", json!({"type": "suspend-flow-run"}), accepted("set_state")),
        ("resume", json!({"type": "resume-flow-run"}), accepted("resume")),
        ("delete", json!({"type": "delete-flow-run"}), vec![("DELETE", 204, json!(""))]),
        (
            "change_state",
            json!({"type": "change-flow-run-state", "state": "COMPLETED", "name": "Done", "message": "by {{ automation.name }}", "force": true}),
            accepted("set_state"),
        ),
        (
            "change_state_least",
            json!({"type": "change-flow-run-state", "state": "AWAITING", "name": null, "message": null, "force": false}),
            accepted("set_state"),
        ),
    ];
    let connection = prefect();
    for (name, action, answers) in cases {
        let attempt = Case::new(Way::Connection(&connection), action).run(&Script::new(&answers)).await;
        assert!(matches!(attempt.verdict, Verdict::Done { .. }), "{name}: {:?}", attempt.verdict);
        assert_json_snapshot!(format!("prefect_{name}"), told(&attempt));
    }
}

#[tokio::test]
async fn answers_of_prefect_are_told_apart_by_what_they_mean() {
    let connection = prefect();
    let cancel = json!({"type": "cancel-flow-run"});
    let rejected =
        |reason: &str| json!({"state": {"type": "COMPLETED"}, "status": "REJECT", "details": {"reason": reason}});
    for (answer, expect) in [
        (answer(201, &accept()), "done"),
        (answer(200, &rejected("This run has already made this state transition.")), "done"),
        (
            answer(
                200,
                &json!({"state": {"type": "CANCELLED"}, "status": "REJECT", "details": {"reason": "no infrastructure"}}),
            ),
            "done",
        ),
        (answer(200, &rejected("too late")), "refused Failed to set state: too late"),
        (
            answer(200, &json!({"status": "WAIT", "details": {"delay_seconds": 30, "reason": "later"}})),
            "retry after 30 s",
        ),
        (
            answer(200, &json!("<html>")),
            "refused answered 200: <html>; Prefect answers how the state was taken, so this is another server",
        ),
        (
            answer(404, &json!({"detail": "Flow run not found"})),
            "refused answered 404: {\"detail\":\"Flow run not found\"}",
        ),
        (answer(409, &json!({"detail": "no"})), "refused Validation error occurred for 'cancel-flow-run' - no"),
        (
            answer(422, &json!({"exception_detail": []})),
            "refused Validation error occurred for 'cancel-flow-run' - answered 422: {\"exception_detail\":[]}",
        ),
        (answer(503, &json!("")), "retry"),
        (Answer::NotSent { error: "refused".to_owned() }, "retry"),
        (Answer::Lost { error: "timed out".to_owned() }, "unknown"),
    ] {
        let script = Script(Mutex::new(vec![("set_state", answer.clone())]));
        let attempt = Case::new(Way::Connection(&connection), cancel.clone()).run(&script).await;
        let verdict = match &attempt.verdict {
            Verdict::Done { .. } => "done".to_owned(),
            Verdict::Refused { why } => format!("refused {why}"),
            Verdict::Retry { not_before: Some(at), .. } => {
                format!("retry after {} s", at.duration_since(now()).as_secs())
            }
            Verdict::Retry { .. } => "retry".to_owned(),
            Verdict::Unknown { .. } => "unknown".to_owned(),
        };
        assert_eq!(verdict, expect, "{answer:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_asked_after_before_it_is_done_again() {
    let connection = prefect();
    let ours = json!({"state": {"type": "COMPLETED", "state_details": {"transition_id": effect(&json!({"type": "cancel-flow-run"}), FiringState::Triggered).id}}});
    let other = json!({"state": {"type": "RUNNING", "state_details": {}}});
    for (action, question, requests, expect) in [
        ("cancel-flow-run", (200, ours.clone()), 1, "done"),
        ("cancel-flow-run", (200, json!({"state": {"type": "CANCELLED"}})), 1, "done"),
        ("cancel-flow-run", (200, other.clone()), 2, "done"),
        ("cancel-flow-run", (503, json!("")), 1, "unknown"),
        ("cancel-flow-run", (200, json!("{\"cut")), 1, "unknown"),
        ("cancel-flow-run", (404, json!({})), 2, "done"),
        ("resume-flow-run", (200, other.clone()), 1, "done"),
        ("resume-flow-run", (200, json!({"state": {"type": "PAUSED"}})), 2, "done"),
        ("delete-flow-run", (404, json!({})), 1, "done"),
        ("delete-flow-run", (200, other), 2, "done"),
    ] {
        let script = Script::new(&[("GET", question.0, question.1.clone()), ("", 200, accept())]);
        let case =
            Case { earlier: Earlier::MayBeThere, ..Case::new(Way::Connection(&connection), json!({"type": action})) };
        let attempt = case.run(&script).await;
        let verdict = match attempt.verdict {
            Verdict::Done { .. } => "done",
            Verdict::Unknown { .. } => "unknown",
            _ => "other",
        };
        assert_eq!((attempt.exchanges.len(), verdict), (requests, expect), "{action} {question:?}");
    }
}

#[tokio::test]
async fn texts_name_objects_of_the_server_that_the_event_came_from() {
    let (connection, origin) = (slack_webhook(), prefect());
    let body = "{{ flow_run.name }} {{ flow_run.state.name }} {{ flow_run.run_count }} of {{ flow.name }}, {{ deployment.name }}: \
                {{ variables.channel }} {{ flow_run | ui_url }}";
    let action = json!({"type": "send-notification", "connection": "slack", "subject": "S", "body": body});
    let answers = [
        (
            "flow_runs/",
            200,
            json!({"id": FLOW_RUN, "name": "fresh-name", "run_count": 3, "state": {"type": "RUNNING", "name": "Running"}}),
        ),
        ("flows/", 200, json!({"id": "53090dc3-3840-42af-8ddb-da5ec666123a", "name": "orders-from-api"})),
        ("deployments/", 404, json!({})),
        ("variables/filter", 200, json!([{"name": "channel", "value": "#data"}])),
        ("POST [redacted]", 200, json!("ok")),
    ];
    let case = Case { origin: Some(&origin), ..Case::new(Way::Connection(&connection), action) };
    assert_json_snapshot!(told(&case.run(&Script::new(&answers)).await));
    // Nobody is asked when the texts name nothing, or when the event is from elsewhere.
    let plain =
        json!({"type": "send-notification", "connection": "slack", "subject": "S", "body": "{{ event.event }}"});
    for case in [
        Case { origin: Some(&origin), ..Case::new(Way::Connection(&connection), plain) },
        Case::new(Way::Connection(&connection), case.action),
    ] {
        let attempt = case.run(&Script::new(&[("POST [redacted]", 200, json!("ok"))])).await;
        assert_eq!(attempt.exchanges.len(), 1);
        assert!(matches!(attempt.verdict, Verdict::Done { .. }), "{:?}", attempt.verdict);
        assert!(attempt.notes.is_empty(), "{:?}", attempt.notes);
    }
}

#[tokio::test]
async fn a_message_goes_through_a_connection_like_every_other() {
    let action =
        json!({"type": "notify-channel", "connection": "x", "body": "{{ flow_run.name }} <failed>\nsecond line"});
    let connections = [
        ("slack_webhook", slack_webhook()),
        ("slack_api", slack_api("C0123456789")),
        ("pagerduty", pagerduty()),
        ("webhook", webhook()),
        ("email", email()),
    ];
    for (name, connection) in &connections {
        for (state, word) in [(FiringState::Triggered, "triggered"), (FiringState::Resolved, "resolved")] {
            if state == FiringState::Resolved && *name != "pagerduty" {
                continue;
            }
            let answers = match *name {
                "slack_webhook" => json!("ok"),
                "slack_api" => json!({"ok": true, "channel": "C1", "ts": "1.2"}),
                _ => json!({"status": "success"}),
            };
            let case = Case { state, ..Case::new(Way::Connection(connection), action.clone()) };
            let attempt = case.run(&Script::new(&[("", 200, answers)])).await;
            assert!(matches!(attempt.verdict, Verdict::Done { .. }), "{name}: {:?}", attempt.verdict);
            if *name != "email" {
                assert_json_snapshot!(format!("notify_{name}_{word}"), told(&attempt));
            }
        }
    }
}

#[tokio::test]
async fn a_webhook_connection_signs_the_payload_as_it_was_rendered() {
    let action =
        json!({"type": "call-webhook", "connection": "hook", "payload": "{\"run\": {{ flow_run.name | tojson }}}"});
    let connection = webhook();
    let attempt = Case::new(Way::Connection(&connection), action).run(&Script::new(&[("", 204, json!(""))])).await;
    let shown = attempt.exchanges[0].request.shown();
    assert_eq!(shown.body, "{\"run\": \"wild-cat\"}");
    let header = |name: &str| shown.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let Target::Webhook { secrets, .. } = &connection.target else { unreachable!() };
    assert_eq!(webhook::verify(header, shown.body.as_bytes(), secrets, now()), Ok(()));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_its_reason() {
    let (slack, prefect) = (slack_webhook(), prefect());
    let nowhere = Script::new(&[]);
    for (way, action, expect) in [
        (
            &slack,
            json!({"type": "call-webhook", "connection": "under-test", "payload": ""}),
            "no such connection: `under-test` is of kind slack, and call-webhook needs one of kind webhook; name another one",
        ),
        (
            &slack,
            json!({"type": "cancel-flow-run"}),
            "no such connection: `under-test` is of kind slack, and cancel-flow-run needs one of kind prefect; name another one",
        ),
        (
            &prefect,
            json!({"type": "notify-channel", "connection": "under-test", "body": "b"}),
            "no such connection: `under-test` is of kind prefect, and notify-channel needs one of kind slack, pagerduty, webhook or email; name another one",
        ),
        (
            &slack,
            json!({"type": "trigger-dag", "connection": "under-test", "dag_id": "d"}),
            "no such connection: `under-test` is of kind slack, and trigger-dag needs one of kind airflow; name another one",
        ),
        (
            &prefect,
            json!({"type": "run-deployment", "source": "selected", "deployment_id": null, "parameters": null, "job_variables": null, "schedule_after": 0.0}),
            "the action names no deployment",
        ),
        (
            &slack,
            json!({"type": "notify-channel", "connection": "under-test", "body": "{{ 1 / 0 }}"}),
            "Template rendering failed: ZeroDivisionError('division by zero') (line 1)",
        ),
        (&slack, json!({"type": "do-nothing"}), "do-nothing is decided inside Trackside and is never sent"),
    ] {
        let attempt = Case::new(Way::Connection(way), action.clone()).run(&nowhere).await;
        assert_eq!(why(&attempt), expect, "{action}");
        assert!(attempt.exchanges.is_empty());
    }
    let pool = json!({"type": "pause-work-pool", "source": "inferred", "work_pool_id": null});
    let attempt = Case::new(Way::Connection(&prefect), pool).run(&Script::new(&[("filter", 200, json!([]))])).await;
    assert_eq!(why(&attempt), "Work pool 00000000-0000-4000-8000-00000000000a not found");
}

#[tokio::test]
async fn targets_are_inferred_as_prefect_does() {
    let mut other = effect(&json!({"type": "cancel-flow-run"}), FiringState::Triggered);
    let act = other.act.as_mut().unwrap();
    let mut about_nothing = event();
    about_nothing.resource.insert("prefect.resource.id".to_owned(), "bench.thing.1".to_owned());
    about_nothing.related.clear();
    let none = target::Basis { firing: &act.firing, event: Some(&about_nothing) };
    assert_eq!(none.flow_run().unwrap_err(), "No flow run could be inferred");
    let inferred: trackside_core::automation::action::DeploymentTarget =
        serde_json::from_value(json!({"source": "inferred", "deployment_id": null})).unwrap();
    assert_eq!(none.deployment(&inferred).unwrap_err(), "No deployment could be inferred");
    let missing = target::Basis { firing: &act.firing, event: None };
    assert_eq!(missing.deployment(&inferred).unwrap_err(), "No event to infer the deployment");
    // The label of the bucket wins over the event, which a missing event does not have.
    let mut firing = act.firing.clone();
    firing.labels.insert("prefect.resource.id".to_owned(), format!("prefect.flow-run.{DEPLOYMENT}"));
    let labelled = target::Basis { firing: &firing, event: Some(&about_nothing) };
    assert_eq!(labelled.flow_run().unwrap().to_string(), DEPLOYMENT);
}

#[tokio::test]
async fn each_recipient_gets_a_message_once_however_often_it_is_tried() {
    let data = json!({"account_sid": "AC1", "auth_token": "s3cret-token", "from_phone_number": "18001234567",
                      "to_phone_numbers": ["18004242421", "18004242422", "18004242423"]});
    let block = Block::open(Uuid::nil(), None, "twilio-sms", &data).unwrap();
    let action = json!({"type": "send-notification", "block_document_id": Uuid::nil(), "subject": "S", "body": "B"});
    let case = |progress| Case { progress, ..Case::new(Way::Block(&block), action.clone()) };
    let sent = json!({"sid": "SM1"});
    let first = case(None).run(&Script::new(&[("", 201, sent.clone()), ("", 429, json!(""))])).await;
    assert_eq!((first.exchanges.len(), first.progress.as_deref()), (2, Some("taken:0")));
    assert!(matches!(first.verdict, Verdict::Retry { .. }));
    let second =
        case(Some("taken:0")).run(&Script::new(&[("", 400, json!("bad number")), ("", 201, sent.clone())])).await;
    assert_eq!((second.exchanges.len(), second.progress.as_deref()), (2, Some("taken:0,2")));
    assert_eq!(why(&second), "1 of 3 recipients were refused, the first is number 2: answered 400: bad number");
    let third = case(Some("taken:0,2")).run(&Script::new(&[("", 201, sent)])).await;
    assert_eq!((third.exchanges.len(), &third.verdict), (1, &Verdict::Done { far_ref: Some("SM1".to_owned()) }));
}

#[test]
fn an_alert_is_known_by_automation_and_labels() {
    let key = |labels: &[(&str, &str)]| {
        let effect = effect(&json!({"type": "do-nothing"}), FiringState::Triggered);
        let mut act = effect.act.unwrap();
        act.firing.labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        alert_key(&act)
    };
    assert_eq!(key(&[("a", "1")]), key(&[("a", "1")]));
    assert_ne!(key(&[("a", "1")]), key(&[("a", "2")]));
    assert_ne!(key(&[("a", "1")]), key(&[]));
    assert_eq!(
        no_such_connection("x", None),
        "no such connection: `x` is not in the configuration; add it under `connections`, or name another one"
    );
}

#[tokio::test]
async fn no_credential_is_printed() {
    for auth in ["pnu_s3cret-key", "user:s3cret-pass"] {
        let auth = match auth.contains(':') {
            true => crate::connection::PrefectAuth::Basic(auth.into()),
            false => crate::connection::PrefectAuth::Key(auth.into()),
        };
        let connection = connection(Target::Prefect { api: "http://prefect:4200/api".to_owned(), auth: Some(auth) });
        let script = Script::new(&[("", 201, accept())]);
        let attempt = Case::new(Way::Connection(&connection), json!({"type": "cancel-flow-run"})).run(&script).await;
        let printed = format!("{attempt:?} {connection:?}");
        assert!(!printed.contains("s3cret") && !printed.contains("dXNlcjpz"), "{printed}");
    }
}

#[test]
fn an_event_that_is_no_longer_in_the_log_is_said() {
    let effect = effect(
        &json!({"type": "notify-channel", "connection": "x", "body": "{{ event.event }}!"}),
        FiringState::Triggered,
    );
    let connection = slack_webhook();
    let job = Job {
        effect: &effect,
        way: Way::Connection(&connection),
        events: &[],
        origin: None,
        pages: None,
        earlier: Earlier::NotThere,
        progress: None,
        now: now(),
        timeout: Duration::from_secs(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let attempt = runtime.block_on(attempt(&Script::new(&[("", 200, json!("ok"))]), &job));
    assert_eq!(attempt.notes, ["1 of the events that led to this are no longer in the log"]);
    assert!(attempt.exchanges[0].request.shown().body.contains('!'));
    assert_eq!(effect.act.unwrap().firing.event.unwrap().id, EventId(event().id.0));
}
