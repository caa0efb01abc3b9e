//! Stories of deadlines: by local time, after another run, declared by the far end, and during maintenance.

use crate::scenario::{Story, start};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;
use trackside_core::caller::Caller;
use trackside_core::duty::maintenance::When;
use trackside_core::event::Fact;
use trackside_core::input::{DutyEdit, Input};
use trackside_core::rules::Rules;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::noise::{Maintenance, PlannedWork};
use trackside_core::run::{Deadline, RunReport};
use uuid::Uuid;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_local_deadline_leaves_out_holidays() {
    let mut story = Story::new(json!({
        "calendars": {"holidays": ["2026-11-21", "2026-11-22"]},
        "rules": [{"name": "fresh", "severity": "warning",
            "when": {"not_fresh_by": {"time": "07:00", "zone": "Europe/Paris", "except": ["holidays"]}}}]}));
    story.at(HOUR).run("etl/r1 succeeded").at(3 * DAY).expect("");
    // 07:00 in Paris on the 23rd.
    story.at(4 * DAY).expect("280800 slack trigger: etl is not fresh by 07:00");
    story.run("etl/r2 succeeded").expect("345600 slack resolve: etl is not fresh by 07:00\n345600 #1 resolved");
}

#[test]
fn a_local_deadline_keeps_its_time_when_the_clock_changes() {
    let mut story = Story::new(json!({"rules": [{"name": "fresh", "severity": "warning",
        "when": {"not_fresh_by": {"time": "02:30", "zone": "Europe/Paris", "max_age": "1h"}}}]}));
    // 27 March 2027, the day before the clocks go forward.
    let eve = 127 * DAY;
    story.at(0).run("etl/r1 succeeded");
    story.at(HOUR + 1800).sleep_until(eve + HOUR);
    story.run("etl/r2 succeeded");
    story.at(eve + 2 * HOUR).expect("5400 slack trigger: etl is not fresh by 02:30\n10976400 slack resolve: etl is not fresh by 02:30\n10976400 #1 resolved");
    // On the 28th 02:30 does not exist: due at 01:30 UTC as on the day before, from the 29th on at 00:30 UTC.
    story.at(eve + 3 * DAY);
    story.expect(
        "11064600 slack trigger: etl is not fresh by 02:30
         11147400 slack update: etl is not fresh by 02:30",
    );
}

fn story_of_builds(within: &str) -> Story {
    Story::new(json!({"rules": [{"name": "starts", "severity": "warning",
        "match": {"source": "airflow", "pipeline": "deploy_dag"},
        "when": {"expected_after": {"after": {"pipeline": "build_*"}, "within": within}}}]}))
}

#[test]
fn a_finished_build_whose_dag_run_never_starts_is_told() {
    let mut story = story_of_builds("10m");
    story.at(0).run("build_app/b1 started").at(100).run("build_app/b1 succeeded");
    assert!(story.why().contains("a run of deploy_dag must start by 2026-11-20T00:11:40Z"), "{}", story.why());
    story.at(699).expect("").at(701).expect("700 hook trigger: deploy_dag did not start after build_app");
    insta::assert_snapshot!(story.why(), @r"
    a run of deploy_dag should have started after run b1 of build_app
      starts: Fires: Run b1 of build_app succeeded at 2026-11-20T00:01:40Z; no run of deploy_dag started within 10m
      => incident #1 opened for team platform
    ");
    story.at(800).run("deploy_dag/d1 started");
    story.expect("800 hook resolve: deploy_dag did not start after build_app\n800 #1 resolved");
}

#[test]
fn a_start_in_time_satisfies_whoever_waits() {
    let mut story = story_of_builds("10m");
    story.at(0).run("build_app/b1 succeeded").at(30).run("build_web/b1 succeeded").at(60).run("deploy_dag/d1 started");
    story.at(HOUR).expect("");
    assert_eq!(story.state.timers().count(), 0);
    // A build that failed, or another pipeline, expects nothing.
    story.run("build_app/b2 failed").run("tests/t1 succeeded").at(2 * HOUR).expect("");
    // The run of the DAG that was under way when the build ended is not the one that was expected.
    story.run("deploy_dag/d2 started").at(2 * HOUR + 60).run("build_app/b3 succeeded");
    story.at(2 * HOUR + 120).run("deploy_dag/d2 succeeded");
    story.at(3 * HOUR).expect("7860 slack trigger: deploy_dag did not start after build_app");
    story.run("deploy_dag/d2 succeeded").expect("");
}

#[test]
fn it_does_not_matter_whose_news_comes_first() {
    let mut story = story_of_builds("10m");
    // The build ended before the DAG run started, and is told of later.
    story.at(100).run("deploy_dag/d1 started").at(130).run("build_app/b1 succeeded ended=90");
    assert!(story.why().contains("deploy_dag has started already"), "{}", story.why());
    // News of a start that was in time but is told late ends what was told.
    story.at(HOUR).run("build_app/b2 succeeded").at(2 * HOUR);
    story.expect("4200 slack trigger: deploy_dag did not start after build_app");
    story.run("deploy_dag/d2 succeeded started=3700 ended=4000");
    story.expect("7200 slack resolve: deploy_dag did not start after build_app\n7200 #1 resolved");
}

#[test]
fn a_start_can_be_what_is_followed() {
    let mut story = Story::new(json!({"rules": [{"name": "starts", "severity": "warning",
        "match": {"source": "airflow", "pipeline": "b"},
        "when": {"expected_after": {"after": {"pipeline": "a"}, "outcome": "start", "within": "1m"}}}]}));
    story.at(0).run("a/r1 started").at(59).expect("").at(61).expect("60 hook trigger: b did not start after a");
}

proptest! {
    /// Builds and starts happen when they happen, and news of them comes later in any order: in the end the alert is
    /// there exactly when some build was followed by no start.
    #[test]
    fn the_order_of_news_does_not_matter(
        builds in prop::collection::vec((1000_i64..5000, 0_i64..900), 1..6),
        starts in prop::collection::vec((1000_i64..5000, 0_i64..900), 0..6),
    ) {
        let mut news: Vec<(i64, String)> = Vec::new();
        for (n, (ended, delay)) in builds.iter().enumerate() {
            news.push((ended + delay, format!("build_app/b{n} succeeded ended={ended}")));
        }
        for (n, (started, delay)) in starts.iter().enumerate() {
            news.push((started + delay, format!("deploy_dag/d{n} started started={started}")));
        }
        news.sort();
        let mut story = story_of_builds("10m");
        for (second, update) in news {
            story.at(second).run(&update);
        }
        story.at(10_000);
        let last_start = starts.iter().map(|(started, _)| *started).max();
        let awaited = builds.iter().any(|(ended, _)| last_start.is_none_or(|started| started < *ended));
        prop_assert_eq!(story.state.open_incidents().count(), usize::from(awaited));
        prop_assert_eq!(story.state.timers().count(), 0, "nothing is left behind");
    }
}

fn declared(story: &mut Story, run: &str, report: RunReport, due: &[(&str, i64)], clear_number: u32) {
    let mut update = crate::scenario::update(&format!("dag/{run} started"));
    update.report = report;
    update.clear_number = clear_number;
    let deadline = |(name, second): &(&str, i64)| Deadline {
        name: (*name).to_owned(),
        due: start() + SignedDuration::from_secs(*second),
    };
    update.deadlines = due.iter().map(deadline).collect();
    story.fact(Fact::Run(Box::new(update)));
}

#[test]
fn declared_deadlines_are_kept_without_a_rule() {
    let mut story = Story::new(json!({"rules": []}));
    declared(&mut story, "r1", RunReport::Started, &[("soft", 60), ("hard", 120)], 0);
    assert!(story.why().contains("as its deadline `soft` declares"), "{}", story.why());
    story.at(59).expect("");
    story.at(61).expect("60 pd trigger: dag missed its deadline\n60 slack trigger: dag missed its deadline");
    insta::assert_snapshot!(story.why(), @r"
    run r1 of dag is past its deadline `soft`
      airflow-deadline: Fires: Run r1 should have ended by 2026-11-20T00:01:00Z (`soft`, declared in Airflow); it still runs
      => incident #1 opened for team payments
    ");
    story.at(130).run("dag/r1 succeeded");
    story.expect(
        "130 pd resolve: dag missed its deadline
         130 slack resolve: dag missed its deadline
         130 #1 resolved",
    );
    // In time: nobody hears of it, and nothing is left behind.
    declared(&mut story, "r2", RunReport::Started, &[("soft", 300)], 0);
    story.at(200).run("dag/r2 failed").at(HOUR).expect("");
    assert_eq!(story.state.timers().count(), 0);
    // A run that was cleared starts with deadlines that passed long ago; one that is over has none.
    declared(&mut story, "r2", RunReport::Started, &[("soft", 300)], 1);
    declared(&mut story, "r3", RunReport::Succeeded, &[("soft", 4000)], 0);
    story.at(DAY).expect("");
}

fn window(begin: &str, seconds: u64) -> serde_json::Value {
    json!([{"name": "night", "matchers": ["pipeline=\"etl\""], "when": {"start": begin, "duration_s": seconds}}])
}

#[test]
fn a_check_that_is_due_during_maintenance_is_made_at_its_end() {
    let rules = json!({
        "maintenance": window("2026-11-20T01:00:00", 7200),
        "rules": [
            {"name": "beat", "when": {"missing": {"every": "1h 30m"}}, "severity": "warning"},
            {"name": "slow", "when": {"runs_longer_than": "20m"}, "severity": "warning"}]});
    let mut story = Story::new(rules.clone());
    story.at(0).run("etl/r1 succeeded").run("other/r1 succeeded").at(5000).run("etl/r2 started").at(5401);
    // What is not in maintenance is told when it is due.
    story.expect("5400 slack trigger: other is missing");
    assert!(story.decisions.iter().flat_map(|decision| &decision.explanations).any(|why| {
        why.meaning.contains("a check of etl by rule beat is due during maintenance `night`")
            && why.outcome.contains("it is made when that ends, at 2026-11-20T03:00:00Z")
    }));
    // News of the pipeline changes nothing about that.
    story.at(6000).run("etl/r2/load#1 started").at(10_799).expect("");
    story.at(10_801).expect("10800 slack trigger: etl takes longer than 20m");
    story.at(11_101).expect("11100 slack update: etl is missing");
    // The success came meanwhile.
    let mut story = Story::new(rules);
    story.at(0).run("etl/r1 succeeded").at(5000).run("etl/r2 started").at(7000).run("etl/r2 succeeded").at(12_399);
    story.expect("").at(12_401).expect("12400 slack trigger: etl is missing");
}

#[test]
fn a_local_deadline_within_maintenance_counts_at_its_end() {
    let rules = json!({
        "maintenance": window("2026-11-20T05:00:00", 7200),
        "rules": [{"name": "fresh", "severity": "warning", "when": {"not_fresh_by": {"time": "06:00", "zone": "UTC"}}}]});
    let mut late = Story::new(rules.clone());
    late.at(-HOUR).run("etl/r1 succeeded").at(7 * HOUR - 1).expect("");
    late.at(7 * HOUR + 1).expect("25200 slack trigger: etl is not fresh by 06:00");
    // The next day's deadline is where it belongs.
    late.run("etl/r2 succeeded").at(30 * HOUR - 1);
    late.expect("25201 slack resolve: etl is not fresh by 06:00\n25201 #1 resolved");
    late.at(30 * HOUR + 1).expect("108000 slack trigger: etl is not fresh by 06:00");
    let mut meanwhile = Story::new(rules);
    meanwhile.at(-HOUR).run("etl/r1 succeeded").at(6 * HOUR + 600).run("etl/r2 succeeded").at(8 * HOUR).expect("");
}

#[test]
fn maintenance_that_ends_early_ends_the_wait() {
    let caller = || Caller::new("alice", "token");
    let id = Uuid::from_u128(7);
    let when: When = serde_json::from_value(json!({"start": "2026-11-20T00:30:00", "duration_s": 36_000})).unwrap();
    let window =
        Maintenance { name: "move".into(), matchers: Vec::new(), when, announce: Vec::new(), reason: String::new() };
    let work = PlannedWork { id, window, by: "alice".into(), created: start() };
    let mut story =
        Story::new(json!({"rules": [{"name": "beat", "when": {"missing": {"every": "1h"}}, "severity": "warning"}]}));
    story.at(0).run("etl/r1 succeeded");
    story.at(60).input(Input::Duty { caller: caller(), edits: vec![DutyEdit::PutMaintenance(Box::new(work))] });
    story.at(2 * HOUR).expect("");
    story.input(Input::Duty { caller: caller(), edits: vec![DutyEdit::EndMaintenance { id }] });
    story.at(2 * HOUR + 1).expect("7200 slack trigger: etl is missing");
}

#[track_caller]
fn refuse(rules: &serde_json::Value, expect: &str) {
    let ruleset = json!({"teams": {"a": {}}, "owners": {"default": "a"}, "calendars": {"free": []}, "rules": [rules]});
    let problem = match serde_json::from_value::<Ruleset>(ruleset) {
        Err(error) => error.to_string(),
        Ok(ruleset) => Rules::new(ruleset).err().map(|bad| bad.to_string()).unwrap_or_default(),
    };
    assert!(problem.contains(expect), "{problem}");
}

#[test]
fn mistakes_in_rules_are_named() {
    let fresh = |except: &str, time: &str, zone: &str| json!({"name": "r", "when": {"not_fresh_by": {"time": time, "zone": zone, "except": [except]}}});
    refuse(
        &fresh("holidays", "07:00", "UTC"),
        "rules[0].when.not_fresh_by.except[0]: there is no calendar `holidays`; declared are free",
    );
    refuse(&fresh("free", "7 o'clock", "UTC"), "`7 o'clock` is not a time of day; write HH:MM");
    refuse(&fresh("free", "07:00", "Mars/Base"), "`Mars/Base` is not an IANA time zone");
    let expected = |matches: &serde_json::Value, after: &serde_json::Value, within: &str| json!({"name": "r", "match": matches, "when": {"expected_after": {"after": after, "within": within}}});
    let dag = json!({"source": "airflow", "pipeline": "dag"});
    refuse(
        &expected(&json!({"pipeline": "dag"}), &json!({"pipeline": "b"}), "1m"),
        "rules[0].match: the expected pipeline",
    );
    refuse(&expected(&dag, &json!({}), "1m"), "rules[0].when.expected_after.after: says after nothing");
    refuse(
        &expected(&dag, &json!({"pipeline": "b"}), "0s"),
        "rules[0].when.expected_after.within: must be at least 1s",
    );
    refuse(
        &json!({"name": "airflow-deadline", "when": "reported"}),
        "rules[0].name: `airflow-deadline` is the built-in",
    );
    refuse(
        &json!({"name": "r", "match": {"pipeline": "x"}, "when": {"late_events": {"over": "1m"}}}),
        "rules[0].match: lateness is judged by source",
    );
    refuse(
        &json!({"name": "r", "when": {"rows_unusual": {"factor": 0.5}}}),
        "rules[0].when.rows_unusual.factor: 0.5 is not",
    );
    refuse(&json!({"name": "r", "when": {"rows_unusual": {"min_history": 2}}}), "write 3 to 112");
}
