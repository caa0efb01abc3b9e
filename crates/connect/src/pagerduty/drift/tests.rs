use super::*;
use serde_json::{Value, json};

fn ruleset() -> Ruleset {
    serde_json::from_value(json!({
        "teams": {
            "data-eng": {"notify": [{"via": "pd"}], "members": ["ana", "ben"]},
            "ml-research": {"notify": [{"via": "hook"}]}
        },
        "owners": {"default": "ml-research"},
        "people": {"ana": {"aliases": ["PANA"]}, "ben": {"aliases": ["Ben@example.net"]}},
        "connections": {"pd": {"kind": "pagerduty", "updates": "raised"}, "hook": {"kind": "webhook", "updates": "raised"}}
    }))
    .unwrap()
}

fn account(change: impl Fn(&mut Value)) -> Account {
    let mut account = json!({
        "teams": [{"id": "PT1", "name": "Data Eng"}, {"id": "PT2", "name": "ML Research"}],
        "users": [
            {"id": "PANA", "name": "Ana", "email": "ana@example.net", "teams": [{"id": "PT1"}]},
            {"id": "PBEN", "name": "Ben", "email": "ben@example.net", "teams": [{"id": "PT1"}]},
            {"id": "PBO", "name": "Bo Lee", "email": "bo@example.net", "teams": [{"id": "PT2"}]}
        ],
        "schedules": [{"id": "PSCH", "name": "Primary", "users": [{"id": "PANA"}]}],
        "policies": [{"id": "PE1", "name": "Data on call", "teams": [{"id": "PT1", "name": "Data Eng"}],
            "escalation_rules": [{"targets": [{"id": "PSCH", "type": "schedule_reference"}]}]}],
        "services": [{"id": "PS1", "name": "Pipelines", "status": "active", "escalation_policy": {"id": "PE1"},
            "teams": [], "keys": [super::super::rest::fingerprint("key")]}]
    });
    change(&mut account);
    serde_json::from_value(account).unwrap()
}

#[track_caller]
fn check(change: impl Fn(&mut Value), expect: &[&str]) {
    let routes = BTreeMap::from([("pd".to_owned(), Route::Key(super::super::rest::fingerprint("key")))]);
    let found = compare(&ruleset(), &routes, &account(change));
    assert_eq!(found.iter().map(|finding| finding.summary.as_str()).collect::<Vec<_>>(), expect);
}

#[test]
fn both_sides_agree() {
    check(|_| {}, &[]);
}

#[test]
fn a_failure_would_page_others() {
    check(
        |account| account["policies"][0]["teams"] = json!([{"id": "PT2", "name": "ML Research"}]),
        &[
            "a failure owned by data-eng would page ML Research: pd leads to the PagerDuty service Pipelines, policy Data on call",
        ],
    );
    check(
        |account| {
            account["policies"][0]["teams"] = json!([]);
            account["policies"][0]["escalation_rules"][0]["targets"] = json!([{"id": "PBO", "type": "user_reference"}]);
        },
        &["a failure owned by data-eng would page Bo Lee, who are not in the team: pd leads to the PagerDuty service \
           Pipelines, policy Data on call"],
    );
}

#[test]
fn a_failure_would_page_nobody() {
    check(
        |account| account["services"][0]["keys"] = json!([]),
        &["PagerDuty has no service with its integration key: messages through pd page nobody that is known here"],
    );
    check(
        |account| account["services"][0]["escalation_policy"] = Value::Null,
        &["the PagerDuty service Pipelines (pd) has no escalation policy"],
    );
    check(
        |account| account["schedules"][0]["users"] = json!([]),
        &["the first level of the PagerDuty policy Data on call (pd) reaches nobody"],
    );
    check(
        |account| account["services"][0]["status"] = json!("disabled"),
        &["the PagerDuty service Pipelines (pd) is disabled: it pages nobody"],
    );
}

#[test]
fn people_are_on_one_side_only() {
    check(
        |account| {
            account["users"][1]["teams"] = json!([]);
            account["users"][2]["teams"] = json!([{"id": "PT1"}, {"id": "PT2"}]);
        },
        &[
            "bo@example.net is in the PagerDuty team Data Eng, but not in data-eng",
            "ben is in data-eng, but not in the PagerDuty team Data Eng",
        ],
    );
}
