//! What an automation is beside its triggers: itself, its edits, its cells.

use super::timeline::{Desk, automation, event, second};
use serde_json::{Value, json};
use trackside_core::automation::action::ActionSpec;
use trackside_core::automation::definition::{AutomationId, Semantics};
use trackside_core::automation::edit::Cell;
use trackside_core::automation::emitted::state_change;
use trackside_core::automation::firing::{EventRef, Firing};
use trackside_core::automation::ours::{Watch, caused_by};
use trackside_core::event::{Event, Labels, RESOURCE_ID};
use trackside_core::ids::derive;

fn everything() -> Value {
    json!({"expect": []})
}

fn plain(number: u64, resource: &str) -> Event {
    let labels = Labels::from([(RESOURCE_ID.to_owned(), resource.to_owned())]);
    event(number, "job.failed", &labels, second(1.0), second(1.0))
}

/// The firings of an automation on every event, when it meets this one.
fn reactions(event: &Event) -> Vec<Firing> {
    Desk::new(automation(everything())).decide(event, second(1.0))
}

#[test]
fn an_automation_does_not_react_to_itself() {
    let own = automation(everything()).id;
    assert_eq!(reactions(&plain(1, "job.1")).len(), 1);
    assert_eq!(reactions(&plain(1, &format!("prefect.automation.{own}"))), []);
    assert_eq!(reactions(&plain(1, &format!("prefect.automation.{}", derive("automation", &["other"])))).len(), 1);
}

#[test]
fn an_automation_does_not_react_to_what_it_set_off_through_others() {
    let own = automation(everything());
    let mut other = own.clone();
    other.id = AutomationId(derive("automation", &["other"]));
    let fired = reactions(&plain(1, "job.1")).remove(0);
    let first = state_change(plain(2, "").id, &own, &fired, Some(&plain(1, "job.1")));
    let second_hand = state_change(plain(3, "").id, &other, &fired, Some(&first));
    assert_eq!(caused_by(other.id, Some(&first)), [own.id.to_string(), other.id.to_string()]);
    assert_eq!(reactions(&second_hand), []);
    // What the other one did for another reason is an event like any.
    let unrelated = state_change(plain(4, "").id, &other, &fired, Some(&plain(1, "job.1")));
    assert_eq!(reactions(&unrelated).len(), 1);
}

#[test]
fn a_long_chain_forgets_its_beginning() {
    let mut last = plain(0, "job.1");
    for number in 0..100 {
        let id = AutomationId(derive("automation", &[&number.to_string()]));
        last.payload = json!({"trackside": {"caused_by": caused_by(id, Some(&last))}});
    }
    let listed = last.payload.pointer("/trackside/caused_by").unwrap().as_array().unwrap();
    assert_eq!(listed.len(), 32);
}

#[test]
fn state_may_be_kept_when_nothing_changed_that_it_depends_on() {
    let old = automation(json!({"expect": ["a"], "threshold": 2, "within": 60}));
    let mut new = old.clone();
    new.spec.name = "another name".into();
    new.spec.enabled = false;
    new.spec.actions.push(ActionSpec::DoNothing {});
    assert!(Watch::same_trigger(&old, &new));

    let mut no_longer_resolving = old.clone();
    no_longer_resolving.spec.actions_on_resolve.clear();
    assert!(!Watch::same_trigger(&old, &no_longer_resolving));

    let mut of_prefect = old.clone();
    of_prefect.semantics = Semantics::Prefect;
    assert!(!Watch::same_trigger(&old, &of_prefect));

    assert!(!Watch::same_trigger(&old, &automation(json!({"expect": ["a"], "threshold": 3, "within": 60}))));
}

#[test]
fn clearing_removes_every_cell() {
    let mut desk = Desk::new(automation(json!({
        "type": "sequence", "within": 60,
        "triggers": [
            {"expect": ["a"], "threshold": 2, "within": 60, "for_each": ["prefect.resource.id"]},
            {"expect": ["b"], "for_each": ["prefect.resource.id"]},
            {"posture": "Proactive", "expect": ["c"], "within": 60},
        ],
    })));
    for line in ["0 a job.1", "1 a job.2", "2 a job.2", "3 b job.3"] {
        desk.line(line);
    }
    assert_eq!(desk.put_away(), 5, "two keys, two groups, and the watch of `c`");
    desk.watch().clear();
    assert_eq!(desk.put_away(), 0);
    assert_eq!(desk.watch().next_due(), None);
}

#[test]
fn a_cell_that_is_broken_begins_anew() {
    let automation = automation(json!({"expect": ["a"], "threshold": 2, "within": 60}));
    let cell =
        |key: &str, body: &str| Cell { automation: Some(automation.id), key: key.into(), body: Some(body.into()) };
    for broken in [cell("[]", "{"), cell("", "{}"), cell("7.7[]", "{}"), cell("[]", "[]"), cell("*", "null")] {
        let mut watch = Watch::restore(&automation, &[broken]);
        let at = EventRef { id: plain(1, "").id, seq: 1 };
        let event = event(1, "a", &plain(1, "job.1").resource, second(1.0), second(1.0));
        assert_eq!(watch.on_event(&[0], &event, at, second(1.0)), []);
        assert_eq!(watch.on_event(&[0], &event, at, second(1.0)).len(), 1);
    }
}

#[test]
fn live_state_can_be_looked_at() {
    let seen = |trigger: Value, lines: &[&str]| -> Vec<String> {
        let mut desk = Desk::new(automation(trigger));
        lines.iter().for_each(|line| drop(desk.line(line)));
        let seconds = |at: jiff::Timestamp| at.duration_since(second(0.0)).as_secs();
        let buckets = desk.watch().buckets();
        buckets
            .iter()
            .map(|of| format!("{}{:?} {}..{} {}", of.trigger, of.key, seconds(of.start), seconds(of.end), of.count))
            .collect()
    };
    let key = json!(["prefect.resource.id"]);
    let count = json!({"expect": ["a"], "threshold": 3, "within": 60, "for_each": key});
    assert_eq!(seen(count, &["1 a", "5 a"]), ["[\"job.1\"] 1..65 2"]);
    let silence = json!({"posture": "Proactive", "expect": ["a"], "within": 60});
    assert_eq!(seen(silence, &["5 a"]), ["[] 5..65 0"]);
    let deadline = json!({"posture": "Proactive", "after": ["a"], "expect": ["b"], "threshold": 2, "within": 60});
    assert_eq!(seen(deadline, &["5 a", "6 b"]), ["[] 5..65 1"]);
    assert_eq!(
        seen(json!({"type": "consecutive", "count": 3}), &["1 bad", "2 bad"]),
        ["[\"etl\", \"airflow\"] 1..2 2"]
    );
}

#[test]
fn firings_that_wait_can_be_looked_at() {
    let of = |name: &str| json!({"expect": [name], "for_each": ["prefect.resource.id"]});
    let mut desk = Desk::new(automation(json!({
        "type": "compound", "within": 60, "triggers": [of("a"), {"type": "sequence", "triggers": [of("b"), of("c")]}],
    })));
    for line in ["1 a job.1", "2 b job.1", "3 c job.1", "4 b job.2"] {
        desk.line(line);
    }
    assert_eq!(desk.fired.len(), 1);
    let waiting = desk.watch().child_firings();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].parent.as_str(), waiting[0].child.as_str()), ("1", "1.0"));
    assert_eq!(waiting[0].firing.because, "`b` came");
    assert_eq!(waiting[0].firing.labels["prefect.resource.id"], "job.2");
}
