//! Stories of people: who is paged when, what they say, and what that stops.

use crate::scenario::{Story, start};
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_core::duty::schedule::Override;
use trackside_core::input::{Command, DutyEdit, Origin};
use trackside_core::ruleset::Span;
use trackside_core::ruleset::people::Target;
use uuid::Uuid;

/// Two people take turns by the day, a channel hears first, the manager last.
#[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
fn on_call(policy: Value) -> Story {
    Story::new(json!({
        "rules": [{"name": "failed", "when": {"failed": {"on": "run"}}}],
        "teams": {
            "payments": {"aliases": ["pay"], "notify": [{"via": "slack"}], "escalation": "page"},
            "platform": {"notify": [{"via": "hook"}], "escalation": "short"}
        },
        "people": {
            "ana": {"zone": "Europe/Paris", "aliases": ["alice"],
                "contacts": [{"via": "slack", "to": "U1"}, {"via": "pd", "after": "5m"}]},
            "ben": {"contacts": [{"via": "slack", "to": "U2"}]},
            "max": {"contacts": [{"via": "mail", "to": "max@example.net"}]}
        },
        "schedules": {
            "primary": {"layers": [{"name": "days", "rotation": {"tz": "UTC", "start": "2026-11-20T00:00:00",
                "unit": "day", "participants": ["ana", "ben"]}}], "announce": ["slack"]},
            "later": {"layers": [{"name": "days", "rotation": {"tz": "UTC", "start": "2026-12-01T00:00:00",
                "unit": "day", "participants": ["ben"]}}]}
        },
        "escalations": {"page": policy, "short": {"steps": [{"targets": ["person:ben"]}]}},
        "connections": {
            "pd": {"kind": "pagerduty", "updates": "raised"},
            "slack": {"kind": "slack", "updates": "every"},
            "mail": {"kind": "email", "updates": "raised"},
            "hook": {"kind": "webhook", "updates": "raised"}
        }
    }))
}

fn usual() -> Value {
    json!({"steps": [
        {"after": "0s", "targets": ["oncall:primary"]},
        {"after": "15m", "targets": ["channel:hook"]},
        {"after": "30m", "targets": ["person:max"]}
    ], "ack_timeout": "1h"})
}

fn snooze(minutes: i64) -> impl Fn(trackside_core::ids::IncidentId) -> Command {
    move |incident| Command::Snooze { incident, length: Span(SignedDuration::from_mins(minutes)) }
}

#[test]
fn steps_go_one_after_the_other_until_somebody_has_it() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").expect("100 slack trigger: etl failed");
    story.at(1100).expect(
        "100 slack to U1 trigger: etl failed
         400 pd trigger: etl failed
         1000 hook trigger: etl failed",
    );
    story.at(1200).ask(1, |incident| Command::Acknowledge { incident });
    story.expect(
        "1200 slack acknowledge: etl failed
         1200 slack to U1 acknowledge: etl failed
         1200 pd acknowledge: etl failed
         1200 hook acknowledge: etl failed",
    );
    assert_eq!(story.incident(1).acknowledged_by.as_deref(), Some("ana"), "an alias is the person");
    story.at(4000).expect("");
    story.at(4100).run("etl/r2 succeeded");
    story.expect(
        "4100 slack resolve: etl failed
         4100 slack to U1 resolve: etl failed
         4100 pd resolve: etl failed
         4100 hook resolve: etl failed
         4100 #1 resolved",
    );
    assert_eq!(
        story.pages(),
        [
            "100 0.0 oncall:primary ana",
            "400 0.0 person:ana ana (further contact of the person)",
            "1000 0.1 channel:hook"
        ]
    );
}

#[test]
fn an_acknowledgement_at_the_due_instant_wins_over_the_page_and_the_contact() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").ask(1, |incident| Command::Acknowledge { incident });
    story.at(3000).expect("100 slack trigger: etl failed\n100 slack acknowledge: etl failed");
    let mut story = on_call(usual());
    story
        .at(100)
        .run("etl/r1 failed")
        .at(399)
        .expect("100 slack trigger: etl failed\n100 slack to U1 trigger: etl failed");
    story.sleep_until(400).ask(1, |incident| Command::Acknowledge { incident });
    story.at(3000).expect("400 slack acknowledge: etl failed\n400 slack to U1 acknowledge: etl failed");
}

#[test]
fn an_acknowledgement_that_is_forgotten_times_out() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").at(200).ask(1, |incident| Command::Acknowledge { incident });
    story.at(300).ask(1, |incident| Command::Acknowledge { incident }).at(3799);
    story.expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         200 slack acknowledge: etl failed
         200 slack to U1 acknowledge: etl failed",
    );
    story.at(3900).expect("3800 slack update: etl failed\n3800 slack to U1 remind: etl failed");
}

#[test]
fn a_snooze_ends_and_a_hand_back_starts_again() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").at(200).ask(1, snooze(60)).at(3799);
    story.expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         200 slack update: etl failed
         200 slack to U1 update: etl failed",
    );
    story.at(3801).expect("3800 slack update: etl failed\n3800 slack to U1 remind: etl failed");
    story.at(3900).ask(1, |incident| Command::Acknowledge { incident });
    story.at(4000).ask(1, |incident| Command::Unacknowledge { incident }).at(4001);
    story.expect(
        "3900 slack acknowledge: etl failed
         3900 slack to U1 acknowledge: etl failed
         4000 slack update: etl failed
         4000 slack to U1 update: etl failed
         4000 slack to U1 remind: etl failed",
    );
}

#[test]
fn a_snooze_without_a_policy_ends_loudly() {
    let mut story = Story::new(json!({"rules": [{"name": "failed", "when": {"failed": {}}}]}));
    story.at(100).run("etl/r1 failed").at(200).ask(1, snooze(10)).at(1000);
    story.expect(
        "100 pd trigger: etl failed
         100 slack trigger: etl failed
         200 pd update: etl failed
         200 slack update: etl failed
         800 pd remind: etl failed
         800 slack remind: etl failed",
    );
}

#[test]
fn nobody_on_call_means_the_next_step_now() {
    let mut story = on_call(json!({"steps": [
        {"targets": ["oncall:later"]},
        {"after": "15m", "targets": ["channel:hook"]},
        {"after": "30m", "targets": ["person:max"]}
    ]}));
    story.at(100).run("etl/r1 failed").at(1100);
    story.expect(
        "100 slack trigger: etl failed
         100 hook trigger: etl failed
         1000 mail to max@example.net trigger: etl failed",
    );
    assert_eq!(story.pages()[0], "100 0.0 oncall:later (nobody is on call in later)");
}

#[test]
fn an_override_takes_the_turn() {
    let mut story = on_call(usual());
    let day = |hours| start() + SignedDuration::from_hours(hours);
    let over = |user: Option<&str>| Override {
        id: Uuid::from_u128(1),
        schedule: "primary".into(),
        start: day(0),
        end: day(12),
        user: user.map(str::to_owned),
        created: day(0),
        by: "alice".into(),
        reason: String::new(),
    };
    story.at(10).plan(DutyEdit::PutOverride(over(Some("ben"))));
    story.at(100).run("etl/r1 failed").at(101);
    story.expect("100 slack trigger: etl failed\n100 slack to U2 trigger: etl failed");
    story.at(200).plan(DutyEdit::RemoveOverride { id: Uuid::from_u128(1) }).run("etl/r2 succeeded");
    story.at(300).run("other/r1 failed").at(301);
    story.expect(
        "200 slack resolve: etl failed
         200 slack to U2 resolve: etl failed
         200 #1 resolved
         300 slack trigger: other failed
         300 slack to U1 trigger: other failed",
    );
}

#[test]
fn a_hand_over_is_announced_to_those_who_come_and_go() {
    let mut story = on_call(usual());
    story.at(86_400 + 1).expect(
        "86400 slack message: ben on call for primary
         86400 slack to U1 message: ben on call for primary
         86400 slack to U2 message: ben on call for primary",
    );
}

#[test]
fn what_can_wait_waits_for_the_end_of_quiet_hours() {
    let mut story = Story::new(json!({
        "rules": [{"name": "failed", "severity": "warning", "when": {"failed": {"on": "run", "critical_after": 2}}}],
        "teams": {"payments": {"aliases": ["pay"], "escalation": "page"}, "platform": {"notify": [{"via": "hook"}]}},
        "people": {"ana": {"zone": "Europe/Paris", "contacts": [{"via": "slack", "to": "U1"}],
            "quiet": {"during": [{"times": [{"start_time": "00:00", "end_time": "07:00"}]}]}}},
        "escalations": {"page": {"steps": [{"targets": ["person:ana"]}, {"after": "8h", "targets": ["channel:slack"]}]}}
    }));
    // 02:00 in Paris; 07:00 there is 06:00 UTC.
    story.at(3600).run("etl/r1 failed").at(21_599).expect("3600 hook trigger: etl failed");
    story.at(21_601).expect("21600 slack to U1 trigger: etl failed");
    assert_eq!(
        story.pages(),
        [
            "3600 0.0 person:ana ana (first contact at 2026-11-20T06:00:00Z: quiet hours or a contact that comes later)",
            "21600 0.0 person:ana ana (further contact of the person)"
        ]
    );
}

#[test]
fn escalating_by_hand_brings_the_next_step_to_now() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").at(300).ask(1, |incident| Command::Escalate { incident });
    story.at(1201).expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         300 hook trigger: etl failed
         400 pd trigger: etl failed
         1200 mail to max@example.net trigger: etl failed",
    );
    // Nothing is left, and nothing happens.
    story.at(1300).ask(1, |incident| Command::Escalate { incident }).at(9000).expect("");
    assert!(story.why().contains("no step is left"), "{}", story.why());
}

#[test]
fn what_was_slept_through_goes_at_once_and_says_so() {
    let mut story = on_call(usual());
    story
        .at(100)
        .run("etl/r1 failed")
        .at(101)
        .expect("100 slack trigger: etl failed\n100 slack to U1 trigger: etl failed");
    story.restart_at(2000);
    story.expect(
        "2000 pd trigger: etl failed
         2000 hook trigger: etl failed
         2000 mail to max@example.net trigger: etl failed",
    );
    assert_eq!(
        story.pages()[1..],
        [
            "2000 0.0 person:ana ana 1600 s late (further contact of the person)",
            "2000 0.1 channel:hook 1000 s late",
            "2000 0.2 person:max max 100 s late"
        ]
    );
}

#[test]
fn an_incident_given_to_another_starts_there() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").at(200);
    story.ask(1, |incident| Command::Reassign { incident, to: Target::Person("max".into()) }).at(201);
    story.expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         200 slack update: etl failed
         200 mail to max@example.net trigger: etl failed",
    );
    story.at(300).ask(1, |incident| Command::Reassign { incident, to: Target::Team("platform".into()) }).at(301);
    story.expect("300 hook trigger: etl failed\n300 slack to U2 trigger: etl failed");
    assert_eq!(&*story.incident(1).owner, "platform");
}

#[test]
fn a_team_that_is_given_an_incident_pages_by_its_own_policy() {
    let mut story = on_call(usual());
    story.change_rules(|rules| rules["rules"][0]["escalation"] = "page".into());
    story.at(100).run("etl/r1 failed").at(200).ask(1, |incident| Command::Acknowledge { incident });
    story.ask(1, |incident| Command::Reassign { incident, to: Target::Team("platform".into()) }).at(201);
    assert_eq!(story.pages().last().unwrap(), "200 0.0 person:ben ben");
}

#[test]
fn two_incidents_become_one() {
    let mut story = on_call(usual());
    story.at(100).run("etl/r1 failed").at(101).run("other/r1 failed").at(102);
    let other = story.incident(2).id;
    story.ask(1, move |incident| Command::Merge { incident, into: other }).at(500);
    story.expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         101 slack trigger: other failed
         101 slack to U1 trigger: other failed
         102 slack resolve: etl failed
         102 slack to U1 resolve: etl failed
         102 #1 resolved
         401 slack update: other failed
         401 pd trigger: other failed",
    );
    story.at(600).run("other/r2 succeeded").expect("");
    story.at(700).run("etl/r2 succeeded");
    story.expect(
        "700 slack resolve: other failed
         700 slack to U1 resolve: other failed
         700 pd resolve: other failed
         700 #2 resolved",
    );
}

#[test]
fn a_problem_that_comes_back_opens_its_incident_again() {
    let mut story = on_call_with(usual(), json!({"flap_window": "10m"}));
    story.at(100).run("etl/r1 failed").at(200).run("etl/r2 succeeded").at(700).run("etl/r3 failed").at(701);
    story.expect(
        "100 slack trigger: etl failed
         100 slack to U1 trigger: etl failed
         200 slack resolve: etl failed
         200 slack to U1 resolve: etl failed
         200 #1 resolved
         700 slack trigger: etl failed
         700 slack to U1 trigger: etl failed",
    );
    assert_eq!(story.incident(1).reopened, 1);
    // What a far end says about the earlier life is about nothing that is open now.
    let said = |life, at: i64| Origin {
        connection: "pd".into(),
        to: None,
        occurred: Some(start() + SignedDuration::from_secs(at)),
        life,
    };
    story.ask_from(1, Some(said(None, 150)), |incident| Command::Resolve { incident }).expect("");
    story.ask_from(1, Some(said(Some(0), 701)), |incident| Command::Resolve { incident }).expect("");
    assert!(story.why().contains("before the incident was opened (again)"), "{}", story.why());
    story.at(1001);
    story.expect("1000 pd trigger: etl failed");
    // Nobody is told where it was said; a chat shows it all the same.
    story.ask_from(1, Some(said(Some(1), 1001)), |incident| Command::Acknowledge { incident });
    story.expect("1001 slack acknowledge: etl failed\n1001 slack to U1 acknowledge: etl failed");
    // Too long after the end it is another incident.
    story.at(1100).run("etl/r4 succeeded").at(1701).run("etl/r5 failed");
    assert_eq!(story.incident(2).reopened, 0);
}

#[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
fn on_call_with(policy: Value, incidents: Value) -> Story {
    let mut story = on_call(policy);
    story.change_rules(|rules| rules["incidents"] = incidents.clone());
    story
}
