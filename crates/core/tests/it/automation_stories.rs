//! Stories of automations in the engine: what a firing leads to, and what becomes of it.

use crate::scenario::Story;
use serde_json::{Value, json};
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_core::event::{Event, Labels};
use trackside_core::ids::{EventId, derive};
use trackside_core::input::Input;

/// An automation from the parts that matter; the rest is as Prefect writes it out.
fn automation(name: &str, semantics: Semantics, trigger: &Value, spec: &Value) -> Automation {
    let mut full = json!({
        "type": "event", "match": {}, "match_related": {}, "after": [], "expect": [], "for_each": [],
        "posture": "Reactive", "threshold": 1, "within": 0.0,
    });
    if trigger.get("type").is_none() {
        merge(&mut full, trigger);
    } else {
        full = trigger.clone();
    }
    let mut body = json!({
        "name": name, "description": "", "enabled": true, "tags": [], "trigger": full,
        "actions": [], "actions_on_trigger": [], "actions_on_resolve": [],
    });
    merge(&mut body, spec);
    let now = crate::scenario::start();
    Automation {
        id: id(name),
        spec: serde_json::from_value(body).unwrap(),
        semantics,
        origin: Origin::Api,
        created: now,
        updated: now,
        version: 0,
    }
}

fn id(name: &str) -> AutomationId {
    AutomationId(derive("story-automation", &[name]))
}

fn merge(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}

impl Story {
    fn edit(&mut self, edits: Vec<AutomationEdit>) -> &mut Self {
        let caller = Caller::new("alice", "token");
        self.input(Input::Automations { caller, edits })
    }

    #[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
    fn automation(&mut self, name: &str, semantics: Semantics, trigger: Value, spec: Value) -> &mut Self {
        self.edit(vec![AutomationEdit::Put(Box::new(automation(name, semantics, &trigger, &spec)))])
    }

    fn event(&mut self, name: &str, resource: &str) -> &mut Self {
        let event = Event {
            id: EventId::from_native("story", &format!("{name} {resource} {}", self.state.cursor)),
            source: "lab".into(),
            occurred: self.now(),
            received: self.now(),
            event: name.into(),
            resource: Labels::from([("prefect.resource.id".to_owned(), resource.to_owned())]),
            related: Vec::new(),
            payload: json!({}),
            follows: None,
            fact: None,
        };
        self.input(Input::Event(Box::new(event)))
    }

    /// What became of the actions of the latest firing.
    fn became(&self) -> Vec<String> {
        let mut latest = self.decisions.iter().rev().flat_map(|decision| decision.firings.iter().rev());
        latest.next().map(|record| record.actions.clone()).unwrap_or_default()
    }

    /// Every firing so far, `name state at`.
    fn firings(&self) -> Vec<String> {
        let records = self.decisions.iter().flat_map(|decision| &decision.firings);
        records.map(|record| format!("{} {:?} {}", record.name, record.firing.state, record.firing.at)).collect()
    }
}

fn quiet() -> Story {
    Story::new(json!({}))
}

#[test]
fn each_action_becomes_an_effect_an_incident_or_an_edit() {
    let block = "11111111-1111-4111-8111-111111111111";
    let cases = [
        (json!({"type": "do-nothing"}), "do-nothing: recorded".to_owned()),
        (
            json!({"type": "send-notification", "block_document_id": block, "subject": "s", "body": "b"}),
            format!("send-notification via block:{block}"),
        ),
        (json!({"type": "notify-channel", "connection": "slack", "body": "b"}), "notify-channel via slack".into()),
        (json!({"type": "cancel-flow-run"}), "cancel-flow-run via prefect".into()),
        (json!({"type": "trigger-dag", "connection": "airflow", "dag_id": "d"}), "trigger-dag via airflow".into()),
        (json!({"type": "run-job", "job": "reload"}), "run-job via jobs".into()),
        (json!({"type": "page-owner"}), "incident #1 for team platform".into()),
        (
            json!({"type": "declare-incident", "team": "pay", "severity": "critical"}),
            "incident #1 for team payments".into(),
        ),
        (
            json!({"type": "pause-automation", "source": "selected", "automation_id": id("a").to_string()}),
            "automation a paused".into(),
        ),
    ];
    for (action, expected) in cases {
        let mut story = quiet();
        story.automation("a", Semantics::Trackside, json!({"expect": ["job.failed"]}), json!({"actions": [action]}));
        story.at(10).event("job.failed", "job.1");
        assert_eq!(story.became(), [expected]);
    }
}

#[test]
fn an_incident_of_a_missing_event_opens_at_its_deadline_and_ends_with_the_event() {
    let mut story = quiet();
    let trigger = json!({"expect": ["beat"], "posture": "Proactive", "within": 60.0});
    story.automation("heart", Semantics::Trackside, trigger, json!({"actions": [{"type": "page-owner"}]}));
    story.at(30).event("beat", "job.1").at(89).expect("");
    story.at(91).expect("90 hook trigger: heart");
    story.at(200).event("beat", "job.1").expect("200 hook resolve: heart\n200 #1 resolved");
}

#[test]
fn a_pipeline_that_fails_three_times_in_a_row_is_told_once_and_ends_with_a_success() {
    let mut story = quiet();
    let trigger = json!({"type": "consecutive", "count": 3, "match": {"pipeline": "etl"}, "match_related": {}});
    story.automation("tired", Semantics::Trackside, trigger, json!({"actions": [{"type": "page-owner"}]}));
    for number in 1..=2 {
        story.at(number * 10).run(&format!("etl/r{number} started")).run(&format!("etl/r{number} failed"));
    }
    story.expect("");
    story.at(30).run("etl/r3 failed").expect("30 pd trigger: tired\n30 slack trigger: tired");
    story.at(40).run("etl/r4 failed").expect("");
    story.at(50).run("etl/r5 succeeded").expect("50 pd resolve: tired\n50 slack resolve: tired\n50 #1 resolved");
}

#[test]
fn automations_that_set_each_other_off_stop() {
    let mut story = quiet();
    let trigger = json!({"expect": []});
    story.automation("endless", Semantics::Prefect, trigger, json!({"actions": [{"type": "do-nothing"}]}));
    story.at(10).event("job.failed", "job.1");
    let fired = story.firings().len();
    assert!((2..100).contains(&fired), "it fires on its own events, but not for ever: {fired}");
    let stopped = story.decisions.iter().flat_map(|decision| &decision.audit);
    assert!(stopped.into_iter().any(|row| row.action == "automation.chain_stopped"));
}

#[test]
fn an_automation_of_our_own_never_sets_itself_off() {
    let mut story = quiet();
    story.automation("calm", Semantics::Trackside, json!({"expect": []}), json!({"actions": [{"type": "do-nothing"}]}));
    story.at(10).event("job.failed", "job.1");
    assert_eq!(story.firings(), ["calm Triggered 2026-11-20T00:00:10Z"]);
}

#[test]
fn a_deadline_that_passed_while_nothing_ran_is_marked_late() {
    let mut story = quiet();
    let trigger = json!({"expect": ["beat"], "posture": "Proactive", "within": 60.0});
    story.automation("heart", Semantics::Trackside, trigger, json!({"actions": [{"type": "page-owner"}]}));
    story.at(10).event("beat", "job.1");
    story.sleep_until(3_600).event("other", "job.2");
    assert_eq!(story.firings(), ["heart Triggered 2026-11-20T00:01:10Z"]);
    let record = story.decisions.iter().find_map(|decision| decision.firings.first()).unwrap();
    assert!(record.firing.due.is_some(), "it says that it is late: {record:?}");
}

#[test]
fn pausing_keeps_the_count_and_deleting_ends_the_incident() {
    let mut story = quiet();
    let trigger = json!({"expect": ["job.failed"], "threshold": 2, "within": 600.0});
    story.automation("twice", Semantics::Trackside, trigger, json!({"actions": [{"type": "page-owner"}]}));
    story.at(1).event("job.failed", "job.1");
    story.edit(vec![AutomationEdit::Pause { id: id("twice") }]).at(2).event("job.failed", "job.1");
    story.edit(vec![AutomationEdit::Resume { id: id("twice") }]).expect("");
    story.at(3).event("job.failed", "job.1").expect("3 hook trigger: twice");
    story.edit(vec![AutomationEdit::Delete { id: id("twice") }]).expect("3 hook resolve: twice\n3 #1 resolved");
}

#[test]
fn the_texts_of_an_incident_are_templates() {
    let mut story = quiet();
    let page = json!({
        "type": "declare-incident", "title": "{{ event.resource.id }} is broken",
        "summary": "{{ event.event }} of {{ automation.name }}, {{ nobody.knows }}",
    });
    story.automation("a", Semantics::Trackside, json!({"expect": ["job.failed"]}), json!({"actions": [page]}));
    story.at(10).event("job.failed", "job.1").expect("10 hook trigger: job.1 is broken");
    let notice = story.decisions.iter().find_map(|decision| decision.effects.first()).unwrap().notice.clone();
    assert_eq!(notice.summary, "job.failed of a, ");
}

#[test]
fn a_late_incident_is_about_the_pipeline_of_the_event_that_came_last() {
    let mut story = quiet();
    let trigger = json!({"expect": ["story.event"], "posture": "Proactive", "within": 60.0});
    story.automation("silent", Semantics::Trackside, trigger, json!({"actions": [{"type": "page-owner"}]}));
    story.at(10).run("etl/r1 started").at(71);
    story.expect("70 pd trigger: silent\n70 slack trigger: silent");
    assert_eq!(&*story.state.open_incidents().next().unwrap().pipeline.name, "etl");
}
