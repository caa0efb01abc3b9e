//! Stories of failing, retrying, killed, late and silent runs.

use crate::scenario::Story;
use serde_json::json;
use trackside_core::event::ReportAction;

fn failed() -> Story {
    Story::new(json!({"rules": [{"name": "failed", "when": {"failed": {}}}]}))
}

#[test]
fn a_failed_run_is_told_once_and_resolved_by_the_next_success() {
    let mut story = failed();
    story.at(0).run("etl/r1 started").at(60).run("etl/r1 failed error=disk_full");
    story.expect("60 pd trigger: etl failed\n60 slack trigger: etl failed");
    // The next run fails too: the page is not repeated, and the message is edited in place five minutes after it came.
    story.at(100).run("etl/r2 started").at(160).run("etl/r2 failed").at(359).expect("");
    story.at(400).expect("360 slack update: etl failed 2 times");
    story.at(500).run("etl/r3 started").at(560).run("etl/r3 succeeded");
    story.expect("560 pd resolve: etl failed 2 times\n560 slack resolve: etl failed 2 times\n560 #1 resolved");
    // A new failure is a new incident.
    story.at(600).run("etl/r4 failed").expect("600 pd trigger: etl failed\n600 slack trigger: etl failed");
}

#[test]
fn a_retry_tells_nobody_and_the_last_try_does() {
    let mut story = failed();
    story.at(0).run("etl/r1 started").run("etl/r1/load#1 started");
    story.at(10).run("etl/r1/load#1 failed_maybe_retry error=boom").expect("");
    story.at(20).run("etl/r1/load#2 started").at(30).run("etl/r1/load#2 failed_maybe_retry error=boom").expect("");
    story.at(31).run("etl/r1 failed @load=failed");
    story.expect("31 pd trigger: etl failed\n31 slack trigger: etl failed");
    // The end of the run is news too, but not worth an edit at once.
    story.at(400).expect("331 slack update: etl failed");
}

#[test]
fn a_retry_that_succeeds_tells_nobody() {
    let mut story = failed();
    story.at(0).run("etl/r1/load#1 started").at(10).run("etl/r1/load#1 failed_maybe_retry");
    story.at(20).run("etl/r1/load#2 started").at(30).run("etl/r1/load#2 succeeded");
    story.at(31).run("etl/r1 succeeded").at(100_000).expect("");
}

#[test]
fn a_held_failure_is_told_when_nothing_else_comes() {
    let mut story = failed();
    story.at(0).run("etl/r1/load#1 started").at(10).run("etl/r1/load#1 failed_maybe_retry error=boom");
    story.at(909).expect("");
    story.at(911).expect("910 pd trigger: etl failed\n910 slack trigger: etl failed");
}

#[test]
fn a_killed_task_is_known_from_the_end_of_its_run() {
    let mut story = failed();
    story.at(0).run("etl/r1 started").run("etl/r1/load#1 started");
    story.at(60).run("etl/r1 failed @load=failed");
    story.expect("60 pd trigger: etl failed\n60 slack trigger: etl failed");
    let told = story.decisions.last().unwrap().effects[0].notice.clone();
    assert_eq!(told.summary, "Task load failed: No end was reported: the process was probably killed.");
    assert_eq!(told.run.unwrap().task.as_deref(), Some("load"));
    story.at(400).expect("360 slack update: etl failed");
}

#[test]
fn news_out_of_order_changes_nothing() {
    let mut story = failed();
    // The end of the run arrives before the end of its last task, and the start last of all.
    story.at(50).run("etl/r1 succeeded").at(51).run("etl/r1/load#1 succeeded").at(52).run("etl/r1/load#1 started");
    story.at(53).run("etl/r1 started ended=40").at(100_000).expect("");
    // The failure of a try arrives after the start of the next try.
    story.at(100_001).run("etl/r2/load#2 started").at(100_002).run("etl/r2/load#1 failed_maybe_retry");
    story.at(100_003).run("etl/r2/load#2 succeeded").at(100_004).run("etl/r2 succeeded").at(200_000).expect("");
}

#[test]
fn a_state_that_changes_after_the_end_counts() {
    let mut story = failed();
    story.at(0).run("etl/r1 started").at(10).run("etl/r1 succeeded").expect("");
    story.at(500).run("etl/r1 failed ended=10 error=marked_failed");
    story.expect("500 pd trigger: etl failed\n500 slack trigger: etl failed");
    // Cleared and run again under the same name.
    story.at(600).run("etl/r1 started").at(700).run("etl/r1 succeeded");
    story.expect("700 pd resolve: etl failed\n700 slack resolve: etl failed\n700 #1 resolved");
}

#[test]
fn an_old_success_does_not_end_a_new_problem() {
    let mut story = failed();
    story.at(100).run("etl/r2 failed").expect("100 pd trigger: etl failed\n100 slack trigger: etl failed");
    story.at(110).run("etl/r1 succeeded ended=50").expect("");
    assert!(story.why().contains("this success ended before the last failure"), "{}", story.why());
}

#[test]
fn the_same_report_twice_is_one() {
    let mut story = failed();
    story.at(10).run("etl/r1 failed").run("etl/r1 failed");
    story.expect("10 pd trigger: etl failed\n10 slack trigger: etl failed");
    assert!(story.why().contains("had failed already"), "{}", story.why());
}

#[test]
fn a_run_is_found_by_any_of_its_names() {
    let mut story = failed();
    // The start knows only the opaque id, a task brings both names, the end knows only the opaque id again.
    story.at(0).run("etl/x started alias=x").at(1).run("etl/r1/load#1 started alias=x").at(2).run("etl/r1 failed");
    story.expect("2 pd trigger: etl failed\n2 slack trigger: etl failed");
}

#[test]
fn the_kth_failure_in_a_row_is_told() {
    let mut story =
        Story::new(json!({"rules": [{"name": "third", "when": {"failed": {"consecutive": 3, "on": "run"}}}]}));
    story.at(1).run("etl/r1 failed").at(2).run("etl/r2 failed").at(3).run("etl/r3 succeeded");
    story.at(4).run("etl/r4 failed").at(5).run("etl/r5 failed").expect("");
    assert!(story.why().contains("counted: 2 of 3 in a row"), "{}", story.why());
    story.at(6).run("etl/r6 failed").expect("6 pd trigger: etl failed 3 times\n6 slack trigger: etl failed 3 times");
}

#[test]
fn a_run_that_takes_too_long_is_told_while_it_runs() {
    let mut story =
        Story::new(json!({"rules": [{"name": "slow", "when": {"runs_longer_than": "20m"}, "severity": "warning"}]}));
    story.at(0).run("etl/r1 started").at(1199).expect("");
    story.at(1300).expect("1200 slack trigger: etl takes longer than 20m");
    story.at(1500).run("etl/r1 succeeded").expect("1500 slack resolve: etl takes longer than 20m\n1500 #1 resolved");
    story.at(2000).run("etl/r2 started").at(2100).run("etl/r2 succeeded").at(9000).expect("");
}

#[test]
fn a_missing_success_is_told_even_if_nothing_ever_came() {
    let rules = json!({"rules": [{"name": "beat", "match": {"source": "heartbeat", "pipeline": "backup"},
        "when": {"missing": {"every": "1h", "grace": "5m"}}}]});
    let mut story = Story::new(rules);
    story.at(3899).expect("");
    story.at(3901).expect("3900 hook trigger: backup is missing");
    story.at(10_000).expect("");
}

#[test]
fn a_success_restarts_the_countdown() {
    let mut story = Story::new(json!({"rules": [{"name": "beat", "when": {"missing": {"every": "1h"}}}]}));
    story.at(0).run("etl/r1 succeeded").at(3000).run("etl/r2 succeeded").at(6599).expect("");
    story.at(6601).expect("6600 pd trigger: etl is missing\n6600 slack trigger: etl is missing");
    story.at(7000).run("etl/r3 succeeded");
    story.expect("7000 pd resolve: etl is missing\n7000 slack resolve: etl is missing\n7000 #1 resolved");
    story.at(10_601).expect("10600 pd trigger: etl is missing\n10600 slack trigger: etl is missing");
}

#[test]
fn stale_data_is_told_at_the_local_time() {
    let rules =
        json!({"rules": [{"name": "fresh", "when": {"not_fresh_by": {"time": "07:00", "zone": "Europe/Paris"}}}]});
    let mut story = Story::new(rules);
    // 07:00 in Paris is 06:00 UTC in November.
    story.at(3600).run("etl/r1 succeeded").at(6 * 3600 + 10).expect("");
    story.at(30 * 3600 + 10);
    story.expect("108000 pd trigger: etl is not fresh by 07:00\n108000 slack trigger: etl is not fresh by 07:00");
}

#[test]
fn a_success_without_rows_is_told() {
    let mut story = Story::new(json!({"rules": [{"name": "empty", "when": "zero_rows"}]}));
    story.at(1).run("etl/r1 succeeded").at(2).run("etl/r2 succeeded rows=7").expect("");
    story.at(3).run("etl/r3/load#1 succeeded rows=0").run("etl/r3 succeeded");
    story.expect("3 pd trigger: etl wrote no rows\n3 slack trigger: etl wrote no rows");
    story.at(4).run("etl/r4 succeeded rows=9");
    story.expect("4 pd resolve: etl wrote no rows\n4 slack resolve: etl wrote no rows\n4 #1 resolved");
}

#[test]
fn two_rules_are_one_incident_until_both_are_over() {
    let mut story = Story::new(json!({"rules": [
        {"name": "slow", "when": {"runs_longer_than": "1m"}, "severity": "warning"},
        {"name": "failed", "when": {"failed": {"on": "run"}}}]}));
    story.at(0).run("etl/r1 started").at(60).expect("60 slack trigger: etl takes longer than 1m");
    // The failure raises the severity: now PagerDuty is told too.
    story.at(70).run("etl/r1 failed").expect("70 pd trigger: etl failed\n70 slack update: etl failed");
    story.at(80).run("etl/r2 succeeded");
    story.expect("80 slack resolve: etl failed\n80 pd resolve: etl failed\n80 #1 resolved");
}

#[test]
fn one_failure_with_two_owners_pages_one_team() {
    let mut story = failed();
    story.at(1).run("etl/r1/load#1 failed owner=platform").expect("1 hook trigger: etl failed");
    story.at(2).run("etl/r1 failed owner=pay").expect("");
}

#[test]
fn an_acknowledgement_is_passed_on_once() {
    let mut story = failed();
    story.at(1).run("etl/r1 failed").at(2).acknowledge(1);
    story.expect("1 pd trigger: etl failed\n1 slack trigger: etl failed\n2 pd acknowledge: etl failed\n2 slack acknowledge: etl failed");
    story.at(3).acknowledge(1).expect("");
}

#[test]
fn a_message_that_cannot_be_told_is_told_another_way() {
    let mut story = failed();
    story.at(1).run("etl/r1 failed").at(5).dead("pd");
    story
        .expect("1 pd trigger: etl failed\n1 slack trigger: etl failed\n5 slack message: Could not trigger through pd");
    // The substitute failing too is the end of it: it is visible, and makes no further noise.
    story.at(6).dead("slack").expect("");
}

#[test]
fn reports_are_carried_under_their_own_key() {
    let mut story = Story::new(json!({"rules": [{"name": "reported", "when": "reported"}]}));
    story.at(1).report("db1", ReportAction::Trigger).report("db2", ReportAction::Trigger);
    story.expect(
        "1 pd trigger: db1 is on fire\n1 slack trigger: db1 is on fire\n1 pd trigger: db2 is on fire\n1 slack trigger: db2 is on fire",
    );
    story.at(2).report("db1", ReportAction::Trigger).expect("");
    story.at(3).report("db1", ReportAction::Resolve);
    story.expect("3 pd resolve: db1 is on fire\n3 slack resolve: db1 is on fire\n3 #1 resolved");
}

#[test]
fn every_decision_says_why() {
    let mut story = Story::new(json!({"rules": [
        {"name": "billing", "match": {"pipeline": "billing_*"}, "when": {"failed": {}}},
        {"name": "slow", "when": {"runs_longer_than": "20m"}},
        {"name": "failed", "when": {"failed": {"on": "run"}}}]}));
    story.at(1).run("etl/r1 failed");
    insta::assert_snapshot!(story.why(), @r"
    run r1 of etl failed
      billing: Passes: pipeline `etl` does not match `billing_*`
      slow: Passes: it does not watch for failures
      failed: Fires: every failure fires it
      => incident #1 opened for team payments
    ");
}

#[test]
fn runs_without_a_name_are_paired_with_their_start() {
    let mut story = Story::new(json!({"rules": [
        {"name": "slow", "when": {"runs_longer_than": "5m"}},
        {"name": "beat", "when": {"missing": {"every": "1h"}}},
    ]}));
    // Plain pings: each is a run of its own.
    story.at(0).run("nightly/- succeeded").at(60).run("nightly/- succeeded");
    // A start is ended by the next ping, so it is not taken for one that runs on.
    story.at(100).run("nightly/- started").at(160).run("nightly/- succeeded").at(1_000).expect("");
    // A start that nothing follows, though it is repeated, is one run that takes too long.
    story.at(2_000).run("nightly/- started").at(2_100).run("nightly/- started");
    story
        .at(2_400)
        .expect("2300 pd trigger: nightly takes longer than 5m\n2300 slack trigger: nightly takes longer than 5m");
    story.run("nightly/- succeeded");
    story.expect("2400 pd resolve: nightly takes longer than 5m\n2400 slack resolve: nightly takes longer than 5m\n2400 #1 resolved");
    let pipeline = story.state.pipelines().next().unwrap();
    assert_eq!((pipeline.succeeded, pipeline.durations_ms.as_slice()), (4, &[60_000, 400_000][..]));
    story.at(6_000).expect("6000 pd trigger: nightly is missing\n6000 slack trigger: nightly is missing");
}
