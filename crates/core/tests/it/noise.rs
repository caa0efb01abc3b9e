//! Stories of noise: what is held back, collected, or told as one.

use crate::scenario::{Story, start};
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_core::input::{Command, DutyEdit};
use trackside_core::ruleset::noise::{PlannedWork, Silence};
use uuid::Uuid;

#[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
fn failed(more: Value) -> Story {
    let mut rules = json!({
        "rules": [{"name": "failed", "severity": "warning", "when": {"failed": {"on": "run"}}}],
        "teams": {
            "payments": {"aliases": ["pay"], "notify": [{"via": "slack"}, {"via": "pd", "min_severity": "critical"}]},
            "platform": {"notify": [{"via": "hook"}]}
        }
    });
    for (key, value) in more.as_object().unwrap() {
        rules[key] = value.clone();
    }
    Story::new(rules)
}

fn second(at: i64) -> jiff::Timestamp {
    start() + SignedDuration::from_secs(at)
}

fn silence(matchers: &[&str], starts: i64, ends: i64) -> DutyEdit {
    DutyEdit::PutSilence(Silence {
        id: Uuid::from_u128(7),
        matchers: matchers.iter().map(|text| (*text).to_owned()).collect(),
        starts: second(starts),
        ends: second(ends),
        by: "alice".into(),
        reason: "known".into(),
        created: second(starts),
    })
}

#[test]
fn a_silence_holds_back_what_it_matches_until_it_ends() {
    let mut story = failed(json!({}));
    story.at(10).plan(silence(&["pipeline=~\"etl.*\""], 10, 600));
    story.at(100).run("etl_a/r1 failed").run("other/r1 failed").expect("100 slack trigger: other failed");
    story.at(200).run("etl_b/r1 failed").at(300).run("etl_b/r2 succeeded").expect("300 #3 resolved");
    story.at(601).expect("600 slack trigger: etl_a failed");
    // One that is ended by hand lets go at once; one that is put holds back what is open.
    story.at(700).plan(silence(&["pipeline=other"], 700, 9000)).at(800).run("other/r2 failed").expect("");
    assert_eq!(story.incident(2).suppressed_by.len(), 1);
    story
        .at(900)
        .plan(DutyEdit::ExpireSilence { id: Uuid::from_u128(7) })
        .expect("900 slack update: other failed 2 times");
    story.plan(silence(&["pipeline=other"], 900, 9000)).at(1000).run("other/r3 succeeded");
    story.expect("1000 slack resolve: other failed 2 times\n1000 #2 resolved");
}

#[test]
fn a_silence_that_cannot_be_read_is_refused() {
    let mut story = failed(json!({}));
    story.at(10).plan(silence(&["pipeline=~\"(\""], 10, 600)).at(100).run("etl/r1 failed");
    story.expect("100 slack trigger: etl failed");
    let audit: Vec<_> = story.decisions.iter().flat_map(|decision| &decision.audit).collect();
    assert!(audit.iter().any(|row| row.action == "command.refused" && row.summary.contains("pattern")));
}

#[test]
fn maintenance_holds_back_announces_itself_and_lets_go() {
    let window = json!({"name": "night work", "matchers": ["team=payments"], "announce": ["hook"], "reason": "Disks.",
        "when": {"tz": "UTC", "start": "2026-11-20T00:10:00", "duration_s": 1200}});
    let mut story = failed(json!({"maintenance": [window], "escalations": {"page": {"steps": [
        {"targets": ["channel:pd"]}, {"after": "10m", "targets": ["channel:hook"]}], "ack_timeout": "30m"}},
        "teams": {"payments": {"aliases": ["pay"], "notify": [{"via": "slack"}], "escalation": "page"},
            "platform": {"notify": [{"via": "hook"}]}}}));
    story.at(300).run("etl/r1 failed").at(301).expect("300 slack trigger: etl failed\n300 pd trigger: etl failed");
    story.at(700).run("late/r1 failed").run("acked/r1 failed").run("put_off/r1 failed").run("over/r1 failed");
    story.at(800).ask(3, |incident| Command::Acknowledge { incident });
    story.ask(4, |incident| Command::Snooze { incident, length: "30m".parse().unwrap() });
    story.at(900).run("over/r2 succeeded");
    story.expect("600 hook message: Maintenance night work began\n900 #5 resolved");
    // At the end the first one starts again and the second begins; those that somebody has or put off stay.
    story.at(1801).expect(
        "1800 hook message: Maintenance night work is over
         1800 slack update: etl failed
         1800 slack trigger: late failed
         1800 pd trigger: late failed
         1800 pd remind: etl failed",
    );
    story.at(2401).expect("2400 hook trigger: late failed\n2400 hook trigger: etl failed");
    // The time-out of an acknowledgement and the end of a snooze hold too, though nobody was told of either before.
    story.at(2700).expect(
        "2600 slack trigger: acked failed
         2600 slack trigger: put_off failed
         2600 pd trigger: acked failed
         2600 pd trigger: put_off failed",
    );
}

#[test]
fn windows_that_touch_act_as_one_and_one_made_by_hand_ends_when_told() {
    let window =
        |name: &str, start: &str| json!({"name": name, "when": {"tz": "UTC", "start": start, "duration_s": 600}});
    let mut story =
        failed(json!({"maintenance": [window("a", "2026-11-20T00:10:00"), window("b", "2026-11-20T00:20:00")]}));
    story.at(700).run("etl/r1 failed").at(1799).expect("").at(1800).expect("1800 slack trigger: etl failed");
    let when = json!({"tz": "UTC", "start": "2026-11-20T01:00:00", "duration_s": 36000});
    let window = json!({"name": "move", "announce": ["hook"], "matchers": ["pipeline=other"], "when": when});
    let work = PlannedWork {
        id: Uuid::from_u128(9),
        window: serde_json::from_value(window).unwrap(),
        by: "alice".into(),
        created: second(1900),
    };
    story.at(1900).plan(DutyEdit::PutMaintenance(Box::new(work)));
    story.at(3700).run("other/r1 failed").expect("3600 hook message: Maintenance move began");
    story.at(4000).plan(DutyEdit::EndMaintenance { id: Uuid::from_u128(9) });
    story.expect("4000 hook message: Maintenance move ended early\n4000 slack trigger: other failed");
}

#[test]
fn one_problem_makes_messages_about_others_needless() {
    let mut story = failed(json!({"rules": [
        {"name": "warehouse", "match": {"pipeline": "warehouse"}, "severity": "critical", "when": {"failed": {}}},
        {"name": "failed", "match": {"pipeline": "etl*"}, "severity": "warning", "when": {"failed": {}}}],
        "inhibitions": [{"name": "warehouse down", "source_matchers": ["rule=warehouse"],
            "target_matchers": ["rule=failed"], "equal": ["team"]}]}));
    story.at(100).run("etl_a/r1 failed").expect("100 slack trigger: etl_a failed");
    story.at(200).run("warehouse/r1 failed");
    story.expect("200 slack trigger: warehouse failed\n200 pd trigger: warehouse failed");
    // What is open and what comes is held back; another team's is not.
    story.at(300).run("etl_b/r1 failed").run("etl_c/r1 failed owner=platform").expect("300 hook trigger: etl_c failed");
    story.at(400).run("etl_a/r2 succeeded").expect("400 slack resolve: etl_a failed\n400 #1 resolved");
    story.at(500).run("warehouse/r2 succeeded");
    story.expect(
        "500 slack resolve: warehouse failed
         500 pd resolve: warehouse failed
         500 slack trigger: etl_b failed
         500 #2 resolved",
    );
}

#[test]
fn what_is_inhibited_stays_so_when_the_rules_are_read_again() {
    let mut story = failed(json!({"rules": [
        {"name": "warehouse", "match": {"pipeline": "warehouse"}, "severity": "critical", "when": {"failed": {}}},
        {"name": "failed", "match": {"pipeline": "etl*"}, "severity": "warning", "when": {"failed": {}}}],
        "inhibitions": [{"name": "warehouse down", "source_matchers": ["rule=warehouse"],
            "target_matchers": ["rule=failed"], "equal": ["team"]}]}));
    story.at(100).run("warehouse/r1 failed");
    story.expect("100 slack trigger: warehouse failed\n100 pd trigger: warehouse failed");
    story.at(200).run("etl/r1 failed").expect("");
    story.at(300).change_rules(|_| {}).expect("");
    assert_eq!(story.incident(2).suppressed_by.len(), 1);
    // Without the inhibition it is told at once.
    story.at(400).change_rules(|rules| drop(rules.as_object_mut().unwrap().remove("inhibitions")));
    story.expect("400 slack trigger: etl failed");
}

#[test]
fn what_is_given_to_a_team_in_maintenance_is_held_back() {
    let mut story = failed(json!({"maintenance": [{"name": "move", "matchers": ["team=platform"],
        "when": {"tz": "UTC", "start": "2026-11-20T00:00:00", "duration_s": 600}}]}));
    story.at(100).run("etl/r1 failed").at(200);
    story.ask(1, |incident| Command::Reassign { incident, to: "team:platform".parse().unwrap() });
    story.expect("100 slack trigger: etl failed");
    assert_eq!(story.incident(1).suppressed_by.len(), 1);
}

#[test]
fn a_storm_is_one_incident_with_a_digest() {
    let mut story = failed(json!({"incidents": {"storm": {"incidents": 3, "within": "1m"}}}));
    for number in 0..10 {
        story.at(100 + number).run(&format!("p{number}/r1 failed"));
    }
    story.run("elsewhere/r1 failed owner=platform");
    story.expect(
        "100 slack trigger: p0 failed
         101 slack trigger: p1 failed
         102 slack trigger: p2 failed
         103 slack trigger: Storm: more than 3 new incidents of team payments in 1m
         109 hook trigger: elsewhere failed",
    );
    assert_eq!(story.state.open_incidents().count(), 12, "nothing is lost: ten, the storm, and another team's");
    story.at(200).expect("169 slack update: Storm: more than 3 new incidents of team payments in 1m");
    // Later ones are their own again.
    story.at(300).run("q/r1 failed").expect("300 slack trigger: q failed");
    for number in 3..9 {
        story.at(400).run(&format!("p{number}/r2 succeeded"));
    }
    // The storm is the fifth: its first member has a number when it turns out to be too many.
    let resolved: String = [4, 6, 7, 8, 9, 10].map(|number| format!("400 #{number} resolved\n")).concat();
    story.expect(&resolved);
    story.run("p9/r2 succeeded");
    story.expect(
        "400 slack resolve: Storm: more than 3 new incidents of team payments in 1m
         400 #5 resolved
         400 #11 resolved",
    );
}

#[test]
fn a_storm_resolved_by_hand_is_over_with_its_members() {
    let mut story = failed(json!({"incidents": {"storm": {"incidents": 1, "within": "1m"}}}));
    story.at(100).run("a/r1 failed").run("b/r1 failed").run("c/r1 failed").at(110);
    let storm = story.state.open_incidents().find(|incident| incident.title.starts_with("Storm")).unwrap().number;
    story.ask(storm, |incident| Command::Resolve { incident });
    assert_eq!(story.state.open_incidents().count(), 1, "the first passed and is still there");
    story.at(200).run("b/r2 failed").at(201);
    assert_eq!(story.state.open_incidents().count(), 2);
}

#[test]
fn a_scope_that_is_down_is_one_urgent_incident() {
    let scope = json!({"name": "etl", "match": {"pipeline": "etl_*"}, "when": {"all_failed": {"at_least": 2}}});
    let rules = json!([{"name": "failed", "severity": "warning", "when": {"failed": {"on": "run", "critical_after": 3}}}, scope]);
    let mut story = failed(json!({
        "rules": rules,
        "pipelines": [{"match": {"source": "airflow", "pipeline": "etl_declared"}}]
    }));
    story.at(100).run("etl_a/r1 failed").at(200).run("etl_b/r1 failed").at(300).run("other/r1 failed");
    story.expect(
        "100 slack trigger: etl_a failed
         200 slack trigger: etl_b failed
         300 slack trigger: other failed",
    );
    // The declared one never ran and kept it away; now it fails too.
    story.at(400).run("etl_declared/r1 failed");
    story.expect(
        "400 slack trigger: etl_declared failed
         400 slack trigger: P1: all 3 pipelines of etl are down
         400 pd trigger: P1: all 3 pipelines of etl are down",
    );
    // Members make no noise of their own, others do; skipped and old news change nothing.
    story.at(500).run("etl_a/r2 failed").at(600).run("etl_a/r3 failed").run("other/r2 failed").run("etl_b/r2 skipped");
    story.at(610).run("etl_b/r0 succeeded ended=150").at(900);
    story.expect("600 slack update: other failed 2 times");
    story.at(1000).run("etl_b/r3 succeeded");
    story.expect(
        "1000 slack resolve: etl_b failed
         1000 slack resolve: P1: all 3 pipelines of etl are down
         1000 pd resolve: P1: all 3 pipelines of etl are down
         1000 pd trigger: etl_a failed 3 times
         1000 slack update: etl_a failed 3 times
         1000 slack update: etl_declared failed
         1000 #2 resolved
         1000 #5 resolved",
    );
    // Down again, and over because no rule is about it any more.
    story.at(1100).run("etl_b/r4 failed").at(1101);
    story.expect(
        "1100 slack trigger: etl_b failed
         1100 slack trigger: P1: all 3 pipelines of etl are down
         1100 pd trigger: P1: all 3 pipelines of etl are down",
    );
    story.change_rules(|rules| rules["rules"].as_array_mut().unwrap().truncate(1));
    assert!(story.state.open_incidents().all(|incident| !incident.title.starts_with("P1")));
}

#[test]
fn a_failure_that_was_kept_quiet_keeps_a_scope_up_until_it_counts() {
    let mut story = failed(json!({"rules": [
        {"name": "failed", "severity": "warning", "when": {"failed": {"on": "run", "transient": ["503"]}}},
        {"name": "all", "when": {"all_failed": {"at_least": 2}}}]}));
    story.at(100).run("a/r1 failed error=503").at(200).run("b/r1 failed").expect("200 slack trigger: b failed");
    story.at(300).run("b/r2 failed").at(400).run("a/r2 failed error=503");
    story.expect(
        "400 slack trigger: a failed 2 times
         400 slack trigger: P1: all 2 pipelines of all are down
         400 pd trigger: P1: all 2 pipelines of all are down",
    );
}

#[test]
fn failures_in_a_row_become_critical_and_successes_in_a_row_end_it() {
    let mut story = failed(json!({"rules": [{"name": "failed", "severity": "warning",
        "when": {"failed": {"warn_after": 2, "critical_after": 4, "resolve_after": 2, "on": "run"}}}]}));
    story.at(0).run("etl/r1 failed").at(100).run("etl/r2 retrying").run("etl/r3 cancelled").expect("");
    story.at(200).run("etl/r4 failed").expect("200 slack trigger: etl failed 2 times");
    story.at(600).run("etl/r5 failed").expect("600 slack update: etl failed 3 times");
    story
        .at(700)
        .run("etl/r6 failed")
        .expect("700 pd trigger: etl failed 4 times\n700 slack update: etl failed 4 times");
    story.at(2000).run("etl/r7 succeeded").at(2100).run("etl/r8 failed").at(2200).run("etl/r9 succeeded").at(2300);
    story.expect("2100 slack update: etl failed");
    assert!(story.why().contains("success 1 of 2 in a row"), "{}", story.why());
    // The same run again, and its tasks, count once.
    story.run("etl/r9 started").run("etl/r9/load#1 succeeded").run("etl/r9 succeeded").expect("");
    story.at(2400).run("etl/r10 succeeded");
    story.expect("2400 slack resolve: etl failed\n2400 pd resolve: etl failed\n2400 #1 resolved");
}

#[test]
fn an_error_that_passes_by_itself_is_told_when_it_does_not() {
    let transient = json!({"failed": {"transient": ["503 Service Unavailable", "ConnectionReset"]}});
    let mut story = failed(json!({"rules": [{"name": "failed", "severity": "warning", "when": transient}]}));
    // A task and, because of it, its run: quiet, and one of the hour's budget.
    story.at(0).run("etl/r1/load#1 failed error=503_Service_Unavailable").run("etl/r1 failed").expect("");
    assert!(story.why().contains("known to pass by itself"), "{}", story.why());
    story.at(600).run("etl/r2 succeeded").expect("");
    story.at(1200).run("etl/r3/load#1 failed error=ConnectionReset").run("etl/r3 failed").expect("");
    story.at(1800).run("etl/r4/load#1 failed error=ConnectionReset").expect("1800 slack trigger: etl failed 2 times");
    story.run("etl/r4 failed").at(2400).run("etl/r5 succeeded").at(2401);
    story.expect("2100 slack update: etl failed 2 times\n2400 slack resolve: etl failed 2 times\n2400 #1 resolved");
    // Another error counts at once; and so does one that passed by itself too often within an hour.
    story.at(2500).run("etl/r6 failed error=disk_full").at(2501).run("etl/r7 succeeded");
    story.expect("2500 slack trigger: etl failed\n2501 slack resolve: etl failed\n2501 #2 resolved");
    story.at(2600).run("etl/r8 failed error=ConnectionReset").at(2700).run("etl/r9 succeeded").expect("");
    story.at(2800).run("etl/r10 failed error=ConnectionReset").expect("2800 slack trigger: etl failed");
    assert!(story.why().contains("came 3 times in an hour"), "{}", story.why());
    story.at(2900).run("etl/r11 succeeded").at(6700).run("etl/r12 failed error=ConnectionReset");
    story.expect("2900 slack resolve: etl failed\n2900 #3 resolved");
}

#[test]
fn incidents_may_be_grouped_by_owner() {
    let mut story = failed(json!({"incidents": {"group_by": ["owner"], "update_interval": "10m"}}));
    story.at(100).run("a/r1 failed").at(150).run("b/r1 failed").at(160).run("c/r1 failed owner=platform");
    story.expect("100 slack trigger: a failed\n160 hook trigger: c failed");
    story.at(701).expect("700 slack update: a failed");
    story.at(800).run("a/r2 succeeded").at(900).run("b/r2 succeeded");
    story.expect("900 slack resolve: a failed\n900 #1 resolved");
}
