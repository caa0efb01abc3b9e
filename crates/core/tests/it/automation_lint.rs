//! What the lint finds: for every code automations in which it is found, and ones in which it is not.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::automation::definition::{
    Automation, AutomationId, AutomationSpec, Origin, Require, Semantics, Trigger,
};
use trackside_core::automation::lint::{Code, Finding, LintContext, Seen, SeenEvent, lint, lint_one};
use trackside_core::automation::request::{Dialect, dotted, parse};
use trackside_core::ruleset::ConnectionKind;
use uuid::Uuid;

use Semantics::{Prefect, Trackside};

const ID: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

/// What is there: a connection of every kind, one block, one more automation.
fn context() -> LintContext {
    let connections = [
        ("pd", ConnectionKind::Pagerduty),
        ("slack", ConnectionKind::Slack),
        ("hook", ConnectionKind::Webhook),
        ("mail", ConnectionKind::Email),
        ("prefect", ConnectionKind::Prefect),
    ];
    LintContext {
        connections: connections.map(|(name, kind)| (name.to_owned(), kind)).into(),
        blocks: Some([ID.parse().unwrap()].into()),
        automations: Some([AutomationId(ID.parse().unwrap())].into()),
        seen: None,
    }
}

/// An automation from its body, read in whichever dialect takes it.
fn automation(number: u128, semantics: Semantics, body: &Value) -> Automation {
    let spec = parse(body, Dialect::Prefect).or_else(|_| parse(body, Dialect::Trackside));
    let spec: AutomationSpec = spec.unwrap_or_else(|errors| panic!("{body}: {errors:?}"));
    let at = Timestamp::UNIX_EPOCH;
    let id = AutomationId(Uuid::from_u128(number));
    Automation { id, spec, semantics, origin: Origin::Api, created: at, updated: at, version: 1 }
}

/// A body with this trigger, which tells somebody.
fn on(trigger: &Value) -> Value {
    let mut trigger = trigger.clone();
    let is_prefects = trigger.get("type").is_none() && trigger.get("consecutive").is_none();
    if is_prefects && trigger.get("posture").is_none() {
        trigger["posture"] = json!("Reactive");
    }
    json!({"name": "n", "trigger": trigger, "actions": [{"type": "do-nothing"}]})
}

/// A body with this action.
fn act(action: &Value) -> Value {
    json!({"name": "n", "trigger": {"posture": "Reactive", "expect": ["x"]}, "actions": [action]})
}

/// A name as JSON has it.
fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn shown(finding: &Finding) -> String {
    let (code, severity, place) = (name(finding.code), name(finding.severity), dotted(&finding.path));
    format!("{severity} {code} at {place}\n    {}\n    {}", finding.message, finding.suggestion)
}

/// One code: bodies in which it is found, with the place, and bodies in which it is not.
#[derive(Deserialize)]
struct Row {
    code: String,
    severity: String,
    semantics: Semantics,
    found: Vec<Found>,
    not_found: Vec<Value>,
}

#[derive(Deserialize)]
struct Found {
    at: String,
    #[serde(rename = "in")]
    body: Value,
}

fn table() -> BTreeMap<String, Vec<Row>> {
    serde_json::from_str(include_str!("automation_lint.json")).unwrap()
}

/// The body that a row means: a trigger, an action, or all of it.
fn whole(body: &Value) -> Value {
    match (body.get("name"), body.get("trigger"), body.get("action")) {
        (None, Some(trigger), None) => on(trigger),
        (None, None, Some(action)) => act(action),
        _ => body.clone(),
    }
}

/// Checks the rows of a group and gives every message, for the snapshot.
fn check(group: &str, context: &LintContext) -> String {
    let mut messages = Vec::new();
    for row in table().remove(group).unwrap() {
        let code = |finding: &&Finding| name(finding.code) == row.code;
        for Found { at, body } in &row.found {
            let findings = lint(&[automation(1, row.semantics, &whole(body))], context);
            let all = || findings.iter().map(shown).collect::<Vec<_>>().join("\n");
            let found = findings.iter().filter(code).find(|finding| dotted(&finding.path) == *at);
            let found = found.unwrap_or_else(|| panic!("{} is not at {at} in {body}, but\n{}", row.code, all()));
            assert_eq!(name(found.severity), row.severity, "{body}");
            messages.push(shown(found));
        }
        for body in &row.not_found {
            let findings = lint(&[automation(1, row.semantics, &whole(body))], context);
            let wrong = findings.iter().find(code);
            assert!(wrong.is_none(), "{body}: {}", wrong.map(shown).unwrap_or_default());
        }
    }
    messages.join("\n")
}

#[test]
fn names_that_match_nothing_meant() {
    insta::assert_snapshot!(check("names", &context()));
}

#[test]
fn labels_that_are_not_there() {
    insta::assert_snapshot!(check("labels", &context()));
}

#[test]
fn numbers_that_count_nothing_meant() {
    insta::assert_snapshot!(check("counting", &context()));
}

#[test]
fn automations_that_set_off_themselves() {
    insta::assert_snapshot!(check("echo", &context()));
}

#[test]
fn actions_that_lead_nowhere() {
    insta::assert_snapshot!(check("actions", &context()));
}

#[test]
fn triggers_on_what_never_came() {
    let event = |labels: &[&str], roles: &[&str]| SeenEvent {
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
    };
    let seen = Seen {
        events: [
            ("job.failed".to_owned(), event(&["prefect.resource.id", "env"], &["flow", "tag"])),
            ("job.done".to_owned(), event(&["prefect.resource.id", "host"], &[])),
        ]
        .into(),
    };
    let context = LintContext { seen: Some(seen), ..context() };
    insta::assert_snapshot!(check("seen", &context));
    let nothing_came = LintContext { seen: Some(Seen::default()), ..context };
    assert_eq!(lint(&[automation(1, Trackside, &on(&json!({"expect": ["x"]})))], &nothing_came), []);
}

#[test]
fn every_code_is_found_somewhere_and_not_everywhere() {
    let mut found = BTreeMap::<String, (usize, usize)>::new();
    for row in table().into_values().flatten() {
        let counts = found.entry(row.code).or_default();
        *counts = (counts.0 + row.found.len(), counts.1 + row.not_found.len());
    }
    let lacking: Vec<_> = found.iter().filter(|(_, counts)| counts.0 == 0 || counts.1 == 0).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
    // Two codes have tests of their own below.
    assert_eq!(found.len() + 2, 34);
}

#[test]
fn a_compound_that_requires_more_than_it_has() {
    let body = on(&json!({"type": "compound", "require": 1, "within": 5,
        "triggers": [{"posture": "Reactive", "expect": ["a"]}]}));
    let mut compound = automation(1, Prefect, &body);
    assert_eq!(lint(&[compound.clone()], &context()), []);
    // Such a one cannot be written; the store may have one from elsewhere.
    let Trigger::Compound(trigger) = &mut compound.spec.trigger else { panic!("it is a compound trigger") };
    trigger.require = Require::Count(2);
    let findings = lint(&[compound], &context());
    assert_eq!(
        findings.iter().map(shown).collect::<Vec<_>>(),
        [
            "error require-too-many at trigger.require\n    never fires: 2 of 1 triggers must fire\n    write require: all"
        ]
    );
}

#[test]
fn what_is_not_known_is_not_judged() {
    let unknown = LintContext { blocks: None, automations: None, ..context() };
    for action in [
        json!({"type": "send-notification", "block_document_id": OTHER, "body": "b"}),
        json!({"type": "pause-automation", "automation_id": OTHER}),
    ] {
        assert_eq!(lint(&[automation(1, Prefect, &act(&action))], &unknown), []);
    }
}

#[test]
fn prefects_actions_need_a_prefect_server() {
    let without = LintContext { connections: BTreeMap::new(), ..context() };
    let cancel = automation(1, Trackside, &act(&json!({"type": "cancel-flow-run"})));
    let findings = lint(&[cancel], &without);
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::MissingConnection]);
}

/// An automation that pages for this trigger.
fn paging(number: u128, name: &str, trigger: &Value) -> Automation {
    let mut body = on(trigger);
    body["name"] = json!(name);
    body["actions"] = json!([{"type": "page-owner"}]);
    automation(number, Trackside, &body)
}

/// Checks that of the two the one with this number, or none, is said to do the same as the other.
fn twins(first: &Value, second: &Value, reported: Option<(u128, &str)>) {
    let both = [paging(1, "first", first), paging(2, "second", second)];
    let same = |findings: &[Finding]| -> Vec<(AutomationId, String)> {
        let same = findings.iter().filter(|finding| finding.code == Code::SameAsOther);
        same.map(|finding| (finding.automation, finding.message.clone())).collect()
    };
    let expected: Vec<(AutomationId, String)> = reported
        .map(|(number, message)| (AutomationId(Uuid::from_u128(number)), message.to_owned()))
        .into_iter()
        .collect();
    assert_eq!(same(&lint(&both, &context())), expected, "{first} {second}");
    // Whoever edits one of the two is told as well.
    let [one, other] = both;
    assert_eq!(same(&lint_one(&one, std::slice::from_ref(&other), &context())).len(), expected.len());
    assert_eq!(same(&lint_one(&other, &[one], &context())).len(), expected.len());
}

#[test]
fn two_that_page_for_the_same() {
    const SAME: &str = "`first` fires on the same events, and both tell people of it";
    const SECOND_COVERED: &str = "`first` fires on all of these events too, and both tell people of it";
    const FIRST_COVERED: &str = "`second` fires on all of these events too, and both tell people of it";
    for (first, second, reported) in [
        (json!({"expect": ["a"]}), json!({"expect": ["a"]}), Some((2, SAME))),
        (json!({"expect": ["a.*"]}), json!({"expect": ["a.b"]}), Some((2, SECOND_COVERED))),
        (json!({"expect": ["a.b"]}), json!({}), Some((1, FIRST_COVERED))),
        (
            json!({"expect": ["a"], "match": {"env": "prod"}}),
            json!({"expect": ["a"], "match": {"env": "prod", "host": "h"}}),
            Some((2, SECOND_COVERED)),
        ),
        (
            json!({"expect": ["a"], "match": {"env": "prod", "host": "h*"}}),
            json!({"expect": ["a", "b"], "match": {"env": ["prod", "test"]}}),
            Some((1, FIRST_COVERED)),
        ),
        (
            json!({"expect": ["a"], "match_related": {"prefect.resource.role": "flow"}}),
            json!({"expect": ["a"], "match_related": [{"x": "y"}, {"prefect.resource.role": "flow", "n": "m"}]}),
            Some((2, SECOND_COVERED)),
        ),
        (json!({"consecutive": 3}), json!({"consecutive": 3}), Some((2, SAME))),
        (
            json!({"expect": ["a"], "posture": "Proactive", "within": 60}),
            json!({"expect": ["a"], "posture": "Proactive", "within": 60}),
            Some((2, SAME)),
        ),
        // Not the same.
        (json!({"expect": ["a"]}), json!({"expect": ["b"]}), None),
        (json!({"expect": ["a*"]}), json!({"expect": ["a"]}), None),
        (json!({"expect": ["a"]}), json!({"expect": ["a"], "threshold": 3, "within": 60}), None),
        (json!({"expect": ["a"], "match": {"env": "prod"}}), json!({"expect": ["a"], "match": {"env": "test"}}), None),
        (
            json!({"expect": ["a"], "match": {"env": "prod"}}),
            json!({"expect": ["a"], "match": {"env": "!test"}}),
            Some((1, FIRST_COVERED)),
        ),
        (
            json!({"expect": ["a", "b"], "posture": "Proactive", "within": 60}),
            json!({"expect": ["a"], "posture": "Proactive", "within": 60}),
            None,
        ),
        (json!({"consecutive": 3}), json!({"consecutive": 4}), None),
    ] {
        twins(&first, &second, reported);
    }
}

#[test]
fn only_those_that_tell_people_are_twins() {
    let trigger = json!({"expect": ["a"]});
    let mut paused = paging(2, "second", &trigger);
    paused.spec.enabled = false;
    let silent = automation(2, Trackside, &on(&trigger));
    let mut prefects = paging(2, "second", &trigger);
    prefects.semantics = Prefect;
    for other in [paused, silent, prefects] {
        assert_eq!(lint(&[paging(1, "first", &trigger), other], &context()), []);
    }
}

#[test]
fn thousands_of_automations_are_looked_through() {
    let automations: Vec<Automation> = (0..5_000)
        .map(|number| {
            let trigger = json!({"expect": ["prefect.flow-run.Failed"], "match": {"prefect.resource.name": format!("flow-{number}")}});
            paging(number, "n", &trigger)
        })
        .collect();
    assert_eq!(lint(&automations, &context()), []);
}
