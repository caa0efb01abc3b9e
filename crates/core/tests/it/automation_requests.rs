//! What people may write as an automation, what they are told when it is wrong, and that what was read reads the same
//! again. What Prefect takes and refuses is in the recorded vectors, which `xtask` runs.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use trackside_core::automation::action::{
    ActionSpec, AutomationTarget, DeploymentTarget, TargetSource, Via, WorkPoolTarget, WorkQueueTarget,
};
use trackside_core::automation::definition::{
    AutomationSpec, Comparison, CompoundTrigger, ConsecutiveTrigger, EventTrigger, Metric, MetricQuery, MetricTrigger,
    Patterns, Posture, RelatedSpec, Require, RequireWord, ResourceSpec, SequenceTrigger, Trigger,
};
use trackside_core::automation::request::{Dialect, FieldError, errors_json, parse, parse_written};
use trackside_core::event::Severity;
use uuid::Uuid;

const ID: &str = "11111111-1111-4111-8111-111111111111";

/// An automation of our dialect with this trigger.
fn with_trigger(trigger: &Value) -> Value {
    json!({"name": "n", "trigger": trigger, "actions": ["do-nothing"]})
}

/// An automation of our dialect with this action.
fn with_action(action: &Value) -> Value {
    json!({"name": "n", "trigger": {"expect": ["x"]}, "actions": [action]})
}

fn normalised(body: &Value) -> Value {
    match parse(body, Dialect::Trackside) {
        Ok(spec) => serde_json::to_value(spec).unwrap(),
        Err(errors) => panic!("{body} was refused: {}", listed(&errors)),
    }
}

fn listed(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What is written reads as the other, which is written out.
fn same(written: &Value, full: &Value) {
    assert_eq!(normalised(written), normalised(full), "{written}");
}

#[test]
fn what_the_shape_says_need_not_be_written() {
    let event = |more: Value| {
        let mut full = json!({"type": "event", "posture": "Reactive", "match": {}, "match_related": {}, "after": [],
            "expect": [], "for_each": [], "threshold": 1, "within": 0.0});
        full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        full
    };
    for (written, full) in [
        (json!({"expect": ["a"]}), event(json!({"expect": ["a"]}))),
        (json!({"expect": "a"}), event(json!({"expect": ["a"]}))),
        (
            json!({"expect": "a", "threshold": 3, "within": "10m"}),
            event(json!({"expect": ["a"], "threshold": 3, "within": 600})),
        ),
        (
            json!({"expect": "a", "posture": "proactive", "within": "1h 30m"}),
            event(json!({"expect": ["a"], "posture": "Proactive", "within": 5400})),
        ),
        (json!({"expect": "a", "within": "PT90S"}), event(json!({"expect": ["a"], "within": 90}))),
        (json!({"expect": "a", "within": "00:01:30"}), event(json!({"expect": ["a"], "within": 90}))),
        (json!({"expect": "a", "within": "2d"}), event(json!({"expect": ["a"], "within": 172_800}))),
        (json!({"expect": "a", "within": 1.5, "id": ID}), event(json!({"expect": ["a"], "within": 1.5}))),
        (json!({"consecutive": 3}), json!({"type": "consecutive", "count": 3, "match": {}, "match_related": {}})),
        (
            json!({"metric": {"name": "successes", "operator": "<", "threshold": 0.9}}),
            json!({"type": "metric", "match": {}, "match_related": {}, "for_each": [],
                "metric": {"name": "successes", "operator": "<", "threshold": 0.9, "range": 300, "firing_for": 300}}),
        ),
        (
            json!({"require": 1, "within": null, "triggers": [{"expect": "a"}, {"consecutive": 2}]}),
            json!({"type": "compound", "require": 1, "within": null, "triggers": [event(json!({"expect": ["a"]})),
                {"type": "consecutive", "count": 2}]}),
        ),
        (
            json!({"type": "compound", "within": "1m", "triggers": [{"expect": "a"}]}),
            json!({"type": "compound", "require": "all", "within": 60, "triggers": [event(json!({"expect": ["a"]}))]}),
        ),
    ] {
        same(&with_trigger(&written), &with_trigger(&full));
    }
}

#[test]
fn actions_have_short_forms() {
    for (written, full) in [
        (json!("page-owner"), json!({"type": "page-owner"})),
        (
            json!({"type": "send-notification", "block_id": ID, "subject": "s", "body": "b"}),
            json!({"type": "send-notification", "block_document_id": ID, "subject": "s", "body": "b"}),
        ),
        (
            json!({"type": "send-notification", "connection": "slack", "body": "b"}),
            json!({"type": "send-notification", "connection": "slack", "subject": "{{ automation.name }}", "body": "b"}),
        ),
        (
            json!({"type": "call-webhook", "connection": "hook", "payload": {"b": 1, "a": "{{ event.id }}"}}),
            json!({"type": "call-webhook", "connection": "hook", "payload": "{\n  \"b\": 1,\n  \"a\": \"{{ event.id }}\"\n}"}),
        ),
        (
            json!({"type": "run-deployment", "deployment_id": ID, "schedule_after": "10m"}),
            json!({"type": "run-deployment", "source": "selected", "deployment_id": ID, "parameters": null,
                "job_variables": null, "schedule_after": 600.0}),
        ),
        (
            json!({"type": "pause-automation", "source": "inferred"}),
            json!({"type": "pause-automation", "source": "inferred", "automation_id": null}),
        ),
        (
            json!({"type": "change-flow-run-state", "state": "crashed"}),
            json!({"type": "change-flow-run-state", "name": null, "state": "CRASHED", "message": null, "force": false}),
        ),
    ] {
        same(&with_action(&written), &with_action(&full));
    }
}

#[test]
fn what_the_api_answers_may_be_written_again() {
    let mut answered = normalised(&with_trigger(&json!({"expect": ["a"]})));
    let plain = answered.clone();
    let more = json!({"id": ID, "created": "2026-01-05T09:00:00Z", "updated": "2026-01-05T09:00:00Z", "version": 2,
        "origin": "api", "semantics": "prefect"});
    answered.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(normalised(&answered), plain);
}

/// A body, or the part of one that matters, and every error in it.
#[derive(serde::Deserialize)]
struct Refused {
    body: Option<Value>,
    trigger: Option<Value>,
    action: Option<Value>,
    errors: Vec<String>,
}

#[test]
fn what_is_wrong_says_what_to_write() {
    let table: Vec<Refused> = serde_json::from_str(include_str!("automation_requests.json")).unwrap();
    for row in table {
        let body =
            row.body.or(row.trigger.as_ref().map(with_trigger)).or(row.action.as_ref().map(with_action)).unwrap();
        match parse(&body, Dialect::Trackside) {
            Ok(spec) => panic!("{body} was read as {spec:?}"),
            Err(errors) => assert_eq!(listed(&errors), row.errors.join("\n"), "{body}"),
        }
    }
}

#[test]
fn under_prefects_semantics_its_numbers_may_be_written() {
    let read = |trigger: Value| {
        let body = json!({"name": "n", "semantics": "prefect", "trigger": trigger, "actions": []});
        parse_written(&body).map(|written| serde_json::to_value(written.spec.trigger).unwrap())
    };
    let first = |trigger: Value| read(trigger).unwrap();
    assert_eq!(first(json!({"threshold": 0}))["threshold"], json!(0));
    assert_eq!(first(json!({"threshold": 3}))["within"], json!(0.0));
    assert_eq!(first(json!({"posture": "Proactive"}))["within"], json!(10.0));
    let composite = json!({"type": "sequence", "within": null, "triggers": [{"expect": "a", "threshold": -1}]});
    assert_eq!(first(composite)["triggers"][0]["threshold"], json!(-1));
    let errors = read(json!({"posture": "Proactive", "within": 9})).unwrap_err();
    let least = "Prefect waits at least 10 seconds in a Proactive trigger";
    assert_eq!(listed(&errors), format!("trigger.within: {least}; write within: 10s, or choose semantics: trackside"));
}

/// `depth` composites around an event trigger.
fn nested(depth: usize) -> Value {
    (0..depth).fold(
        json!({"type": "event", "posture": "Reactive", "expect": ["x"]}),
        |inner, _| json!({"type": "sequence", "within": 5, "triggers": [inner]}),
    )
}

#[test]
fn size_has_bounds_in_both_dialects() {
    let event = json!({"type": "event", "posture": "Reactive", "expect": ["x"]});
    let many = |count: usize| json!({"type": "sequence", "within": 5, "triggers": vec![&event; count]});
    let labels = |count: usize| {
        let labels: serde_json::Map<String, Value> = (0..count).map(|label| (label.to_string(), json!("x"))).collect();
        json!({"type": "event", "posture": "Reactive", "match": labels})
    };
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let body = |trigger: Value, actions: Value| json!({"name": "n", "trigger": trigger, "actions": actions});
    let act = json!({"type": "do-nothing"});
    for (fits, too_large, expected) in [
        (
            body(nested(7), json!([])),
            body(nested(8), json!([])),
            "trigger.triggers.0.triggers.0.triggers.0.triggers.0.triggers.0.triggers.0.triggers.0.triggers.0: triggers may \
             be nested 8 deep, this one goes deeper",
        ),
        (
            body(many(199), json!([])),
            body(many(200), json!([])),
            "trigger.triggers.199: an automation may have 200 triggers, this one has more",
        ),
        (
            body(labels(2000), json!([])),
            body(labels(2001), json!([])),
            "trigger: an automation may have 2000 patterns, this one has more",
        ),
        (
            body(event.clone(), json!(vec![&act; 50])),
            body(event.clone(), json!(vec![&act; 51])),
            "actions: a list may hold 50 actions, this one has 51",
        ),
        (
            json!({"name": "n", "description": "x".repeat(65_536), "trigger": event, "actions": []}),
            json!({"name": "n", "description": "x".repeat(65_537), "trigger": event, "actions": []}),
            "description: a text may have 65536 bytes, this one has 65537",
        ),
    ] {
        for dialect in [Dialect::Prefect, Dialect::Trackside] {
            parse(&fits, dialect).unwrap();
            let errors = parse(&too_large, dialect).unwrap_err();
            assert_eq!(listed(&errors), format!("{expected}; split it into several automations"));
        }
    }
    let errors = parse(&body(event.clone(), deep), Dialect::Prefect).unwrap_err();
    assert!(listed(&errors).contains("values may be nested 64 deep"), "{}", listed(&errors));
}

#[test]
fn errors_are_as_many_as_help() {
    let wrong =
        (0..6).fold(json!({"type": "event"}), |inner, _| json!({"type": "sequence", "triggers": vec![inner; 2]}));
    let body = json!({"name": "n", "trigger": wrong, "actions": []});
    assert_eq!(parse(&body, Dialect::Prefect).unwrap_err().len(), 1000);
}

#[test]
fn prefect_is_answered_in_its_own_form() {
    let body =
        json!({"name": "n", "trigger": {"type": "event", "posture": "Reactive", "threshold": "x"}, "actions": 5});
    let errors = parse(&body, Dialect::Prefect).unwrap_err();
    let answer = errors_json(&errors, &body);
    assert_eq!(answer["exception_message"], "Invalid request received.");
    assert_eq!(answer["request_body"], body);
    assert_eq!(
        answer["exception_detail"][0],
        json!({"type": "int_parsing", "loc": ["body", "trigger", "EventTrigger", "threshold"], "input": "x",
            "msg": "Input should be a valid integer, unable to parse string as an integer"})
    );
    let compound = "function-after[validate_require(), function-after[validate_require(), CompoundTrigger]]";
    assert_eq!(
        answer["exception_detail"][1],
        json!({"type": "literal_error", "loc": ["body", "trigger", compound, "type"], "input": "event",
            "msg": "Input should be 'compound'", "ctx": {"expected": "'compound'"}})
    );
    assert_eq!(
        answer["exception_detail"][2],
        json!({"type": "missing", "loc": ["body", "trigger", compound, "triggers"], "input": body["trigger"],
            "msg": "Field required"})
    );
}

#[test]
fn an_owner_is_given_when_it_is_made_and_not_when_it_is_replaced() {
    let body = json!({"name": "n", "trigger": {"posture": "Reactive"}, "actions": [], "owner_resource": "prefect.deployment.x"});
    let made = parse(&body, Dialect::Prefect).unwrap();
    assert_eq!(made.owner_resource.as_deref(), Some("prefect.deployment.x"));
    let errors = parse(&body, Dialect::PrefectReplace).unwrap_err();
    assert_eq!(listed(&errors), "owner_resource: Extra inputs are not permitted");
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("prefect.flow-run.Failed".to_owned()), "[a-z.*!?é\"]{0,6}"]
}

fn spec() -> impl Strategy<Value = ResourceSpec> {
    let patterns =
        prop_oneof![word().prop_map(Patterns::One), prop::collection::vec(word(), 0..3).prop_map(Patterns::Any)];
    prop::collection::btree_map(word(), patterns, 0..3)
}

fn related() -> impl Strategy<Value = RelatedSpec> {
    prop_oneof![spec().prop_map(RelatedSpec::One), prop::collection::vec(spec(), 0..3).prop_map(RelatedSpec::All)]
}

fn time() -> impl Strategy<Value = SignedDuration> {
    prop_oneof![
        (1..100_000_000_000_i64).prop_map(SignedDuration::from_micros),
        (1..100_000_000_i64).prop_map(SignedDuration::from_secs),
    ]
}

fn event() -> impl Strategy<Value = Trigger> {
    let sets = prop::collection::vec(prop::collection::btree_set(word(), 0..3), 3);
    // At least ten seconds, which Prefect asks of a proactive trigger.
    let posture = prop_oneof![Just(Posture::Reactive), Just(Posture::Proactive)];
    (spec(), related(), sets, posture, 1..5_i64, time()).prop_map(
        |(matches, match_related, sets, posture, threshold, within)| {
            let [after, expect, for_each] = <[_; 3]>::try_from(sets).unwrap();
            let within = within.max(SignedDuration::from_secs(10));
            Trigger::Event(EventTrigger { matches, match_related, after, expect, for_each, posture, threshold, within })
        },
    )
}

fn composites(leaf: impl Strategy<Value = Trigger> + 'static) -> impl Strategy<Value = Trigger> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        let parts = (prop::collection::vec(inner, 1..4), prop::option::of(time()), 0..3_u32);
        parts.prop_map(|(triggers, within, require)| match require {
            0 => Trigger::Sequence(SequenceTrigger { triggers, within }),
            1 => Trigger::Compound(CompoundTrigger { triggers, within, require: Require::Word(RequireWord::Any) }),
            _ => Trigger::Compound(CompoundTrigger { triggers, within, require: Require::Count(1) }),
        })
    })
}

fn ours() -> impl Strategy<Value = Trigger> {
    let metric = (spec(), related(), time(), 0.0..1.0_f64).prop_map(|(matches, match_related, range, threshold)| {
        let (name, operator) = (Metric::Successes, Comparison::LessOrEqual);
        let metric = MetricQuery { name, operator, threshold, range, firing_for: SignedDuration::ZERO };
        Trigger::Metric(MetricTrigger { matches, match_related, for_each: ["pipeline".to_owned()].into(), metric })
    });
    let consecutive = (spec(), related(), 1..9_u32).prop_map(|(matches, match_related, count)| {
        Trigger::Consecutive(ConsecutiveTrigger { count, matches, match_related })
    });
    prop_oneof![event(), metric, consecutive]
}

fn prefect_actions() -> Vec<ActionSpec> {
    let id: Uuid = ID.parse().unwrap();
    let (selected, inferred) = (TargetSource::Selected, TargetSource::Inferred);
    let block = || Via::Block { block_document_id: id };
    let deployment = DeploymentTarget { source: selected, deployment_id: Some(id) };
    let object = json!({"b": [1, {"c": "{{ event.id }}"}], "a": null}).as_object().cloned();
    vec![
        ActionSpec::DoNothing {},
        ActionSpec::SendNotification { via: block(), subject: "s".into(), body: "{{ event.id }}".into() },
        ActionSpec::CallWebhook { via: block(), payload: "{}".into() },
        ActionSpec::RunDeployment {
            deployment,
            parameters: object.clone(),
            job_variables: object,
            schedule_after: 1.5,
        },
        ActionSpec::PauseDeployment(DeploymentTarget { source: inferred, deployment_id: None }),
        ActionSpec::ResumeDeployment(deployment),
        ActionSpec::PauseWorkPool(WorkPoolTarget { source: inferred, work_pool_id: None }),
        ActionSpec::ResumeWorkPool(WorkPoolTarget { source: selected, work_pool_id: Some(id) }),
        ActionSpec::PauseWorkQueue(WorkQueueTarget { source: selected, work_queue_id: Some(id) }),
        ActionSpec::ResumeWorkQueue(WorkQueueTarget { source: inferred, work_queue_id: None }),
        ActionSpec::PauseAutomation(AutomationTarget { source: inferred, automation_id: None }),
        ActionSpec::ResumeAutomation(AutomationTarget { source: selected, automation_id: Some(id) }),
        ActionSpec::CancelFlowRun {},
        ActionSpec::SuspendFlowRun {},
        ActionSpec::ResumeFlowRun {},
        ActionSpec::DeleteFlowRun {},
        ActionSpec::ChangeFlowRunState { name: None, state: "FAILED".into(), message: Some("m".into()), force: true },
    ]
}

fn our_actions() -> Vec<ActionSpec> {
    let connection = || "c".to_owned();
    let object = json!({"a": "{{ event.id }}"}).as_object().cloned();
    let mut actions = prefect_actions();
    actions.extend([
        ActionSpec::SendNotification {
            via: Via::Connection { connection: connection() },
            subject: "s".into(),
            body: "b".into(),
        },
        ActionSpec::CallWebhook { via: Via::Connection { connection: connection() }, payload: String::new() },
        ActionSpec::DeclareIncident {
            title: None,
            summary: Some("s".into()),
            severity: Some(Severity::Error),
            team: None,
        },
        ActionSpec::PageOwner { title: Some("t".into()), severity: None },
        ActionSpec::ResolveIncident {},
        ActionSpec::NotifyChannel { connection: connection(), subject: None, body: "b".into() },
        ActionSpec::TriggerDag { connection: connection(), dag_id: "d".into(), conf: object.clone() },
        ActionSpec::ClearTask { connection: connection(), dag_id: None, task_id: Some("t".into()) },
        ActionSpec::StartBuild { connection: connection(), build_type: "b".into(), properties: object.clone() },
        ActionSpec::RunJob { job: "j".into(), parameters: object },
    ]);
    actions
}

fn automation(
    trigger: impl Strategy<Value = Trigger>,
    actions: &[ActionSpec],
) -> impl Strategy<Value = AutomationSpec> {
    let list = || prop::collection::vec(prop::sample::select(actions.to_vec()), 0..4);
    let words = (word(), word(), prop::collection::vec(word(), 0..3), prop::option::of(word()));
    (trigger, list(), list(), list(), words).prop_map(
        |(trigger, actions, actions_on_trigger, actions_on_resolve, words)| {
            let (name, description, tags, owner_resource) = words;
            // Paused, so that the guard against endless runs leaves it alone.
            AutomationSpec {
                name: format!("n{name}"),
                description,
                enabled: false,
                tags,
                trigger,
                actions,
                actions_on_trigger,
                actions_on_resolve,
                owner_resource,
            }
        },
    )
}

fn reads_as_itself(spec: &AutomationSpec, dialect: Dialect) {
    let body = serde_json::to_value(spec).unwrap();
    match parse(&body, dialect) {
        Ok(again) => assert_eq!(&again, spec),
        Err(errors) => panic!("{body} was refused:\n{}", listed(&errors)),
    }
    // What the store keeps reads as itself as well.
    let kept: AutomationSpec = serde_json::from_value(body).unwrap();
    assert_eq!(&kept, spec);
}

proptest! {
    #[test]
    fn what_was_read_reads_as_itself_in_our_dialect(spec in automation(composites(ours()), &our_actions())) {
        reads_as_itself(&spec, Dialect::Trackside);
    }

    #[test]
    fn what_was_read_reads_as_itself_in_prefects_dialect(spec in automation(composites(event()), &prefect_actions())) {
        reads_as_itself(&spec, Dialect::Prefect);
        reads_as_itself(&spec, Dialect::Trackside);
    }
}
