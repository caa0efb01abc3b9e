//! Stories of people who leave: nobody pages them, their turns open, the team is told, what they held comes back.

use crate::scenario::Story;
use serde_json::json;
use trackside_core::caller::Caller;
use trackside_core::input::{Command, Input, PersonEdit};

/// Ana and Ben take turns by the day from midnight; Max is below them in the same schedule on weekdays only.
fn story() -> Story {
    Story::new(json!({
        "rules": [{"name": "failed", "when": {"failed": {"on": "run"}}}],
        "teams": {
            "payments": {"aliases": ["pay"], "notify": [{"via": "slack"}], "escalation": "page"},
            "platform": {"notify": [{"via": "hook"}]}
        },
        "people": {
            "ana": {"name": "Ana", "aliases": ["alice"],
                "contacts": [{"via": "slack", "to": "U1"}, {"via": "pd", "after": "5m"}]},
            "ben": {"contacts": [{"via": "slack", "to": "U2"}]},
            "max": {"contacts": [{"via": "mail", "to": "max@example.net"}]}
        },
        "schedules": {
            "primary": {"layers": [{"name": "days", "rotation": {"tz": "UTC", "start": "2026-11-20T00:00:00",
                "unit": "day", "participants": ["ana", "ben"]}}]}
        },
        "escalations": {"page": {"steps": [
            {"targets": ["oncall:primary"]}, {"after": "15m", "targets": ["person:max"]}
        ]}},
        "connections": {
            "pd": {"kind": "pagerduty", "updates": "raised"},
            "slack": {"kind": "slack", "updates": "every"},
            "mail": {"kind": "email", "updates": "raised"},
            "hook": {"kind": "webhook", "updates": "raised"}
        }
    }))
}

fn people(story: &mut Story, edits: Vec<PersonEdit>) {
    story.input(Input::People { caller: Caller::new("okta", "token"), edits });
}

fn gone(person: &str) -> Vec<PersonEdit> {
    vec![PersonEdit::Gone { person: person.into(), because: "not active in the directory".into() }]
}

fn audits(story: &Story, action: &str) -> Vec<String> {
    let rows = story.decisions.iter().flat_map(|decision| &decision.audit);
    rows.filter(|row| row.action == action).map(|row| row.summary.clone()).collect()
}

#[test]
fn a_page_goes_past_whoever_has_left_to_the_next_step() {
    let mut story = story();
    people(story.at(50), gone("ana"));
    story.expect("50 slack message: Ana has left and was to be on call");
    let gaps = audits(&story, "oncall.gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let expect = "Ana has left. primary: 2026-11-20T00:00:50Z to 2026-11-21T00:00:00Z: nobody is on call; \
                  2026-11-22T00:00:00Z to 2026-11-23T00:00:00Z: nobody is on call; ";
    assert!(gaps[0].starts_with(expect) && gaps[0].ends_with("more in the next four weeks"), "{gaps:?}");
    story.at(100).run("etl/r1 failed").at(200).expect(
        "100 slack trigger: etl failed
         100 mail to max@example.net trigger: etl failed",
    );
    assert_eq!(story.pages()[0], "100 0.0 oncall:primary (nobody is on call in primary)");
}

#[test]
fn the_turns_of_the_others_do_not_move_and_whoever_is_back_has_theirs_again() {
    let mut story = story();
    let day = 86_400;
    people(story.at(50), gone("ana"));
    people(story.at(60), gone("ana"));
    assert_eq!(audits(&story, "person.gone").len(), 1, "told once");
    people(story.at(2 * day - 60), vec![PersonEdit::Back { person: "ana".into() }]);
    story.at(2 * day + 10);
    story.expect(
        "50 slack message: Ana has left and was to be on call
         86400 slack to U2 message: ben on call for primary
         172800 slack to U2 message: Ana on call for primary
         172800 slack to U1 message: Ana on call for primary",
    );
    assert_eq!(audits(&story, "person.back"), ["Ana takes their turns on call again"]);
}

#[test]
fn what_somebody_held_is_nobodys_again_and_their_further_contacts_stay_quiet() {
    let mut story = story();
    story.at(100).run("etl/r1 failed").at(150);
    people(story.at(200), gone("ana"));
    story.at(500).expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         200 slack message: Ana has left and was to be on call",
    );
    let mut story = self::story();
    story.at(100).run("etl/r1 failed").at(150).ask(1, |incident| Command::Acknowledge { incident });
    people(story.at(200), gone("ana"));
    assert_eq!(audits(&story, "incident.retriggered"), ["#1 Ana, who had it, has left"]);
    assert!(story.incident(1).acknowledged_by.is_none());
    story.at(300);
    assert!(story.pages().iter().any(|page| page.contains("max")), "{:?}", story.pages());
    story.check_replay();
}

#[test]
fn whoever_is_paged_by_name_is_missed_too_and_whoever_takes_no_part_is_not() {
    let mut story = story();
    people(story.at(50), gone("max"));
    assert_eq!(
        audits(&story, "oncall.gap"),
        ["max has left. escalation page: pages them by name, which reaches nobody"]
    );
    people(story.at(60), gone("stranger"));
    assert_eq!(audits(&story, "oncall.gap").len(), 1);
    story.check_replay();
}
